/* The files that are made from the key table are the ones in the repository, and what they and the
 * samples in conf/ show does load. */
#include "config/config_fixture.h"

#include "config/format.h"
#include "config/keys.h"

/* The files that samples and the page's example name, in an empty folder. */
static const char *const sample_files[] = {"conf/tls/cert.pem",
                                           "conf/tls/key.pem",
                                           "conf/tls/example.com.pem",
                                           "conf/tls/example.com.key",
                                           "conf/tls/client-ca.pem",
                                           "conf/tls/ca.pem",
                                           NULL};

static int make_samples(void **state)
{
    int err = fixture_make(state);
    assert_int_equal(setenv("WEIR_COOKIE_SECRET", "sixteen letters!", 1), 0);
    assert_int_equal(mkdir("conf", 0700), 0);
    assert_int_equal(mkdir("conf/tls", 0700), 0);
    for (const char *const *path = sample_files; *path != NULL; path++) {
        FILE *file = fopen(*path, "w");
        assert_non_null(file);
        assert_int_equal(fclose(file), 0);
    }
    return err;
}

static int remove_samples(void **state)
{
    for (const char *const *path = sample_files; *path != NULL; path++) {
        assert_int_equal(unlink(*path), 0);
    }
    assert_int_equal(rmdir("conf/tls"), 0);
    assert_int_equal(rmdir("conf"), 0);
    return fixture_remove(state);
}

/* A file of the repository, terminated; given. */
static char *read_source(const char *path)
{
    char full[1024];
    snprintf(full, sizeof(full), "%s/%s", WEIR_SOURCE_DIR, path);
    FILE *file = fopen(full, "r");
    assert_non_null(file);
    char *text = calloc(1, 1024 * 1024);
    assert_non_null(text);
    size_t size = fread(text, 1, 1024 * 1024 - 1, file);
    assert_int_equal(fclose(file), 0);
    assert_true(size > 0);
    return text;
}

static void expect_same(const char *path, struct buffer *made)
{
    char *checked_in = read_source(path);
    assert_int_equal(buffer_append(made, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    if (strcmp((const char *)made->data, checked_in) != 0) {
        fail_msg("%s is not what the key table gives; make it anew", path);
    }
    free(checked_in);
    buffer_free(made);
}

static void test_reference_page_is_up_to_date(void **state)
{
    (void)state;
    struct buffer made = {0};
    assert_int_equal(config_reference(&made), WEIR_OK);
    expect_same("docs/configuration.md", &made);
}

static void test_schema_is_up_to_date(void **state)
{
    (void)state;
    struct buffer made = {0};
    assert_int_equal(config_schema(&made), WEIR_OK);
    expect_same("conf/weir.schema.json", &made);
}

static void test_example_of_the_page_loads(void **state)
{
    (void)state;
    char *page = read_source("docs/configuration.md");
    char *yaml = strstr(page, "```yaml\n");
    assert_non_null(yaml);
    yaml += strlen("```yaml\n");
    char *end = strstr(yaml, "```\n");
    assert_non_null(end);
    *end = '\0';
    expect_good(yaml);
    free(page);
}

static void test_samples_load(void **state)
{
    (void)state;
    static const char *const samples[] = {"conf/weir.yaml", "conf/tls.yaml", "conf/production.yaml",
                                          "conf/proxy.yaml", "conf/socket.io.yaml"};
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        char *yaml = read_source(samples[i]);
        assert_true(strncmp(yaml, "# yaml-language-server: $schema=weir.schema.json\n", 49) == 0);
        expect_good(yaml);
        free(yaml);
    }
}

static bool is_number(const struct config_key *key)
{
    return key->type == KEY_COUNT || key->type == KEY_SIZE || key->type == KEY_DURATION;
}

/* What every row must have, so that the page and the loader can rely on it. */
static void check_rows(const struct config_section *section)
{
    for (size_t i = 0; i < section->key_count; i++) {
        const struct config_key *key = &section->keys[i];
        bool is_section = key->section != NULL;
        assert_true(key->doc != NULL && key->doc[strlen(key->doc) - 1] == '.');
        assert_false(key->required && key->fallback != NULL);
        assert_true(!is_number(key) ||
                    (key->min < key->max && (key->fallback != NULL) != (key->inherits != NULL)));
        assert_true(is_section || key->fallback != NULL || key->example != NULL);
        bool has_names = key->type == KEY_PAIRS || key->type == KEY_SECTIONS_BY_NAME;
        assert_true(!has_names || (key->name_format->pattern != NULL && key->example != NULL));
        assert_false(key->apart && key->required);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(section->keys[j].name, key->name);
        }
        if (is_section) {
            check_rows(key->section);
        }
    }
}

static void test_every_row_is_complete(void **state)
{
    (void)state;
    check_rows(&keys_root);
    for (size_t i = 0; i < keys_form_count; i++) {
        check_rows(keys_forms[i].section);
        assert_non_null(keys_forms[i].find);
        assert_true(keys_forms[i].in_chain || keys_forms[i].is_handler);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_page_is_up_to_date),
        cmocka_unit_test(test_schema_is_up_to_date),
        cmocka_unit_test(test_example_of_the_page_loads),
        cmocka_unit_test(test_samples_load),
        cmocka_unit_test(test_every_row_is_complete),
    };
    return cmocka_run_group_tests(tests, make_samples, remove_samples);
}
