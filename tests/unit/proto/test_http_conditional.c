/* Preconditions: each field alone, then their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/http_conditional.h"

#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define EXACTLY "Sun, 06 Nov 1994 08:49:37 GMT"
#define AFTER "Sun, 06 Nov 1994 08:49:38 GMT"

enum {
    MODIFIED = 784111777
};

static const struct http_validators STRONG = {
    .etag = {(const uint8_t *)"\"a\"", 3},
    .has_modified = true,
    .modified_seconds = MODIFIED,
    .now_seconds = 1795305600,
};
static const struct http_validators WEAK = {
    .etag = {(const uint8_t *)"W/\"a\"", 5},
    .has_modified = true,
    .modified_seconds = MODIFIED,
    .now_seconds = 1795305600,
};

/* `fields` are names and values in turn, NULL at the end. */
static struct http_conditional read_fields(const struct http_validators *validators,
                                           const char *const *fields)
{
    struct http_conditional conditional = {.validators = validators};
    for (; fields[0] != NULL; fields += 2) {
        http_conditional_add(&conditional, span_of(fields[0]), span_of(fields[1]));
    }
    return conditional;
}

#define FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void expect(enum http_precondition wanted, const struct http_validators *validators,
                   const char *const *fields)
{
    struct http_conditional conditional = read_fields(validators, fields);
    enum http_precondition got = http_conditional_judge(&conditional);
    if (got != wanted) {
        fail_msg("%s: %s gave %d, not %d", fields[0], fields[1], (int)got, (int)wanted);
    }
}

#define PASSED HTTP_PRECONDITION_PASSED
#define NOT_MODIFIED HTTP_PRECONDITION_NOT_MODIFIED
#define FAILED HTTP_PRECONDITION_FAILED

static void test_no_conditions_pass(void **state)
{
    (void)state;
    expect(PASSED, &STRONG, FIELDS("Accept", "*", "If", "\"a\"", "If-Nothing", "\"a\"", "", ""));
}

static void test_if_none_match_compares_weakly(void **state)
{
    (void)state;
    expect(NOT_MODIFIED, &STRONG, FIELDS("If-None-Match", "\"a\""));
    expect(NOT_MODIFIED, &STRONG, FIELDS("If-None-Match", "W/\"a\""));
    expect(NOT_MODIFIED, &WEAK, FIELDS("if-none-match", "\"a\""));
    expect(NOT_MODIFIED, &WEAK, FIELDS("IF-NONE-MATCH", "W/\"a\""));
    expect(PASSED, &STRONG, FIELDS("If-None-Match", "\"b\""));
    expect(PASSED, &STRONG, FIELDS("If-None-Match", "\"A\""));
    expect(PASSED, &STRONG, FIELDS("If-None-Match", "a"));
}

static void test_if_none_match_star_and_lists(void **state)
{
    (void)state;
    expect(NOT_MODIFIED, &STRONG, FIELDS("If-None-Match", "*"));
    expect(NOT_MODIFIED, &STRONG, FIELDS("If-None-Match", " * "));
    expect(NOT_MODIFIED, &STRONG, FIELDS("If-None-Match", "\"x\", W/\"y\",\"a\""));
    expect(NOT_MODIFIED, &STRONG, FIELDS("If-None-Match", "\"x\"", "If-None-Match", "\"a\""));
    expect(NOT_MODIFIED, &STRONG, FIELDS("If-None-Match", "\"a\"", "If-None-Match", "\"x\""));
    expect(PASSED, &STRONG, FIELDS("If-None-Match", "\"x\"", "If-None-Match", "\"y\""));
}

static void test_if_match_compares_strongly(void **state)
{
    (void)state;
    expect(PASSED, &STRONG, FIELDS("If-Match", "\"a\""));
    expect(PASSED, &STRONG, FIELDS("If-Match", "*"));
    expect(PASSED, &STRONG, FIELDS("If-Match", "\"x\"", "If-Match", "\"a\""));
    expect(PASSED, &STRONG, FIELDS("If-Match", "\"a\"", "If-Match", "\"x\""));
    expect(FAILED, &STRONG, FIELDS("If-Match", "W/\"a\""));
    expect(FAILED, &WEAK, FIELDS("If-Match", "\"a\""));
    expect(FAILED, &WEAK, FIELDS("If-Match", "W/\"a\""));
    expect(FAILED, &STRONG, FIELDS("If-Match", "\"b\""));
    expect(FAILED, &STRONG, FIELDS("If-Match", ""));
    expect(PASSED, &WEAK, FIELDS("If-Match", "*"));
}

