/* How a bridge ends, and what each side is told of the other's end. */
#include "bridge_fixture.h"

/* --- the backend begins --- */

static void test_answers_the_backends_close_and_passes_it_on(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_closes(f, 4001, "enough");
    expect_frames(f, "close(4001,enough) ");
    expect_told(f, "close(BACKEND,4001,enough) ");
    expect_timeout(f, 5000);
    backend_hangs_up(f);
    assert_int_equal(f->closes, 1);
    session_over(f, 4001, "backend", "enough");
    expect_told(f, "");
}

static void test_passes_a_close_without_a_code_on_as_1005(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_says(f, WS_FIN | WS_CLOSE, SPAN(""));
    expect_frames(f, "close(1005,) ");
    expect_told(f, "close(BACKEND,1005,) ");
}

static void test_delivers_what_the_backend_sent_before_its_close(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_sends(f, "\x81\x04last\x88\x02\x03\xe8\x81\x04late", 16);
    turns(f);
    expect_told(f, "text[last] close(BACKEND,1000,) ");
    expect_frames(f, "close(1000,) ");
}

static void test_sends_nothing_behind_its_answer_to_a_close(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_closes(f, 1000, "");
    client_text(f, "late");
    backend_says(f, WS_FIN | WS_PING, SPAN("late"));
    session_over(f, 1000, "backend", "");
    expect_frames(f, "close(1000,) ");
}

static void test_cuts_a_backend_that_does_not_end_its_connection(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_closes(f, 1000, "");
    session_over(f, 1000, "backend", "");
    assert_int_equal(f->closes, 0);
    time_out(f);
    assert_int_equal(f->closes, 1);
    backend_reads(f);
    assert_true(f->fin);
}

static void test_refuses_a_malformed_close_frame(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_says(f, WS_FIN | WS_CLOSE, SPAN("\x03"));
    expect_frames(f, "close(1002,the close frame is malformed) ");
    expect_told(f, "close(BACKEND_PROTOCOL,1014,the backend broke the WebSocket protocol) ");
}

static void test_refuses_a_close_code_that_may_not_be_sent(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_closes(f, 1006, "");
    expect_frames(f, "close(1002,the close frame is malformed) ");
    expect_told(f, "close(BACKEND_PROTOCOL,1014,the backend broke the WebSocket protocol) ");
}

/* --- the backend is lost --- */

static void test_tells_the_client_that_the_backend_was_lost(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_sends(f, "\x81\x04last\x81\x05half", 12);
    backend_hangs_up(f);
    expect_told(f, "text[last] text[half.. close(BACKEND_LOST,1014,the backend was lost) ");
    assert_int_equal(f->closes, 1);
    client_text(f, "nobody hears this");
    bridge_drained(f->bridge);
    turns(f);
    session_over(f, 1014, "backend", "");
}

static void test_says_1012_where_the_settings_want_it(void **state)
{
    struct fixture *f = *state;
    f->settings.lost_code = 1012;
    open_bridge(f);
    backend_hangs_up(f);
    expect_told(f, "close(BACKEND_LOST,1012,the backend was lost) ");
}

/* A write finds it out first; what came before is read all the same. */
static void test_delivers_what_a_lost_backend_had_sent_when_a_write_fails(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    backend_sends(f, "\x81\x04last", 6);
    close(f->fd);
    f->fd = -1;
    client_text(f, "into the void");
    cork_flush(&f->worker.cork);
    assert_true(f->bridge->unwritable);
    expect_told(f, "");
    turns(f);
    expect_told(f, "text[last] close(BACKEND_LOST,1014,the backend was lost) ");
}

/* What was queued is lost then, although the socket has nothing to tell. */
static void test_gives_up_a_backend_when_what_was_queued_cannot_be_sent(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    f->backend.stream.broken = true;
    f->backend.ops->ready(&f->backend, false, true);
    expect_told(f, "");
    turns(f);
    expect_told(f, "close(BACKEND_LOST,1014,the backend was lost) ");
    assert_int_equal(f->closes, 1);
}

