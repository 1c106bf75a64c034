/* Whatever a peer sends, a line is one JSON object that parses, of bounded size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "handlers/json_line.h"

static json_t *parsed(struct json_line *line)
{
    struct span bytes = json_line_end(line);
    assert_true(bytes.size <= JSON_LINE_BYTES);
    assert_int_equal(bytes.data[bytes.size - 1], '\n');
    assert_null(memchr(bytes.data, '\n', bytes.size - 1));
    json_error_t error;
    json_t *value = json_loadb((const char *)bytes.data, bytes.size, JSON_ALLOW_NUL, &error);
    if (value == NULL) {
        fail_msg("%s in %.*s", error.text, SPAN_ARGS(bytes));
    }
    return value;
}

static void line_is(struct json_line *line, const char *wanted)
{
    struct span bytes = json_line_end(line);
    assert_int_equal(bytes.size, strlen(wanted));
    assert_memory_equal(bytes.data, wanted, bytes.size);
}

static void test_writes_members_in_order(void **state)
{
    (void)state;
    struct json_line line;
    json_line_begin(&line);
    json_line_text(&line, "a", SPAN("x"), 10);
    json_line_number(&line, "n", UINT64_MAX);
    json_line_milliseconds(&line, "ms", 1234567);
    line_is(&line, "{\"a\":\"x\",\"n\":18446744073709551615,\"ms\":1234.567}\n");
    json_line_begin(&line);
    line_is(&line, "{}\n");
}

static void test_escapes_what_json_needs(void **state)
{
    (void)state;
    struct json_line line;
    json_line_begin(&line);
    json_line_text(&line, "t", SPAN("\"\\\n\x01\x7f \xc3\xa9 \xf0\x9f\x98\x80"), 100);
    line_is(&line, "{\"t\":\"\\\"\\\\\\u000a\\u0001\\u007f \xc3\xa9 \xf0\x9f\x98\x80\"}\n");
}

static void test_replaces_bytes_that_are_not_utf8(void **state)
{
    (void)state;
    struct json_line line;
    json_line_begin(&line);
    json_line_text(&line, "t", SPAN("a\xff\xc3(\xed\xa0\x80\xf0\x9f"), 100);
    line_is(&line, "{\"t\":\"a\\ufffd\\ufffd(\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"}\n");
}

static void test_cuts_texts_between_characters(void **state)
{
    (void)state;
    struct json_line line;
    json_line_begin(&line);
    json_line_text(&line, "a", SPAN("abcdef"), 3);
    json_line_text(&line, "b", SPAN("ab\xc3\xa9"), 3);
    json_line_text(&line, "c", SPAN("ab\xc3\xa9"), 4);
    json_line_text(&line, "d", SPAN("a\n"), 6);
    json_line_text(&line, "e", SPAN("a\n"), 7);
    line_is(&line,
            "{\"a\":\"abc\",\"b\":\"ab\",\"c\":\"ab\xc3\xa9\",\"d\":\"a\",\"e\":\"a\\u000a\"}\n");
}

static void test_leaves_out_members_that_do_not_fit(void **state)
{
    (void)state;
    static uint8_t many[8192];
    memset(many, 'x', sizeof many);
    for (size_t first = 4000; first <= 4096; first++) {
        struct json_line line;
        json_line_begin(&line);
        json_line_text(&line, "a", (struct span){many, sizeof many}, first);
        json_line_text(&line, "b", (struct span){many, sizeof many}, 50);
        json_line_number(&line, "n", 7);
        json_decref(parsed(&line));
    }
}

static void test_any_bytes_make_a_line_that_parses(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 2000; round++) {
        uint8_t bytes[64];
        for (size_t i = 0; i < sizeof bytes; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] = (uint8_t)(seed >> 24);
        }
        struct json_line line;
        json_line_begin(&line);
        json_line_text(&line, "t", (struct span){bytes, sizeof bytes}, seed % 300);
        json_decref(parsed(&line));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_members_in_order),
        cmocka_unit_test(test_escapes_what_json_needs),
        cmocka_unit_test(test_replaces_bytes_that_are_not_utf8),
        cmocka_unit_test(test_cuts_texts_between_characters),
        cmocka_unit_test(test_leaves_out_members_that_do_not_fit),
        cmocka_unit_test(test_any_bytes_make_a_line_that_parses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