static void test_if_modified_since(void **state)
{
    (void)state;
    expect(PASSED, &STRONG, FIELDS("If-Modified-Since", BEFORE));
    expect(NOT_MODIFIED, &STRONG, FIELDS("If-Modified-Since", EXACTLY));
    expect(NOT_MODIFIED, &STRONG, FIELDS("If-Modified-Since", AFTER));
    expect(NOT_MODIFIED, &STRONG, FIELDS("If-Modified-Since", "Sun Nov  6 08:49:37 1994"));
}

static void test_if_unmodified_since(void **state)
{
    (void)state;
    expect(FAILED, &STRONG, FIELDS("If-Unmodified-Since", BEFORE));
    expect(PASSED, &STRONG, FIELDS("If-Unmodified-Since", EXACTLY));
    expect(PASSED, &STRONG, FIELDS("If-Unmodified-Since", AFTER));
}

static void test_bad_and_repeated_dates_are_ignored(void **state)
{
    (void)state;
    expect(PASSED, &STRONG, FIELDS("If-Modified-Since", "yesterday"));
    expect(PASSED, &STRONG, FIELDS("If-Unmodified-Since", "yesterday"));
    expect(PASSED, &STRONG, FIELDS("If-Modified-Since", AFTER, "If-Modified-Since", AFTER));
    expect(PASSED, &STRONG, FIELDS("If-Modified-Since", "x", "If-Modified-Since", AFTER));
    expect(PASSED, &STRONG, FIELDS("If-Unmodified-Since", BEFORE, "If-Unmodified-Since", BEFORE));
}

static void test_dates_are_ignored_where_the_file_has_none(void **state)
{
    (void)state;
    struct http_validators undated = STRONG;
    undated.has_modified = false;
    expect(PASSED, &undated, FIELDS("If-Modified-Since", AFTER));
    expect(PASSED, &undated, FIELDS("If-Unmodified-Since", BEFORE));
}

static void test_tags_take_precedence_over_dates(void **state)
{
    (void)state;
    expect(PASSED, &STRONG, FIELDS("If-None-Match", "\"b\"", "If-Modified-Since", AFTER));
    expect(NOT_MODIFIED, &STRONG, FIELDS("If-Modified-Since", BEFORE, "If-None-Match", "\"a\""));
    expect(PASSED, &STRONG, FIELDS("If-Match", "\"a\"", "If-Unmodified-Since", BEFORE));
    expect(FAILED, &STRONG, FIELDS("If-Unmodified-Since", AFTER, "If-Match", "\"b\""));
}

static void test_a_failed_precondition_beats_not_modified(void **state)
{
    (void)state;
    expect(FAILED, &STRONG, FIELDS("If-None-Match", "\"a\"", "If-Match", "\"b\""));
    expect(FAILED, &STRONG, FIELDS("If-None-Match", "*", "If-Unmodified-Since", BEFORE));
    expect(NOT_MODIFIED, &STRONG, FIELDS("If-None-Match", "\"a\"", "If-Match", "\"a\""));
    expect(NOT_MODIFIED, &STRONG, FIELDS("If-Unmodified-Since", AFTER, "If-Modified-Since", AFTER));
}

static void expect_range(bool wanted, const struct http_validators *validators,
                         const char *const *fields)
{
    struct http_conditional conditional = read_fields(validators, fields);
    if (http_conditional_allows_range(&conditional) != wanted) {
        fail_msg("If-Range: %s", fields[1]);
    }
}

