/* Answers: whole and in parts, framed by length, by chunks or by the end of the connection; and
 * what plugins may not do with them. */
#include "client_fixture.h"

#define GET_10 "GET / HTTP/1.0\r\nHost: x\r\n\r\n"
#define GET_10_KEEP "GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"
#define HEAD_HEAD "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"

/* The handler promises to answer; the test does it. */
static enum weir_verdict later(struct plug *plug, struct weir_request *request)
{
    (void)plug;
    (void)request;
    return WEIR_REPLY;
}

static struct weir_request *ask(struct fixture *f, struct client *client, const char *head)
{
    f->plugs[2].does.request = later;
    client_says(f, client, head);
    assert_non_null(f->plugs[2].request);
    f->journal.size = 0;
    return f->plugs[2].request;
}

static void start(struct weir_request *request, uint64_t length)
{
    assert_int_equal(request_reply_start(request, 200, NULL, 0, length), WEIR_OK);
}

static void add(struct weir_request *request, const char *part)
{
    bool full = true;
    assert_int_equal(request_reply_body(request, span_of(part), &full), WEIR_OK);
    assert_false(full);
}

static void test_unknown_length_is_chunked(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    struct weir_request *request = ask(f, client, GET_HEAD);
    start(request, REPLY_LENGTH_UNKNOWN);
    add(request, "hello ");
    add(request, "");
    add(request, "streaming world!!");
    turns(f);
    const char *answer = received(client);
    assert_true(contains(answer, "Transfer-Encoding: chunked\r\n"));
    assert_false(contains(answer, "Content-Length"));
    assert_string_equal(body_of(answer), "6\r\nhello \r\n11\r\nstreaming world!!\r\n");
    expect_journal(f, "");
    request_reply_end(request);
    turns(f);
    assert_string_equal(received(client), "0\r\n\r\n");
    expect_journal(f, "c:done(200,gateway) b:done(200,gateway) a:done(200,gateway) ");
    assert_int_equal(f->ending.bytes_out, 23);
    assert_false(client->ended);
}

static void test_unknown_length_for_http_1_0_ends_with_the_connection(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    struct weir_request *request = ask(f, client, GET_10_KEEP);
    start(request, REPLY_LENGTH_UNKNOWN);
    add(request, "hello");
    request_reply_end(request);
    turns(f);
    const char *answer = received(client);
    assert_false(contains(answer, "Transfer-Encoding"));
    assert_false(contains(answer, "Content-Length"));
    assert_true(contains(answer, "Connection: close\r\n"));
    assert_string_equal(body_of(answer), "hello");
    assert_true(client->ended);
}

static void test_known_length_keeps_the_connection(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    struct weir_request *request = ask(f, client, GET_10_KEEP);
    start(request, 10);
    add(request, "hello");
    add(request, "world");
    request_reply_end(request);
    turns(f);
    const char *answer = received(client);
    assert_true(contains(answer, "Content-Length: 10\r\n"));
    assert_true(contains(answer, "Connection: keep-alive\r\n"));
    assert_string_equal(body_of(answer), "helloworld");
    assert_false(client->ended);
    ask(f, client, GET_10);
}

static void test_fewer_bytes_than_promised_cut_the_connection(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    struct weir_request *request = ask(f, client, GET_HEAD);
    start(request, 10);
    add(request, "hello");
    turns(f);
    request_reply_end(request);
    turns(f);
    assert_true(client->ended);
    assert_string_equal(body_of(received(client)), "hello");
    expect_journal(f, "c:done(200,client) b:done(200,client) a:done(200,client) ");
    assert_int_equal(f->worker.connection_count, 0);
}

static void test_more_bytes_than_promised_are_refused(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    struct weir_request *request = ask(f, client, GET_HEAD);
    bool full = false;
    start(request, 5);
    assert_int_equal(request_reply_body(request, SPAN("sixsix"), &full), WEIR_EINVAL);
    add(request, "hello");
    assert_int_equal(request_reply_body(request, SPAN("!"), &full), WEIR_EINVAL);
    request_reply_end(request);
    turns(f);
    assert_string_equal(body_of(received(client)), "hello");
    assert_false(client->ended);
}

