/* The chain of three plugins: requests walk it first to last, messages inwards, what is sent
 * outwards in reverse, and the end unwinds last to first. */
#include "client_fixture.h"

/* --- requests --- */

static enum weir_verdict reply_early(struct plug *plug, struct weir_request *request)
{
    (void)plug;
    assert_int_equal(request_reply(request, 403, NULL, 0, SPAN("no")), WEIR_OK);
    return WEIR_REPLY;
}

static enum weir_verdict drop_request(struct plug *plug, struct weir_request *request)
{
    (void)plug;
    (void)request;
    return WEIR_DROP;
}

static enum weir_verdict accept_early(struct plug *plug, struct weir_request *request)
{
    (void)plug;
    (void)request;
    return WEIR_ACCEPT;
}

static enum weir_verdict pass_on(struct plug *plug, struct weir_request *request)
{
    (void)plug;
    (void)request;
    return WEIR_NEXT;
}

static void test_request_walks_in_order_and_unwinds_in_reverse(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    client_says(f, client, GET_HEAD);
    expect_journal(f, "a:request b:request c:request "
                      "c:done(200,gateway) b:done(200,gateway) a:done(200,gateway) ");
    assert_int_equal(f->ending.bytes_out, 5);
    const char *answer = received(client);
    assert_true(contains(answer, "HTTP/1.1 200 OK\r\n"));
    assert_string_equal(body_of(answer), "hello");
    assert_false(client->ended);
}

static void test_reply_ends_the_walk_and_only_those_asked_hear_of_the_end(void **state)
{
    struct fixture *f = *state;
    for (unsigned seat = 0; seat < SEATS; seat++) {
        static const char *const journals[SEATS] = {
            "a:request a:done(403,gateway) ",
            "a:request b:request b:done(403,gateway) a:done(403,gateway) ",
            ("a:request b:request c:request "
             "c:done(403,gateway) b:done(403,gateway) a:done(403,gateway) ")};
        f->plugs[seat].does.request = reply_early;
        struct client *client = connect_client(f, seat);
        client_says(f, client, GET_HEAD);
        expect_journal(f, journals[seat]);
        assert_string_equal(body_of(received(client)), "no");
        f->plugs[seat].does.request = seat == SEATS - 1 ? accept_or_hello : pass_on;
    }
}

static void test_drop_cuts_the_connection_without_an_answer(void **state)
{
    struct fixture *f = *state;
    f->plugs[1].does.request = drop_request;
    struct client *client = connect_client(f, 0);
    client_says(f, client, GET_HEAD);
    expect_journal(f, "a:request b:request b:done(0,gateway) a:done(0,gateway) ");
    assert_true(client->ended);
    assert_string_equal(received(client), "");
    assert_int_equal(f->worker.connection_count, 0);
}

static void test_request_that_falls_through_is_refused(void **state)
{
    struct fixture *f = *state;
    f->plugs[2].does.request = pass_on;
    struct client *client = connect_client(f, 0);
    client_says(f, client, GET_HEAD);
    assert_true(contains(received(client), "HTTP/1.1 426 "));
    expect_journal(f, "a:request b:request c:request "
                      "c:done(426,gateway) b:done(426,gateway) a:done(426,gateway) ");
    f->route_config.websocket = NULL;
    client_says(f, client, GET_HEAD);
    assert_true(contains(received(client), "HTTP/1.1 404 "));
}

static void test_upgrade_that_falls_through_is_accepted(void **state)
{
    struct fixture *f = *state;
    f->plugs[2].does.request = pass_on;
    open_session(f);
    expect_journal(f, "a:request b:request c:request a:open b:open c:open ");
}

static void test_accept_of_a_plain_request_is_refused(void **state)
{
    struct fixture *f = *state;
    f->plugs[2].does.request = accept_early;
    struct client *client = connect_client(f, 0);
    client_says(f, client, GET_HEAD);
    assert_true(contains(received(client), "HTTP/1.1 426 "));
}

