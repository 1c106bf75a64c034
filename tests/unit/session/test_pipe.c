/* Requests that have switched to another protocol: a pipe whose directions end one by one, with
 * back-pressure each for itself. And clients that leave before they have their answer. */
#include "client_fixture.h"

#include "session/request_internal.h"

enum {
    BIG = 2 * 1024 * 1024,
    PIECE = 64 * 1024
};

#define TUNNEL_HEAD                                                                                \
    "GET /t HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: other\r\n\r\n"
#define SWITCHING                                                                                  \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n"

static const struct reply_field switching_fields[] = {
    {{(const uint8_t *)"Upgrade", 7}, {(const uint8_t *)"other", 5}},
    {{(const uint8_t *)"Connection", 10}, {(const uint8_t *)"Upgrade", 7}},
};
static const struct reply_head switching = {
    .status = 101, .fields = switching_fields, .count = 2, .length = REPLY_LENGTH_UNKNOWN};

static size_t got; /* bytes of on_body, where they are not noted */

static void note_bytes(struct plug *plug, struct weir_request *request, struct span piece,
                       bool last)
{
    (void)request;
    got += piece.size;
    if (piece.size < 64) {
        note(plug->f, "(%.*s)%s ", SPAN_ARGS(piece), last ? "." : "");
    }
}

static struct weir_request *request_of(struct fixture *f)
{
    return f->plugs[2].request;
}

/* A client whose request waits at the handler. */
static struct client *ask(struct fixture *f, const char *request)
{
    struct client *client = connect_client(f, 0);
    got = 0;
    f->plugs[2].does.request = wait_request;
    f->plugs[2].does.body = note_bytes;
    client_says(f, client, request);
    f->journal.size = 0;
    return client;
}

static struct client *open_pipe(struct fixture *f)
{
    struct client *client = ask(f, TUNNEL_HEAD);
    assert_int_equal(request_switch(request_of(f), 2, &switching), WEIR_OK);
    turns(f);
    assert_string_equal(received(client), SWITCHING);
    return client;
}

static void say(struct fixture *f, const char *text)
{
    bool full = true;
    assert_int_equal(request_reply_body(request_of(f), span_of(text), &full), WEIR_OK);
    assert_false(full);
}

static void test_bytes_go_both_ways_as_they_are(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_pipe(f);
    client_says(f, client, "GET / HTTP/1.1\r\n\r\n");
    expect_journal(f, "(GET / HTTP/1.1\r\n\r\n) ");
    say(f, "0\r\n\r\n");
    turns(f);
    assert_string_equal(received(client), "0\r\n\r\n");
    assert_int_equal(request_of(f)->bytes_in, 18);
    assert_int_equal(request_of(f)->bytes_out, 5);
}

static void test_bytes_behind_the_head_come_first(void **state)
{
    struct fixture *f = *state;
    struct client *client = ask(f, TUNNEL_HEAD "early");
    assert_int_equal(request_switch(request_of(f), 2, &switching), WEIR_OK);
    expect_journal(f, ""); /* never from within */
    client_says(f, client, "later");
    expect_journal(f, "(early) (later) ");
}

static void test_client_may_end_first(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_pipe(f);
    client_send(f, client, SPAN("bye"));
    shutdown(client->fd, SHUT_WR);
    turns(f);
    expect_journal(f, "(bye) (). ");
    say(f, "still here");
    turns(f);
    assert_string_equal(received(client), "still here");
    assert_false(client->ended);
    request_reply_end(request_of(f));
    turns(f);
    assert_true(client->ended);
    expect_journal(f, "c:done(101,client) b:done(101,client) a:done(101,client) ");
    assert_int_equal(f->worker.connection_count, 0);
}

