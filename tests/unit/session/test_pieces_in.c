/* Messages on their way to a handler that takes them piece by piece: what makes a piece, what is
 * counted, when whole messages come instead, and how such a handler stops the client. */
#include "client_fixture.h"

#include "session/session_internal.h"

enum {
    BIG = 300 * 1024 /* more than one read */
};

static bool pauses;    /* after each piece */
static bool closes;    /* with the verdict */
static size_t counted; /* bytes of pieces, where they are not noted */

static enum weir_verdict on_piece(void *self, struct weir_session *session, unsigned seat,
                                  const struct weir_piece *piece)
{
    struct plug *plug = self;
    assert_int_equal(seat, plug->seat);
    counted += piece->size;
    if (piece->size < 40) {
        note(plug->f, "%s%s(%.*s)%s ", piece->first ? "" : "+",
             piece->kind == WEIR_TEXT ? "text" : "binary", (int)piece->size,
             (const char *)piece->data, piece->last ? "." : "");
    }
    if (pauses) {
        session_pause(session, true);
    }
    return closes ? WEIR_CLOSE : WEIR_NEXT;
}

static struct weir_plugin_ops front_ops;
static struct weir_plugin_ops handler_ops;

/* The first two plugins want no messages, the handler wants pieces. */
static int piece_make(void **state)
{
    fixture_make(state);
    struct fixture *f = *state;
    pauses = false;
    closes = false;
    counted = 0;
    front_ops = plug_ops;
    front_ops.on_message = NULL;
    handler_ops = plug_ops;
    handler_ops.on_piece = on_piece;
    f->chain[0].ops = &front_ops;
    f->chain[1].ops = &front_ops;
    f->chain[2].ops = &handler_ops;
    f->route.first_reader = 2;
    f->route.piecewise = true;
    return 0;
}

static struct weir_session *session_of(struct fixture *f)
{
    return f->plugs[2].session;
}

static void test_message_in_one_frame_is_one_piece(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    send_texts(f, client, "one|two");
    send_frame(f, client, WS_FIN | WS_BINARY, SPAN("three"));
    expect_journal(f, "text(one). text(two). binary(three). ");
    assert_int_equal(session_of(f)->messages_in, 3);
}

static void test_frames_of_a_message_are_pieces(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    send_frame(f, client, WS_TEXT, SPAN("one"));
    expect_journal(f, "text(one) ");
    assert_int_equal(session_of(f)->messages_in, 0); /* counted when it is over */
    assert_int_equal(session_of(f)->request->bytes_in, 3);
    send_frame(f, client, WS_FIN | WS_PING, SPAN("between"));
    send_frame(f, client, WS_CONTINUATION, SPAN("two"));
    send_frame(f, client, WS_FIN | WS_CONTINUATION, SPAN("three"));
    expect_journal(f, "+text(two) +text(three). ");
    assert_int_equal(session_of(f)->messages_in, 1);
    assert_int_equal(session_of(f)->request->bytes_in, 11);
    expect_frames(client, "pong(between) ");
}

static void test_message_arrives_whole_however_it_is_split(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    struct buffer wire = {0};
    add_frame(&wire, WS_BINARY, SPAN("abc"));
    add_frame(&wire, WS_FIN | WS_CONTINUATION, SPAN("defg"));
    for (size_t split = 1; split < wire.size; split++) {
        counted = 0;
        client_send(f, client, (struct span){wire.data, split});
        turns(f);
        client_send(f, client, span_from(buffer_span(&wire), split));
        turns(f);
        assert_int_equal(counted, 7);
        assert_int_equal(session_of(f)->messages_in, split);
    }
    buffer_free(&wire);
}

static void test_pieces_come_before_their_frame_is_whole(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    struct buffer wire = {0};
    add_frame(&wire, WS_FIN | WS_TEXT, SPAN("onetwo"));
    client_send(f, client, (struct span){wire.data, wire.size - 3});
    turns(f);
    expect_journal(f, "text(one) ");
    client_send(f, client, span_from(buffer_span(&wire), wire.size - 3));
    turns(f);
    expect_journal(f, "+text(two). ");
    assert_null(session_of(f)->message); /* nothing was put together */
    buffer_free(&wire);
}

static void test_empty_message_is_one_empty_piece(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    send_text(f, client, "");
    send_text(f, client, "next");
    expect_journal(f, "text(). text(next). ");
}

