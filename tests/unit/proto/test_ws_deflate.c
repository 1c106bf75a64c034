/* permessage-deflate messages both ways (RFC 7692, section 7.2), with both sides of each limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ws_deflate.h"

static void inflate_ok(struct ws_inflater *inflater, struct span in, bool keep, struct span wanted)
{
    struct buffer out = {0};
    assert_int_equal(ws_inflater_message(inflater, in, keep, wanted.size, &out), WEIR_OK);
    assert_true(span_equal(buffer_span(&out), wanted));
    buffer_free(&out);
}

static void inflate_fails(struct ws_inflater *inflater, struct span in, uint64_t max_size,
                          enum weir_err wanted)
{
    struct buffer out = {0};
    assert_int_equal(buffer_append(&out, SPAN("kept")), WEIR_OK);
    assert_int_equal(ws_inflater_message(inflater, in, true, max_size, &out), wanted);
    assert_true(span_equal(buffer_span(&out), SPAN("kept")));
    buffer_free(&out);
}

static void test_inflates_the_examples_of_rfc7692_section_7_2_3(void **unused)
{
    (void)unused;
    struct ws_inflater *inflater = ws_inflater_new(15);
    assert_non_null(inflater);
    struct span hello = SPAN("Hello");
    inflate_ok(inflater, SPAN("\xf2\x48\xcd\xc9\xc9\x07\x00"), true, hello);
    /* Its window is used by the next one. */
    inflate_ok(inflater, SPAN("\xf2\x00\x11\x00\x00"), true, hello);
    /* A block without compression; a final block; two blocks. */
    inflate_ok(inflater, SPAN("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), true, hello);
    inflate_ok(inflater, SPAN("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), true, hello);
    inflate_ok(inflater, SPAN("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), true, hello);
    ws_inflater_free(&inflater);
    assert_null(inflater);
}

static void test_a_final_block_keeps_the_window(void **unused)
{
    (void)unused;
    struct ws_inflater *inflater = ws_inflater_new(15);
    assert_non_null(inflater);
    inflate_ok(inflater, SPAN("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), true, SPAN("Hello"));
    inflate_ok(inflater, SPAN("\xf2\x00\x11\x00\x00"), true, SPAN("Hello"));
    ws_inflater_free(&inflater);
}

static void test_takes_a_final_block_that_ends_the_message(void **unused)
{
    (void)unused;
    struct ws_inflater *inflater = ws_inflater_new(15);
    assert_non_null(inflater);
    for (int i = 0; i < 3; i++) {
        inflate_ok(inflater, SPAN("\xf3\x48\xcd\xc9\xc9\x07\x00"), true, SPAN("Hello"));
        inflate_ok(inflater, SPAN("\xf2\x48\xcd\xc9\xc9\x07\x00"), true, SPAN("Hello"));
    }
    ws_inflater_free(&inflater);
}

static void test_takes_several_final_blocks(void **unused)
{
    (void)unused;
    struct ws_inflater *inflater = ws_inflater_new(15);
    assert_non_null(inflater);
    inflate_ok(inflater, SPAN("\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), true,
               SPAN("HelloHello"));
    ws_inflater_free(&inflater);
}

static void test_takes_empty_messages(void **unused)
{
    (void)unused;
    struct ws_inflater *inflater = ws_inflater_new(15);
    assert_non_null(inflater);
    inflate_ok(inflater, SPAN("\x00"), true, SPAN(""));
    inflate_ok(inflater, SPAN("\x02\x00"), true, SPAN(""));
    inflate_ok(inflater, SPAN(""), true, SPAN(""));
    inflate_ok(inflater, SPAN("\xf2\x48\xcd\xc9\xc9\x07\x00"), true, SPAN("Hello"));
    ws_inflater_free(&inflater);
}

static void test_rejects_what_is_not_deflate(void **unused)
{
    (void)unused;
    static const struct span wrong[] = {
        SPAN("\xff\xff\xff"),                             /* reserved block type */
        SPAN("\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f"), /* length and complement differ */
        SPAN("\xf2\x00\x11\x00\x00"),                     /* a distance before the start */
        SPAN("\x00\x05\x00\xfa\xff\x48\x65"),             /* a block that is cut */
        SPAN("\xf2\x48\xcd\xc9\xc9\x07"),                 /* the byte before the tail is missing */
        SPAN("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff"), /* garbage behind */
        SPAN("\xf2\x48\xcd\xc9\xc9\x07\x00Hello"),        /* garbage behind */
        SPAN("\xf3\x48\xcd\xc9\xc9\x07\x00\x00\x00\x00"), /* garbage behind a final block */
        SPAN("Hello"),
    };
    struct ws_inflater *inflater = ws_inflater_new(15);
    assert_non_null(inflater);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        inflate_fails(inflater, wrong[i], 1000, WEIR_EPROTO);
        /* A shared inflater must serve the next session as if nothing had been. */
        inflate_fails(inflater, SPAN("\xf2\x00\x11\x00\x00"), 1000, WEIR_EPROTO);
        inflate_ok(inflater, SPAN("\xf2\x48\xcd\xc9\xc9\x07\x00"), false, SPAN("Hello"));
    }
    ws_inflater_free(&inflater);
}

static void test_forgets_the_window_without_takeover(void **unused)
{
    (void)unused;
    struct ws_inflater *inflater = ws_inflater_new(15);
    assert_non_null(inflater);
    inflate_ok(inflater, SPAN("\xf2\x48\xcd\xc9\xc9\x07\x00"), false, SPAN("Hello"));
    inflate_fails(inflater, SPAN("\xf2\x00\x11\x00\x00"), 1000, WEIR_EPROTO);
    ws_inflater_free(&inflater);
}

static void test_appends_behind_what_is_there(void **unused)
{
    (void)unused;
    struct ws_deflater *deflater = ws_deflater_new(15, 6);
    struct ws_inflater *inflater = ws_inflater_new(15);
    struct buffer wire = {0};
    struct buffer out = {0};
    assert_int_equal(buffer_append(&wire, SPAN("head")), WEIR_OK);
    assert_int_equal(ws_deflater_message(deflater, SPAN("payload"), true, &wire), WEIR_OK);
    assert_true(span_starts_with(buffer_span(&wire), SPAN("head")));
    assert_int_equal(buffer_append(&out, SPAN("before ")), WEIR_OK);
    /* The limit is for the message, not for the buffer. */
    assert_int_equal(ws_inflater_message(inflater, span_from(buffer_span(&wire), 4), true, 7, &out),
                     WEIR_OK);
    assert_true(span_equal(buffer_span(&out), SPAN("before payload")));
    buffer_free(&wire);
    buffer_free(&out);
    ws_deflater_free(&deflater);
    ws_inflater_free(&inflater);
}

static void test_deflates_the_empty_message_to_one_zero(void **unused)
{
    (void)unused;
    struct ws_deflater *deflater = ws_deflater_new(15, 6);
    assert_non_null(deflater);
    for (int i = 0; i < 3; i++) {
        struct buffer wire = {0};
        assert_int_equal(ws_deflater_message(deflater, SPAN(""), i != 1, &wire), WEIR_OK);
        assert_true(span_equal(buffer_span(&wire), SPAN("\0")));
        buffer_free(&wire);
    }
    ws_deflater_free(&deflater);
    assert_null(deflater);
}

static void test_deflates_the_example_of_rfc7692_section_7_2_3_1(void **unused)
{
    (void)unused;
    struct ws_deflater *deflater = ws_deflater_new(15, 6);
    struct buffer wire = {0};
    assert_int_equal(ws_deflater_message(deflater, SPAN("Hello"), true, &wire), WEIR_OK);
    assert_true(span_equal(buffer_span(&wire), SPAN("\xf2\x48\xcd\xc9\xc9\x07\x00")));
    wire.size = 0;
    assert_int_equal(ws_deflater_message(deflater, SPAN("Hello"), false, &wire), WEIR_OK);
    assert_true(span_equal(buffer_span(&wire), SPAN("\xf2\x00\x11\x00\x00")));
    /* That message was the last with the window. */
    wire.size = 0;
    assert_int_equal(ws_deflater_message(deflater, SPAN("Hello"), false, &wire), WEIR_OK);
    assert_true(span_equal(buffer_span(&wire), SPAN("\xf2\x48\xcd\xc9\xc9\x07\x00")));
    buffer_free(&wire);
    ws_deflater_free(&deflater);
}

/* Half text that repeats at long distances, half noise that does not compress. */
static void fill(uint8_t *bytes, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525 + 1013904223;
        bool noise = (i / 700) % 2 == 1;
        bytes[i] = noise ? (uint8_t)(seed >> 24) : (uint8_t)("weir gateway "[i % 13]);
    }
}

static void round_trip(int bits, int level, bool keep)
{
    static const size_t sizes[] = {0, 1, 2, 125, 511, 512, 513, 4096, 40000, 0, 5, 100000};
    static uint8_t text[100000];
    struct ws_deflater *deflater = ws_deflater_new(bits, level);
    struct ws_inflater *inflater = ws_inflater_new(bits);
    assert_non_null(deflater);
    assert_non_null(inflater);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buffer wire = {0};
        fill(text, sizes[i], (uint32_t)i / 2);
        struct span in = {text, sizes[i]};
        assert_int_equal(ws_deflater_message(deflater, in, keep, &wire), WEIR_OK);
        inflate_ok(inflater, buffer_span(&wire), keep, in);
        buffer_free(&wire);
    }
    ws_deflater_free(&deflater);
    ws_inflater_free(&inflater);
}

static void test_round_trips_with_every_window_level_and_takeover(void **unused)
{
    (void)unused;
    for (int bits = 9; bits <= 15; bits++) {
        for (int level = -1; level <= 9; level++) {
            round_trip(bits, level, true);
            round_trip(bits, level, false);
        }
    }
}

static void test_a_smaller_window_can_be_inflated_with_a_larger(void **unused)
{
    (void)unused;
    static uint8_t text[3000];
    struct ws_deflater *deflater = ws_deflater_new(9, 6);
    struct ws_inflater *inflater = ws_inflater_new(15);
    for (uint32_t i = 0; i < 5; i++) {
        struct buffer wire = {0};
        fill(text, sizeof text, i);
        struct span in = {text, sizeof text};
        assert_int_equal(ws_deflater_message(deflater, in, true, &wire), WEIR_OK);
        inflate_ok(inflater, buffer_span(&wire), true, in);
        buffer_free(&wire);
    }
    ws_deflater_free(&deflater);
    ws_inflater_free(&inflater);
}

/* --- limits --- */

static void test_stops_at_exactly_the_limit(void **unused)
{
    (void)unused;
    static const size_t sizes[] = {1, 100, 4095, 4096, 4097, 8192, 100000};
    static uint8_t text[100000];
    struct ws_deflater *deflater = ws_deflater_new(15, 6);
    struct ws_inflater *inflater = ws_inflater_new(15);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buffer wire = {0};
        fill(text, sizes[i], 7);
        struct span in = {text, sizes[i]};
        assert_int_equal(ws_deflater_message(deflater, in, false, &wire), WEIR_OK);
        inflate_ok(inflater, buffer_span(&wire), false, in);
        inflate_fails(inflater, buffer_span(&wire), sizes[i] - 1, WEIR_ELIMIT);
        inflate_fails(inflater, buffer_span(&wire), 0, WEIR_ELIMIT);
        buffer_free(&wire);
    }
    inflate_ok(inflater, SPAN("\x00"), false, SPAN("")); /* nothing fits in a limit of nothing */
    ws_deflater_free(&deflater);
    ws_inflater_free(&inflater);
}

/* Appends one gibibyte of zeros, deflated: a mebibyte over and over. */
static void make_bomb(struct buffer *wire)
{
    enum {
        MEBIBYTE = 1 << 20
    };
    uint8_t *zeros = calloc(1, MEBIBYTE);
    assert_non_null(zeros);
    struct ws_deflater *deflater = ws_deflater_new(15, 9);
    struct buffer one = {0};
    struct span in = {zeros, MEBIBYTE};
    assert_int_equal(ws_deflater_message(deflater, in, true, wire), WEIR_OK);
    assert_int_equal(ws_deflater_message(deflater, in, true, &one), WEIR_OK);
    for (int i = 1; i < 1024; i++) {
        assert_int_equal(buffer_append(wire, SPAN("\x00\x00\xff\xff")), WEIR_OK);
        assert_int_equal(buffer_append(wire, buffer_span(&one)), WEIR_OK);
    }
    buffer_free(&one);
    ws_deflater_free(&deflater);
    free(zeros);
}

static void test_refuses_a_gibibyte_of_zeros_with_bounded_memory(void **unused)
{
    (void)unused;
    static const uint64_t limits[] = {1, 65536, 1 << 20, 10000000};
    struct buffer wire = {0};
    make_bomb(&wire);
    assert_true(wire.size < 3 << 20);
    struct ws_inflater *inflater = ws_inflater_new(15);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct buffer out = {0};
        assert_int_equal(ws_inflater_message(inflater, buffer_span(&wire), true, limits[i], &out),
                         WEIR_ELIMIT);
        assert_int_equal(out.size, 0);
        assert_true(out.capacity <= limits[i] + limits[i] / 2 + 8192);
        buffer_free(&out);
    }
    ws_inflater_free(&inflater);
    buffer_free(&wire);
}

static void test_bounds_the_work_of_many_final_blocks(void **unused)
{
    (void)unused;
    /* Two bytes each: an empty final block. Half a million window copies would take minutes. */
    enum {
        COUNT = 1 << 19
    };
    struct buffer wire = {0};
    struct ws_inflater *inflater = ws_inflater_new(15);
    assert_int_equal(buffer_reserve(&wire, 2 * COUNT + 1), WEIR_OK);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(buffer_append(&wire, SPAN("\x03\x00")), WEIR_OK);
    }
    assert_int_equal(buffer_append(&wire, SPAN("\x00")), WEIR_OK);
    inflate_ok(inflater, buffer_span(&wire), true, SPAN(""));
    ws_inflater_free(&inflater);
    buffer_free(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inflates_the_examples_of_rfc7692_section_7_2_3),
        cmocka_unit_test(test_a_final_block_keeps_the_window),
        cmocka_unit_test(test_takes_a_final_block_that_ends_the_message),
        cmocka_unit_test(test_takes_several_final_blocks),
        cmocka_unit_test(test_takes_empty_messages),
        cmocka_unit_test(test_rejects_what_is_not_deflate),
        cmocka_unit_test(test_forgets_the_window_without_takeover),
        cmocka_unit_test(test_appends_behind_what_is_there),
        cmocka_unit_test(test_deflates_the_empty_message_to_one_zero),
        cmocka_unit_test(test_deflates_the_example_of_rfc7692_section_7_2_3_1),
        cmocka_unit_test(test_round_trips_with_every_window_level_and_takeover),
        cmocka_unit_test(test_a_smaller_window_can_be_inflated_with_a_larger),
        cmocka_unit_test(test_stops_at_exactly_the_limit),
        cmocka_unit_test(test_refuses_a_gibibyte_of_zeros_with_bounded_memory),
        cmocka_unit_test(test_bounds_the_work_of_many_final_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