static void test_backend_may_end_first(void **state)
{
    struct fixture *f = *state;
    bool full = false;
    struct client *client = open_pipe(f);
    say(f, "bye");
    request_reply_end(request_of(f));
    assert_int_equal(request_reply_body(request_of(f), SPAN("more"), &full), WEIR_EINVAL);
    turns(f);
    assert_string_equal(received(client), "bye");
    assert_true(client->ended);
    expect_journal(f, "");
    client_says(f, client, "still here");
    expect_journal(f, "(still here) ");
    client_closes(f, client);
    expect_journal(f, "(). c:done(101,backend) b:done(101,backend) a:done(101,backend) ");
}

static void test_end_waits_for_what_was_queued(void **state)
{
    static uint8_t bytes[BIG];
    struct fixture *f = *state;
    bool full = false;
    f->send_buffer_bytes = 4096;
    struct client *client = open_pipe(f);
    client->deaf = true;
    assert_int_equal(request_reply_body(request_of(f), (struct span){bytes, BIG}, &full), WEIR_OK);
    assert_true(full);
    request_reply_end(request_of(f));
    turns(f);
    client->deaf = false;
    turns(f);
    assert_int_equal(client->in.size, BIG);
    assert_true(client->ended);
    expect_journal(f, ""); /* our direction has ended: nobody has more to send */
}

static void test_cut_client_ends_both_directions(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_pipe(f);
    client->deaf = true;
    say(f, "unread"); /* a socket that is closed with unread bytes is reset */
    turns(f);
    client_closes(f, client);
    expect_journal(f, "c:done(101,client) b:done(101,client) a:done(101,client) ");
    assert_string_equal(f->ending.words, "the connection was cut");
}

static void test_abort_cuts(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_pipe(f);
    request_reply_abort(request_of(f), WEIR_CLOSE_BACKEND_TIMEOUT);
    turns(f);
    assert_true(client->ended);
    expect_journal(f, "c:done(101,backend) b:done(101,backend) a:done(101,backend) ");
    assert_string_equal(f->ending.words, "the backend was silent for too long");
    assert_int_equal(f->worker.connection_count, 0);
}

/* --- back-pressure --- */

static void test_paused_pipe_keeps_what_the_client_sends(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_pipe(f);
    request_pause_body(request_of(f), true);
    turns(f);
    client_says(f, client, "one");
    shutdown(client->fd, SHUT_WR);
    turns(f);
    expect_journal(f, "");
    request_pause_body(request_of(f), false);
    turns(f);
    expect_journal(f, "(one) (). ");
}

static void test_client_that_does_not_read_is_still_read_from(void **state)
{
    static uint8_t bytes[PIECE];
    struct fixture *f = *state;
    bool full = false;
    f->send_buffer_bytes = 4096;
    struct client *client = open_pipe(f);
    client->deaf = true;
    while (!full) {
        assert_int_equal(request_reply_body(request_of(f), (struct span){bytes, PIECE}, &full),
                         WEIR_OK);
        assert_true(loop_turn(f->worker.loop, false));
    }
    client_says(f, client, "hello");
    expect_journal(f, "(hello) ");
    client->deaf = false;
    turns(f);
    expect_journal(f, "c:reply_drain b:reply_drain a:reply_drain ");
}

static void test_much_input_arrives_whole(void **state)
{
    static uint8_t bytes[BIG];
    struct fixture *f = *state;
    struct client *client = open_pipe(f);
    client_send(f, client, (struct span){bytes, BIG});
    turns(f);
    assert_int_equal(got, BIG); /* far over max_body_size, which is for bodies */
    assert_false(client->ended);
}

/* --- time --- */

static void test_silent_pipe_stays(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_pipe(f);
    pass_ms(f, 100 * f->config.http.body_timeout_ms);
    assert_false(client->ended);
    client_says(f, client, "hello");
    expect_journal(f, "(hello) ");
}

static void test_drain_leaves_pipes_alone_until_they_are_cut(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_pipe(f);
    f->worker.draining = true;
    connection_drain_all(&f->worker);
    client_says(f, client, "hello");
    expect_journal(f, "(hello) ");
    connection_cut_all(&f->worker);
    turns(f);
    assert_true(client->ended);
    expect_journal(f, "c:done(101,gateway) b:done(101,gateway) a:done(101,gateway) ");
}