/* A plugin that accepts is the last of the session's chain. */
static void test_plugins_behind_the_one_that_accepts_see_nothing(void **state)
{
    struct fixture *f = *state;
    f->plugs[1].does.request = accept_early;
    struct client *client = open_session(f);
    send_text(f, client, "hi");
    send_close(f, client, 1000, "");
    expect_journal(f, "a:request b:request a:open b:open a:message(hi) b:message(hi) "
                      "b:close(1000,client) a:close(1000,client) ");
}

/* --- messages --- */

static enum weir_verdict drop_message(struct plug *plug, struct weir_session *session,
                                      const struct weir_message *message)
{
    (void)plug;
    (void)session;
    (void)message;
    return WEIR_DROP;
}

static enum weir_verdict close_message(struct plug *plug, struct weir_session *session,
                                       const struct weir_message *message)
{
    (void)plug;
    (void)session;
    (void)message;
    return WEIR_CLOSE;
}

static void test_messages_walk_inwards_and_sends_outwards(void **state)
{
    struct fixture *f = *state;
    f->plugs[2].does.message = echo;
    struct client *client = open_session(f);
    expect_journal(f, "a:request b:request c:request a:open b:open c:open ");
    send_texts(f, client, "one|two");
    expect_journal(f, "a:message(one) b:message(one) c:message(one) b:send(one) a:send(one) "
                      "a:message(two) b:message(two) c:message(two) b:send(two) a:send(two) ");
    expect_frames(client, "text(one) text(two) ");
    send_frame(f, client, WS_FIN | WS_BINARY, SPAN("raw"));
    expect_frames(client, "binary(raw) ");
}

static void test_send_from_a_seat_walks_only_the_plugins_before_it(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    for (unsigned seat = 0; seat < SEATS; seat++) {
        assert_int_equal(session_send(f->plugs[0].session, seat, WEIR_TEXT, SPAN("x")), WEIR_OK);
    }
    turns(f);
    expect_journal(f, "a:send(x) b:send(x) a:send(x) ");
    expect_frames(client, "text(x) text(x) text(x) ");
}

static void test_drop_swallows_a_message_on_its_way_in(void **state)
{
    struct fixture *f = *state;
    f->plugs[1].does.message = drop_message;
    struct client *client = open_quietly(f);
    send_texts(f, client, "one|two");
    expect_journal(f, "a:message(one) b:message(one) a:message(two) b:message(two) ");
    send_close(f, client, 1000, "");
    assert_int_equal(f->ending.messages_in, 2);
}

static void test_drop_swallows_a_message_on_its_way_out(void **state)
{
    struct fixture *f = *state;
    f->plugs[1].does.send = drop_message;
    f->plugs[2].does.message = echo;
    struct client *client = open_quietly(f);
    send_text(f, client, "one");
    expect_journal(f, "a:message(one) b:message(one) c:message(one) b:send(one) ");
    expect_frames(client, "");
    send_close(f, client, 1000, "");
    assert_int_equal(f->ending.messages_out, 0);
    assert_int_equal(f->ending.bytes_out, 0);
}

static void test_close_from_any_seat_closes_with_1000(void **state)
{
    struct fixture *f = *state;
    static const char *const journals[SEATS] = {"a:message(x) ", "a:message(x) b:message(x) ",
                                                "a:message(x) b:message(x) c:message(x) "};
    for (unsigned seat = 0; seat < SEATS; seat++) {
        f->plugs[seat].does.message = close_message;
        struct client *client = open_session_at(f, seat);
        f->journal.size = 0;
        send_text(f, client, "x");
        expect_journal(f, journals[seat]);
        expect_frames(client, "close(1000,) ");
        send_close(f, client, 1000, "");
        expect_journal(f, "c:close(1000,gateway) b:close(1000,gateway) a:close(1000,gateway) ");
        assert_true(client->ended);
        f->plugs[seat].does.message = NULL;
    }
}