static void test_does_not_wait_for_a_backend_that_takes_no_close(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    close(f->fd);
    f->fd = -1;
    session_over(f, 1000, "client", "");
    assert_int_equal(f->closes, 1);
    expect_told(f, "");
}

/* --- the client ends --- */

static void ends_with(void **state, uint16_t code, const char *closed_by, const char *reason,
                      const char *frame)
{
    struct fixture *f = *state;
    open_bridge(f);
    client_text(f, "last");
    session_over(f, code, closed_by, reason);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "text(last) %s ", frame);
    expect_frames(f, wanted);
    expect_timeout(f, 5000);
    assert_int_equal(f->closes, 0);
    backend_sends(f, "\x81\x04late\x88\x00\x81\x04late", 14);
    turns(f);
    expect_frames(f, "");
    expect_told(f, "");
    assert_int_equal(f->closes, 0);
    backend_hangs_up(f);
    assert_int_equal(f->closes, 1);
}

static void test_passes_the_clients_code_and_reason_on_behind_its_messages(void **state)
{
    ends_with(state, 1000, "client", "bye", "close(1000,bye)");
}

static void test_passes_a_code_of_the_applications_own_on(void **state)
{
    ends_with(state, 4999, "client", "", "close(4999,)");
}

static void test_passes_1005_on_as_a_close_frame_without_a_code(void **state)
{
    ends_with(state, 1005, "client", "", "close(1005,)");
}

static void test_never_sends_1006_but_1001(void **state)
{
    ends_with(state, 1006, "client", "", "close(1001,the client is gone)");
}

static void test_passes_on_what_the_client_blames_the_backend_for(void **state)
{
    ends_with(state, 1002, "client", "you broke it", "close(1002,you broke it)");
}

static void test_does_not_blame_the_backend_for_what_the_client_did(void **state)
{
    ends_with(state, 1009, "gateway", "message over max_message_size",
              "close(1001,the client is gone)");
}

static void test_closes_backends_with_1001_when_the_gateway_stops(void **state)
{
    ends_with(state, 1001, "gateway", "stopping", "close(1001,stopping)");
}

static void test_passes_on_how_a_plugin_closed_the_session(void **state)
{
    ends_with(state, 4003, "gateway", "banned", "close(4003,banned)");
}

static void test_cuts_a_backend_that_does_not_answer_a_close(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    session_over(f, 1000, "client", "");
    unsigned set = f->timeouts_set;
    for (unsigned i = 0; i < 5; i++) {
        backend_text(f, "I go on talking");
    }
    assert_int_equal(f->timeouts_set, set); /* which does not buy it time */
    assert_int_equal(f->closes, 0);
    time_out(f);
    assert_int_equal(f->closes, 1);
    expect_told(f, "");
}

static void test_goes_on_reading_for_the_close_when_the_client_was_behind(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    f->session.behind = true;
    backend_text(f, "one");
    backend_text(f, "two");
    f->journal.size = 0;
    session_over(f, 1006, "client", "");
    expect_told(f, "");
    expect_frames(f, "close(1001,the client is gone) ");
    backend_hangs_up(f);
    assert_int_equal(f->closes, 1);
}

static void test_cuts_a_backend_that_breaks_rules_after_the_session(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    session_over(f, 1000, "client", "");
    backend_sends(f, "\x83\x00", 2);
    turns(f);
    assert_int_equal(f->closes, 1);
}

static void test_reads_away_messages_of_any_size_after_the_session(void **state)
{
    struct fixture *f = *state;
    f->settings.max_message_size = 4;
    open_bridge(f);
    session_over(f, 1000, "client", "");
    backend_text(f, "longer than four");
    backend_closes(f, 1000, "");
    assert_int_equal(f->closes, 0);
    backend_hangs_up(f);
    assert_int_equal(f->closes, 1);
}

