/* From the backend to the client: pieces and whole messages, checks, pings, back-pressure. */
#include "bridge_fixture.h"

static void test_passes_a_frame_on_as_a_piece(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_text(f, "hello");
    backend_says(f, WS_FIN | WS_BINARY, SPAN("bytes"));
    backend_text(f, "");
    expect_told(f, "text[hello] binary[bytes] text[] ");
}

static void test_passes_fragments_on_as_they_come(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_says(f, WS_TEXT, SPAN("he"));
    expect_told(f, "text[he.. ");
    backend_says(f, WS_CONTINUATION, SPAN("ll"));
    backend_says(f, WS_FIN | WS_CONTINUATION, SPAN("o"));
    expect_told(f, "text..ll.. text..o] ");
}

static void test_passes_part_of_a_frame_on_before_the_rest_is_there(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_sends(f, "\x81\x05he", 4);
    turns(f);
    expect_told(f, "text[he.. ");
    backend_sends(f, "llo", 3);
    turns(f);
    expect_told(f, "text..llo] ");
}

#define MIXED "\x81\x05hello\x89\x01p\x02\x03one\x8a\x01q\x80\x03two\x81\x00\x82\x7e\x00\x7e"

/* A vector of small, empty, fragmented and 16-bit frames with control frames between them. */
static void mixed_frames(struct buffer *out)
{
    static const uint8_t tail[126] = {'t'};
    assert_int_equal(buffer_append(out, SPAN(MIXED)), WEIR_OK);
    assert_int_equal(buffer_append(out, (struct span){tail, sizeof tail}), WEIR_OK);
}

#define MIXED_TOLD "whole-text(hello) whole-binary(onetwo) whole-text() whole-binary(t) "

static void test_gives_the_same_wherever_the_bytes_are_split(void **state)
{
    struct fixture *f = *state;
    struct buffer bytes = {0};
    mixed_frames(&bytes);
    f->session.whole = true;
    open_bridge(f);
    for (size_t at = 1; at < bytes.size; at++) {
        backend_sends(f, bytes.data, at);
        turns(f);
        backend_sends(f, bytes.data + at, bytes.size - at);
        turns(f);
        expect_told(f, MIXED_TOLD);
        expect_frames(f, "pong(p) ");
    }
    for (size_t at = 0; at < bytes.size; at++) {
        backend_sends(f, bytes.data + at, 1);
        turn(f);
    }
    turns(f);
    expect_told(f, MIXED_TOLD);
    expect_frames(f, "pong(p) ");
    assert_int_equal(blob_size(f->bridge->kept), 0);
    assert_null(f->bridge->message);
    buffer_free(&bytes);
}

static void test_lets_messages_of_one_read_share_a_send(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_sends(f,
                  "\x81\x01"
                  "a\x81\x01"
                  "b\x81\x01"
                  "c",
                  9);
    turns(f);
    expect_told(f, "text[a] text[b] text[c] ");
    assert_int_equal(f->shared, 2); /* all but the last were told that more comes */
    assert_false(f->worker.cork.more_to_come);
}

static void test_passes_a_large_message_without_keeping_it(void **state)
{
    struct fixture *f = *state;
    size_t size = 1 << 20;
    uint8_t *bytes = calloc(1, size);
    open_bridge(f);
    backend_says(f, WS_FIN | WS_BINARY, (struct span){bytes, size});
    assert_int_equal(f->piece_bytes, size);
    assert_null(f->bridge->message);
    assert_null(f->bridge->kept);
    free(bytes);
}

/* --- control frames --- */

static void test_answers_the_backends_ping_itself(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_says(f, WS_FIN | WS_PING, SPAN("are you there"));
    backend_says(f, WS_FIN | WS_PING, SPAN(""));
    backend_says(f, WS_FIN | WS_PONG, SPAN("unasked"));
    expect_frames(f, "pong(are you there) pong() ");
    expect_told(f, "");
}

static void test_keeps_no_memory_for_pings_of_a_backend_that_does_not_read(void **state)
{
    struct fixture *f = *state;
    struct buffer pings = {0};
    uint8_t payload[125] = {0};
    open_bridge(f);
    for (unsigned i = 0; i < 500; i++) {
        add_frame(&pings, WS_FIN | WS_PING, (struct span){payload, sizeof payload});
    }
    for (unsigned i = 0; i < 100; i++) {
        backend_sends(f, pings.data, pings.size);
        turn(f);
    }
    size_t queued = stream_queued(&f->backend.stream);
    assert_true(queued > BRIDGE_QUEUE_HIGH); /* so that the limit was met */
    assert_true(queued < 2 * BRIDGE_QUEUE_HIGH + CORK_BYTES);
    buffer_free(&pings);
}

