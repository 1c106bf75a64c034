/* Messages to the client that a handler sends piece by piece: their frames, what other senders see
 * meanwhile, and how the handler learns that the client is behind and has caught up. */
#include "client_fixture.h"

#include "session/session_internal.h"

enum {
    LIMIT = 64 * 1024,
    HIGH = LIMIT / 2,
    LOW = LIMIT / 8,
    PIECE = 1000
};

static uint8_t bytes[PIECE];

static int piece_make(void **state)
{
    fixture_make(state);
    struct fixture *f = *state;
    f->send_buffer_bytes = 4096;
    f->websocket.max_queue_size = LIMIT;
    f->route.has_sender = false;
    memset(bytes, 'x', sizeof bytes);
    return 0;
}

static struct weir_session *session_of(struct fixture *f)
{
    return f->plugs[2].session;
}

static void send_piece(struct fixture *f, const char *text, bool first, bool last)
{
    assert_int_equal(session_send_piece(session_of(f), WEIR_TEXT, span_of(text), first, last),
                     WEIR_OK);
}

static enum weir_err send_whole(struct fixture *f, const char *text)
{
    return session_send(session_of(f), 2, WEIR_TEXT, span_of(text));
}

static void test_each_piece_is_a_frame_of_one_message(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    send_piece(f, "one", true, false);
    assert_int_equal(session_of(f)->messages_out, 0);
    send_piece(f, "two", false, false);
    send_piece(f, "", false, true);
    assert_int_equal(session_send_piece(session_of(f), WEIR_BINARY, SPAN("whole"), true, true),
                     WEIR_OK);
    turns(f);
    expect_frames(client, "text+(one) more+(two) more() binary(whole) ");
    assert_int_equal(session_of(f)->messages_out, 2);
    assert_int_equal(session_of(f)->request->bytes_out, 11);
}

static void test_other_messages_wait_for_the_last_piece(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    send_piece(f, "one", true, false);
    assert_int_equal(send_whole(f, "other"), WEIR_ELIMIT);
    turns(f);
    expect_journal(f, "");
    send_piece(f, "two", false, true);
    expect_journal(f, ""); /* never from within */
    turns(f);
    expect_journal(f, "c:drain b:drain a:drain ");
    expect_frames(client, "text+(one) more(two) ");
    assert_int_equal(send_whole(f, "other"), WEIR_OK);
    turns(f);
    expect_journal(f, "");
    expect_frames(client, "text(other) ");
}

static void test_nobody_hears_of_the_end_who_was_not_refused(void **state)
{
    struct fixture *f = *state;
    open_quietly(f);
    send_piece(f, "one", true, false);
    send_piece(f, "two", false, true);
    turns(f);
    expect_journal(f, "");
}

static void send_in_drain(struct plug *plug, struct weir_session *session)
{
    plug->does.drain = NULL;
    assert_int_equal(session_send_piece(session, WEIR_TEXT, SPAN("more"), true, false), WEIR_OK);
    assert_int_equal(send_whole(plug->f, "other"), WEIR_ELIMIT);
}

static void test_drain_may_begin_the_next_message(void **state)
{
    struct fixture *f = *state;
    f->plugs[2].does.drain = send_in_drain;
    open_quietly(f);
    send_piece(f, "one", true, false);
    assert_int_equal(send_whole(f, "other"), WEIR_ELIMIT);
    send_piece(f, "two", false, true);
    turns(f);
    expect_journal(f, "c:drain b:drain a:drain ");
    send_piece(f, "", false, true);
    turns(f);
    expect_journal(f, "c:drain b:drain a:drain ");
}

static void test_control_frames_go_between_pieces(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    send_piece(f, "one", true, false);
    assert_int_equal(session_ping(session_of(f), SPAN("p")), WEIR_OK);
    send_frame(f, client, WS_FIN | WS_PING, SPAN("q"));
    assert_int_equal(session_close(session_of(f), 1001, SPAN("")), WEIR_OK);
    assert_int_equal(session_send_piece(session_of(f), WEIR_TEXT, SPAN("two"), false, true),
                     WEIR_ECLOSED);
    turns(f);
    expect_frames(client, "text+(one) ping(p) pong(q) close(1001,) ");
}

/* --- who needs whole messages --- */

static void test_pieces_go_where_no_plugin_before_has_on_send(void **state)
{
    struct fixture *f = *state;
    struct weir_plugin_ops mute = plug_ops;
    mute.on_send = NULL;
    open_quietly(f);
    f->route.has_sender = true;
    assert_true(session_sends_whole(session_of(f), 2));
    assert_true(session_sends_whole(session_of(f), 1));
    assert_false(session_sends_whole(session_of(f), 0));
    f->chain[1].ops = &mute;
    assert_true(session_sends_whole(session_of(f), 2));
    f->chain[0].ops = &mute;
    assert_false(session_sends_whole(session_of(f), 2));
    f->chain[0].ops = &plug_ops;
    f->chain[1].ops = &plug_ops;
}

static void test_compressed_sessions_send_whole_messages(void **state)
{
    struct fixture *f = *state;
    open_quietly(f);
    struct ws_deflate_params agreed = {true, true, 15, 15};
    assert_false(session_sends_whole(session_of(f), 2));
    session_of(f)->compression = compression_new(&agreed, 6);
    assert_true(session_sends_whole(session_of(f), 2));
}

/* --- a client that is behind --- */

static size_t queued(struct fixture *f)
{
    return stream_queued(&session_of(f)->connection->stream);
}