static void test_empty_frames_are_no_pieces_but_the_last(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    send_frame(f, client, WS_TEXT, SPAN(""));
    expect_journal(f, "");
    send_frame(f, client, WS_CONTINUATION, SPAN("one"));
    send_frame(f, client, WS_CONTINUATION, SPAN(""));
    send_frame(f, client, WS_FIN | WS_CONTINUATION, SPAN(""));
    expect_journal(f, "text(one) +text(). ");
    send_frame(f, client, WS_BINARY, SPAN(""));
    send_frame(f, client, WS_FIN | WS_CONTINUATION, SPAN(""));
    expect_journal(f, "binary(). ");
}

static void test_text_is_checked_across_pieces(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    send_frame(f, client, WS_TEXT, SPAN("\xc3"));
    send_frame(f, client, WS_FIN | WS_CONTINUATION, SPAN("\xa4"));
    assert_int_equal(session_of(f)->messages_in, 1);
    send_frame(f, client, WS_TEXT, SPAN("\xc3"));
    send_frame(f, client, WS_FIN | WS_CONTINUATION, SPAN("x"));
    assert_true(contains(received(client), "\x03\xef")); /* 1007 */
    assert_int_equal(f->ending.code, 1007);
    assert_int_equal(f->ending.messages_in, 1);
}

static void test_message_over_the_limit_ends_the_session(void **state)
{
    struct fixture *f = *state;
    f->route.rules.max_message_size = 5;
    struct client *client = open_quietly(f);
    send_frame(f, client, WS_BINARY, SPAN("abc"));
    send_frame(f, client, WS_FIN | WS_CONTINUATION, SPAN("de"));
    expect_journal(f, "binary(abc) +binary(de). ");
    send_frame(f, client, WS_BINARY, SPAN("abc"));
    send_frame(f, client, WS_FIN | WS_CONTINUATION, SPAN("def"));
    assert_int_equal(f->ending.code, 1009);
}

static void test_handler_that_closes_gets_no_more_pieces(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    closes = true;
    send_texts(f, client, "one|two");
    expect_journal(f, "text(one). ");
    expect_frames(client, "close(1000,) ");
}

static void test_whole_messages_come_where_a_plugin_wants_them(void **state)
{
    struct fixture *f = *state;
    f->chain[1].ops = &plug_ops;
    f->route.first_reader = 1;
    f->route.piecewise = false; /* as worker/registry_worker.c decides it */
    struct client *client = open_quietly(f);
    send_frame(f, client, WS_TEXT, SPAN("one"));
    send_frame(f, client, WS_FIN | WS_CONTINUATION, SPAN("two"));
    expect_journal(f, "b:message(onetwo) c:message(onetwo) ");
}

static enum weir_verdict accept_now(struct plug *plug, struct weir_request *request)
{
    (void)plug;
    (void)request;
    return WEIR_ACCEPT;
}

static void test_session_that_ends_before_the_handler_gives_it_no_pieces(void **state)
{
    struct fixture *f = *state;
    f->plugs[1].does.request = accept_now;
    struct client *client = open_quietly(f);
    send_text(f, client, "one");
    expect_journal(f, "");
}

/* --- compressed messages --- */