static void test_head_sends_no_body_whatever_is_given(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    struct weir_request *request = ask(f, client, HEAD_HEAD);
    start(request, REPLY_LENGTH_UNKNOWN);
    add(request, "hello");
    request_reply_end(request);
    turns(f);
    assert_string_equal(body_of(received(client)), "");
    request = ask(f, client, HEAD_HEAD);
    assert_int_equal(request_reply(request, 200, NULL, 0, SPAN("hello")), WEIR_OK);
    turns(f);
    const char *answer = received(client);
    assert_true(contains(answer, "Content-Length: 5\r\n"));
    assert_string_equal(body_of(answer), "");
    assert_false(client->ended);
    assert_int_equal(f->ending.bytes_out, 0);
}

/* --- what is refused --- */

static void test_second_answer_is_refused(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    struct weir_request *request = ask(f, client, GET_HEAD);
    bool full = false;
    assert_int_equal(request_reply_body(request, SPAN("early"), &full), WEIR_EINVAL);
    assert_int_equal(request_reply(request, 200, NULL, 0, SPAN("one")), WEIR_OK);
    assert_int_equal(request_reply(request, 200, NULL, 0, SPAN("two")), WEIR_EINVAL);
    assert_int_equal(request_reply_start(request, 200, NULL, 0, 3), WEIR_EINVAL);
    assert_int_equal(request_reply_error(request, 500, "why"), WEIR_EINVAL);
    assert_int_equal(request_reply_body(request, SPAN("late"), &full), WEIR_EINVAL);
    request_reply_end(request);
    turns(f);
    const char *answer = received(client);
    assert_int_equal(count_of(answer, "HTTP/1.1 "), 1);
    assert_string_equal(body_of(answer), "one");
}

static enum weir_verdict reply_and_go_on(struct plug *plug, struct weir_request *request)
{
    (void)plug;
    assert_int_equal(request_reply(request, 200, NULL, 0, SPAN("one")), WEIR_OK);
    return WEIR_NEXT;
}

static enum weir_verdict reply_too(struct plug *plug, struct weir_request *request)
{
    (void)plug;
    assert_int_equal(request_reply(request, 200, NULL, 0, SPAN("two")), WEIR_EINVAL);
    return WEIR_REPLY;
}

static void test_plugin_that_answers_and_goes_on_has_answered(void **state)
{
    struct fixture *f = *state;
    f->plugs[1].does.request = reply_and_go_on;
    f->plugs[2].does.request = reply_too;
    struct client *client = connect_client(f, 0);
    client_says(f, client, GET_HEAD);
    assert_string_equal(body_of(received(client)), "one");
}

static void test_fields_that_cannot_stand_leave_the_request_unanswered(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    struct weir_request *request = ask(f, client, GET_HEAD);
    struct reply_field bad = {SPAN("X-Split"), SPAN("a\r\nSet-Cookie: b")};
    assert_int_equal(request_reply(request, 200, &bad, 1, SPAN("one")), WEIR_EINVAL);
    assert_int_equal(request_reply(request, 101, NULL, 0, SPAN("one")), WEIR_EINVAL);
    assert_int_equal(request_reply(request, 500, NULL, 0, SPAN("two")), WEIR_OK);
    turns(f);
    const char *answer = received(client);
    assert_int_equal(count_of(answer, "HTTP/1.1 "), 1);
    assert_true(contains(answer, "HTTP/1.1 500 "));
    assert_false(contains(answer, "Set-Cookie"));
}

/* --- after the end --- */

static void try_everything(struct plug *plug, struct weir_request *request)
{
    bool full = false;
    assert_int_not_equal(request_reply(request, 200, NULL, 0, SPAN("late")), WEIR_OK);
    assert_int_not_equal(request_reply_start(request, 200, NULL, 0, 3), WEIR_OK);
    assert_int_not_equal(request_reply_body(request, SPAN("late"), &full), WEIR_OK);
    request_reply_end(request);
    request_want_body(request, plug->seat);
    request_resume(request, plug->seat, WEIR_NEXT);
}