static enum weir_verdict close_open(struct plug *plug, struct weir_session *session)
{
    (void)plug;
    (void)session;
    return WEIR_CLOSE;
}

static void test_close_while_opening_stops_the_opening(void **state)
{
    struct fixture *f = *state;
    f->plugs[1].does.open = close_open;
    struct client *client = connect_client(f, 0);
    client_says(f, client, UPGRADE_HEAD);
    client->in.size = 0;
    send_close(f, client, 1000, "");
    expect_journal(f, "a:request b:request c:request a:open b:open "
                      "c:close(1000,gateway) b:close(1000,gateway) a:close(1000,gateway) ");
}

/* --- changed messages from the middle --- */

static enum weir_verdict pass_changed(struct plug *plug, struct weir_session *session,
                                      const struct weir_message *message)
{
    struct weir_message one = {WEIR_BINARY, {(const uint8_t *)"first", 5}};
    struct weir_message two = {WEIR_TEXT, {(const uint8_t *)"second", 6}};
    (void)message;
    session_pass(session, plug->seat, &one);
    session_pass(session, plug->seat, &two);
    return WEIR_DROP;
}

static enum weir_verdict send_changed(struct plug *plug, struct weir_session *session,
                                      const struct weir_message *message)
{
    (void)message;
    assert_int_equal(session_send(session, plug->seat, WEIR_BINARY, SPAN("changed")), WEIR_OK);
    return WEIR_DROP;
}

static void test_middle_seat_changes_messages_both_ways(void **state)
{
    struct fixture *f = *state;
    f->plugs[1].does.message = pass_changed;
    f->plugs[1].does.send = send_changed;
    f->plugs[2].does.message = echo;
    struct client *client = open_quietly(f);
    send_text(f, client, "x");
    expect_journal(f, "a:message(x) b:message(x) c:message(first) b:send(first) a:send(changed) "
                      "c:message(second) b:send(second) a:send(changed) ");
    expect_frames(client, "binary(changed) binary(changed) ");
}

/* The handler is the end of the chain: what it passes on goes nowhere. */
static void test_passing_on_from_the_handler_is_the_end(void **state)
{
    struct fixture *f = *state;
    f->plugs[2].does.message = pass_changed;
    struct client *client = open_quietly(f);
    send_text(f, client, "x");
    expect_journal(f, "a:message(x) b:message(x) c:message(x) ");
}

/* --- plugins without callbacks --- */

static void test_plugins_without_callbacks_are_passed_over(void **state)
{
    struct fixture *f = *state;
    static const struct weir_plugin_ops none = {.struct_size = sizeof none};
    f->chain[1].ops = &none;
    f->plugs[2].does.message = echo;
    struct client *client = open_session(f);
    send_text(f, client, "x");
    send_close(f, client, 1000, "");
    expect_journal(f, "a:request c:request a:open c:open a:message(x) c:message(x) a:send(x) "
                      "c:close(1000,client) a:close(1000,client) ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_request_walks_in_order_and_unwinds_in_reverse),
        TEST(test_reply_ends_the_walk_and_only_those_asked_hear_of_the_end),
        TEST(test_drop_cuts_the_connection_without_an_answer),
        TEST(test_request_that_falls_through_is_refused),
        TEST(test_upgrade_that_falls_through_is_accepted),
        TEST(test_accept_of_a_plain_request_is_refused),
        TEST(test_plugins_behind_the_one_that_accepts_see_nothing),
        TEST(test_messages_walk_inwards_and_sends_outwards),
        TEST(test_send_from_a_seat_walks_only_the_plugins_before_it),
        TEST(test_drop_swallows_a_message_on_its_way_in),
        TEST(test_drop_swallows_a_message_on_its_way_out),
        TEST(test_close_from_any_seat_closes_with_1000),
        TEST(test_close_while_opening_stops_the_opening),
        TEST(test_middle_seat_changes_messages_both_ways),
        TEST(test_passing_on_from_the_handler_is_the_end),
        TEST(test_plugins_without_callbacks_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