/* --- what a backend must not send --- */

static void fails_with(struct fixture *f, const char *frame, const char *told)
{
    turns(f);
    expect_told(f, told);
    expect_frames(f, frame);
    assert_true(f->fin);
    assert_int_equal(f->closes, 0); /* the backend may still read why */
    backend_hangs_up(f);
    assert_int_equal(f->closes, 1);
    expect_told(f, "");
}

#define BROKE_TOLD "close(BACKEND_PROTOCOL,1014,the backend broke the WebSocket protocol) "

static void test_refuses_a_masked_frame_with_1002(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_sends(f, "\x81\x81\0\0\0\0x", 7);
    fails_with(f, "close(1002,frame from a server is masked) ", BROKE_TOLD);
}

static void test_refuses_a_reserved_opcode_and_gives_what_came_before(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_sends(f,
                  "\x81\x02ok\x83\x01x\x81\x04"
                  "lost",
                  13);
    fails_with(f, "close(1002,reserved opcode) ", "text[ok] " BROKE_TOLD);
}

static void test_refuses_text_that_is_not_utf8_with_1007(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_sends(f, "\x81\x02\xc3(", 4);
    fails_with(f, "close(1007,text is not UTF-8) ", BROKE_TOLD);
}

static void test_refuses_text_that_ends_within_a_character(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_sends(f, "\x81\x02\xc3\xa4\x01\x01\xc3\x80\x00", 9);
    fails_with(f, "close(1007,text ends inside a character) ",
               "text[\xc3\xa4] text[\xc3.. " BROKE_TOLD);
}

static void test_takes_a_message_of_max_message_size_and_none_above(void **state)
{
    struct fixture *f = *state;
    f->settings.max_message_size = 10;
    open_bridge(f);
    backend_text(f, "0123456789");
    expect_told(f, "text[0123456789] ");
    backend_sends(f,
                  "\x01\x05"
                  "01234",
                  7);
    backend_sends(f, "\x80\x06", 2);
    fails_with(f, "close(1009,message over max_message_size) ",
               "text[01234.. close(BACKEND_PROTOCOL,1014,a message of the backend is too large) ");
}

static void test_reads_away_what_comes_behind_a_mistake(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_sends(f, "\x83\x00", 2);
    turns(f);
    f->journal.size = 0;
    backend_sends(f, "\x81\x01x\xff\xff\xff", 6);
    turns(f);
    expect_told(f, "");
    time_out(f);
    assert_int_equal(f->closes, 1);
}

/* --- back-pressure --- */

static void test_does_not_read_while_the_client_is_behind(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    f->session.behind = true;
    backend_text(f, "one");
    expect_told(f, "text[one] ");
    backend_text(f, "two");
    backend_text(f, "three");
    expect_told(f, "");
    bridge_drained(f->bridge); /* but it is behind still */
    turns(f);
    expect_told(f, "");
    f->session.behind = false;
    bridge_drained(f->bridge);
    turns(f);
    expect_told(f, "text[two] text[three] ");
}

static void test_notices_after_the_drain_that_the_backend_has_gone(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    f->session.behind = true;
    backend_text(f, "one");
    backend_text(f, "two");
    backend_hangs_up(f);
    expect_told(f, "text[one] ");
    f->session.behind = false;
    bridge_drained(f->bridge);
    turns(f);
    expect_told(f, "text[two] close(BACKEND_LOST,1014,the backend was lost) ");
}

/* --- whole messages --- */

static void test_puts_messages_together_where_they_have_to_be_whole(void **state)
{
    struct fixture *f = *state;
    f->session.whole = true;
    open_bridge(f);
    backend_says(f, WS_TEXT, SPAN("he"));
    expect_told(f, "");
    backend_says(f, WS_CONTINUATION, SPAN("ll"));
    backend_says(f, WS_FIN | WS_PING, SPAN("p"));
    backend_says(f, WS_FIN | WS_CONTINUATION, SPAN("o"));
    expect_told(f, "whole-text(hello) ");
    assert_null(f->bridge->message);
}