static void test_compressed_message_is_inflated_and_one_piece(void **state)
{
    struct fixture *f = *state;
    f->websocket.compression = (struct config_compression){.enabled = true, .level = 6};
    f->route.deflate = (struct ws_deflate_params){true, true, 15, 15};
    struct client *client = connect_client(f, 0);
    client_says(f, client,
                "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    assert_true(contains(received(client), "permessage-deflate"));
    f->journal.size = 0;
    struct ws_deflater *deflater = ws_deflater_new(15, 6);
    struct buffer wire = {0};
    assert_int_equal(ws_deflater_message(deflater, SPAN("hello, hello"), false, &wire), WEIR_OK);
    size_t half = wire.size / 2;
    send_frame(f, client, WS_TEXT | WS_RSV1, (struct span){wire.data, half});
    expect_journal(f, "");
    send_frame(f, client, WS_FIN | WS_CONTINUATION, span_from(buffer_span(&wire), half));
    expect_journal(f, "text(hello, hello). ");
    assert_int_equal(session_of(f)->messages_in, 1);
    assert_int_equal(session_of(f)->request->bytes_in, 12);
    send_frame(f, client, WS_TEXT, SPAN("plain"));
    expect_journal(f, "text(plain) "); /* what is not compressed is not put together */
    ws_deflater_free(&deflater);
    buffer_free(&wire);
}

/* --- a handler that takes no more --- */

static void test_paused_handler_gets_nothing_until_it_goes_on(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    pauses = true;
    send_texts(f, client, "one|two|three");
    expect_journal(f, "text(one). ");
    assert_non_null(session_of(f)->connection->kept); /* the rest of what was read */
    assert_false(session_of(f)->connection->stream.reading);
    session_pause(session_of(f), false);
    turns(f);
    expect_journal(f, "text(two). "); /* and has paused again */
    pauses = false;
    session_pause(session_of(f), false);
    turns(f);
    expect_journal(f, "text(three). ");
    assert_true(session_of(f)->connection->stream.reading);
    assert_null(session_of(f)->connection->kept);
}

static void test_pause_holds_large_input_back_byte_for_byte(void **state)
{
    static uint8_t bytes[BIG];
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    struct buffer wire = {0};
    add_frame(&wire, WS_FIN | WS_BINARY, (struct span){bytes, sizeof bytes});
    pauses = true;
    struct span rest = buffer_span(&wire);
    for (unsigned guard = 0; counted < BIG; guard++) {
        assert_true(guard < 10000);
        ssize_t sent = rest.size > 0 ? send(client->fd, rest.data, rest.size, MSG_NOSIGNAL) : 0;
        rest = span_from(rest, sent > 0 ? (size_t)sent : 0);
        turns(f);
        session_pause(session_of(f), false);
        turns(f);
    }
    assert_int_equal(counted, BIG);
    assert_int_equal(session_of(f)->messages_in, 1);
    buffer_free(&wire);
}

static void test_pause_does_not_end_a_wait(void **state)
{
    struct fixture *f = *state;
    f->plugs[0].does.open = wait_open;
    struct client *client = open_quietly(f);
    struct weir_session *session = f->plugs[0].session;
    session_pause(session, true);
    session_pause(session, false);
    send_text(f, client, "one");
    expect_journal(f, "");
    session_pause(session, true);
    session_resume(session, 0, WEIR_NEXT);
    turns(f);
    expect_journal(f, "b:open c:open ");
    session_pause(session, false);
    turns(f);
    expect_journal(f, "text(one). ");
}

static void test_paused_session_hears_that_its_client_was_cut(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    session_pause(session_of(f), true);
    turns(f);
    client_closes(f, client);
    expect_journal(f, "c:close(1006,client) b:close(1006,client) a:close(1006,client) ");
}

static void test_paused_session_closes_in_order(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    pauses = true;
    send_texts(f, client, "one|two");
    assert_int_equal(session_close(session_of(f), 1000, SPAN("bye")), WEIR_OK);
    turns(f);
    expect_frames(client, "close(1000,bye) ");
    send_close(f, client, 1000, "bye");
    expect_journal(f, "text(one). c:close(1000,gateway) b:close(1000,gateway) "
                      "a:close(1000,gateway) ");
}

static void test_silence_of_a_paused_client_proves_nothing(void **state)
{
    struct fixture *f = *state;
    f->websocket.keep_alive_interval_ms = 10000;
    f->websocket.keep_alive_timeout_ms = 5000;
    struct client *client = open_quietly(f);
    pass_ms(f, 11000);
    expect_frames(client, "ping() ");
    session_pause(session_of(f), true);
    pass_ms(f, 60000);
    assert_false(client->ended);
    expect_frames(client, "");
    session_pause(session_of(f), false);
    turns(f);
    pass_ms(f, 1000); /* the pong may still come */
    assert_false(client->ended);
    pass_ms(f, 20000);
    expect_frames(client, "ping() close(1001,keep-alive timeout) ");
}

#define PIECE_TEST(function) cmocka_unit_test_setup_teardown(function, piece_make, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PIECE_TEST(test_message_in_one_frame_is_one_piece),
        PIECE_TEST(test_frames_of_a_message_are_pieces),
        PIECE_TEST(test_message_arrives_whole_however_it_is_split),
        PIECE_TEST(test_pieces_come_before_their_frame_is_whole),
        PIECE_TEST(test_empty_message_is_one_empty_piece),
        PIECE_TEST(test_empty_frames_are_no_pieces_but_the_last),
        PIECE_TEST(test_text_is_checked_across_pieces),
        PIECE_TEST(test_message_over_the_limit_ends_the_session),
        PIECE_TEST(test_handler_that_closes_gets_no_more_pieces),
        PIECE_TEST(test_whole_messages_come_where_a_plugin_wants_them),
        PIECE_TEST(test_session_that_ends_before_the_handler_gives_it_no_pieces),
        PIECE_TEST(test_compressed_message_is_inflated_and_one_piece),
        PIECE_TEST(test_paused_handler_gets_nothing_until_it_goes_on),
        PIECE_TEST(test_pause_holds_large_input_back_byte_for_byte),
        PIECE_TEST(test_pause_does_not_end_a_wait),
        PIECE_TEST(test_paused_session_hears_that_its_client_was_cut),
        PIECE_TEST(test_paused_session_closes_in_order),
        PIECE_TEST(test_silence_of_a_paused_client_proves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
