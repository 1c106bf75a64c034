/* The Range field, both sides of each limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/http_range.h"

static void expect_part(const char *value, uint64_t size, uint64_t first, uint64_t length)
{
    struct http_range range = {0};
    if (http_range_parse(span_of(value), size, &range) != HTTP_RANGE_PART) {
        fail_msg("`%s` of %llu is no part", value, (unsigned long long)size);
    }
    assert_int_equal(range.first, first);
    assert_int_equal(range.length, length);
}

static void expect_kind(const char *value, uint64_t size, enum http_range_kind kind)
{
    struct http_range range = {0};
    enum http_range_kind got = http_range_parse(span_of(value), size, &range);
    if (got != kind) {
        fail_msg("`%s` of %llu is %d, not %d", value, (unsigned long long)size, (int)got,
                 (int)kind);
    }
    assert_int_equal(range.length, 0);
}

static void test_first_to_last(void **state)
{
    (void)state;
    expect_part("bytes=0-0", 10, 0, 1);
    expect_part("bytes=0-9", 10, 0, 10);
    expect_part("bytes=2-5", 10, 2, 4);
    expect_part("bytes=9-9", 10, 9, 1);
    expect_part("bytes=007-008", 10, 7, 2);
}

static void test_last_beyond_the_end_is_cut(void **state)
{
    (void)state;
    expect_part("bytes=9-10", 10, 9, 1);
    expect_part("bytes=0-18446744073709551615", 10, 0, 10);
    expect_part("bytes=5-99999999999999999999999999", 10, 5, 5);
}

static void test_open_end(void **state)
{
    (void)state;
    expect_part("bytes=0-", 10, 0, 10);
    expect_part("bytes=9-", 10, 9, 1);
    expect_kind("bytes=10-", 10, HTTP_RANGE_UNSATISFIABLE);
}

static void test_suffix(void **state)
{
    (void)state;
    expect_part("bytes=-1", 10, 9, 1);
    expect_part("bytes=-10", 10, 0, 10);
    expect_part("bytes=-11", 10, 0, 10);
    expect_part("bytes=-99999999999999999999999999", 10, 0, 10);
    expect_kind("bytes=-0", 10, HTTP_RANGE_UNSATISFIABLE);
    expect_kind("bytes=-000", 10, HTTP_RANGE_UNSATISFIABLE);
}

static void test_first_at_or_beyond_the_end_is_unsatisfiable(void **state)
{
    (void)state;
    expect_part("bytes=9-20", 10, 9, 1);
    expect_kind("bytes=10-20", 10, HTTP_RANGE_UNSATISFIABLE);
    expect_kind("bytes=18446744073709551616-", 10, HTTP_RANGE_UNSATISFIABLE);
    expect_kind("bytes=18446744073709551615-18446744073709551616", UINT64_MAX,
                HTTP_RANGE_UNSATISFIABLE);
}

static void test_largest_size_does_not_overflow(void **state)
{
    (void)state;
    expect_part("bytes=0-18446744073709551613", UINT64_MAX, 0, UINT64_MAX - 1);
    expect_part("bytes=0-18446744073709551614", UINT64_MAX, 0, UINT64_MAX);
    expect_part("bytes=18446744073709551614-", UINT64_MAX, UINT64_MAX - 1, 1);
    expect_part("bytes=-18446744073709551615", UINT64_MAX, 0, UINT64_MAX);
}

static void test_empty_file(void **state)
{
    (void)state;
    expect_kind("bytes=0-", 0, HTTP_RANGE_UNSATISFIABLE);
    expect_kind("bytes=0-0", 0, HTTP_RANGE_UNSATISFIABLE);
    expect_kind("bytes=-1", 0, HTTP_RANGE_WHOLE);
    expect_kind("bytes=-0", 0, HTTP_RANGE_UNSATISFIABLE);
}

static void test_several_ranges_are_answered_whole(void **state)
{
    (void)state;
    expect_kind("bytes=0-0,2-3", 10, HTTP_RANGE_WHOLE);
    expect_kind("bytes=0-0, -1", 10, HTTP_RANGE_WHOLE);
    expect_kind("bytes=20-30,40-50", 10, HTTP_RANGE_WHOLE);
}

static void test_empty_list_items_do_not_count(void **state)
{
    (void)state;
    expect_part("bytes=0-0,", 10, 0, 1);
    expect_part("bytes=,,0-0 , ", 10, 0, 1);
}

static void test_unit_has_no_case_and_must_be_bytes(void **state)
{
    (void)state;
    expect_part("BYTES=0-1", 10, 0, 2);
    expect_part("Bytes=0-1", 10, 0, 2);
    expect_kind("lines=0-1", 10, HTTP_RANGE_WHOLE);
    expect_kind("byte=0-1", 10, HTTP_RANGE_WHOLE);
    expect_kind("bytess=0-1", 10, HTTP_RANGE_WHOLE);
}

static void test_broken_grammar_is_ignored(void **state)
{
    (void)state;
    static const char *const VALUES[] = {
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=1",
        "bytes=a-b",
        "bytes=1-b",
        "bytes=a-1",
        "bytes=5-4",
        "bytes=--1",
        "bytes=1--2",
        "bytes=+1-2",
        "bytes=1 -2",
        "bytes=1- 2",
        "bytes 0-1",
        "bytes=0x1-2",
        "=0-1",
        "0-1",
        "bytes=\"0-1\"",
        "bytes=0-1;q=1",
        "bytes==0-1",
        "bytes=0-1-2",
        "bytes=18446744073709551616-5",
    };
    for (size_t i = 0; i < sizeof(VALUES) / sizeof(VALUES[0]); i++) {
        expect_kind(VALUES[i], 10, HTTP_RANGE_WHOLE);
    }
}

static void test_content_range_names_first_last_and_size(void **state)
{
    (void)state;
    char text[HTTP_CONTENT_RANGE_BYTES];
    struct http_range range = {2, 4};
    http_range_write(&range, 10, text);
    assert_string_equal(text, "bytes 2-5/10");
    range = (struct http_range){0, UINT64_MAX};
    http_range_write(&range, UINT64_MAX, text);
    assert_string_equal(text, "bytes 0-18446744073709551614/18446744073709551615");
    range = (struct http_range){UINT64_MAX - 1, 1};
    http_range_write(&range, UINT64_MAX, text);
    assert_string_equal(text,
                        "bytes 18446744073709551614-18446744073709551614/18446744073709551615");
    http_range_write(NULL, 0, text);
    assert_string_equal(text, "bytes */0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_to_last),
        cmocka_unit_test(test_last_beyond_the_end_is_cut),
        cmocka_unit_test(test_open_end),
        cmocka_unit_test(test_suffix),
        cmocka_unit_test(test_first_at_or_beyond_the_end_is_unsatisfiable),
        cmocka_unit_test(test_largest_size_does_not_overflow),
        cmocka_unit_test(test_empty_file),
        cmocka_unit_test(test_several_ranges_are_answered_whole),
        cmocka_unit_test(test_empty_list_items_do_not_count),
        cmocka_unit_test(test_unit_has_no_case_and_must_be_bytes),
        cmocka_unit_test(test_broken_grammar_is_ignored),
        cmocka_unit_test(test_content_range_names_first_last_and_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
