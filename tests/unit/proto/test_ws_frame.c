/* Frame heads: every length form, both sides of each border (RFC 6455, sections 5.2 and 5.7). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ws_frame.h"

static const uint8_t key[4] = {1, 2, 3, 4};

static void expect_head(uint64_t size, const char *wanted, size_t wanted_size)
{
    uint8_t head[WS_HEAD_MAX];
    assert_int_equal(ws_frame_write_head(head, WS_FIN | WS_BINARY, size, NULL), wanted_size);
    assert_memory_equal(head, wanted, wanted_size);

    /* The same with the mask bit, and the key behind. */
    assert_int_equal(ws_frame_write_head(head, WS_FIN | WS_BINARY, size, key), wanted_size + 4);
    assert_int_equal(head[0], 0x82);
    assert_int_equal(head[1], 0x80 | (uint8_t)wanted[1]);
    assert_memory_equal(head + 2, wanted + 2, wanted_size - 2);
    assert_memory_equal(head + wanted_size, key, 4);
}

static void test_writes_short_lengths_in_one_byte(void **unused)
{
    (void)unused;
    expect_head(0, "\x82\x00", 2);
    expect_head(1, "\x82\x01", 2);
    expect_head(125, "\x82\x7d", 2);
}

static void test_writes_middle_lengths_in_two_bytes(void **unused)
{
    (void)unused;
    expect_head(126, "\x82\x7e\x00\x7e", 4);
    expect_head(256, "\x82\x7e\x01\x00", 4);
    expect_head(65535, "\x82\x7e\xff\xff", 4);
}

static void test_writes_large_lengths_in_eight_bytes(void **unused)
{
    (void)unused;
    expect_head(65536, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10);
    expect_head(INT64_MAX, "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10);
}

static void test_keeps_the_first_byte_as_given(void **unused)
{
    (void)unused;
    static const uint8_t firsts[] = {
        WS_FIN | WS_TEXT,           WS_TEXT,           WS_CONTINUATION,  WS_FIN | WS_CONTINUATION,
        WS_FIN | WS_RSV1 | WS_TEXT, WS_FIN | WS_CLOSE, WS_FIN | WS_PING, WS_FIN | WS_PONG};
    for (size_t i = 0; i < sizeof firsts; i++) {
        uint8_t head[WS_HEAD_MAX];
        assert_int_equal(ws_frame_write_head(head, firsts[i], 5, NULL), 2);
        assert_int_equal(head[0], firsts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_short_lengths_in_one_byte),
        cmocka_unit_test(test_writes_middle_lengths_in_two_bytes),
        cmocka_unit_test(test_writes_large_lengths_in_eight_bytes),
        cmocka_unit_test(test_keeps_the_first_byte_as_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
