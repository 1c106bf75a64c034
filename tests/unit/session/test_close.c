/* How sessions end: whoever ends it and however, each plugin hears of it once, last to first, with
 * the same code, reason and counts; and what plugins may still call then. */
#include "client_fixture.h"

#define UNWOUND(how) "c:close(" how ") b:close(" how ") a:close(" how ") "

static void test_close_by_the_client_is_echoed_and_told(void **state)
{
    struct fixture *f = *state;
    f->plugs[2].does.message = echo;
    struct client *client = open_session(f);
    send_texts(f, client, "four|sixsix");
    f->journal.size = 0;
    client->in.size = 0;
    send_close(f, client, 4321, "enough");
    expect_frames(client, "close(4321,enough) ");
    expect_journal(f, UNWOUND("4321,client"));
    assert_true(client->ended);
    assert_string_equal(f->reason, "enough");
    assert_int_equal(f->ending.struct_size, sizeof f->ending);
    assert_int_equal(f->ending.status, 101);
    assert_int_equal(f->ending.messages_in, 2);
    assert_int_equal(f->ending.messages_out, 2);
    assert_int_equal(f->ending.bytes_in, 10);
    assert_int_equal(f->ending.bytes_out, 10);
    assert_string_equal(f->ending.words, "closed by the client");
}

static void test_close_without_a_code_is_1005(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    send_frame(f, client, WS_FIN | WS_CLOSE, SPAN(""));
    expect_frames(client, "close(1005,) ");
    expect_journal(f, UNWOUND("1005,client"));
    assert_string_equal(f->reason, "");
}

static void test_lost_client_is_1006(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    client_closes(f, client);
    expect_journal(f, UNWOUND("1006,client"));
    assert_int_equal(f->worker.connection_count, 0);
}

static void test_reset_by_the_client_is_1006(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    client->deaf = true;
    assert_int_equal(session_send(f->plugs[2].session, 2, WEIR_TEXT, SPAN("unread")), WEIR_OK);
    turns(f);
    f->journal.size = 0;
    client_closes(f, client); /* with something unread it is a reset */
    expect_journal(f, UNWOUND("1006,client"));
}

static void test_protocol_error_tells_why_and_hangs_up(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    client_send(f, client, SPAN("\x81\x02hi")); /* RFC 6455, section 5.1: not masked */
    turns(f);
    assert_int_equal(client->in.data[0], 0x88);
    assert_memory_equal(client->in.data + 2, "\x03\xea", 2);
    assert_true(client->ended);
    expect_journal(f, UNWOUND("1002,gateway"));
    assert_string_equal(f->ending.words, "the client broke the WebSocket protocol");
}

static void test_duration_counts_from_the_request(void **state)
{
    struct fixture *f = *state;
    uint64_t before = clock_monotonic_us();
    struct client *client = open_session(f);
    send_close(f, client, 1000, "");
    assert_true(f->ending.duration_us <= clock_monotonic_us() - before);
}

/* --- closed by a plugin --- */

static enum weir_verdict close_with_reason(struct plug *plug, struct weir_session *session,
                                           const struct weir_message *message)
{
    (void)message;
    assert_true(session_is_open(session));
    assert_int_equal(session_close(session, 4001, SPAN("bye")), WEIR_OK);
    assert_false(session_is_open(session));
    assert_int_equal(session_close(session, 4002, SPAN("again")), WEIR_ECLOSED);
    assert_int_equal(session_send(session, plug->seat, WEIR_TEXT, SPAN("late")), WEIR_ECLOSED);
    assert_int_equal(session_ping(session, SPAN("late")), WEIR_ECLOSED);
    session_fail(session);
    return WEIR_CLOSE;
}

static void test_first_close_of_a_plugin_counts(void **state)
{
    struct fixture *f = *state;
    f->plugs[1].does.message = close_with_reason;
    struct client *client = open_quietly(f);
    send_texts(f, client, "x|y");
    expect_journal(f, "a:message(x) b:message(x) ");
    expect_frames(client, "close(4001,bye) ");
    send_close(f, client, 4003, "their own");
    expect_journal(f, UNWOUND("4001,gateway"));
    assert_string_equal(f->reason, "bye");
    assert_string_equal(f->ending.words, "closed by a plugin");
    assert_int_equal(f->ending.messages_in, 1);
    assert_true(client->ended);
}

static enum weir_verdict close_open(struct plug *plug, struct weir_session *session)
{
    (void)plug;
    assert_int_equal(session_close(session, 3000, SPAN("not you")), WEIR_OK);
    return WEIR_NEXT;
}

static void test_close_from_on_open_ends_the_opening(void **state)
{
    struct fixture *f = *state;
    f->plugs[0].does.open = close_open;
    struct client *client = connect_client(f, 0);
    client_says(f, client, UPGRADE_HEAD);
    assert_true(contains(received(client), "HTTP/1.1 101 "));
    expect_journal(f, "a:request b:request c:request a:open ");
    send_close(f, client, 3000, "");
    expect_journal(f, UNWOUND("3000,gateway"));
    assert_string_equal(f->reason, "not you");
}