static void test_keeps_the_one_message_that_the_client_has_no_room_for(void **state)
{
    struct fixture *f = *state;
    f->session.whole = true;
    open_bridge(f);
    f->session.refuses = 2;
    backend_sends(f, "\x81\x03one\x81\x03two\x81\x05thr", 15);
    turns(f);
    expect_told(f, "full ");
    backend_sends(f, "ee", 2);
    turns(f);
    expect_told(f, "");
    bridge_drained(f->bridge);
    expect_told(f, "full ");
    bridge_drained(f->bridge);
    turns(f);
    expect_told(f, "whole-text(one) whole-text(two) whole-text(three) ");
    assert_null(f->bridge->message);
    assert_null(f->bridge->kept);
}

static void test_keeps_a_split_and_an_empty_message_as_well(void **state)
{
    struct fixture *f = *state;
    f->session.whole = true;
    open_bridge(f);
    f->session.refuses = 1;
    backend_sends(f, "\x02\x03one\x80\x03two\x81\x00", 12);
    turns(f);
    expect_told(f, "full ");
    f->session.refuses = 1;
    bridge_drained(f->bridge);
    expect_told(f, "full ");
    bridge_drained(f->bridge);
    f->session.refuses = 1;
    turns(f);
    expect_told(f, "whole-binary(onetwo) full ");
    bridge_drained(f->bridge);
    turns(f);
    expect_told(f, "whole-text() ");
}

static void test_forgets_a_kept_message_with_its_session(void **state)
{
    struct fixture *f = *state;
    f->session.whole = true;
    open_bridge(f);
    f->session.refuses = 1;
    backend_sends(f, "\x81\x03one\x81\x03two\x88\x00", 12);
    turns(f);
    expect_told(f, "full ");
    session_over(f, 1000, "client", "bye");
    /* The backend's close frame, which was kept behind the messages, was found. */
    expect_frames(f, "close(1000,bye) ");
    expect_told(f, "");
    backend_hangs_up(f);
    assert_int_equal(f->closes, 1);
}

/* --- bytes behind the 101 --- */

static void test_delivers_what_came_behind_the_101_once_the_session_is_open(void **state)
{
    struct fixture *f = *state;
    open_with(f, SPAN("\x81\x05hello\x81\x05wo"));
    expect_told(f, "text[hello] text[wo.. ");
    backend_sends(f, "rld", 3);
    turns(f);
    expect_told(f, "text..rld] ");
}

static void test_reads_nothing_before_the_session_is_open(void **state)
{
    struct fixture *f = *state;
    struct buffer head = {0};
    const char *why = "";
    assert_int_equal(shake_hands(f, &head, SPAN("\x81\x05hello"), &why), WEIR_OK);
    buffer_free(&head);
    backend_text(f, "second");
    expect_told(f, "");
    assert_int_equal(bridge_open(f->bridge, &f->session), WEIR_NEXT);
    expect_told(f, "");
    turns(f);
    expect_told(f, "text[hello] text[second] ");
}

static void test_finds_the_end_of_a_backend_that_went_before_the_session_was_open(void **state)
{
    struct fixture *f = *state;
    struct buffer head = {0};
    const char *why = "";
    assert_int_equal(shake_hands(f, &head, SPAN("\x81\x05hello"), &why), WEIR_OK);
    buffer_free(&head);
    backend_hangs_up(f);
    assert_int_equal(bridge_open(f->bridge, &f->session), WEIR_NEXT);
    turns(f);
    expect_told(f, "text[hello] close(BACKEND_LOST,1014,the backend was lost) ");
}

/* --- compression --- */

#define LONG_TEXT "a text that is long enough, long enough, long enough to be compressed"

static void backend_deflates(struct fixture *f, unsigned first, const char *text)
{
    struct ws_deflater *deflater = ws_deflater_new(15, 6);
    struct buffer out = {0};
    assert_int_equal(ws_deflater_message(deflater, span_of(text), false, &out), WEIR_OK);
    backend_says(f, first, buffer_span(&out));
    buffer_free(&out);
    ws_deflater_free(&deflater);
}

static void test_inflates_compressed_messages(void **state)
{
    struct fixture *f = *state;
    f->compresses = true;
    open_bridge(f);
    backend_deflates(f, WS_FIN | WS_RSV1 | WS_TEXT, "short");
    backend_text(f, "plain");
    backend_deflates(f, WS_FIN | WS_RSV1 | WS_BINARY, "short");
    expect_told(f, "text[short] text[plain] binary[short] ");
}