/* Sends pieces of one message, as a forwarder does, until it should stop. */
static void fill(struct fixture *f)
{
    bool first = !session_of(f)->sends_pieces;
    while (!session_is_behind(session_of(f))) {
        assert_true(queued(f) < HIGH);
        assert_int_equal(session_send_piece(session_of(f), WEIR_BINARY, (struct span){bytes, PIECE},
                                            first, false),
                         WEIR_OK);
        first = false;
    }
}

static void read_some(struct fixture *f, struct client *client)
{
    uint8_t here[PIECE];
    ssize_t got = recv(client->fd, here, PIECE, MSG_DONTWAIT);
    assert_true(got > 0);
    assert_true(loop_turn(f->worker.loop, false));
}

static void test_forwarder_stops_at_half_the_queue_and_goes_on_when_it_has_drained(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    client->deaf = true;
    for (unsigned round = 0; round < 2; round++) {
        fill(f);
        assert_true(queued(f) >= HIGH && queued(f) < HIGH + PIECE + 4);
        while (queued(f) > LOW) {
            expect_journal(f, "");
            read_some(f, client);
        }
        expect_journal(f, "c:drain b:drain a:drain ");
        assert_false(session_is_behind(session_of(f)));
    }
}

static void test_pieces_are_taken_although_the_client_is_behind(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    client->deaf = true;
    fill(f);
    size_t before = queued(f);
    assert_int_equal(
        session_send_piece(session_of(f), WEIR_BINARY, (struct span){bytes, PIECE}, false, true),
        WEIR_OK);
    turns(f);
    assert_int_equal(queued(f), before + PIECE + 4);
}

static void test_end_of_a_message_is_not_told_before_the_queue_has_drained(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    client->deaf = true;
    fill(f);
    assert_int_equal(send_whole(f, "other"), WEIR_ELIMIT);
    send_piece(f, "", false, true);
    assert_true(loop_turn(f->worker.loop, false));
    expect_journal(f, "");
    client->deaf = false;
    turns(f);
    expect_journal(f, "c:drain b:drain a:drain ");
}

static void test_client_that_reads_is_never_behind(void **state)
{
    struct fixture *f = *state;
    f->send_buffer_bytes = 0;
    struct client *client = open_quietly(f);
    for (unsigned i = 0; i < 3 * LIMIT / PIECE; i++) {
        assert_false(session_is_behind(session_of(f)));
        assert_int_equal(session_send_piece(session_of(f), WEIR_BINARY, (struct span){bytes, PIECE},
                                            i == 0, false),
                         WEIR_OK);
        client_read(client);
    }
}

/* --- closing for another reason --- */

static void test_backend_that_closes_is_named(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    assert_int_equal(session_close_as(session_of(f), WEIR_CLOSE_BACKEND, 4000, SPAN("enough")),
                     WEIR_OK);
    assert_int_equal(session_close_as(session_of(f), WEIR_CLOSE_BACKEND, 4000, SPAN("enough")),
                     WEIR_ECLOSED);
    turns(f);
    expect_frames(client, "close(4000,enough) ");
    send_close(f, client, 4000, "enough");
    expect_journal(f, "c:close(4000,backend) b:close(4000,backend) a:close(4000,backend) ");
    assert_string_equal(f->ending.words, "closed by the backend");
}

static void test_close_without_a_code_is_an_empty_frame(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    assert_int_equal(session_close_as(session_of(f), WEIR_CLOSE_BACKEND, 1005, SPAN("lost")),
                     WEIR_OK);
    turns(f);
    const uint8_t empty[2] = {WS_FIN | WS_CLOSE, 0};
    assert_int_equal(client->in.size, 2);
    assert_memory_equal(client->in.data, empty, 2);
    send_frame(f, client, WS_FIN | WS_CLOSE, SPAN(""));
    assert_int_equal(f->ending.code, 1005);
    assert_string_equal(f->reason, "");
}

static void test_codes_that_must_not_be_sent_are_refused(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    static const uint16_t codes[] = {0, 999, 1004, 1006, 1015, 2999, 5000};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        assert_int_equal(session_close_as(session_of(f), WEIR_CLOSE_BACKEND, codes[i], SPAN("")),
                         WEIR_EINVAL);
    }
    assert_int_equal(session_close(session_of(f), 1005, SPAN("")), WEIR_EINVAL);
    turns(f);
    expect_frames(client, "");
}

#define PIECE_TEST(function) cmocka_unit_test_setup_teardown(function, piece_make, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PIECE_TEST(test_each_piece_is_a_frame_of_one_message),
        PIECE_TEST(test_other_messages_wait_for_the_last_piece),
        PIECE_TEST(test_nobody_hears_of_the_end_who_was_not_refused),
        PIECE_TEST(test_drain_may_begin_the_next_message),
        PIECE_TEST(test_control_frames_go_between_pieces),
        PIECE_TEST(test_pieces_go_where_no_plugin_before_has_on_send),
        PIECE_TEST(test_compressed_sessions_send_whole_messages),
        PIECE_TEST(test_forwarder_stops_at_half_the_queue_and_goes_on_when_it_has_drained),
        PIECE_TEST(test_pieces_are_taken_although_the_client_is_behind),
        PIECE_TEST(test_end_of_a_message_is_not_told_before_the_queue_has_drained),
        PIECE_TEST(test_client_that_reads_is_never_behind),
        PIECE_TEST(test_backend_that_closes_is_named),
        PIECE_TEST(test_close_without_a_code_is_an_empty_frame),
        PIECE_TEST(test_codes_that_must_not_be_sent_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
