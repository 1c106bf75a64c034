/* The frame decoder on text: UTF-8 across fragments and reads, failed at the first bad byte (RFC
 * 6455, section 8.1). */
#include "proto/ws_decoder_feed.h"

static void test_takes_characters_that_fragments_cut(void **unused)
{
    (void)unused;
    static const char text[] = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5 \xf0\x9f\x98\x80";
    for (size_t cut = 0; cut < sizeof text; cut++) {
        struct buffer wire = {0};
        struct span all = SPAN("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5 \xf0\x9f\x98\x80");
        char wanted[64];
        snprintf(wanted, sizeof wanted, "text(%.*s[ping:]%s)", (int)cut, text, text + cut);
        add_frame(&wire, WS_TEXT, (struct span){all.data, cut}, key);
        add(&wire, WS_FIN | WS_PING, "");
        add_frame(&wire, WS_FIN | WS_CONTINUATION, span_from(all, cut), key);
        expect(&wire, 0, wanted);
    }
}

static void test_takes_a_text_of_one_byte_frames(void **unused)
{
    (void)unused;
    static const char text[] = "\xce\xba\xe1\xbd\xb9\xcf\x83";
    struct buffer wire = {0};
    for (size_t i = 0; i < sizeof text - 1; i++) {
        char one[2] = {text[i]};
        add(&wire, i == 0 ? WS_TEXT : WS_CONTINUATION, one);
    }
    add(&wire, WS_FIN | WS_CONTINUATION, "");
    expect(&wire, 0, "text(\xce\xba\xe1\xbd\xb9\xcf\x83)");
}

static void test_fails_at_the_first_byte_that_is_not_utf8(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        size_t good; /* bytes before the bad one */
    } cases[] = {
        {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80"
         "edited",
         12},
        {"\xce\xba\xed\xa0\x80"
         "edited",
         3},
        {"a\xc0\xaf", 1},
        {"\xe0\x80\xaf", 1},
        {"\xf0\x80\x80\xaf", 1},
        {"Hello-\xc2\xb5@\xff!!", 9},
        {"\x80", 0},
        {"0123456789012345678901234567890123456789\xce\xba\xce\xce", 43},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer wire = {0};
        add(&wire, WS_FIN | WS_TEXT, cases[i].text);
        if (cases[i].good + 1 < strlen(cases[i].text)) {
            expect_failure_at(&server, buffer_span(&wire), 6 + cases[i].good + 1, 1007);
        }
        expect(&wire, 1007, "");
        add(&wire, WS_TEXT, "a");
        add(&wire, WS_CONTINUATION, cases[i].text);
        expect(&wire, 1007, "text(a");
        /* The same bytes are fine where they are not text. */
        char wanted[80];
        snprintf(wanted, sizeof wanted, "binary(%s)", cases[i].text);
        add(&wire, WS_FIN | WS_BINARY, cases[i].text);
        expect(&wire, 0, wanted);
    }
}

static void test_fails_on_a_bad_character_across_fragments(void **unused)
{
    (void)unused;
    struct buffer wire = {0};
    add(&wire, WS_TEXT, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4");
    add(&wire, WS_FIN | WS_CONTINUATION, "\x90");
    expect(&wire, 1007, "text(\xce\xba");
    add(&wire, WS_TEXT, "\xc3");
    add(&wire, WS_CONTINUATION, "ASCII where a continuation byte must stand");
    add(&wire, WS_FIN | WS_CONTINUATION, "\xa9");
    expect_failure_at(&server, buffer_span(&wire), 7 + 6 + 1, 1007);
    expect(&wire, 1007, "text(\xc3");
    add(&wire, WS_TEXT, "\xf4");
    add(&wire, WS_FIN | WS_CONTINUATION, "all ASCII from here on, and longer than one vector");
    expect(&wire, 1007, "text(\xf4");
}

static void test_fails_on_text_that_ends_inside_a_character(void **unused)
{
    (void)unused;
    static const char *const cuts[] = {"\xce", "abc\xe2\x82", "\xf0\x9f\x98",
                                       "0123456789012345678901234567890123456789\xc3"};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct buffer wire = {0};
        add(&wire, WS_FIN | WS_TEXT, cuts[i]);
        expect(&wire, 1007, "");
        add(&wire, WS_TEXT, cuts[i]);
        add(&wire, WS_FIN | WS_CONTINUATION, "");
        expect(&wire, 1007, "text(");
        add_frame(&wire, WS_FIN | WS_TEXT, span_of(cuts[i]), NULL);
        expect_with(&client, false, buffer_span(&wire), 1007, "");
        buffer_free(&wire);
    }
}

static void test_a_cut_character_does_not_reach_the_next_message(void **unused)
{
    (void)unused;
    struct buffer wire = {0};
    add(&wire, WS_TEXT, "\xc3");
    add(&wire, WS_FIN | WS_CONTINUATION, "\xa9");
    add(&wire, WS_FIN | WS_TEXT, "\xa9");
    expect(&wire, 1007, "text(\xc3\xa9)");
}

/* Pseudo-random long text that is cut into blocks in every way. */
static void test_checks_long_text_across_its_blocks(void **unused)
{
    (void)unused;
    enum {
        SIZE = 3 * 4099
    };
    uint8_t *text = malloc(SIZE);
    assert_non_null(text);
    for (size_t i = 0; i < SIZE; i += 3) {
        memcpy(text + i, "\xe2\x82\xac", 3);
    }
    for (size_t bad = 4090; bad < 4102; bad++) {
        struct buffer wire = {0};
        add_frame(&wire, WS_FIN | WS_TEXT, (struct span){text, SIZE}, key);
        struct outcome o = run(&server, false, buffer_span(&wire), bad, 0);
        assert_int_equal(o.err, WEIR_OK);
        assert_int_equal(o.messages, 1);
        assert_memory_equal(o.words.data + strlen("text("), text, SIZE);
        buffer_free(&o.words);
        wire.data[8 + bad] ^= 0x40; /* flips a lead or a continuation into the other */
        o = run(&server, false, buffer_span(&wire), 0, 0);
        assert_int_equal(o.code, 1007);
        buffer_free(&o.words);
        buffer_free(&wire);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_characters_that_fragments_cut),
        cmocka_unit_test(test_takes_a_text_of_one_byte_frames),
        cmocka_unit_test(test_fails_at_the_first_byte_that_is_not_utf8),
        cmocka_unit_test(test_fails_on_a_bad_character_across_fragments),
        cmocka_unit_test(test_fails_on_text_that_ends_inside_a_character),
        cmocka_unit_test(test_a_cut_character_does_not_reach_the_next_message),
        cmocka_unit_test(test_checks_long_text_across_its_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