static void test_if_range_takes_a_strong_tag_or_the_exact_date(void **state)
{
    (void)state;
    expect_range(true, &STRONG, FIELDS("Accept", "*"));
    expect_range(true, &STRONG, FIELDS("If-Range", "\"a\""));
    expect_range(true, &STRONG, FIELDS("If-Range", EXACTLY));
    expect_range(true, &WEAK, FIELDS("If-Range", EXACTLY));
    expect_range(false, &STRONG, FIELDS("If-Range", "\"b\""));
    expect_range(false, &STRONG, FIELDS("If-Range", "W/\"a\""));
    expect_range(false, &WEAK, FIELDS("If-Range", "W/\"a\""));
    expect_range(false, &WEAK, FIELDS("If-Range", "\"a\""));
    expect_range(false, &STRONG, FIELDS("If-Range", BEFORE));
    expect_range(false, &STRONG, FIELDS("If-Range", AFTER));
    expect_range(false, &STRONG, FIELDS("If-Range", "*"));
    expect_range(false, &STRONG, FIELDS("If-Range", ""));
    expect_range(false, &STRONG, FIELDS("If-Range", "\"a\", \"a\""));
    expect_range(false, &STRONG, FIELDS("If-Range", "\"a\"", "If-Range", "\"a\""));
}

static void test_if_range_refuses_the_date_of_the_running_second(void **state)
{
    (void)state;
    struct http_validators fresh = STRONG;
    fresh.now_seconds = MODIFIED;
    expect_range(false, &fresh, FIELDS("If-Range", EXACTLY));
    fresh.now_seconds = MODIFIED + 1;
    expect_range(true, &fresh, FIELDS("If-Range", EXACTLY));
}

static void test_if_range_is_no_precondition(void **state)
{
    (void)state;
    expect(PASSED, &STRONG, FIELDS("If-Range", "\"b\""));
}

static bool lists(const char *value, const char *etag, bool strong)
{
    return http_conditional_lists(span_of(value), span_of(etag), strong);
}

static void test_lists_know_commas_and_backslashes_inside_tags(void **state)
{
    (void)state;
    assert_true(lists("\"x,y\", \"a\"", "\"a\"", true));
    assert_true(lists("\"x,y\"", "\"x,y\"", true));
    assert_false(lists("\"x,\"a\",y\"", "\"a\"", true));
    assert_true(lists("\"x\\\", \"a\"", "\"a\"", true));
    assert_true(lists("\"\"", "\"\"", true));
    assert_true(lists("\"\xc3\xa4\"", "\"\xc3\xa4\"", true));
}

static void test_lists_stop_at_broken_grammar(void **state)
{
    (void)state;
    assert_true(lists(", ,\"a\" ,,", "\"a\"", true));
    assert_false(lists("\"a", "\"a\"", false));
    assert_false(lists("a\"", "\"a\"", false));
    assert_false(lists("\"x\" \"a\"", "\"a\"", false));
    assert_false(lists("\"a\"b", "\"a\"", false));
    assert_false(lists("x, \"a\"", "\"a\"", false));
    assert_false(lists("w/\"a\"", "\"a\"", false));
    assert_false(lists("W/ \"a\"", "\"a\"", false));
    assert_false(lists("W/", "\"a\"", false));
    assert_false(lists("\"a b\"", "\"a b\"", false));
    assert_false(lists("*, \"b\"", "\"a\"", false));
    assert_false(lists("", "\"a\"", false));
}

static void test_lists_read_no_byte_behind_the_value(void **state)
{
    (void)state;
    struct span whole = SPAN("W/\"x\", \"a\"");
    for (size_t size = 0; size < whole.size; size++) {
        assert_false(http_conditional_lists((struct span){whole.data, size}, SPAN("\"a\""), false));
    }
    assert_true(http_conditional_lists(whole, SPAN("\"a\""), false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_conditions_pass),
        cmocka_unit_test(test_if_none_match_compares_weakly),
        cmocka_unit_test(test_if_none_match_star_and_lists),
        cmocka_unit_test(test_if_match_compares_strongly),
        cmocka_unit_test(test_if_modified_since),
        cmocka_unit_test(test_if_unmodified_since),
        cmocka_unit_test(test_bad_and_repeated_dates_are_ignored),
        cmocka_unit_test(test_dates_are_ignored_where_the_file_has_none),
        cmocka_unit_test(test_tags_take_precedence_over_dates),
        cmocka_unit_test(test_a_failed_precondition_beats_not_modified),
        cmocka_unit_test(test_if_range_takes_a_strong_tag_or_the_exact_date),
        cmocka_unit_test(test_if_range_refuses_the_date_of_the_running_second),
        cmocka_unit_test(test_if_range_is_no_precondition),
        cmocka_unit_test(test_lists_know_commas_and_backslashes_inside_tags),
        cmocka_unit_test(test_lists_stop_at_broken_grammar),
        cmocka_unit_test(test_lists_read_no_byte_behind_the_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
