/* The decoder as a client's: what a backend may send, and what fails it. */
#include "ws_decoder_feed.h"

/* Appends a frame as a server sends it. */
static void add_plain(struct buffer *wire, unsigned first, const char *text)
{
    add_frame(wire, first, span_of(text), NULL);
}

static void add_plain_run(struct buffer *wire, unsigned first, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    memset(bytes, '*', size);
    add_frame(wire, first, (struct span){bytes, size}, NULL);
    free(bytes);
}

/* What a client makes of `wire`, which it frees. */
static void expect_client(struct buffer *wire, bool allows_compression, uint16_t code,
                          const char *wanted)
{
    expect_with(&client, allows_compression, buffer_span(wire), code, wanted);
    buffer_free(wire);
}

static void test_takes_all_that_a_server_may_send(void **state)
{
    struct buffer wire = {0};
    (void)state;
    add_plain(&wire, WS_FIN | WS_TEXT, "h\xc3\xa9");
    add_plain(&wire, WS_FIN | WS_BINARY, "");
    add_plain(&wire, WS_TEXT, "a\xc3");
    add_plain(&wire, WS_FIN | WS_PING, "now?");
    add_plain(&wire, WS_CONTINUATION, "");
    add_plain(&wire, WS_FIN | WS_PONG, "");
    add_plain(&wire, WS_FIN | WS_CONTINUATION, "\xa9");
    add_plain(&wire, WS_FIN | WS_CLOSE,
              "\x03\xe8"
              "bye");
    expect_client(&wire, false, 0,
                  "text(h\xc3\xa9)binary()text(a\xc3[ping:now?][pong:]\xa9)[close:\x03\xe8"
                  "bye]");
}

static void test_refuses_every_masked_frame_at_its_second_byte(void **state)
{
    static const uint8_t firsts[] = {0x81, 0x82, 0x88, 0x89, 0x8a, 0x01, 0x02};
    (void)state;
    for (size_t i = 0; i < sizeof firsts; i++) {
        struct buffer wire = {0};
        add(&wire, firsts[i], "hi");
        expect_failure_at(&client, buffer_span(&wire), 2, 1002);
        expect_client(&wire, false, 1002, "");
        add(&wire, firsts[i], "");
        expect_client(&wire, true, 1002, "");
    }
}

static void test_refuses_a_mask_in_the_middle_of_a_message(void **state)
{
    struct buffer wire = {0};
    (void)state;
    add_plain(&wire, WS_TEXT, "a");
    add(&wire, WS_FIN | WS_CONTINUATION, "b");
    expect_client(&wire, false, 1002, "text(a");
    add_plain(&wire, WS_FIN | WS_TEXT, "a");
    add(&wire, WS_FIN | WS_PING, "");
    expect_client(&wire, false, 1002, "text(a)");
}

static void test_refuses_reserved_bits(void **state)
{
    static const uint8_t bits[] = {0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70};
    (void)state;
    for (size_t i = 0; i < sizeof bits; i++) {
        struct buffer wire = {0};
        add_plain(&wire, WS_FIN | WS_TEXT | bits[i], "hi");
        expect_failure_at(&client, buffer_span(&wire), 1, 1002);
        expect_client(&wire, false, 1002, "");
        add_plain(&wire, WS_FIN | WS_PONG | bits[i], "");
        expect_client(&wire, true, 1002, "");
    }
}

static void test_takes_rsv1_where_compression_was_agreed(void **state)
{
    struct buffer wire = {0};
    (void)state;
    add_plain(&wire, WS_FIN | WS_RSV1 | WS_TEXT, "\xff");
    add_plain(&wire, WS_RSV1 | WS_BINARY, "a");
    add_plain(&wire, WS_FIN | WS_CONTINUATION, "b");
    add_plain(&wire, WS_FIN | WS_TEXT, "plain");
    expect_client(&wire, true, 0, "compressed text(\xff)compressed binary(ab)text(plain)");
    add_plain(&wire, WS_RSV1 | WS_TEXT, "a");
    add_plain(&wire, WS_FIN | WS_RSV1 | WS_CONTINUATION, "b");
    expect_client(&wire, true, 1002, "compressed text(a");
}

static void test_refuses_reserved_opcodes(void **state)
{
    static const uint8_t opcodes[] = {3, 4, 5, 6, 7, 11, 12, 13, 14, 15};
    (void)state;
    for (size_t i = 0; i < sizeof opcodes; i++) {
        struct buffer wire = {0};
        add_plain(&wire, WS_FIN | opcodes[i], "");
        expect_failure_at(&client, buffer_span(&wire), 1, 1002);
        buffer_free(&wire);
    }
}