static void test_is_freed_when_the_worker_ends_first(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    session_over(f, 1000, "client", "");
    backend_sends(f, "\x81\x04ha", 4);
    turns(f);
    assert_int_equal(f->closes, 0);
    /* fixture_free drops the backend; a bridge that is left would be a leak. */
}

static void test_closes_a_backend_whose_client_never_got_its_session(void **state)
{
    struct fixture *f = *state;
    struct buffer head = {0};
    const char *why = "";
    assert_int_equal(shake_hands(f, &head, SPAN("\x81\x05hello"), &why), WEIR_OK);
    buffer_free(&head);
    bridge_free(&f->bridge);
    assert_null(f->bridge);
    turns(f);
    expect_frames(f, "close(1001,the client is gone) ");
    expect_told(f, "");
    backend_closes(f, 1001, "");
    backend_hangs_up(f);
    assert_int_equal(f->closes, 1);
}

/* --- both begin --- */

static void test_closes_crossing_each_other_are_one_handshake(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    f->session.closing = true; /* the client's close frame is being answered */
    backend_closes(f, 1001, "restart");
    expect_told(f, "");
    expect_frames(f, "close(1001,restart) ");
    session_over(f, 1000, "client", "bye");
    expect_frames(f, "");
    backend_hangs_up(f);
    assert_int_equal(f->closes, 1);
}

/* --- pings --- */

static void open_with_pings(struct fixture *f, uint64_t interval_ms, uint64_t timeout_ms)
{
    f->settings.ping_interval_ms = interval_ms;
    f->settings.ping_timeout_ms = timeout_ms;
    open_bridge(f);
}

static void test_sets_no_timer_without_pings(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    assert_int_equal(f->timeout_ms, 0);
}

static void test_pings_a_silent_backend_and_believes_its_pong(void **state)
{
    struct fixture *f = *state;
    open_with_pings(f, 30000, 10000);
    expect_timeout(f, 30000);
    time_out(f);
    expect_frames(f, "ping() ");
    expect_timeout(f, 10000);
    backend_says(f, WS_FIN | WS_PONG, SPAN(""));
    time_out(f);
    expect_frames(f, "");
    expect_told(f, "");
    expect_timeout(f, 20000); /* the rest of the interval since the pong */
}

static void test_lets_messages_move_no_timer(void **state)
{
    struct fixture *f = *state;
    open_with_pings(f, 30000, 10000);
    unsigned set = f->timeouts_set;
    for (unsigned i = 0; i < 5; i++) {
        client_text(f, "there");
        backend_text(f, "back");
    }
    assert_int_equal(f->timeouts_set, set);
    loop_skip_ms(f->worker.loop, 20000);
    turn(f);
    backend_text(f, "alive");
    loop_skip_ms(f->worker.loop, 10000);
    turn(f);
    f->in.size = 0;
    f->backend.ops->timed_out(&f->backend);
    expect_frames(f, "");
    assert_true(f->timeout_ms > 19000 && f->timeout_ms <= 20000);
}

static void test_gives_up_a_backend_that_answers_no_ping(void **state)
{
    struct fixture *f = *state;
    open_with_pings(f, 30000, 10000);
    time_out(f);
    time_out(f);
    expect_frames(f, "ping() close(1001,no answer to a ping) ");
    expect_told(f, "close(BACKEND_TIMEOUT,1014,the backend was silent for too long) ");
    expect_timeout(f, 5000);
    time_out(f);
    assert_int_equal(f->closes, 1);
}

static void test_looks_for_a_pong_when_it_is_due_and_not_at_the_next_interval(void **state)
{
    struct fixture *f = *state;
    open_with_pings(f, 6000, 10000);
    time_out(f);
    expect_timeout(f, 6000);
    time_out(f);
    assert_true(f->timeout_ms > 0 && f->timeout_ms <= 4000);
    expect_frames(f, "ping() ");
    time_out(f);
    expect_told(f, "close(BACKEND_TIMEOUT,1014,the backend was silent for too long) ");
}

