/* What the gateway waits for, and how long: no test sleeps, the loop's clock is set forward. Each
 * deadline is looked at a moment before it and a moment after. */
#include "client_fixture.h"

#include "session/session_internal.h"

enum {
    INTERVAL = 10000,
    TIMEOUT = 3000,
    SLACK = 3 * WHEEL_TICK_MS /* the wheel is late by up to two ticks, never early */
};

static int keep_alive_make(void **state)
{
    fixture_make(state);
    struct fixture *f = *state;
    f->websocket.keep_alive_interval_ms = INTERVAL;
    f->websocket.keep_alive_timeout_ms = TIMEOUT;
    return 0;
}

static void send_pong(struct fixture *f, struct client *client)
{
    send_frame(f, client, WS_FIN | WS_PONG, SPAN(""));
}

/* --- keep-alive --- */

static void test_silent_client_is_pinged_after_the_interval(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    pass_ms(f, INTERVAL - WHEEL_TICK_MS);
    expect_frames(client, "");
    pass_ms(f, SLACK);
    expect_frames(client, "ping() ");
}

static void test_client_that_answers_is_pinged_again_and_stays(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    for (unsigned i = 0; i < 3; i++) {
        pass_ms(f, INTERVAL + SLACK);
        expect_frames(client, "ping() ");
        send_pong(f, client);
        pass_ms(f, SLACK);
        expect_frames(client, "");
    }
    expect_journal(f, "");
}

static void test_client_that_talks_is_not_pinged(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    for (unsigned i = 0; i < 10; i++) {
        pass_ms(f, INTERVAL / 2);
        send_text(f, client, "x");
        expect_frames(client, "");
    }
}

static void test_client_that_does_not_answer_is_closed_with_1001(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    pass_ms(f, INTERVAL + SLACK);
    expect_frames(client, "ping() ");
    pass_ms(f, TIMEOUT - SLACK);
    expect_journal(f, "");
    pass_ms(f, SLACK);
    expect_journal(f, "c:close(1001,gateway) b:close(1001,gateway) a:close(1001,gateway) ");
    assert_string_equal(f->reason, "keep-alive timeout");
    expect_frames(client, "close(1001,keep-alive timeout) ");
    assert_true(client->ended);
}

static void test_any_frame_answers_a_ping(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    pass_ms(f, INTERVAL + SLACK);
    send_text(f, client, "alive");
    f->journal.size = 0;
    pass_ms(f, TIMEOUT + SLACK);
    expect_journal(f, "");
}

static void test_without_a_timeout_a_missing_pong_is_forgiven(void **state)
{
    struct fixture *f = *state;
    f->websocket.keep_alive_timeout_ms = 0;
    struct client *client = open_quietly(f);
    pass_ms(f, 3 * (INTERVAL + SLACK));
    expect_frames(client, "ping() ping() ping() ");
    expect_journal(f, "");
}

/* While a plugin waits nothing is read, so a pong may lie unread: silence proves nothing. */
static void test_client_is_not_blamed_for_silence_while_a_plugin_waits(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    pass_ms(f, INTERVAL + SLACK);
    f->plugs[1].does.message = wait_message;
    expect_frames(client, "ping() ");
    send_text(f, client, "x");
    send_pong(f, client);
    pass_ms(f, 5 * INTERVAL);
    expect_frames(client, "");
    session_resume(f->plugs[1].session, 1, WEIR_NEXT);
    pass_ms(f, SLACK);
    expect_journal(f, "a:message(x) b:message(x) c:message(x) ");
    assert_int_equal(f->worker.connection_count, 1);
}

