/* Byte runs: the questions that every parser asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/span.h"

static void test_from_never_passes_the_end(void **state)
{
    struct span s = SPAN("abc");
    (void)state;
    assert_int_equal(span_from(s, 1).size, 2);
    assert_int_equal(span_from(s, 1).data[0], 'b');
    assert_int_equal(span_from(s, 3).size, 0);
    assert_int_equal(span_from(s, 4).size, 0);
    assert_ptr_equal(span_from(s, 4).data, s.data + 3);
}

static void test_equal_compares_sizes_and_bytes(void **state)
{
    (void)state;
    assert_true(span_equal(SPAN("a\0b"), SPAN("a\0b")));
    assert_false(span_equal(SPAN("a\0b"), SPAN("a\0c")));
    assert_false(span_equal(SPAN("ab"), SPAN("abc")));
    assert_true(span_equal((struct span){NULL, 0}, SPAN("")));
    assert_true(span_equal(span_of("abc"), SPAN("abc")));
}

static void test_nocase_folds_ascii_letters_only(void **state)
{
    (void)state;
    assert_true(span_equal_nocase(SPAN("aZ-09"), SPAN("Az-09")));
    assert_false(span_equal_nocase(SPAN("@"), SPAN("`")));
    assert_false(span_equal_nocase(SPAN("["), SPAN("{")));
    assert_false(span_equal_nocase(SPAN("\xc9"), SPAN("\xe9")));
    assert_false(span_equal_nocase(SPAN("a"), SPAN("ab")));
}

static void test_starts_with_and_find(void **state)
{
    (void)state;
    assert_true(span_starts_with(SPAN("abc"), SPAN("ab")));
    assert_true(span_starts_with(SPAN("abc"), SPAN("")));
    assert_false(span_starts_with(SPAN("ab"), SPAN("abc")));
    assert_int_equal(span_find(SPAN("abcb"), 'b'), 1);
    assert_int_equal(span_find(SPAN("abc"), 'd'), 3);
    assert_int_equal(span_find((struct span){NULL, 0}, 'd'), 0);
}

static void test_trim_takes_spaces_and_tabs_only(void **state)
{
    (void)state;
    assert_true(span_equal(span_trim(SPAN(" \ta b\t ")), SPAN("a b")));
    assert_true(span_equal(span_trim(SPAN("\na\r")), SPAN("\na\r")));
    assert_int_equal(span_trim(SPAN(" \t ")).size, 0);
}

static void test_list_passes_over_empty_items_and_minds_quotes(void **state)
{
    static const char *const wanted[] = {"a", "\"b,\\\",c\"", "d e", "\"open, end"};
    struct span rest = SPAN(", a,,\"b,\\\",c\" ,\t, d e ,\"open, end");
    struct span item;
    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        assert_true(span_list_next(&rest, &item));
        assert_true(span_equal(item, span_of(wanted[i])));
    }
    assert_false(span_list_next(&rest, &item));
    rest = SPAN(" , ,\t");
    assert_false(span_list_next(&rest, &item));
}

static void test_list_survives_a_backslash_at_the_end(void **state)
{
    struct span rest = SPAN("\"a\\");
    struct span item;
    (void)state;
    assert_true(span_list_next(&rest, &item));
    assert_int_equal(item.size, 3);
    assert_false(span_list_next(&rest, &item));
}

static void test_to_u64_takes_1_to_19_digits(void **state)
{
    static const char *const bad[] = {"",   "+1", "-1",  " 1",  "1 ",
                                      "0x", "1a", "1.0", "1,1", "10000000000000000000"};
    uint64_t value = 0;
    (void)state;
    assert_true(span_to_u64(SPAN("9999999999999999999"), &value));
    assert_true(value == UINT64_C(9999999999999999999));
    assert_true(span_to_u64(SPAN("007"), &value));
    assert_int_equal(value, 7);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(span_to_u64(span_of(bad[i]), &value));
    }
    assert_int_equal(value, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_never_passes_the_end),
        cmocka_unit_test(test_equal_compares_sizes_and_bytes),
        cmocka_unit_test(test_nocase_folds_ascii_letters_only),
        cmocka_unit_test(test_starts_with_and_find),
        cmocka_unit_test(test_trim_takes_spaces_and_tabs_only),
        cmocka_unit_test(test_list_passes_over_empty_items_and_minds_quotes),
        cmocka_unit_test(test_list_survives_a_backslash_at_the_end),
        cmocka_unit_test(test_to_u64_takes_1_to_19_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
