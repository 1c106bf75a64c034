/* WAIT of on_open and on_message: nothing overtakes what is parked at a seat, and the client is not
 * read meanwhile. */
#include "client_fixture.h"

#include "session/session_internal.h"

/* --- opening --- */

static void test_opening_waits_and_messages_come_after_it(void **state)
{
    struct fixture *f = *state;
    f->plugs[0].does.open = wait_open;
    f->plugs[1].does.open = wait_open;
    struct client *client = open_session(f);
    send_texts(f, client, "one|two");
    expect_journal(f, "a:request b:request c:request a:open ");
    session_resume(f->plugs[0].session, 0, WEIR_NEXT);
    turns(f);
    expect_journal(f, "b:open ");
    session_resume(f->plugs[0].session, 1, WEIR_NEXT);
    turns(f);
    expect_journal(f, "c:open a:message(one) b:message(one) c:message(one) "
                      "a:message(two) b:message(two) c:message(two) ");
}

static void test_opening_that_resumes_with_close_closes(void **state)
{
    struct fixture *f = *state;
    f->plugs[1].does.open = wait_open;
    struct client *client = open_session(f);
    f->journal.size = 0;
    session_resume(f->plugs[1].session, 1, WEIR_CLOSE);
    turns(f);
    expect_frames(client, "close(1000,) ");
    send_close(f, client, 1000, "");
    expect_journal(f, "c:close(1000,gateway) b:close(1000,gateway) a:close(1000,gateway) ");
}

/* --- messages --- */

static void test_message_waits_at_each_seat_and_none_overtakes_it(void **state)
{
    struct fixture *f = *state;
    static const char *const first[SEATS] = {"a:message(one) ", "a:message(one) b:message(one) ",
                                             "a:message(one) b:message(one) c:message(one) "};
    static const char *const rest[SEATS] = {
        "b:message(one) c:message(one) a:message(two) b:message(two) c:message(two) ",
        "c:message(one) a:message(two) b:message(two) c:message(two) ",
        "a:message(two) b:message(two) c:message(two) "};
    for (unsigned seat = 0; seat < SEATS; seat++) {
        struct client *client = open_session_at(f, seat);
        f->journal.size = 0;
        f->plugs[seat].does.message = wait_message;
        send_texts(f, client, "one|two");
        expect_journal(f, first[seat]);
        f->plugs[seat].does.message = NULL;
        session_resume(f->plugs[seat].session, seat, WEIR_NEXT);
        turns(f);
        expect_journal(f, rest[seat]);
    }
}

static void test_message_that_resumes_with_drop_is_swallowed(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    f->plugs[1].does.message = wait_message;
    send_texts(f, client, "one|two");
    session_resume(f->plugs[1].session, 1, WEIR_DROP);
    turns(f);
    expect_journal(f, "a:message(one) b:message(one) a:message(two) b:message(two) ");
    session_resume(f->plugs[1].session, 1, WEIR_CLOSE);
    turns(f);
    expect_frames(client, "close(1000,) ");
}

/* The parked bytes are a copy: the buffer they came in has been used again since. */
static void test_parked_message_keeps_its_bytes(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    f->plugs[0].does.message = wait_message;
    send_text(f, client, "precious");
    memset(f->worker.read_buffer, '!', WORKER_READ_BYTES);
    session_resume(f->plugs[0].session, 0, WEIR_NEXT);
    expect_journal(f, "a:message(precious) b:message(precious) c:message(precious) ");
}

static void test_empty_messages_can_wait(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    f->plugs[0].does.message = wait_message;
    send_frame(f, client, WS_FIN | WS_TEXT, SPAN(""));
    session_resume(f->plugs[0].session, 0, WEIR_NEXT);
    send_frame(f, client, WS_BINARY, SPAN(""));
    send_frame(f, client, WS_FIN | WS_CONTINUATION, SPAN(""));
    session_resume(f->plugs[0].session, 0, WEIR_NEXT);
    expect_journal(f, "a:message() b:message() c:message() a:message() b:message() c:message() ");
}

