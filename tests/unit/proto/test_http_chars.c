/* The class table, derived again from the grammars. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/http_chars.h"

static bool is_alnum(unsigned c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_among(unsigned c, const char *set)
{
    return c != 0 && c < 0x80 && strchr(set, (int)c) != NULL;
}

static void test_table_follows_the_grammars(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        bool is_value = c == '\t' || (c >= 0x20 && c != 0x7f);
        unsigned wanted = 0;
        wanted |= is_alnum(c) || is_among(c, "!#$%&'*+-.^_`|~") ? HTTP_CHAR_TOKEN : 0;
        wanted |= is_value ? HTTP_CHAR_VALUE : 0;
        wanted |= c > 0x20 && c < 0x7f && c != '#' ? HTTP_CHAR_TARGET : 0;
        wanted |= is_alnum(c) || is_among(c, "-._~") ? HTTP_CHAR_HOST : 0;
        wanted |= is_among(c, "0123456789abcdefABCDEF") ? HTTP_CHAR_HEX : 0;
        wanted |= is_value && c != '"' && c != '\\' ? HTTP_CHAR_QUOTED : 0;
        assert_int_equal(http_chars[c], wanted);
    }
}

static void test_hex_agrees_with_strtol(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        char text[2] = {(char)c, '\0'};
        bool is_hex = (http_chars[c] & HTTP_CHAR_HEX) != 0;
        assert_int_equal(http_chars_hex((uint8_t)c), is_hex ? strtol(text, NULL, 16) : -1);
    }
}

static void test_runs_stop_at_the_first_other_byte_or_the_end(void **state)
{
    struct span text = SPAN("abc d");
    (void)state;
    assert_int_equal(http_chars_run(text.data, text.data + 5, HTTP_CHAR_TOKEN), 3);
    assert_int_equal(http_chars_run(text.data, text.data + 2, HTTP_CHAR_TOKEN), 2);
    assert_int_equal(http_chars_run(text.data + 3, text.data + 5, HTTP_CHAR_TOKEN), 0);
    assert_int_equal(http_chars_run(text.data, text.data + 5, HTTP_CHAR_TOKEN | HTTP_CHAR_VALUE),
                     5);
    assert_false(http_chars_is_token(text));
    assert_false(http_chars_is_token(SPAN("")));
    assert_true(http_chars_is_token(SPAN("abc")));
    assert_true(http_chars_all(SPAN(""), HTTP_CHAR_HEX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_follows_the_grammars),
        cmocka_unit_test(test_hex_agrees_with_strtol),
        cmocka_unit_test(test_runs_stop_at_the_first_other_byte_or_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
