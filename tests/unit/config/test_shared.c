/* Dictionaries that all workers share: their sizes, and the words for each mistake. */
#include "config/config_fixture.h"

#define BASE LISTEN ROUTES

static void test_there_are_none_unless_named(void **state)
{
    (void)state;
    struct config *config = load_good(BASE);
    assert_int_equal(config->shared_count, 0);
    config_release(&config);
}

static void test_reads_names_and_sizes(void **state)
{
    (void)state;
    struct config *config = load_good(BASE "shared: {limits: {size: 64KiB}, more: {}}\n");
    assert_int_equal(config->shared_count, 2);
    assert_string_equal(config->shared[0].name, "limits");
    assert_int_equal(config->shared[0].size, 64 * 1024);
    assert_int_equal(config->shared[0].line, 3);
    assert_string_equal(config->shared[1].name, "more");
    assert_int_equal(config->shared[1].size, 10 * 1024 * 1024);
    config_release(&config);
}

static void test_a_size_has_its_range(void **state)
{
    (void)state;
    expect_range(BASE, &(struct range_row){"shared: {a: {size: ",
                                           {"16383", "16KiB", "64GiB", "68719476737"},
                                           "}}",
                                           "16KiB to 64GiB"});
}

static void test_refuses_other_keys_and_names(void **state)
{
    (void)state;
    expect_errors(BASE "shared: {a: {sice: 1MiB}}\n",
                  "t.yaml:3:14: shared.a.sice: unknown key, did you mean `size`?\n");
    expect_errors(BASE "shared: [a]\n",
                  "t.yaml:3:9: shared: expected a mapping of names to mappings, found a list\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_are_none_unless_named),
        cmocka_unit_test(test_reads_names_and_sizes),
        cmocka_unit_test(test_a_size_has_its_range),
        cmocka_unit_test(test_refuses_other_keys_and_names),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_remove);
}