static void test_forgives_a_missing_pong_without_a_timeout(void **state)
{
    struct fixture *f = *state;
    open_with_pings(f, 30000, 0);
    for (unsigned i = 0; i < 3; i++) {
        time_out(f);
        expect_frames(f, "ping() ");
        expect_timeout(f, 30000);
    }
    expect_told(f, "");
}

static void test_blames_no_silence_on_a_backend_that_is_not_read(void **state)
{
    struct fixture *f = *state;
    open_with_pings(f, 30000, 10000);
    f->session.behind = true;
    backend_text(f, "one");
    time_out(f);
    time_out(f);
    expect_frames(f, "");
    expect_told(f, "text[one] ");
}

static void test_tells_the_log_what_went_each_way_with_the_heads_of_frames(void **state)
{
    struct fixture *f = *state;
    f->request.record.bytes_sent = 1000; /* of the handshake */
    f->request.record.bytes_received = 2000;
    open_bridge(f);
    backend_text(f, "four");
    backend_says(f, WS_FIN | WS_PING, SPAN("?"));
    client_text(f, "three");
    session_over(f, 1000, "client", "");
    expect_frames(f, "pong(?) text(three) close(1000,) ");
    assert_int_equal(f->request.record.bytes_received, 2000 + (2 + 4) + (2 + 1));
    /* The close frame is for after the log's line. */
    assert_int_equal(f->request.record.bytes_sent, 1000 + (6 + 1) + (6 + 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answers_the_backends_close_and_passes_it_on),
        TEST(test_passes_a_close_without_a_code_on_as_1005),
        TEST(test_delivers_what_the_backend_sent_before_its_close),
        TEST(test_sends_nothing_behind_its_answer_to_a_close),
        TEST(test_cuts_a_backend_that_does_not_end_its_connection),
        TEST(test_refuses_a_malformed_close_frame),
        TEST(test_refuses_a_close_code_that_may_not_be_sent),
        TEST(test_tells_the_client_that_the_backend_was_lost),
        TEST(test_says_1012_where_the_settings_want_it),
        TEST(test_delivers_what_a_lost_backend_had_sent_when_a_write_fails),
        TEST(test_gives_up_a_backend_when_what_was_queued_cannot_be_sent),
        TEST(test_does_not_wait_for_a_backend_that_takes_no_close),
        TEST(test_passes_the_clients_code_and_reason_on_behind_its_messages),
        TEST(test_passes_a_code_of_the_applications_own_on),
        TEST(test_passes_1005_on_as_a_close_frame_without_a_code),
        TEST(test_never_sends_1006_but_1001),
        TEST(test_passes_on_what_the_client_blames_the_backend_for),
        TEST(test_does_not_blame_the_backend_for_what_the_client_did),
        TEST(test_closes_backends_with_1001_when_the_gateway_stops),
        TEST(test_passes_on_how_a_plugin_closed_the_session),
        TEST(test_cuts_a_backend_that_does_not_answer_a_close),
        TEST(test_goes_on_reading_for_the_close_when_the_client_was_behind),
        TEST(test_cuts_a_backend_that_breaks_rules_after_the_session),
        TEST(test_reads_away_messages_of_any_size_after_the_session),
        TEST(test_is_freed_when_the_worker_ends_first),
        TEST(test_closes_a_backend_whose_client_never_got_its_session),
        TEST(test_closes_crossing_each_other_are_one_handshake),
        TEST(test_tells_the_log_what_went_each_way_with_the_heads_of_frames),
        TEST(test_sets_no_timer_without_pings),
        TEST(test_pings_a_silent_backend_and_believes_its_pong),
        TEST(test_lets_messages_move_no_timer),
        TEST(test_gives_up_a_backend_that_answers_no_ping),
        TEST(test_looks_for_a_pong_when_it_is_due_and_not_at_the_next_interval),
        TEST(test_forgives_a_missing_pong_without_a_timeout),
        TEST(test_blames_no_silence_on_a_backend_that_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
