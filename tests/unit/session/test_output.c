/* The cork: what is sent within a turn leaves at once, whoever else is sent to in between. */
#include "client_fixture.h"

enum {
    PIECE = 8 * 1024, /* with its head; small enough to be corked */
    LARGE = CORK_BYTES + 1
};

static uint8_t bytes[LARGE];

static int packets_make(void **state)
{
    fixture_make(state);
    struct fixture *f = *state;
    f->keep_packets = true;
    f->send_buffer_bytes = 200 * 1024; /* the system doubles it; a packet has to fit in */
    f->route.has_sender = false;
    memset(bytes, 'x', sizeof bytes);
    return 0;
}

static void sends(struct fixture *f, size_t size)
{
    struct weir_session *session = f->plugs[2].session;
    assert_int_equal(session_send(session, 2, WEIR_BINARY, (struct span){bytes, size}), WEIR_OK);
}

static void test_small_messages_of_a_turn_leave_with_one_send(void **state)
{
    struct fixture *f = *state;
    f->plugs[2].does.message = echo;
    struct client *client = open_quietly(f);
    client->packets = 0;
    send_texts(f, client, "one|two|three");
    expect_frames(client, "text(one) text(two) text(three) ");
    assert_int_equal(client->packets, 1);
}

static void test_pipelined_answers_leave_with_one_send(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    client_says(f, client, GET_HEAD GET_HEAD GET_HEAD);
    assert_int_equal(count_of(received(client), "HTTP/1.1 200 OK"), 3);
    assert_int_equal(client->packets, 1);
}

/* Fills the cork exactly, or with one byte that does not fit; then sends a message more. */
static void fill_cork(struct fixture *f, size_t over)
{
    for (size_t left = CORK_BYTES; left > 0; left -= PIECE) {
        sends(f, PIECE - 4 + (left == PIECE ? over : 0));
    }
    sends(f, 3);
}

static void test_cork_takes_what_fits_exactly(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    client->packets = 0;
    fill_cork(f, 0);
    turns(f);
    assert_int_equal(client->packets, 1); /* the third message pushed the full cork out */
    assert_int_equal(client->in.size, CORK_BYTES + 2 + 3);
}

static void test_what_does_not_fit_goes_at_once_behind_what_was_corked(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    client->packets = 0;
    fill_cork(f, 1);
    turns(f);
    assert_int_equal(client->packets, 2);
    assert_int_equal(client->in.size, CORK_BYTES + 1 + 2 + 3);
}

static void test_large_message_is_sent_before_the_turn_ends(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    client->packets = 0;
    sends(f, LARGE);
    client_read(client); /* no turn has ended */
    assert_int_equal(client->packets, 1);
    assert_int_equal(client->in.size, LARGE + 10);
    sends(f, 5);
    client_read(client);
    assert_int_equal(client->packets, 1);
    turns(f);
    assert_int_equal(client->packets, 2);
}

/* --- two sessions, one cork --- */

static struct weir_session *first;

/* Tells the first session of each message, before and after its own echo. */
static enum weir_verdict tell_first(struct plug *plug, struct weir_session *session,
                                    const struct weir_message *message)
{
    struct span payload = {message->payload.data, message->payload.size};
    assert_int_equal(session_send(first, 2, WEIR_TEXT, SPAN("before")), WEIR_OK);
    assert_int_equal(session_send(session, 2, message->kind, payload), WEIR_OK);
    assert_int_equal(session_send(first, 2, WEIR_TEXT, SPAN("after")), WEIR_OK);
    assert_int_equal(session_send(session, 2, WEIR_TEXT, SPAN("done")), WEIR_OK);
    (void)plug;
    return WEIR_NEXT;
}

static void test_sends_to_another_session_keep_the_order_of_both(void **state)
{
    struct fixture *f = *state;
    struct client *one = open_session_at(f, 0);
    first = f->plugs[2].session;
    struct client *two = open_session_at(f, 1);
    f->plugs[2].does.message = tell_first;
    send_texts(f, two, "x|y");
    expect_frames(one, "text(before) text(after) text(before) text(after) ");
    expect_frames(two, "text(x) text(done) text(y) text(done) ");
}

static void test_sends_to_a_session_whose_client_has_gone_do_not_disturb_others(void **state)
{
    struct fixture *f = *state;
    struct client *one = open_session_at(f, 0);
    first = f->plugs[2].session;
    struct client *two = open_session_at(f, 1);
    f->plugs[2].does.message = tell_first;
    struct buffer out = {0};
    add_frame(&out, WS_FIN | WS_TEXT, SPAN("x"));
    assert_int_equal(send(two->fd, out.data, out.size, 0), out.size);
    buffer_free(&out);
    close(one->fd); /* the gateway may hear of it before the message, or after */
    one->fd = -1;
    f->plugs[2].does.message = echo;
    turns(f);
    expect_frames(two, "text(x) ");
    assert_int_equal(f->worker.connection_count, 1);
}

/* A close within the callback takes only this session's corked bytes with it. */
static enum weir_verdict cut_first(struct plug *plug, struct weir_session *session,
                                   const struct weir_message *message)
{
    (void)plug;
    (void)message;
    assert_int_equal(session_send(session, 2, WEIR_TEXT, SPAN("kept")), WEIR_OK);
    assert_int_equal(session_close(first, 4000, SPAN("other")), WEIR_OK);
    assert_int_equal(session_send(session, 2, WEIR_TEXT, SPAN("too")), WEIR_OK);
    assert_int_equal(session_send(first, 2, WEIR_TEXT, SPAN("no")), WEIR_ECLOSED);
    return WEIR_NEXT;
}

static void test_closing_another_session_from_a_callback(void **state)
{
    struct fixture *f = *state;
    struct client *one = open_session_at(f, 0);
    first = f->plugs[2].session;
    struct client *two = open_session_at(f, 1);
    f->plugs[2].does.message = cut_first;
    send_text(f, two, "x");
    expect_frames(one, "close(4000,other) ");
    expect_frames(two, "text(kept) text(too) ");
}

static void test_session_that_sends_and_closes_sends_all_before_the_close(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    client->packets = 0;
    sends(f, 3);
    assert_int_equal(session_close(f->plugs[2].session, 1000, SPAN("")), WEIR_OK);
    turns(f);
    expect_frames(client, "binary(xxx) close(1000,) ");
    assert_int_equal(client->packets, 1);
}

#define PACKET_TEST(function) cmocka_unit_test_setup_teardown(function, packets_make, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PACKET_TEST(test_small_messages_of_a_turn_leave_with_one_send),
        PACKET_TEST(test_pipelined_answers_leave_with_one_send),
        PACKET_TEST(test_cork_takes_what_fits_exactly),
        PACKET_TEST(test_what_does_not_fit_goes_at_once_behind_what_was_corked),
        PACKET_TEST(test_large_message_is_sent_before_the_turn_ends),
        TEST(test_sends_to_another_session_keep_the_order_of_both),
        TEST(test_sends_to_a_session_whose_client_has_gone_do_not_disturb_others),
        TEST(test_closing_another_session_from_a_callback),
        PACKET_TEST(test_session_that_sends_and_closes_sends_all_before_the_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