static void test_calls_from_the_unwinding_do_nothing(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    f->plugs[2].does.done = try_everything;
    f->plugs[0].does.done = try_everything;
    ask(f, client,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    client_closes(f, client);
    expect_journal(f, "c:done(0,client) b:done(0,client) a:done(0,client) ");
    assert_int_equal(f->worker.connection_count, 0);
    assert_null(f->worker.cork.owner);
}

static void test_streamed_answer_whose_client_has_gone(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    struct weir_request *request = ask(f, client, GET_HEAD);
    f->plugs[2].does.done = try_everything;
    start(request, REPLY_LENGTH_UNKNOWN);
    add(request, "hello");
    turns(f);
    close(client->fd);
    client->fd = -1;
    bool full = false;
    enum weir_err err = WEIR_OK;
    for (unsigned i = 0; err == WEIR_OK && i < 10; i++) {
        err = request_reply_body(request, SPAN("more"), &full);
        cork_flush(&f->worker.cork);
    }
    assert_int_equal(err, WEIR_ECLOSED);
    turns(f);
    expect_journal(f, "c:done(200,client) b:done(200,client) a:done(200,client) ");
    assert_null(f->worker.cork.owner);
}

/* --- clients that are behind --- */

enum {
    PART = 16 * 1024,
    PARTS = 100
};

static unsigned parts_left;
static char part_bytes[PART];

static void send_parts(struct plug *plug, struct weir_request *request)
{
    bool full = false;
    while (parts_left > 0 && !full) {
        struct span part = {(const uint8_t *)part_bytes, PART};
        assert_int_equal(request_reply_body(request, part, &full), WEIR_OK);
        parts_left--;
    }
    if (parts_left == 0) {
        request_reply_end(request);
    }
    (void)plug;
}

static void test_streaming_stops_when_full_and_goes_on_at_the_drain(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    client->deaf = true;
    struct weir_request *request = ask(f, client, GET_HEAD);
    f->plugs[2].does.reply_drain = send_parts;
    parts_left = PARTS;
    start(request, (uint64_t)PART * PARTS);
    send_parts(&f->plugs[2], request);
    assert_true(parts_left > 0);
    unsigned left = parts_left;
    turns(f);
    expect_journal(f, "");
    assert_int_equal(parts_left, left);
    client->deaf = false;
    turns(f);
    assert_int_equal(parts_left, 0);
    assert_int_equal(f->ending.bytes_out, (uint64_t)PART * PARTS);
    assert_true(client->in.size > (size_t)PART * PARTS);
    assert_true(client->in.size < (size_t)PART * PARTS + 300);
    assert_int_equal(strncmp((char *)f->journal.data, "c:reply_drain b:reply_drain", 27), 0);
}

static void test_client_that_does_not_read_its_answer_is_cut_after_body_timeout(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    client->deaf = true;
    struct weir_request *request = ask(f, client, GET_HEAD);
    parts_left = PARTS;
    start(request, (uint64_t)PART * PARTS);
    send_parts(&f->plugs[2], request);
    turns(f);
    pass_ms(f, f->config.http.body_timeout_ms - WHEEL_TICK_MS);
    expect_journal(f, "");
    pass_ms(f, 3 * WHEEL_TICK_MS);
    expect_journal(f, "c:done(200,gateway) b:done(200,gateway) a:done(200,gateway) ");
    assert_int_equal(f->worker.connection_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_unknown_length_is_chunked),
        TEST(test_unknown_length_for_http_1_0_ends_with_the_connection),
        TEST(test_known_length_keeps_the_connection),
        TEST(test_fewer_bytes_than_promised_cut_the_connection),
        TEST(test_more_bytes_than_promised_are_refused),
        TEST(test_head_sends_no_body_whatever_is_given),
        TEST(test_second_answer_is_refused),
        TEST(test_plugin_that_answers_and_goes_on_has_answered),
        TEST(test_fields_that_cannot_stand_leave_the_request_unanswered),
        TEST(test_calls_from_the_unwinding_do_nothing),
        TEST(test_streamed_answer_whose_client_has_gone),
        TEST(test_streaming_stops_when_full_and_goes_on_at_the_drain),
        TEST(test_client_that_does_not_read_its_answer_is_cut_after_body_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