static void test_refuses_fragments_out_of_order(void **state)
{
    struct buffer wire = {0};
    (void)state;
    add_plain(&wire, WS_FIN | WS_CONTINUATION, "a");
    expect_client(&wire, false, 1002, "");
    add_plain(&wire, WS_TEXT, "a");
    add_plain(&wire, WS_FIN | WS_TEXT, "b");
    expect_client(&wire, false, 1002, "text(a");
    add_plain(&wire, WS_PING, "");
    expect_client(&wire, false, 1002, "");
}

static void test_limits_control_frames(void **state)
{
    struct buffer wire = {0};
    char wanted[WS_CONTROL_MAX + 16];
    (void)state;
    memset(wanted, '*', sizeof wanted);
    memcpy(wanted, "[ping:", 6);
    strcpy(wanted + 6 + WS_CONTROL_MAX, "]");
    add_plain_run(&wire, WS_FIN | WS_PING, WS_CONTROL_MAX);
    expect_client(&wire, false, 0, wanted);
    add_plain_run(&wire, WS_FIN | WS_PING, WS_CONTROL_MAX + 1);
    expect_failure_at(&client, buffer_span(&wire), 2, 1002);
    buffer_free(&wire);
}

/* Both sides of each border between the three forms of a length. */
static void test_takes_lengths_in_their_shortest_form_only(void **state)
{
    static const size_t sizes[] = {125, 126, 127, 65535, 65536};
    static const struct span wrong[] = {
        SPAN("\x82\x7e\x00\x00"),
        SPAN("\x82\x7e\x00\x7d"),
        SPAN("\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x7e"),
        SPAN("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buffer wire = {0};
        add_plain_run(&wire, WS_FIN | WS_BINARY, sizes[i]);
        struct outcome o = run(&client, false, buffer_span(&wire), 3, 0);
        assert_int_equal(o.err, WEIR_OK);
        assert_int_equal(o.messages, 1);
        assert_int_equal(o.words.size, strlen("binary()") + sizes[i] + 1);
        buffer_free(&o.words);
        buffer_free(&wire);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        expect_failure_at(&client, wrong[i], wrong[i].size, 1002);
    }
    expect_failure_at(&client, SPAN("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), 3, 1002);
}

static void test_limits_a_message_over_all_its_frames(void **state)
{
    const struct ws_decoder_rules rules = {.expects_mask = false, .max_message_size = 10};
    struct buffer wire = {0};
    (void)state;
    add_plain(&wire, WS_TEXT, "01234");
    add_plain(&wire, WS_FIN | WS_CONTINUATION, "56789");
    expect_with(&rules, false, buffer_span(&wire), 0, "text(0123456789)");
    buffer_free(&wire);
    add_plain(&wire, WS_TEXT, "01234");
    add_plain(&wire, WS_FIN | WS_CONTINUATION, "56789!");
    expect_with(&rules, false, buffer_span(&wire), 1009, "text(01234");
    buffer_free(&wire);
    add_plain(&wire, WS_FIN | WS_BINARY, "0123456789!");
    expect_failure_at(&rules, buffer_span(&wire), 2, 1009);
    buffer_free(&wire);
}

static void test_checks_text_as_it_comes(void **state)
{
    struct buffer wire = {0};
    (void)state;
    add_plain(&wire, WS_TEXT, "a\xff");
    expect_failure_at(&client, buffer_span(&wire), 4, 1007);
    expect_client(&wire, false, 1007, "");
    add_plain(&wire, WS_FIN | WS_TEXT, "a\xc3");
    expect_client(&wire, false, 1007, "");
    add_plain(&wire, WS_FIN | WS_BINARY, "\xff");
    expect_client(&wire, false, 0, "binary(\xff)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_all_that_a_server_may_send),
        cmocka_unit_test(test_refuses_every_masked_frame_at_its_second_byte),
        cmocka_unit_test(test_refuses_a_mask_in_the_middle_of_a_message),
        cmocka_unit_test(test_refuses_reserved_bits),
        cmocka_unit_test(test_takes_rsv1_where_compression_was_agreed),
        cmocka_unit_test(test_refuses_reserved_opcodes),
        cmocka_unit_test(test_refuses_fragments_out_of_order),
        cmocka_unit_test(test_limits_control_frames),
        cmocka_unit_test(test_takes_lengths_in_their_shortest_form_only),
        cmocka_unit_test(test_limits_a_message_over_all_its_frames),
        cmocka_unit_test(test_checks_text_as_it_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