static void test_refuses_compressed_frames_that_were_not_agreed(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_sends(f, "\xc1\x01x", 3);
    fails_with(f, "close(1002,RSV1 is set without a compressed message's start) ", BROKE_TOLD);
}

static void test_inflates_up_to_max_message_size_and_no_further(void **state)
{
    struct fixture *f = *state;
    f->compresses = true;
    f->settings.max_message_size = 100;
    open_bridge(f);
    char text[102];
    memset(text, 'x', sizeof text);
    text[100] = 0;
    backend_deflates(f, WS_FIN | WS_RSV1 | WS_TEXT, text);
    assert_int_equal(f->piece_bytes, 100);
    f->journal.size = 0;
    text[100] = 'x';
    text[101] = 0;
    backend_deflates(f, WS_FIN | WS_RSV1 | WS_TEXT, text);
    fails_with(f, "close(1009,a message of the backend inflates to more than max_message_size) ",
               "close(BACKEND_PROTOCOL,1014,a message of the backend is too large) ");
}

static void test_checks_inflated_text(void **state)
{
    struct fixture *f = *state;
    f->compresses = true;
    open_bridge(f);
    backend_deflates(f, WS_FIN | WS_RSV1 | WS_BINARY, "\xc3(");
    expect_told(f, "binary[\xc3(] ");
    backend_deflates(f, WS_FIN | WS_RSV1 | WS_TEXT, "\xc3(");
    fails_with(f, "close(1007,the backend sent text that is not UTF-8) ", BROKE_TOLD);
}

static void test_refuses_what_is_not_deflate(void **state)
{
    struct fixture *f = *state;
    f->compresses = true;
    open_bridge(f);
    backend_sends(f, "\xc1\x02\xff\xff", 4);
    fails_with(f, "close(1007,the backend sent invalid deflate data) ", BROKE_TOLD);
}

static void test_keeps_an_inflated_message_that_the_client_has_no_room_for(void **state)
{
    struct fixture *f = *state;
    f->compresses = true;
    f->session.whole = true;
    open_bridge(f);
    f->session.refuses = 1;
    backend_deflates(f, WS_FIN | WS_RSV1 | WS_TEXT, "kept");
    expect_told(f, "full ");
    bridge_drained(f->bridge);
    expect_told(f, "whole-text(kept) ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_passes_a_frame_on_as_a_piece),
        TEST(test_passes_fragments_on_as_they_come),
        TEST(test_passes_part_of_a_frame_on_before_the_rest_is_there),
        TEST(test_gives_the_same_wherever_the_bytes_are_split),
        TEST(test_lets_messages_of_one_read_share_a_send),
        TEST(test_passes_a_large_message_without_keeping_it),
        TEST(test_answers_the_backends_ping_itself),
        TEST(test_keeps_no_memory_for_pings_of_a_backend_that_does_not_read),
        TEST(test_refuses_a_masked_frame_with_1002),
        TEST(test_refuses_a_reserved_opcode_and_gives_what_came_before),
        TEST(test_refuses_text_that_is_not_utf8_with_1007),
        TEST(test_refuses_text_that_ends_within_a_character),
        TEST(test_takes_a_message_of_max_message_size_and_none_above),
        TEST(test_reads_away_what_comes_behind_a_mistake),
        TEST(test_does_not_read_while_the_client_is_behind),
        TEST(test_notices_after_the_drain_that_the_backend_has_gone),
        TEST(test_puts_messages_together_where_they_have_to_be_whole),
        TEST(test_keeps_the_one_message_that_the_client_has_no_room_for),
        TEST(test_keeps_a_split_and_an_empty_message_as_well),
        TEST(test_forgets_a_kept_message_with_its_session),
        TEST(test_delivers_what_came_behind_the_101_once_the_session_is_open),
        TEST(test_reads_nothing_before_the_session_is_open),
        TEST(test_finds_the_end_of_a_backend_that_went_before_the_session_was_open),
        TEST(test_inflates_compressed_messages),
        TEST(test_refuses_compressed_frames_that_were_not_agreed),
        TEST(test_inflates_up_to_max_message_size_and_no_further),
        TEST(test_checks_inflated_text),
        TEST(test_refuses_what_is_not_deflate),
        TEST(test_keeps_an_inflated_message_that_the_client_has_no_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
