/* The life of a configuration: files, sharing, the files of conf/. */
#include <pthread.h>

#include "config/config_fixture.h"

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void expect_file_error(const char *path, const char *said)
{
    struct buffer errors = {0};
    struct config *config = NULL;
    assert_int_equal(config_load(path, &errors, &config), WEIR_EINVAL);
    assert_null(config);
    assert_int_equal(buffer_append(&errors, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    assert_string_equal((const char *)errors.data, said);
    buffer_free(&errors);
}

static void test_loads_a_file(void **state)
{
    (void)state;
    struct buffer errors = {0};
    struct config *config = NULL;
    write_file("good.yaml", LISTEN ROUTES);
    assert_int_equal(config_load("good.yaml", &errors, &config), WEIR_OK);
    assert_int_equal(config->route_count, 1);
    config_release(&config);
    assert_int_equal(errors.size, 0);
    assert_int_equal(unlink("good.yaml"), 0);
}

static void test_names_the_file_in_each_error(void **state)
{
    (void)state;
    write_file("bad.yaml", "a: 1\n" LISTEN ROUTES);
    expect_file_error("bad.yaml", "bad.yaml:1:1: a: unknown key\n");
    assert_int_equal(unlink("bad.yaml"), 0);
}

static void test_says_why_a_file_cannot_be_read(void **state)
{
    (void)state;
    expect_file_error("none.yaml", "none.yaml: cannot be read: No such file or directory\n");
    expect_file_error("www", "www: cannot be read: Is a directory\n");
}

static void test_errors_are_appended(void **state)
{
    (void)state;
    struct buffer errors = {0};
    struct config *config = NULL;
    assert_int_equal(buffer_append(&errors, SPAN("before\n")), WEIR_OK);
    assert_int_equal(config_load_text("t", "", 0, &errors, &config), WEIR_EINVAL);
    assert_true(
        span_equal(buffer_span(&errors), SPAN("before\nt:1:1: the configuration is empty\n")));
    buffer_free(&errors);
}

static void test_lives_until_the_last_reference(void **state)
{
    (void)state;
    struct config *first = load_good(LISTEN ROUTES);
    struct config *second = config_share(first);
    assert_ptr_equal(first, second);
    config_release(&first);
    assert_null(first);
    assert_string_equal(second->routes[0].path, "/"); /* the sanitizer watches */
    config_release(&second);
    assert_null(second);
    config_release(&second); /* nothing to give back */
}

static void *share_and_release(void *argument)
{
    struct config *config = argument;
    for (int i = 0; i < 1000; i++) {
        struct config *mine = config_share(config);
        config_release(&mine);
    }
    config_release(&config);
    return NULL;
}

static void test_threads_share(void **state)
{
    (void)state;
    pthread_t threads[4];
    struct config *config = load_good(LISTEN ROUTES);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, share_and_release, config_share(config)),
                         0);
    }
    config_release(&config);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loads_a_file),
        cmocka_unit_test(test_names_the_file_in_each_error),
        cmocka_unit_test(test_says_why_a_file_cannot_be_read),
        cmocka_unit_test(test_errors_are_appended),
        cmocka_unit_test(test_lives_until_the_last_reference),
        cmocka_unit_test(test_threads_share),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_remove);
}