static enum weir_verdict close_send(struct plug *plug, struct weir_session *session,
                                    const struct weir_message *message)
{
    (void)plug;
    (void)message;
    assert_int_equal(session_close(session, 1000, SPAN("")), WEIR_OK);
    return WEIR_NEXT;
}

static enum weir_verdict send_to_the_closed(struct plug *plug, struct weir_session *session,
                                            const struct weir_message *message)
{
    (void)message;
    assert_int_equal(session_send(session, plug->seat, WEIR_TEXT, SPAN("x")), WEIR_ECLOSED);
    return WEIR_NEXT;
}

static void test_close_from_on_send_sends_nothing_after(void **state)
{
    struct fixture *f = *state;
    f->plugs[1].does.send = close_send;
    f->plugs[2].does.message = send_to_the_closed;
    struct client *client = open_quietly(f);
    send_text(f, client, "x");
    expect_frames(client, "close(1000,) ");
    send_close(f, client, 1000, "");
    assert_int_equal(f->ending.messages_out, 0);
}

static enum weir_verdict fail_message(struct plug *plug, struct weir_session *session,
                                      const struct weir_message *message)
{
    (void)plug;
    (void)message;
    session_fail(session);
    return WEIR_NEXT;
}

static void test_failing_plugin_closes_with_1011(void **state)
{
    struct fixture *f = *state;
    f->plugs[0].does.message = fail_message;
    struct client *client = open_quietly(f);
    send_text(f, client, "x");
    expect_journal(f, "a:message(x) ");
    expect_frames(client, "close(1011,) ");
    send_close(f, client, 1011, "");
    expect_journal(f, UNWOUND("1011,gateway"));
    assert_string_equal(f->ending.words, "a plugin failed");
}

static void test_codes_that_may_not_be_sent_are_refused(void **state)
{
    struct fixture *f = *state;
    open_quietly(f);
    static const uint16_t bad[] = {0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(session_close(f->plugs[0].session, bad[i], SPAN("")), WEIR_EINVAL);
    }
    assert_true(session_is_open(f->plugs[0].session));
}

static void test_text_that_is_not_utf8_and_long_pings_are_refused(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    struct weir_session *session = f->plugs[2].session;
    uint8_t ping[126] = {0};
    assert_int_equal(session_send(session, 2, WEIR_TEXT, SPAN("\xff")), WEIR_EINVAL);
    assert_int_equal(session_send(session, 2, WEIR_TEXT, SPAN("\xc3")), WEIR_EINVAL);
    assert_int_equal(session_ping(session, (struct span){ping, 126}), WEIR_EINVAL);
    turns(f);
    assert_int_equal(client->in.size, 0);
    assert_int_equal(session_ping(session, (struct span){ping, 125}), WEIR_OK);
    turns(f);
    assert_int_equal(client->in.size, 127);
}

/* --- the unwinding --- */

static void try_everything(struct plug *plug, struct weir_session *session)
{
    struct weir_message message = {WEIR_TEXT, {(const uint8_t *)"x", 1}};
    assert_false(session_is_open(session));
    assert_int_equal(session_send(session, plug->seat, WEIR_TEXT, SPAN("x")), WEIR_ECLOSED);
    assert_int_equal(session_close(session, 1000, SPAN("")), WEIR_ECLOSED);
    assert_int_equal(session_ping(session, SPAN("")), WEIR_ECLOSED);
    session_pass(session, plug->seat, &message);
    session_fail(session);
    session_resume(session, plug->seat, WEIR_NEXT);
    assert_non_null(session_request(session));
    assert_string_equal(request_scheme(session_request(session)), "ws");
}

static void test_calls_from_on_close_do_nothing(void **state)
{
    struct fixture *f = *state;
    for (unsigned seat = 0; seat < SEATS; seat++) {
        f->plugs[seat].does.close = try_everything;
    }
    struct client *client = open_quietly(f);
    send_close(f, client, 1000, "");
    expect_journal(f, UNWOUND("1000,client"));
    expect_frames(client, "close(1000,) ");
    client = open_session_at(f, 1);
    f->journal.size = 0;
    client_closes(f, client);
    expect_journal(f, UNWOUND("1006,client"));
    assert_null(f->worker.cork.owner);
}

static struct weir_session *other;

static void tell_other(struct plug *plug, struct weir_session *session)
{
    (void)session;
    assert_int_equal(session_send(other, plug->seat, WEIR_TEXT, SPAN("gone")), WEIR_OK);
}

static void close_other(struct plug *plug, struct weir_session *session)
{
    plug->does.close = NULL;
    assert_ptr_not_equal(session, other);
    assert_int_equal(session_close(other, 1000, SPAN("me too")), WEIR_OK);
}

