/* The field section by itself, as a response-head parser would use it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/http_fields.h"

static void test_an_empty_section_has_no_fields(void **state)
{
    struct http_field fields[1];
    struct http_refusal refusal;
    size_t count = 9;
    (void)state;
    assert_int_equal(http_fields_parse(SPAN("\r\n"), 1, fields, &count, &refusal), WEIR_OK);
    assert_int_equal(count, 0);
    assert_int_equal(http_fields_parse(SPAN("\r\n"), 0, fields, &count, &refusal), WEIR_OK);
}

static void test_limits_fields_to_the_room_given(void **state)
{
    struct span lines = SPAN("A: 1\r\nB: 2\r\n\r\n");
    struct http_field fields[2];
    struct http_refusal refusal = {0, ""};
    size_t count = 9;
    (void)state;
    assert_int_equal(http_fields_parse(lines, 2, fields, &count, &refusal), WEIR_OK);
    assert_int_equal(count, 2);
    assert_true(span_equal(fields[1].value, SPAN("2")));
    assert_int_equal(http_fields_parse(lines, 1, fields, &count, &refusal), WEIR_ELIMIT);
    assert_int_equal(refusal.status, 431);
    assert_int_equal(count, 2);
}

/* A caller that finds the end of a head differently must not get fields from behind it. */
static void test_refuses_a_section_with_an_empty_line_inside(void **state)
{
    static const char *const bad[] = {"A: 1\r\n\r\nB: 2\r\n\r\n", "\r\nB: 2\r\n\r\n",
                                      "A: 1\r\n\r\n\r\n", "A: 1\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct http_field fields[4];
        struct http_refusal refusal = {0, ""};
        size_t count = 9;
        assert_int_equal(http_fields_parse(span_of(bad[i]), 4, fields, &count, &refusal),
                         WEIR_EPROTO);
        assert_int_equal(refusal.status, 400);
        assert_int_equal(count, 9);
    }
}

static void test_finds_names_in_any_case_and_tokens_in_any_field(void **state)
{
    struct http_field fields[3];
    struct http_refusal refusal;
    size_t count;
    (void)state;
    assert_int_equal(http_fields_parse(SPAN("Vary: a, b\r\nX: a\r\nvary: c\r\n\r\n"), 3, fields,
                                       &count, &refusal),
                     WEIR_OK);
    assert_ptr_equal(http_fields_find(fields, count, SPAN("VARY")), &fields[0]);
    assert_null(http_fields_find(fields, count, SPAN("Var")));
    assert_true(http_fields_have_token(fields, count, SPAN("Vary"), SPAN("C")));
    assert_false(http_fields_have_token(fields, count, SPAN("X"), SPAN("c")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_section_has_no_fields),
        cmocka_unit_test(test_limits_fields_to_the_room_given),
        cmocka_unit_test(test_refuses_a_section_with_an_empty_line_inside),
        cmocka_unit_test(test_finds_names_in_any_case_and_tokens_in_any_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