/* --- what does not switch --- */

static void test_only_a_switch_switches(void **state)
{
    struct fixture *f = *state;
    struct client *client = ask(f, TUNNEL_HEAD);
    struct reply_head other = switching;
    other.status = 200;
    assert_int_equal(request_switch(request_of(f), 2, &other), WEIR_EINVAL);
    assert_int_equal(request_reply(request_of(f), 200, NULL, 0, SPAN("no")), WEIR_OK);
    assert_int_equal(request_switch(request_of(f), 2, &switching), WEIR_EINVAL);
    turns(f);
    assert_string_equal(body_of(received(client)), "no");
}

static void test_request_that_is_not_read_yet_does_not_switch(void **state)
{
    struct fixture *f = *state;
    struct client *client = ask(f, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n");
    assert_int_equal(request_switch(request_of(f), 2, &switching), WEIR_EINVAL);
    client_closes(f, client);
}

static void test_old_request_does_not_switch(void **state)
{
    struct fixture *f = *state;
    ask(f, "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n");
    assert_false(request_asks_upgrade(request_of(f)));
    assert_int_equal(request_switch(request_of(f), 2, &switching), WEIR_EINVAL);
}

static void expect_asks(struct fixture *f, const char *lines, bool wanted)
{
    char request[512];
    snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", lines);
    struct client *client = ask(f, request);
    assert_int_equal(request_asks_upgrade(request_of(f)), wanted);
    client_closes(f, client);
}

static void test_upgrade_is_asked_for_by_two_fields(void **state)
{
    struct fixture *f = *state;
    expect_asks(f, "Connection: upgrade\r\nUpgrade: any\r\n", true);
    expect_asks(f, "UPGRADE: any\r\nconnection: close\r\nConnection: a , UPGRADE\r\n", true);
    expect_asks(f, "Upgrade: any\r\n", false);
    expect_asks(f, "Connection: upgrade\r\n", false);
    expect_asks(f, "Connection: upgrade\r\nUpgrade:\r\n", false);
    expect_asks(f, "Connection: upgraded\r\nUpgrade: any\r\n", false);
}

/* --- clients that leave --- */

static void test_half_closed_client_gets_its_answer(void **state)
{
    struct fixture *f = *state;
    struct client *client = ask(f, GET_HEAD);
    shutdown(client->fd, SHUT_WR);
    turns(f);
    expect_journal(f, "");
    assert_int_equal(request_reply(request_of(f), 200, NULL, 0, SPAN("late")), WEIR_OK);
    turns(f);
    assert_string_equal(body_of(received(client)), "late");
    assert_true(client->ended);
}

#define ABORTED "c:done(0,client) b:done(0,client) a:done(0,client) "

static void test_watched_client_that_ends_its_direction_has_gone(void **state)
{
    struct fixture *f = *state;
    struct client *client = ask(f, GET_HEAD);
    request_watch_client(request_of(f));
    turns(f);
    expect_journal(f, "");
    shutdown(client->fd, SHUT_WR);
    turns(f);
    expect_journal(f, ABORTED);
    assert_string_equal(f->ending.words, "the client has gone before its answer");
    assert_true(client->ended);
}

static void test_client_that_had_gone_before_it_was_watched_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct client *client = ask(f, GET_HEAD);
    shutdown(client->fd, SHUT_WR);
    turns(f);
    request_watch_client(request_of(f));
    turns(f);
    expect_journal(f, ABORTED);
}

static enum weir_verdict watch_and_wait(struct plug *plug, struct weir_request *request)
{
    (void)plug;
    request_watch_client(request);
    return WEIR_WAIT;
}