static void test_on_close_may_send_to_and_close_another_session(void **state)
{
    struct fixture *f = *state;
    struct client *one = open_session_at(f, 0);
    other = f->plugs[0].session;
    struct client *two = open_session_at(f, 1);
    f->plugs[2].does.close = tell_other;
    f->plugs[1].does.close = tell_other;
    f->plugs[0].does.close = close_other;
    f->route.has_sender = false;
    send_close(f, two, 1000, "");
    expect_frames(one, "text(gone) text(gone) close(1000,me too) ");
    f->plugs[2].does.close = NULL;
    f->plugs[1].does.close = NULL;
    send_close(f, one, 1000, "");
    assert_true(one->ended);
}

/* --- while a plugin waits --- */

static void waits(struct fixture *f, unsigned seat, struct client **client)
{
    f->plugs[seat].does.message = wait_message;
    *client = open_session(f);
    send_text(f, *client, "x");
    f->journal.size = 0;
    (*client)->in.size = 0;
}

static void test_client_that_closes_while_a_plugin_waits_is_heard_after(void **state)
{
    struct fixture *f = *state;
    struct client *client;
    waits(f, 1, &client);
    send_close(f, client, 1000, "later");
    expect_journal(f, "");
    session_resume(f->plugs[1].session, 1, WEIR_NEXT);
    turns(f);
    expect_journal(f, "c:message(x) " UNWOUND("1000,client"));
    assert_string_equal(f->reason, "later");
}

static void test_client_that_is_lost_while_a_plugin_waits_is_missed_at_once(void **state)
{
    struct fixture *f = *state;
    struct client *client;
    waits(f, 1, &client);
    client_closes(f, client);
    expect_journal(f, UNWOUND("1006,client"));
}

static void test_client_that_is_lost_behind_a_message_is_missed_after(void **state)
{
    struct fixture *f = *state;
    struct client *client;
    waits(f, 1, &client);
    send_text(f, client, "y");
    client_closes(f, client);
    expect_journal(f, "");
    f->plugs[1].does.message = NULL;
    session_resume(f->plugs[1].session, 1, WEIR_DROP);
    turns(f);
    expect_journal(f, "a:message(y) b:message(y) c:message(y) " UNWOUND("1006,client"));
}

static void test_protocol_error_behind_a_message_that_waits(void **state)
{
    struct fixture *f = *state;
    struct client *client;
    waits(f, 0, &client);
    client_send(f, client, SPAN("\x81\x02hi"));
    turns(f);
    expect_journal(f, "");
    session_resume(f->plugs[0].session, 0, WEIR_NEXT);
    turns(f);
    expect_journal(f, "b:message(x) c:message(x) " UNWOUND("1002,gateway"));
}

static void test_plugin_may_close_the_session_that_it_keeps_waiting(void **state)
{
    struct fixture *f = *state;
    struct client *client;
    waits(f, 1, &client);
    send_text(f, client, "behind");
    assert_int_equal(session_close(f->plugs[1].session, 4000, SPAN("slow")), WEIR_OK);
    turns(f);
    expect_frames(client, "close(4000,slow) ");
    send_close(f, client, 4000, "");
    expect_journal(f, UNWOUND("4000,gateway"));
    assert_true(client->ended);
}

static void test_stopping_closes_sessions_also_those_that_wait(void **state)
{
    struct fixture *f = *state;
    struct client *client;
    waits(f, 1, &client);
    f->worker.draining = true;
    connection_drain_all(&f->worker);
    turns(f);
    expect_frames(client, "close(1001,going away) ");
    send_close(f, client, 1001, "");
    expect_journal(f, UNWOUND("1001,gateway"));
    assert_string_equal(f->ending.words, "the gateway is stopping");
    assert_int_equal(f->worker.connection_count, 1);
    client_closes(f, client);
    assert_int_equal(f->worker.connection_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_close_by_the_client_is_echoed_and_told),
        TEST(test_close_without_a_code_is_1005),
        TEST(test_lost_client_is_1006),
        TEST(test_reset_by_the_client_is_1006),
        TEST(test_protocol_error_tells_why_and_hangs_up),
        TEST(test_duration_counts_from_the_request),
        TEST(test_first_close_of_a_plugin_counts),
        TEST(test_close_from_on_open_ends_the_opening),
        TEST(test_close_from_on_send_sends_nothing_after),
        TEST(test_failing_plugin_closes_with_1011),
        TEST(test_codes_that_may_not_be_sent_are_refused),
        TEST(test_text_that_is_not_utf8_and_long_pings_are_refused),
        TEST(test_calls_from_on_close_do_nothing),
        TEST(test_on_close_may_send_to_and_close_another_session),
        TEST(test_client_that_closes_while_a_plugin_waits_is_heard_after),
        TEST(test_client_that_is_lost_while_a_plugin_waits_is_missed_at_once),
        TEST(test_client_that_is_lost_behind_a_message_is_missed_after),
        TEST(test_protocol_error_behind_a_message_that_waits),
        TEST(test_plugin_may_close_the_session_that_it_keeps_waiting),
        TEST(test_stopping_closes_sessions_also_those_that_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