static void test_two_seats_wait_one_after_the_other(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    f->plugs[0].does.message = wait_message;
    f->plugs[1].does.message = wait_message;
    send_texts(f, client, "one|two");
    session_resume(f->plugs[0].session, 0, WEIR_NEXT);
    turns(f);
    expect_journal(f, "a:message(one) b:message(one) ");
    session_resume(f->plugs[1].session, 1, WEIR_NEXT);
    turns(f);
    expect_journal(f, "c:message(one) a:message(two) ");
}

/* --- back-pressure --- */

/* Sends numbered texts until the socket takes no more; returns how many went out whole. What did
 * not is left in `rest`. */
static unsigned send_until_blocked(struct client *client, struct buffer *rest)
{
    for (unsigned number = 0;; number++) {
        char text[256];
        int size = snprintf(text, sizeof text, "%0200u", number);
        rest->size = 0;
        add_frame(rest, WS_FIN | WS_TEXT, (struct span){(const uint8_t *)text, (size_t)size});
        ssize_t sent = send(client->fd, rest->data, rest->size, MSG_NOSIGNAL);
        if (sent < (ssize_t)rest->size) {
            buffer_drop(rest, sent > 0 ? (size_t)sent : 0);
            return number;
        }
    }
}

static unsigned expected_number;

static enum weir_verdict check_number(struct plug *plug, struct weir_session *session,
                                      const struct weir_message *message)
{
    char text[256];
    (void)session;
    plug->f->journal.size = 0;
    snprintf(text, sizeof text, "%0200u", expected_number++);
    assert_int_equal(message->payload.size, 200);
    assert_memory_equal(message->payload.data, text, 200);
    return WEIR_NEXT;
}

static void test_client_is_not_read_while_a_plugin_waits(void **state)
{
    struct fixture *f = *state;
    struct buffer rest = {0};
    struct client *client = open_quietly(f);
    f->plugs[1].does.message = wait_message;
    f->plugs[2].does.message = check_number;
    expected_number = 0;
    unsigned sent = send_until_blocked(client, &rest);
    const struct connection *connection = f->plugs[1].session->connection;
    turns(f); /* reads once: the wait begins with the first message */
    assert_false(connection->stream.reading);
    size_t kept = blob_size(connection->kept);
    assert_true(kept <= f->websocket.receive_buffer_size);
    assert_int_equal(expected_number, 0);
    turns(f);
    assert_int_equal(blob_size(connection->kept), kept);

    f->plugs[1].does.message = NULL;
    session_resume(f->plugs[1].session, 1, WEIR_NEXT);
    turns(f);
    assert_int_equal(expected_number, sent);
    assert_null(connection->kept);
    client_send(f, client, buffer_span(&rest));
    turns(f);
    assert_int_equal(expected_number, sent + 1);
    buffer_free(&rest);
}

/* --- messages that are passed on while somebody waits --- */

static void pass_text(struct plug *plug, const char *text)
{
    struct weir_message message = {WEIR_TEXT, {(const uint8_t *)text, strlen(text)}};
    session_pass(plug->session, plug->seat, &message);
}

static enum weir_verdict pass_three(struct plug *plug, struct weir_session *session,
                                    const struct weir_message *message)
{
    (void)session;
    (void)message;
    pass_text(plug, "1");
    pass_text(plug, "2");
    pass_text(plug, "3");
    return WEIR_DROP;
}

static void test_passed_messages_queue_before_a_seat_that_waits(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    f->plugs[0].does.message = pass_three;
    f->plugs[1].does.message = wait_message;
    send_text(f, client, "x");
    expect_journal(f, "a:message(x) b:message(1) ");
    session_resume(f->plugs[1].session, 1, WEIR_NEXT);
    expect_journal(f, "c:message(1) b:message(2) ");
    f->plugs[1].does.message = NULL;
    session_resume(f->plugs[1].session, 1, WEIR_NEXT);
    expect_journal(f, "c:message(2) b:message(3) c:message(3) ");
    turns(f);
    expect_journal(f, "");
}