static void test_client_that_ends_with_its_request_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    f->plugs[2].does.request = watch_and_wait;
    client_send(f, client, SPAN(GET_HEAD));
    shutdown(client->fd, SHUT_WR);
    turns(f);
    expect_journal(f, "a:request b:request c:request " ABORTED);
}

static void test_watched_client_may_leave_within_its_answer(void **state)
{
    struct fixture *f = *state;
    bool full = false;
    struct client *client = ask(f, GET_HEAD);
    request_watch_client(request_of(f));
    assert_int_equal(request_reply_start(request_of(f), 200, NULL, 0, REPLY_LENGTH_UNKNOWN),
                     WEIR_OK);
    assert_int_equal(request_reply_body(request_of(f), SPAN("part"), &full), WEIR_OK);
    turns(f);
    shutdown(client->fd, SHUT_WR);
    turns(f);
    expect_journal(f, "c:done(200,client) b:done(200,client) a:done(200,client) ");
    assert_string_equal(f->ending.words, "the client has gone before its answer");
}

static void test_watched_client_that_has_its_answer_may_end(void **state)
{
    struct fixture *f = *state;
    struct client *client = ask(f, GET_HEAD);
    request_watch_client(request_of(f));
    assert_int_equal(request_reply(request_of(f), 200, NULL, 0, SPAN("hello")), WEIR_OK);
    shutdown(client->fd, SHUT_WR);
    turns(f);
    assert_string_equal(body_of(received(client)), "hello");
    expect_journal(f, "c:done(200,gateway) b:done(200,gateway) a:done(200,gateway) ");
}

static enum weir_verdict watch_take_and_wait(struct plug *plug, struct weir_request *request)
{
    request_take_body(request, plug->seat);
    return watch_and_wait(plug, request);
}

static void test_watched_client_that_leaves_within_its_body_has_gone(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    f->plugs[2].does.request = watch_take_and_wait;
    client_says(f, client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhello");
    f->journal.size = 0;
    shutdown(client->fd, SHUT_WR);
    turns(f);
    expect_journal(f, ABORTED);
    assert_string_equal(f->ending.words, "the client has gone before its answer");
}

static void test_pipe_is_not_watched(void **state)
{
    struct fixture *f = *state;
    struct client *client = ask(f, TUNNEL_HEAD);
    request_watch_client(request_of(f));
    assert_int_equal(request_switch(request_of(f), 2, &switching), WEIR_OK);
    turns(f);
    request_watch_client(request_of(f));
    shutdown(client->fd, SHUT_WR);
    turns(f);
    expect_journal(f, "(). ");
    assert_false(client->ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bytes_go_both_ways_as_they_are),
        TEST(test_bytes_behind_the_head_come_first),
        TEST(test_client_may_end_first),
        TEST(test_backend_may_end_first),
        TEST(test_end_waits_for_what_was_queued),
        TEST(test_cut_client_ends_both_directions),
        TEST(test_abort_cuts),
        TEST(test_paused_pipe_keeps_what_the_client_sends),
        TEST(test_client_that_does_not_read_is_still_read_from),
        TEST(test_much_input_arrives_whole),
        TEST(test_silent_pipe_stays),
        TEST(test_drain_leaves_pipes_alone_until_they_are_cut),
        TEST(test_only_a_switch_switches),
        TEST(test_request_that_is_not_read_yet_does_not_switch),
        TEST(test_old_request_does_not_switch),
        TEST(test_upgrade_is_asked_for_by_two_fields),
        TEST(test_half_closed_client_gets_its_answer),
        TEST(test_watched_client_that_ends_its_direction_has_gone),
        TEST(test_client_that_had_gone_before_it_was_watched_is_noticed),
        TEST(test_client_that_ends_with_its_request_is_noticed),
        TEST(test_watched_client_may_leave_within_its_answer),
        TEST(test_watched_client_that_has_its_answer_may_end),
        TEST(test_watched_client_that_leaves_within_its_body_has_gone),
        TEST(test_pipe_is_not_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
