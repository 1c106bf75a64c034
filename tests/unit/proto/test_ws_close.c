/* Close codes and close payloads (RFC 6455, sections 5.5.1 and 7.4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ws_close.h"

static struct span payload(uint8_t out[125], unsigned code, const char *reason)
{
    size_t size = strlen(reason);
    assert_true(size <= WS_CLOSE_REASON_MAX);
    out[0] = (uint8_t)(code >> 8);
    out[1] = (uint8_t)code;
    memcpy(out + 2, reason, size);
    return (struct span){out, size + 2};
}

static bool is_listed(unsigned code)
{
    static const unsigned codes[] = {1000, 1001, 1002, 1003, 1007, 1008,
                                     1009, 1010, 1011, 1012, 1013, 1014};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return code >= 3000 && code < 5000;
}

static void test_takes_exactly_the_codes_that_may_be_sent(void **unused)
{
    (void)unused;
    for (unsigned code = 0; code <= 65535; code++) {
        uint8_t bytes[125];
        uint16_t got = 0;
        uint16_t error = 0;
        struct span reason;
        assert_int_equal(ws_close_code_is_sendable(code), is_listed(code));
        enum weir_err err = ws_close_parse(payload(bytes, code, ""), &got, &reason, &error);
        if (is_listed(code)) {
            assert_int_equal(err, WEIR_OK);
            assert_int_equal(got, code);
        } else {
            assert_int_equal(err, WEIR_EPROTO);
            assert_int_equal(error, 1002);
        }
    }
}

static void test_an_empty_payload_has_no_status(void **unused)
{
    (void)unused;
    uint16_t code = 0;
    uint16_t error = 0;
    struct span reason;
    assert_int_equal(ws_close_parse((struct span){0}, &code, &reason, &error), WEIR_OK);
    assert_int_equal(code, 1005);
    assert_int_equal(reason.size, 0);
}

static void test_rejects_half_a_code(void **unused)
{
    (void)unused;
    uint16_t code = 0;
    uint16_t error = 0;
    struct span reason;
    /* What lies behind the payload would make it 1000. */
    struct span half = {(const uint8_t *)"\x03\xe8", 1};
    assert_int_equal(ws_close_parse(half, &code, &reason, &error), WEIR_EPROTO);
    assert_int_equal(error, 1002);
}

static void test_gives_the_reason(void **unused)
{
    (void)unused;
    uint8_t bytes[125];
    uint16_t code = 0;
    uint16_t error = 0;
    struct span reason;
    struct span sent = payload(bytes, 1000, "gr\xc3\xbc\xc3\x9f");
    assert_int_equal(ws_close_parse(sent, &code, &reason, &error), WEIR_OK);
    assert_int_equal(code, 1000);
    assert_true(span_equal(reason, SPAN("gr\xc3\xbc\xc3\x9f")));
}

static void test_rejects_a_reason_that_is_not_utf8(void **unused)
{
    (void)unused;
    static const char *const reasons[] = {"\x80", "ok\xff", "cut \xe2\x82", "\xed\xa0\x80",
                                          "\xce\xba\xf4\x90\x80\x80"};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        uint8_t bytes[125];
        uint16_t code = 0;
        uint16_t error = 0;
        struct span reason;
        struct span sent = payload(bytes, 1000, reasons[i]);
        assert_int_equal(ws_close_parse(sent, &code, &reason, &error), WEIR_EPROTO);
        assert_int_equal(error, 1007);
    }
}

static void test_a_bad_code_weighs_more_than_a_bad_reason(void **unused)
{
    (void)unused;
    uint8_t bytes[125];
    uint16_t code = 0;
    uint16_t error = 0;
    struct span reason;
    assert_int_equal(ws_close_parse(payload(bytes, 1005, "\xff"), &code, &reason, &error),
                     WEIR_EPROTO);
    assert_int_equal(error, 1002);
}

static void test_writes_what_it_parses(void **unused)
{
    (void)unused;
    uint8_t bytes[125];
    uint16_t code = 0;
    uint16_t error = 0;
    struct span reason;
    size_t size = ws_close_write(bytes, 4999, SPAN("bye"));
    assert_int_equal(size, 5);
    assert_memory_equal(bytes,
                        "\x13\x87"
                        "bye",
                        5);
    assert_int_equal(ws_close_parse((struct span){bytes, size}, &code, &reason, &error), WEIR_OK);
    assert_int_equal(code, 4999);
    assert_true(span_equal(reason, SPAN("bye")));
}

static void test_writes_nothing_for_no_status(void **unused)
{
    (void)unused;
    uint8_t bytes[125];
    assert_int_equal(ws_close_write(bytes, 0, SPAN("x")), 0);
    assert_int_equal(ws_close_write(bytes, WS_CLOSE_NO_STATUS, SPAN("x")), 0);
}

static void test_cuts_a_long_reason_at_the_limit(void **unused)
{
    (void)unused;
    uint8_t bytes[125];
    uint8_t text[200];
    memset(text, 'a', sizeof text);
    assert_int_equal(ws_close_write(bytes, 1000, (struct span){text, 122}), 124);
    assert_int_equal(ws_close_write(bytes, 1000, (struct span){text, 123}), 125);
    assert_int_equal(ws_close_write(bytes, 1000, (struct span){text, 124}), 125);
    assert_int_equal(ws_close_write(bytes, 1000, (struct span){text, 200}), 125);
}

static void test_cuts_a_long_reason_between_characters(void **unused)
{
    (void)unused;
    static const char *const characters[] = {"\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t c = 0; c < 3; c++) {
        size_t length = strlen(characters[c]);
        for (size_t lead = 0; lead <= 4; lead++) {
            uint8_t bytes[125];
            uint8_t text[400];
            memset(text, 'a', lead);
            for (size_t i = 0; i < 60; i++) {
                memcpy(text + lead + i * length, characters[c], length);
            }
            size_t kept = lead + (WS_CLOSE_REASON_MAX - lead) / length * length;
            kept = kept > lead + 60 * length ? lead + 60 * length : kept;
            assert_int_equal(ws_close_write(bytes, 1000, (struct span){text, lead + 60 * length}),
                             2 + kept);
            assert_memory_equal(bytes + 2, text, kept);
        }
    }
}

static void test_leaves_out_a_reason_that_is_not_utf8(void **unused)
{
    (void)unused;
    uint8_t bytes[125];
    assert_int_equal(ws_close_write(bytes, 1000, SPAN("a\xff")), 2);
    assert_int_equal(ws_close_write(bytes, 1000, SPAN("a\xc3")), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_exactly_the_codes_that_may_be_sent),
        cmocka_unit_test(test_an_empty_payload_has_no_status),
        cmocka_unit_test(test_rejects_half_a_code),
        cmocka_unit_test(test_gives_the_reason),
        cmocka_unit_test(test_rejects_a_reason_that_is_not_utf8),
        cmocka_unit_test(test_a_bad_code_weighs_more_than_a_bad_reason),
        cmocka_unit_test(test_writes_what_it_parses),
        cmocka_unit_test(test_writes_nothing_for_no_status),
        cmocka_unit_test(test_cuts_a_long_reason_at_the_limit),
        cmocka_unit_test(test_cuts_a_long_reason_between_characters),
        cmocka_unit_test(test_leaves_out_a_reason_that_is_not_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