/* The plugin waits with what it was sent before the ping: the pong comes while it waits. */
static void test_ping_from_before_a_wait_is_not_held_against_the_client(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    struct weir_message message = {WEIR_TEXT, {(const uint8_t *)"x", 1}};
    pass_ms(f, INTERVAL + SLACK);
    expect_frames(client, "ping() ");
    f->plugs[1].does.message = wait_message;
    session_pass(f->plugs[0].session, 0, &message);
    send_pong(f, client); /* not read */
    pass_ms(f, INTERVAL + TIMEOUT);
    session_resume(f->plugs[1].session, 1, WEIR_DROP);
    turns(f);
    expect_journal(f, "b:message(x) ");
    assert_true(session_is_open(f->plugs[1].session));
}

/* The client is behind, so its pong is not read; when it has caught up the timer may come first. */
static void test_ping_from_before_a_jam_is_not_held_against_the_client(void **state)
{
    struct fixture *f = *state;
    static const uint8_t piece[1000];
    f->send_buffer_bytes = 4096;
    f->websocket.max_queue_size = 64 * 1024;
    f->websocket.write_timeout_ms = 10 * INTERVAL;
    struct client *client = open_quietly(f);
    struct weir_session *session = f->plugs[2].session;
    pass_ms(f, INTERVAL + SLACK);
    expect_frames(client, "ping() ");
    client->deaf = true;
    while (!session->connection->choked) {
        struct span bytes = {piece, sizeof piece};
        assert_int_equal(session_send(session, 2, WEIR_BINARY, bytes), WEIR_OK);
        assert_true(loop_turn(f->worker.loop, false));
    }
    send_pong(f, client); /* not read */
    loop_skip_ms(f->worker.loop, INTERVAL + SLACK);
    client->deaf = false;
    while (session->connection->choked) {
        client_read(client);
        assert_true(loop_turn(f->worker.loop, false));
    }
    wheel_advance(f->worker.wheel, loop_now_ms(f->worker.loop));
    assert_true(session_is_open(session));
}

/* --- closing --- */

static void test_close_handshake_waits_for_close_timeout(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    assert_int_equal(session_close(f->plugs[0].session, 1000, SPAN("")), WEIR_OK);
    turns(f);
    expect_frames(client, "close(1000,) ");
    pass_ms(f, f->websocket.close_timeout_ms - WHEEL_TICK_MS);
    expect_journal(f, "");
    assert_false(client->ended);
    pass_ms(f, SLACK);
    expect_journal(f, "c:close(1000,gateway) b:close(1000,gateway) a:close(1000,gateway) ");
    assert_true(client->ended);
    assert_int_equal(f->worker.connection_count, 0);
}

static void test_data_after_our_close_does_not_prolong_it(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    assert_int_equal(session_close(f->plugs[0].session, 1000, SPAN("")), WEIR_OK);
    for (unsigned i = 0; i < 10; i++) {
        send_text(f, client, "still talking");
        pass_ms(f, f->websocket.close_timeout_ms / 10);
    }
    pass_ms(f, SLACK);
    expect_journal(f, "c:close(1000,gateway) b:close(1000,gateway) a:close(1000,gateway) ");
    assert_int_equal(f->ending.messages_in, 0);
}

/* After both close frames the client should end its side; one that does not is cut. */
static void test_client_that_lingers_is_cut(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_quietly(f);
    send_close(f, client, 1000, "");
    assert_true(client->ended);
    assert_int_equal(f->worker.connection_count, 1);
    pass_ms(f, 2000 + SLACK);
    assert_int_equal(f->worker.connection_count, 0);
}

/* --- requests --- */

static void test_silent_connection_ends_after_header_timeout(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    pass_ms(f, f->config.http.header_timeout_ms - WHEEL_TICK_MS);
    assert_false(client->ended);
    pass_ms(f, SLACK);
    assert_true(client->ended);
    assert_string_equal(received(client), "");
}

