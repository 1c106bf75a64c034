/* WAIT of on_open and on_message: nothing overtakes what is parked at a seat, and the client is not
 * read meanwhile. */
#include "client_fixture.h"

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
        TEST(test_passed_messages_queue_before_a_seat_that_waits),
        TEST(test_seat_that_waits_passes_a_changed_message_to_another_that_waits),
        TEST(test_queued_messages_go_with_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