/* The usual way of a plugin that asks somebody else first: it waits, passes on what came of it, and
 * swallows the original; the next seat may wait too. */
static void test_seat_that_waits_passes_a_changed_message_to_another_that_waits(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    f->plugs[0].does.message = wait_message;
    f->plugs[1].does.message = wait_message;
    send_texts(f, client, "one|two");
    pass_text(&f->plugs[0], "ONE");
    session_resume(f->plugs[0].session, 0, WEIR_DROP);
    turns(f);
    expect_journal(f, "a:message(one) b:message(ONE) ");
    session_resume(f->plugs[1].session, 1, WEIR_NEXT);
    turns(f);
    expect_journal(f, "c:message(ONE) a:message(two) ");
}

static enum weir_verdict close_first(struct plug *plug, struct weir_session *session,
                                     const struct weir_message *message)
{
    (void)plug;
    (void)session;
    (void)message;
    return WEIR_CLOSE;
}

static void test_queued_messages_are_dropped_when_the_first_closes(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    f->plugs[0].does.message = pass_three;
    f->plugs[1].does.message = wait_message;
    f->plugs[2].does.message = close_first;
    send_text(f, client, "x");
    f->plugs[1].does.message = NULL;
    session_resume(f->plugs[1].session, 1, WEIR_NEXT);
    turns(f);
    expect_journal(f, "a:message(x) b:message(1) c:message(1) ");
    expect_frames(client, "close(1000,) ");
}

/* While the queue is emptied, the one at its end still waits its turn, and the wait is over. */
static enum weir_verdict pass_a_fourth(struct plug *plug, struct weir_session *session,
                                       const struct weir_message *message)
{
    if (message->payload.data[0] == '1') {
        pass_text(&plug->f->plugs[0], "4");
        session_resume(session, 1, WEIR_CLOSE);
    }
    return WEIR_NEXT;
}

static void test_nothing_overtakes_a_queue_that_is_being_emptied(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    f->plugs[0].does.message = pass_three;
    f->plugs[1].does.message = wait_message;
    f->plugs[2].does.message = pass_a_fourth;
    send_text(f, client, "x");
    f->plugs[1].does.message = NULL;
    session_resume(f->plugs[1].session, 1, WEIR_NEXT);
    turns(f);
    expect_journal(f, "a:message(x) b:message(1) c:message(1) b:message(2) c:message(2) "
                      "b:message(3) c:message(3) b:message(4) c:message(4) ");
    expect_frames(client, "");
}

static void test_queued_messages_go_with_the_session(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    f->plugs[0].does.message = pass_three;
    f->plugs[1].does.message = wait_message;
    f->plugs[2].does.message = echo;
    send_text(f, client, "x");
    connection_cut_all(&f->worker);
    expect_journal(f, "a:message(x) b:message(1) c:close(1006,gateway) b:close(1006,gateway) "
                      "a:close(1006,gateway) ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_opening_waits_and_messages_come_after_it),
        TEST(test_opening_that_resumes_with_close_closes),
        TEST(test_message_waits_at_each_seat_and_none_overtakes_it),
        TEST(test_message_that_resumes_with_drop_is_swallowed),
        TEST(test_parked_message_keeps_its_bytes),
        TEST(test_empty_messages_can_wait),
        TEST(test_two_seats_wait_one_after_the_other),
        TEST(test_client_is_not_read_while_a_plugin_waits),
        TEST(test_passed_messages_queue_before_a_seat_that_waits),
        TEST(test_seat_that_waits_passes_a_changed_message_to_another_that_waits),
        TEST(test_queued_messages_are_dropped_when_the_first_closes),
        TEST(test_nothing_overtakes_a_queue_that_is_being_emptied),
        TEST(test_queued_messages_go_with_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