static void test_slow_head_is_told_408_however_it_trickles(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    for (unsigned request = 0; request < 2; request++) {
        assert_false(client->ended);
        for (unsigned i = 0; i < 10; i++) {
            client_says(f, client, i == 0 ? "GET / HTTP/1.1\r\nHost: x\r\nX: " : "y");
            pass_ms(f, f->config.http.header_timeout_ms / 11);
        }
        assert_string_equal(received(client), "");
        if (request == 0) {
            client_says(f, client, "\r\n\r\n");
            assert_true(contains(received(client), "HTTP/1.1 200 OK"));
        }
    }
    pass_ms(f, f->config.http.header_timeout_ms / 11 + SLACK);
    assert_true(contains(received(client), "HTTP/1.1 408 "));
    assert_true(client->ended);
}

static void test_idle_connection_ends_after_idle_timeout(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    client_says(f, client, GET_HEAD);
    (void)received(client);
    pass_ms(f, f->config.http.idle_timeout_ms - WHEEL_TICK_MS);
    assert_false(client->ended);
    pass_ms(f, SLACK);
    assert_true(client->ended);
    assert_string_equal(received(client), "");
}

static void test_slow_body_is_told_408(void **state)
{
    struct fixture *f = *state;
    f->plugs[2].does.request = wait_request;
    struct client *client = connect_client(f, 0);
    client_says(f, client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n");
    request_want_body(f->plugs[2].request, 2);
    for (unsigned i = 0; i < 2; i++) {
        pass_ms(f, f->config.http.body_timeout_ms - WHEEL_TICK_MS);
        assert_string_equal(received(client), "");
        client_says(f, client, "x"); /* each byte gives more time */
    }
    pass_ms(f, f->config.http.body_timeout_ms + SLACK);
    assert_true(contains(received(client), "HTTP/1.1 408 "));
    assert_true(client->ended);
    expect_journal(f, "a:request b:request c:request "
                      "c:done(408,gateway) b:done(408,gateway) a:done(408,gateway) ");
}

/* A plugin may think as long as it likes. */
static void test_request_that_waits_has_no_deadline(void **state)
{
    struct fixture *f = *state;
    f->plugs[2].does.request = wait_request;
    struct client *client = connect_client(f, 0);
    client_says(f, client, GET_HEAD);
    pass_ms(f, 2 * f->config.http.idle_timeout_ms);
    assert_false(client->ended);
    assert_int_equal(request_reply(f->plugs[2].request, 200, NULL, 0, SPAN("at last")), WEIR_OK);
    turns(f);
    assert_string_equal(body_of(received(client)), "at last");
}

#define KEEP_ALIVE_TEST(function)                                                                  \
    cmocka_unit_test_setup_teardown(function, keep_alive_make, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEEP_ALIVE_TEST(test_silent_client_is_pinged_after_the_interval),
        KEEP_ALIVE_TEST(test_client_that_answers_is_pinged_again_and_stays),
        KEEP_ALIVE_TEST(test_client_that_talks_is_not_pinged),
        KEEP_ALIVE_TEST(test_client_that_does_not_answer_is_closed_with_1001),
        KEEP_ALIVE_TEST(test_any_frame_answers_a_ping),
        KEEP_ALIVE_TEST(test_without_a_timeout_a_missing_pong_is_forgiven),
        KEEP_ALIVE_TEST(test_client_is_not_blamed_for_silence_while_a_plugin_waits),
        KEEP_ALIVE_TEST(test_ping_from_before_a_wait_is_not_held_against_the_client),
        KEEP_ALIVE_TEST(test_ping_from_before_a_jam_is_not_held_against_the_client),
        TEST(test_close_handshake_waits_for_close_timeout),
        TEST(test_data_after_our_close_does_not_prolong_it),
        TEST(test_client_that_lingers_is_cut),
        TEST(test_silent_connection_ends_after_header_timeout),
        TEST(test_slow_head_is_told_408_however_it_trickles),
        TEST(test_idle_connection_ends_after_idle_timeout),
        TEST(test_slow_body_is_told_408),
        TEST(test_request_that_waits_has_no_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
