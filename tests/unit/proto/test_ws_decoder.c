/* The frame decoder against RFC 6455, section 5, rule by rule; each vector is split at every byte.
 */
#include "proto/ws_decoder_feed.h"

/* --- section 5.6 and 5.7: data frames --- */

static void test_decodes_the_examples_of_rfc6455_section_5_7(void **unused)
{
    (void)unused;
    expect_with(&client, false, SPAN("\x81\x05\x48\x65\x6c\x6c\x6f"), 0, "text(Hello)");
    expect_with(&server, false, SPAN("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), 0,
                "text(Hello)");
    expect_with(&client, false, SPAN("\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f"), 0, "text(Hello)");
    expect_with(&client, false, SPAN("\x89\x05\x48\x65\x6c\x6c\x6f"), 0, "[ping:Hello]");
    expect_with(&server, false, SPAN("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), 0,
                "[pong:Hello]");
}

static void test_decodes_empty_messages(void **unused)
{
    (void)unused;
    struct buffer wire = {0};
    add(&wire, WS_FIN | WS_TEXT, "");
    add(&wire, WS_FIN | WS_BINARY, "");
    add(&wire, WS_TEXT, "");
    add(&wire, WS_CONTINUATION, "");
    add(&wire, WS_FIN | WS_CONTINUATION, "");
    expect(&wire, 0, "text()binary()text()");
}

static void test_decodes_every_length_form(void **unused)
{
    (void)unused;
    static const size_t sizes[] = {1, 7, 125, 126, 127, 128, 256, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char wanted[1100] = "text(";
        struct buffer wire = {0};
        memset(wanted + 5, '*', sizes[i]);
        memcpy(wanted + 5 + sizes[i], ")", 2);
        add_run(&wire, WS_FIN | WS_TEXT, sizes[i]);
        expect(&wire, 0, wanted);
    }
}

static void test_decodes_large_messages_in_pieces_of_any_size(void **unused)
{
    (void)unused;
    static const size_t sizes[] = {65535, 65536, 100000, 1 << 20};
    static const size_t steps[] = {0, 997, 4096, 65536};
    for (size_t i = 0; i < 16; i++) {
        struct buffer wire = {0};
        size_t size = sizes[i / 4];
        add_run(&wire, WS_FIN | (i % 2 == 0 ? WS_TEXT : WS_BINARY), size);
        struct outcome o = run(&server, false, buffer_span(&wire), 0, steps[i % 4]);
        assert_int_equal(o.err, WEIR_OK);
        assert_int_equal(o.messages, 1);
        assert_int_equal(o.words.size - strlen(i % 2 == 0 ? "text()" : "binary()") - 1, size);
        assert_int_equal(strspn((char *)strchr((char *)o.words.data, '(') + 1, "*"), size);
        buffer_free(&o.words);
        buffer_free(&wire);
    }
}

static void test_decodes_many_messages_from_one_read(void **unused)
{
    (void)unused;
    struct buffer wire = {0};
    add(&wire, WS_FIN | WS_TEXT, "one");
    add(&wire, WS_FIN | WS_BINARY, "\x01\xff");
    add(&wire, WS_FIN | WS_PING, "");
    add(&wire, WS_FIN | WS_TEXT, "three, longer than a vector of sixteen bytes");
    expect(&wire, 0,
           "text(one)binary(\x01\xff)[ping:]text(three, longer than a vector of sixteen bytes)");
}

static void test_gives_what_is_left_of_a_frame(void **unused)
{
    (void)unused;
    struct buffer wire = {0};
    struct ws_decoder d = {0};
    struct ws_event event;
    uint16_t code;
    const char *why;
    size_t consumed;
    add_run(&wire, WS_FIN | WS_BINARY, 1000);
    assert_int_equal(
        ws_decoder_next(&d, &server, wire.data, 8 + 100, &consumed, &event, &code, &why), WEIR_OK);
    assert_int_equal(consumed, 108);
    assert_true(event.frame_start && event.message_start && !event.message_end);
    assert_ptr_equal(event.payload, wire.data + 8);
    assert_int_equal(event.payload_size, 100);
    assert_int_equal(event.frame_left, 900);
    assert_int_equal(
        ws_decoder_next(&d, &server, wire.data + 108, 900, &consumed, &event, &code, &why),
        WEIR_OK);
    assert_true(!event.frame_start && !event.message_start && event.message_end);
    assert_int_equal(event.frame_left, 0);
    buffer_free(&wire);
}

/* A caller may read the rest of a frame straight into its own memory, wherever that lies. */
static void test_decodes_payload_that_was_read_elsewhere(void **unused)
{
    (void)unused;
    struct buffer wire = {0};
    add(&wire, WS_FIN | WS_TEXT, "0123456789 abcdefghij \xce\xba\xe1\xbd\xb9 0123456789");
    for (size_t offset = 0; offset < 8; offset++) {
        uint8_t elsewhere[128];
        struct ws_decoder d = {0};
        struct ws_event event;
        uint16_t code;
        const char *why;
        size_t consumed;
        uint8_t front[9];
        memcpy(front, wire.data, sizeof front);
        assert_int_equal(ws_decoder_next(&d, &server, front, 9, &consumed, &event, &code, &why),
                         WEIR_OK);
        size_t left = (size_t)event.frame_left;
        assert_int_equal(left, wire.size - 9);
        memcpy(elsewhere + offset, wire.data + 9, left);
        assert_int_equal(
            ws_decoder_next(&d, &server, elsewhere + offset, left, &consumed, &event, &code, &why),
            WEIR_OK);
        assert_int_equal(consumed, left);
        assert_ptr_equal(event.payload, elsewhere + offset);
        assert_true(event.message_end);
        assert_memory_equal(elsewhere + offset,
                            "3456789 abcdefghij \xce\xba\xe1\xbd\xb9 0123456789", left);
    }
    buffer_free(&wire);
}

static void test_waiting_changes_no_byte(void **unused)
{
    (void)unused;
    struct buffer wire = {0};
    add(&wire, WS_FIN | WS_PING, "unchanged");
    for (size_t size = 0; size < wire.size; size++) {
        uint8_t copy[64];
        struct ws_decoder d = {0};
        const struct ws_decoder start = {0};
        struct ws_event event;
        uint16_t code;
        const char *why;
        size_t consumed = 1;
        memcpy(copy, wire.data, size);
        assert_int_equal(ws_decoder_next(&d, &server, copy, size, &consumed, &event, &code, &why),
                         WEIR_AGAIN);
        assert_int_equal(consumed, 0);
        assert_memory_equal(copy, wire.data, size);
        assert_memory_equal(&d, &start, sizeof d);
    }
    buffer_free(&wire);
}

static void test_a_data_frame_yields_with_its_first_payload_byte(void **unused)
{
    (void)unused;
    struct buffer wire = {0};
    add_run(&wire, WS_FIN | WS_BINARY, 300);
    struct ws_decoder d = {0};
    struct ws_event event;
    uint16_t code;
    const char *why;
    size_t consumed;
    assert_int_equal(ws_decoder_next(&d, &server, wire.data, 8, &consumed, &event, &code, &why),
                     WEIR_AGAIN);
    assert_int_equal(ws_decoder_next(&d, &server, wire.data, 9, &consumed, &event, &code, &why),
                     WEIR_OK);
    assert_int_equal(event.payload_size, 1);
    assert_int_equal(event.frame_left, 299);
    assert_int_equal(ws_decoder_next(&d, &server, wire.data + 9, 0, &consumed, &event, &code, &why),
                     WEIR_AGAIN);
    buffer_free(&wire);
}

/* --- section 5.5: control frames --- */

static void test_takes_control_frames_up_to_125_bytes(void **unused)
{
    (void)unused;
    char text[126];
    char wanted[400];
    memset(text, 'p', 125);
    text[125] = 0;
    struct buffer wire = {0};
    add(&wire, WS_FIN | WS_PING, "");
    add(&wire, WS_FIN | WS_PING, text);
    add(&wire, WS_FIN | WS_PONG, "unsolicited");
    add(&wire, WS_FIN | WS_CLOSE,
        "\x03\xe8"
        "bye");
    snprintf(wanted, sizeof wanted,
             "[ping:][ping:%s][pong:unsolicited][close:\x03\xe8"
             "bye]",
             text);
    expect(&wire, 0, wanted);
}

static void test_takes_any_bytes_in_a_ping(void **unused)
{
    (void)unused;
    struct buffer wire = {0};
    add(&wire, WS_FIN | WS_PING, "\xfe\xff\x80\xc0");
    expect(&wire, 0, "[ping:\xfe\xff\x80\xc0]");
}

static void test_rejects_control_frames_over_125_bytes_at_the_second_byte(void **unused)
{
    (void)unused;
    static const uint8_t opcodes[] = {WS_CLOSE, WS_PING, WS_PONG};
    for (size_t i = 0; i < sizeof opcodes; i++) {
        struct buffer wire = {0};
        add_run(&wire, WS_FIN | opcodes[i], 126);
        expect_failure_at(&server, buffer_span(&wire), 2, 1002);
        expect(&wire, 1002, "");
        add_run(&wire, WS_FIN | opcodes[i], 70000);
        expect_failure_at(&server, buffer_span(&wire), 2, 1002);
        buffer_free(&wire);
    }
}

static void test_rejects_fragmented_control_frames_at_the_first_byte(void **unused)
{
    (void)unused;
    static const uint8_t opcodes[] = {WS_CLOSE, WS_PING, WS_PONG};
    for (size_t i = 0; i < sizeof opcodes; i++) {
        struct buffer wire = {0};
        add(&wire, opcodes[i], "part");
        expect_failure_at(&server, buffer_span(&wire), 1, 1002);
        expect(&wire, 1002, "");
    }
}

static void test_gives_messages_before_a_bad_frame(void **unused)
{
    (void)unused;
    struct buffer wire = {0};
    add(&wire, WS_FIN | WS_TEXT, "good");
    add(&wire, WS_FIN | WS_PING, "p");
    add(&wire, WS_FIN | 5, "bad");
    add(&wire, WS_FIN | WS_TEXT, "never seen");
    expect(&wire, 1002, "text(good)[ping:p]");
}

/* --- section 5.2: bits, opcodes, lengths --- */

static void test_rejects_every_reserved_opcode_at_the_first_byte(void **unused)
{
    (void)unused;
    static const uint8_t opcodes[] = {3, 4, 5, 6, 7, 11, 12, 13, 14, 15};
    for (size_t i = 0; i < sizeof opcodes; i++) {
        struct buffer wire = {0};
        add(&wire, WS_FIN | WS_TEXT, "x");
        add(&wire, WS_FIN | opcodes[i], "y");
        expect_failure_at(&server, buffer_span(&wire), 8, 1002);
        expect(&wire, 1002, "text(x)");
        add(&wire, WS_TEXT, "x");
        add(&wire, WS_FIN | opcodes[i], "");
        expect(&wire, 1002, "text(x");
    }
}

static void test_rejects_rsv_without_extension(void **unused)
{
    (void)unused;
    static const uint8_t opcodes[] = {WS_TEXT, WS_BINARY, WS_CLOSE, WS_PING, WS_PONG};
    for (unsigned rsv = 0x10; rsv <= 0x70; rsv += 0x10) {
        for (size_t i = 0; i < sizeof opcodes; i++) {
            struct buffer wire = {0};
            add(&wire, WS_FIN | rsv | opcodes[i], "x");
            expect_failure_at(&server, buffer_span(&wire), 1, 1002);
            expect(&wire, 1002, "");
        }
        struct buffer wire = {0};
        add(&wire, WS_BINARY, "x");
        add(&wire, WS_FIN | rsv | WS_CONTINUATION, "x");
        expect(&wire, 1002, "binary(x");
    }
}

static void test_rejects_rsv2_and_rsv3_also_with_compression(void **unused)
{
    (void)unused;
    for (unsigned rsv = 0x10; rsv <= 0x70; rsv += 0x10) {
        if (rsv == WS_RSV1) {
            continue;
        }
        struct buffer wire = {0};
        add(&wire, WS_FIN | rsv | WS_TEXT, "x");
        expect_with(&server, true, buffer_span(&wire), 1002, "");
        buffer_free(&wire);
    }
}

static void test_takes_rsv1_on_the_first_frame_with_compression(void **unused)
{
    (void)unused;
    struct buffer wire = {0};
    add(&wire, WS_FIN | WS_RSV1 | WS_TEXT, "\xff\xfe");
    add(&wire, WS_RSV1 | WS_BINARY, "a");
    add(&wire, WS_FIN | WS_PING, "");
    add(&wire, WS_CONTINUATION, "b");
    add(&wire, WS_FIN | WS_CONTINUATION, "c");
    add(&wire, WS_FIN | WS_TEXT, "plain");
    expect_with(&server, true, buffer_span(&wire), 0,
                "compressed text(\xff\xfe)compressed binary(a[ping:]bc)text(plain)");
    buffer_free(&wire);
}

static void test_rejects_rsv1_on_continuations_and_controls(void **unused)
{
    (void)unused;
    struct buffer wire = {0};
    add(&wire, WS_RSV1 | WS_TEXT, "a");
    add(&wire, WS_RSV1 | WS_FIN | WS_CONTINUATION, "b");
    expect_with(&server, true, buffer_span(&wire), 1002, "compressed text(a");
    buffer_free(&wire);
    add(&wire, WS_FIN | WS_RSV1 | WS_PING, "");
    expect_with(&server, true, buffer_span(&wire), 1002, "");
    buffer_free(&wire);
}

static void test_still_checks_plain_text_with_compression(void **unused)
{
    (void)unused;
    struct buffer wire = {0};
    add(&wire, WS_FIN | WS_RSV1 | WS_TEXT, "\xff");
    add(&wire, WS_FIN | WS_TEXT, "\xff");
    expect_with(&server, true, buffer_span(&wire), 1007, "compressed text(\xff)");
    buffer_free(&wire);
}

static void test_rejects_a_client_frame_without_mask(void **unused)
{
    (void)unused;
    static const uint8_t firsts[] = {0x81, 0x82, 0x88, 0x89, 0x8a, 0x01};
    for (size_t i = 0; i < sizeof firsts; i++) {
        struct buffer wire = {0};
        add_frame(&wire, firsts[i], SPAN("hi"), NULL);
        expect_failure_at(&server, buffer_span(&wire), 2, 1002);
        expect(&wire, 1002, "");
        add_frame(&wire, firsts[i], SPAN(""), NULL);
        expect(&wire, 1002, "");
    }
}

static void test_rejects_a_server_frame_with_mask(void **unused)
{
    (void)unused;
    struct buffer wire = {0};
    add(&wire, WS_FIN | WS_TEXT, "hi");
    expect_failure_at(&client, buffer_span(&wire), 2, 1002);
    expect_with(&client, false, buffer_span(&wire), 1002, "");
    buffer_free(&wire);
}

static void test_rejects_lengths_that_are_not_minimal(void **unused)
{
    (void)unused;
    /* Both sides of each border; the right ones are taken elsewhere. */
    static const struct span wires[] = {
        SPAN("\x82\xfe\x00\x00\x01\x02\x03\x04"),
        SPAN("\x82\xfe\x00\x7d\x01\x02\x03\x04"),
        SPAN("\x82\xff\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04"),
        SPAN("\x82\xff\x00\x00\x00\x00\x00\x00\x00\x7d\x01\x02\x03\x04"),
        SPAN("\x82\xff\x00\x00\x00\x00\x00\x00\x00\x7e\x01\x02\x03\x04"),
        SPAN("\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04"),
    };
    for (size_t i = 0; i < sizeof wires / sizeof *wires; i++) {
        expect_with(&server, false, wires[i], 1002, "");
        expect_failure_at(&server, wires[i], wires[i].size - 4, 1002);
    }
}

static void test_rejects_the_top_bit_of_a_length_at_the_third_byte(void **unused)
{
    (void)unused;
    struct span wire = SPAN("\x82\xff\x80\x00\x00\x00\x00\x01\x00\x00");
    expect_failure_at(&server, wire, 3, 1002);
    expect_with(&server, false, wire, 1002, "");
    wire = SPAN("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff");
    expect_with(&server, false, wire, 1002, "");
}

/* --- max_message_size --- */

static void test_takes_a_message_of_exactly_the_limit(void **unused)
{
    (void)unused;
    const struct ws_decoder_rules rules = {.expects_mask = true, .max_message_size = 10};
    struct buffer wire = {0};
    add(&wire, WS_FIN | WS_TEXT, "0123456789");
    add(&wire, WS_TEXT, "01234");
    add(&wire, WS_FIN | WS_PING, "control frames do not count");
    add(&wire, WS_FIN | WS_CONTINUATION, "56789");
    add(&wire, WS_FIN | WS_BINARY, "9876543210");
    expect_with(&rules, false, buffer_span(&wire), 0,
                "text(0123456789)text(01234[ping:control frames do not count]56789)"
                "binary(9876543210)");
    buffer_free(&wire);
}

static void test_refuses_a_message_over_the_limit_at_its_head(void **unused)
{
    (void)unused;
    const struct ws_decoder_rules rules = {.expects_mask = true, .max_message_size = 10};
    struct buffer wire = {0};
    add(&wire, WS_FIN | WS_TEXT, "0123456789a");
    expect_failure_at(&rules, buffer_span(&wire), 2, 1009);
    expect_with(&rules, false, buffer_span(&wire), 1009, "");
    buffer_free(&wire);

    add_run(&wire, WS_FIN | WS_BINARY, 300);
    expect_failure_at(&rules, buffer_span(&wire), 4, 1009);
    buffer_free(&wire);
}

static void test_refuses_fragments_that_add_up_over_the_limit(void **unused)
{
    (void)unused;
    const struct ws_decoder_rules rules = {.expects_mask = true, .max_message_size = 10};
    struct buffer wire = {0};
    add(&wire, WS_TEXT, "01234");
    add(&wire, WS_CONTINUATION, "");
    add(&wire, WS_FIN | WS_CONTINUATION, "56789a");
    expect_failure_at(&rules, buffer_span(&wire), 6 + 5 + 6 + 2, 1009);
    expect_with(&rules, false, buffer_span(&wire), 1009, "text(01234");
    buffer_free(&wire);
}

static void test_refuses_huge_lengths_without_overflow(void **unused)
{
    (void)unused;
    const struct ws_decoder_rules all = {.expects_mask = true, .max_message_size = UINT64_MAX};
    expect_with(&server, false, SPAN("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"), 1009, "");
    expect_with(&all, false, SPAN("\x02\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0x"), 0,
                "binary(x");

    const struct ws_decoder_rules none = {.expects_mask = true, .max_message_size = 0};
    expect_with(&none, false, SPAN("\x82\x80\1\2\3\4"), 0, "binary()");
    expect_with(&none, false, SPAN("\x82\x81\1\2\3\4"), 1009, "");
}

static void test_counts_the_size_anew_for_each_message(void **unused)
{
    (void)unused;
    const struct ws_decoder_rules rules = {.expects_mask = true, .max_message_size = 10};
    struct buffer wire = {0};
    for (int i = 0; i < 4; i++) {
        add(&wire, WS_TEXT, "0123");
        add(&wire, WS_FIN | WS_CONTINUATION, "456789");
    }
    expect_with(&rules, false, buffer_span(&wire), 0,
                "text(0123456789)text(0123456789)text(0123456789)text(0123456789)");
    buffer_free(&wire);
}

static void test_lets_a_compressed_message_be_an_eighth_larger_on_the_wire(void **unused)
{
    (void)unused;
    const struct ws_decoder_rules rules = {.expects_mask = true, .max_message_size = 16};
    const struct ws_decoder_rules all = {.expects_mask = true, .max_message_size = UINT64_MAX};
    struct buffer wire = {0};
    struct outcome o;
    add_run(&wire, WS_FIN | WS_RSV1 | WS_BINARY, 82);
    add_run(&wire, WS_RSV1 | WS_BINARY, 40);
    add_run(&wire, WS_FIN | WS_CONTINUATION, 42);
    o = run(&rules, true, buffer_span(&wire), 0, 0);
    assert_int_equal(o.err, WEIR_OK);
    assert_int_equal(o.messages, 2);
    buffer_free(&o.words);
    add_run(&wire, WS_FIN | WS_BINARY, 17); /* and only a compressed one */
    o = run(&rules, true, buffer_span(&wire), 0, 0);
    assert_int_equal(o.code, 1009);
    buffer_free(&o.words);
    buffer_free(&wire);

    add_run(&wire, WS_FIN | WS_RSV1 | WS_BINARY, 83);
    expect_with(&rules, true, buffer_span(&wire), 1009, "");
    buffer_free(&wire);
    expect_with(&all, true, SPAN("\x42\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0x"), 0,
                "compressed binary(x");
}

/* --- section 5.4: fragments --- */

static void test_joins_fragments_with_controls_between(void **unused)
{
    (void)unused;
    struct buffer wire = {0};
    add(&wire, WS_TEXT, "frag1 ");
    add(&wire, WS_FIN | WS_PING, "a");
    add(&wire, WS_CONTINUATION, "frag2 ");
    add(&wire, WS_FIN | WS_PONG, "b");
    add(&wire, WS_FIN | WS_PING, "c");
    add(&wire, WS_FIN | WS_CONTINUATION, "frag3");
    expect(&wire, 0, "text(frag1 [ping:a]frag2 [pong:b][ping:c]frag3)");
}

static void test_rejects_a_continuation_without_a_message(void **unused)
{
    (void)unused;
    struct buffer wire = {0};
    add(&wire, WS_FIN | WS_CONTINUATION, "x");
    expect_failure_at(&server, buffer_span(&wire), 1, 1002);
    expect(&wire, 1002, "");
    add(&wire, WS_CONTINUATION, "x");
    expect(&wire, 1002, "");
    add(&wire, WS_TEXT, "a");
    add(&wire, WS_FIN | WS_CONTINUATION, "b");
    add(&wire, WS_FIN | WS_CONTINUATION, "c");
    expect(&wire, 1002, "text(ab)");
    add(&wire, WS_FIN | WS_TEXT, "whole");
    add(&wire, WS_CONTINUATION, "c");
    expect(&wire, 1002, "text(whole)");
}

static void test_rejects_a_new_message_inside_a_message(void **unused)
{
    (void)unused;
    static const uint8_t firsts[] = {WS_TEXT, WS_BINARY, WS_FIN | WS_TEXT, WS_FIN | WS_BINARY};
    for (size_t i = 0; i < sizeof firsts; i++) {
        struct buffer wire = {0};
        add(&wire, WS_TEXT, "a");
        add(&wire, firsts[i], "b");
        expect_failure_at(&server, buffer_span(&wire), 8, 1002);
        expect(&wire, 1002, "text(a");
    }
}

static void test_stays_small_for_idle_sessions(void **unused)
{
    (void)unused;
    assert_true(sizeof(struct ws_decoder) <= 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decodes_the_examples_of_rfc6455_section_5_7),
        cmocka_unit_test(test_decodes_empty_messages),
        cmocka_unit_test(test_decodes_every_length_form),
        cmocka_unit_test(test_decodes_large_messages_in_pieces_of_any_size),
        cmocka_unit_test(test_decodes_many_messages_from_one_read),
        cmocka_unit_test(test_gives_what_is_left_of_a_frame),
        cmocka_unit_test(test_decodes_payload_that_was_read_elsewhere),
        cmocka_unit_test(test_waiting_changes_no_byte),
        cmocka_unit_test(test_a_data_frame_yields_with_its_first_payload_byte),
        cmocka_unit_test(test_takes_control_frames_up_to_125_bytes),
        cmocka_unit_test(test_takes_any_bytes_in_a_ping),
        cmocka_unit_test(test_rejects_control_frames_over_125_bytes_at_the_second_byte),
        cmocka_unit_test(test_rejects_fragmented_control_frames_at_the_first_byte),
        cmocka_unit_test(test_gives_messages_before_a_bad_frame),
        cmocka_unit_test(test_rejects_every_reserved_opcode_at_the_first_byte),
        cmocka_unit_test(test_rejects_rsv_without_extension),
        cmocka_unit_test(test_rejects_rsv2_and_rsv3_also_with_compression),
        cmocka_unit_test(test_takes_rsv1_on_the_first_frame_with_compression),
        cmocka_unit_test(test_rejects_rsv1_on_continuations_and_controls),
        cmocka_unit_test(test_still_checks_plain_text_with_compression),
        cmocka_unit_test(test_rejects_a_client_frame_without_mask),
        cmocka_unit_test(test_rejects_a_server_frame_with_mask),
        cmocka_unit_test(test_rejects_lengths_that_are_not_minimal),
        cmocka_unit_test(test_rejects_the_top_bit_of_a_length_at_the_third_byte),
        cmocka_unit_test(test_takes_a_message_of_exactly_the_limit),
        cmocka_unit_test(test_refuses_a_message_over_the_limit_at_its_head),
        cmocka_unit_test(test_refuses_fragments_that_add_up_over_the_limit),
        cmocka_unit_test(test_refuses_huge_lengths_without_overflow),
        cmocka_unit_test(test_counts_the_size_anew_for_each_message),
        cmocka_unit_test(test_lets_a_compressed_message_be_an_eighth_larger_on_the_wire),
        cmocka_unit_test(test_joins_fragments_with_controls_between),
        cmocka_unit_test(test_rejects_a_continuation_without_a_message),
        cmocka_unit_test(test_rejects_a_new_message_inside_a_message),
        cmocka_unit_test(test_stays_small_for_idle_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
