/* Responses that a handler passes on from a backend: which framing the client gets, what is added,
 * interim ones before, trailers behind, and what it sees of one that breaks off. */
#include <netinet/in.h>
#include <poll.h>

#include "client_fixture.h"

enum {
    PATIENCE_MS = 10000
};

static struct reply_head head;
static const char *body;   /* of the response, in one part; NULL for none */
static const char *behind; /* trailers; NULL for an end without */

static struct reply_field fields[4];

static int forward_make(void **state)
{
    head = (struct reply_head){.status = 200, .fields = fields, .length = REPLY_LENGTH_UNKNOWN};
    memset(fields, 0, sizeof fields);
    body = NULL;
    behind = NULL;
    fixture_make(state);
    return 0;
}

static void add_field(const char *name, const char *value)
{
    fields[head.count++] = (struct reply_field){span_of(name), span_of(value)};
}

static enum weir_verdict forward(struct plug *plug, struct weir_request *request)
{
    bool full = false;
    (void)plug;
    assert_int_equal(request_forward_start(request, &head), WEIR_OK);
    assert_int_equal(request_forward_start(request, &head), WEIR_EINVAL);
    if (body != NULL) {
        assert_int_equal(request_reply_body(request, span_of(body), &full), WEIR_OK);
    }
    request_reply_end_trailers(request, behind != NULL ? span_of(behind) : (struct span){0});
    return WEIR_REPLY;
}

/* What a client gets that sends `request`; the Date, where the gateway has added it, is cut out. */
static const char *answer_to(struct fixture *f, const char *request)
{
    static char text[2048];
    struct client *client = f->clients[0].fd < 0 ? connect_client(f, 0) : &f->clients[0];
    f->plugs[2].does.request = forward;
    client_says(f, client, request);
    const char *all = received(client);
    const char *date = strstr(all, "Date: ");
    snprintf(text, sizeof text, "%s", all);
    if (date != NULL && head.count == 0) {
        assert_memory_equal(date + 32, "GMT\r\n", 5);
        snprintf(text + (date - all), sizeof text, "%s", strchr(date, '\n') + 1);
    }
    return text;
}

#define HEAD_HEAD "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
#define OLD_HEAD "GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"

static void test_unknown_length_is_chunked(void **state)
{
    struct fixture *f = *state;
    body = "hello";
    assert_string_equal(
        answer_to(f, GET_HEAD),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    assert_false(f->clients[0].ended);
}

static void test_known_length_is_kept(void **state)
{
    struct fixture *f = *state;
    body = "hello";
    head.length = 5;
    assert_string_equal(answer_to(f, GET_HEAD),
                        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    head.length = 0;
    body = NULL;
    assert_string_equal(answer_to(f, GET_HEAD), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_false(f->clients[0].ended);
}

static void test_old_client_gets_an_unknown_length_until_the_end(void **state)
{
    struct fixture *f = *state;
    body = "hello";
    assert_string_equal(answer_to(f, OLD_HEAD),
                        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
    assert_true(f->clients[0].ended);
}

static void test_old_client_keeps_its_connection_with_a_known_length(void **state)
{
    struct fixture *f = *state;
    body = "hello";
    head.length = 5;
    assert_string_equal(
        answer_to(f, OLD_HEAD),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello");
    assert_false(f->clients[0].ended);
}

static void test_answer_to_head_has_the_length_or_none(void **state)
{
    struct fixture *f = *state;
    head.length = 5;
    body = "ignored";
    assert_string_equal(answer_to(f, HEAD_HEAD), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    head.length = REPLY_LENGTH_UNKNOWN;
    assert_string_equal(answer_to(f, HEAD_HEAD), "HTTP/1.1 200 OK\r\n\r\n");
    assert_false(f->clients[0].ended); /* there is no body whose end could be missed */
}

static void test_not_modified_has_the_length_or_none(void **state)
{
    struct fixture *f = *state;
    head.status = 304;
    assert_string_equal(answer_to(f, GET_HEAD), "HTTP/1.1 304 Not Modified\r\n\r\n");
    head.length = 0;
    assert_string_equal(answer_to(f, GET_HEAD),
                        "HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n");
    head.length = 7;
    assert_string_equal(answer_to(f, GET_HEAD),
                        "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n");
    assert_false(f->clients[0].ended);
}

static void test_no_content_has_no_framing(void **state)
{
    struct fixture *f = *state;
    head.status = 204;
    head.length = 0;
    assert_string_equal(answer_to(f, GET_HEAD), "HTTP/1.1 204 No Content\r\n\r\n");
    head.length = REPLY_LENGTH_UNKNOWN;
    assert_string_equal(answer_to(f, GET_HEAD), "HTTP/1.1 204 No Content\r\n\r\n");
    assert_false(f->clients[0].ended);
}

static void test_head_is_passed_on_as_it_came(void **state)
{
    struct fixture *f = *state;
    head.status = 299;
    head.reason = SPAN("Fine by me");
    head.length = 2;
    body = "ok";
    add_field("Date", "Tue, 15 Nov 1994 08:12:31 GMT");
    add_field("Server", "theirs");
    add_field("Set-Cookie", "a=1");
    add_field("Set-Cookie", "b=2");
    assert_string_equal(answer_to(f, GET_HEAD),
                        "HTTP/1.1 299 Fine by me\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\n"
                        "Server: theirs\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
                        "Content-Length: 2\r\n\r\nok");
}

static void test_date_is_added_once_and_server_never(void **state)
{
    struct fixture *f = *state;
    head.length = 0;
    add_field("X", "y");
    const char *text = answer_to(f, GET_HEAD);
    assert_int_equal(count_of(text, "\r\nDate: "), 1);
    assert_int_equal(count_of(text, "Server"), 0);
}

static enum weir_verdict forward_bad_heads(struct plug *plug, struct weir_request *request)
{
    struct reply_field bad = {SPAN("X"), SPAN("a\r\nb: c")};
    struct reply_head wrong = head;
    (void)plug;
    wrong.status = 199;
    assert_int_equal(request_forward_start(request, &wrong), WEIR_EINVAL);
    wrong = head;
    wrong.reason = SPAN("a\r\nb: c");
    assert_int_equal(request_forward_start(request, &wrong), WEIR_EINVAL);
    wrong = head;
    wrong.fields = &bad;
    wrong.count = 1;
    assert_int_equal(request_forward_start(request, &wrong), WEIR_EINVAL);
    assert_int_equal(request_reply(request, 502, NULL, 0, SPAN("bad")), WEIR_OK);
    return WEIR_REPLY;
}

static void test_head_that_cannot_stand_leaves_room_for_another(void **state)
{
    struct fixture *f = *state;
    f->plugs[2].does.request = forward_bad_heads;
    struct client *client = connect_client(f, 0);
    client_says(f, client, GET_HEAD);
    const char *text = received(client);
    assert_true(contains(text, "HTTP/1.1 502 "));
    assert_true(contains(text, "Content-Length: 3\r\n"));
    assert_false(contains(text, "chunked"));
}

static void test_draining_gateway_closes_behind_the_response(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    f->plugs[2].does.request = wait_request;
    client_says(f, client, GET_HEAD);
    f->worker.draining = true;
    head.length = 0;
    assert_int_equal(request_forward_start(f->plugs[2].request, &head), WEIR_OK);
    request_reply_end(f->plugs[2].request);
    turns(f);
    assert_true(contains(received(client), "Connection: close\r\n"));
    assert_true(client->ended);
}

/* --- trailers --- */

static void test_trailers_follow_the_last_chunk(void **state)
{
    struct fixture *f = *state;
    body = "hello";
    behind = "Sum: 1\r\nMore: 2\r\n";
    assert_string_equal(answer_to(f, GET_HEAD),
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "5\r\nhello\r\n0\r\nSum: 1\r\nMore: 2\r\n\r\n");
    assert_false(f->clients[0].ended);
}

static void test_trailers_are_left_out_where_nothing_is_chunked(void **state)
{
    struct fixture *f = *state;
    behind = "Sum: 1\r\n";
    body = "hello";
    head.length = 5;
    assert_false(contains(answer_to(f, GET_HEAD), "Sum"));
    head.length = REPLY_LENGTH_UNKNOWN;
    assert_false(contains(answer_to(f, HEAD_HEAD), "Sum"));
    assert_false(contains(answer_to(f, OLD_HEAD), "Sum"));
}

/* --- interim responses --- */

static struct weir_request *waiting(struct fixture *f, const char *request)
{
    f->plugs[2].does.request = wait_request;
    client_says(f, connect_client(f, 0), request);
    return f->plugs[2].request;
}

static enum weir_err pass_interim(struct weir_request *request, unsigned status)
{
    const struct reply_head interim = {.status = status};
    return request_reply_interim(request, &interim);
}

static void test_interim_responses_come_first(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, GET_HEAD);
    struct reply_field link = {SPAN("Link"), SPAN("</a.css>")};
    const struct reply_head interim = {.status = 103, .fields = &link, .count = 1};
    assert_int_equal(request_reply_interim(request, &interim), WEIR_OK);
    turns(f);
    assert_string_equal(received(&f->clients[0]),
                        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    assert_int_equal(pass_interim(request, 102), WEIR_OK);
    assert_int_equal(request_reply(request, 200, NULL, 0, SPAN("done")), WEIR_OK);
    assert_int_equal(pass_interim(request, 102), WEIR_OK); /* left out */
    turns(f);
    const char *text = received(&f->clients[0]);
    assert_int_equal(count_of(text, "HTTP/1.1 102 "), 1);
    assert_true(contains(text, "HTTP/1.1 200 OK"));
    assert_int_equal(f->ending.status, 200);
}

static void test_an_interim_response_keeps_its_phrase(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, GET_HEAD);
    const struct reply_head ours = {.status = 103, .reason = SPAN("Soon")};
    const struct reply_head unknown = {.status = 142};
    const struct reply_head split = {.status = 103, .reason = SPAN("a\r\nX: y")};
    assert_int_equal(request_reply_interim(request, &ours), WEIR_OK);
    assert_int_equal(request_reply_interim(request, &unknown), WEIR_OK);
    assert_int_equal(request_reply_interim(request, &split), WEIR_EINVAL);
    turns(f);
    assert_string_equal(received(&f->clients[0]), "HTTP/1.1 103 Soon\r\n\r\nHTTP/1.1 142 \r\n\r\n");
}

static void test_what_is_not_interim_is_refused(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, GET_HEAD);
    assert_int_equal(pass_interim(request, 99), WEIR_EINVAL);
    assert_int_equal(pass_interim(request, 101), WEIR_EINVAL);
    assert_int_equal(pass_interim(request, 200), WEIR_EINVAL);
    turns(f);
    assert_string_equal(received(&f->clients[0]), "");
}

static void test_old_client_gets_no_interim_response(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, OLD_HEAD);
    assert_int_equal(pass_interim(request, 103), WEIR_OK);
    turns(f);
    assert_string_equal(received(&f->clients[0]), "");
}

#define EXPECT_HEAD                                                                                \
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"

static enum weir_verdict take_and_wait(struct plug *plug, struct weir_request *request)
{
    request_take_body(request, plug->seat);
    return WEIR_WAIT;
}

static void note_body(struct plug *plug, struct weir_request *request, struct span piece, bool last)
{
    (void)request;
    note(plug->f, "%c:body(%.*s)%s ", plug->name, SPAN_ARGS(piece), last ? "." : "");
}

static struct weir_request *taking(struct fixture *f, const char *request)
{
    f->plugs[2].does.request = take_and_wait;
    f->plugs[2].does.body = note_body;
    client_says(f, connect_client(f, 0), request);
    return f->plugs[2].request;
}

static void test_continue_comes_from_the_backend(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = taking(f, EXPECT_HEAD);
    assert_string_equal(received(&f->clients[0]), ""); /* unlike request_want_body */
    assert_int_equal(pass_interim(request, 100), WEIR_OK);
    turns(f);
    assert_string_equal(received(&f->clients[0]), "HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(request_reply(request, 200, NULL, 0, SPAN("early")), WEIR_OK);
    turns(f);
    assert_false(contains(received(&f->clients[0]), "Connection: close"));
    client_says(f, &f->clients[0], "hello" GET_HEAD); /* the body is read before the next one */
    assert_int_equal(f->plugs[2].request != NULL, true);
    assert_false(f->clients[0].ended);
}

static void test_client_that_waits_for_continue_is_not_late(void **state)
{
    struct fixture *f = *state;
    struct client *client = &f->clients[0];
    struct weir_request *request = taking(f, EXPECT_HEAD);
    pass_ms(f, 3 * f->config.http.body_timeout_ms);
    assert_string_equal(received(client), "");
    assert_int_equal(pass_interim(request, 100), WEIR_OK);
    pass_ms(f, f->config.http.body_timeout_ms / 2);
    assert_string_equal(received(client), "HTTP/1.1 100 Continue\r\n\r\n");
    pass_ms(f, f->config.http.body_timeout_ms);
    assert_true(contains(received(client), "HTTP/1.1 408 "));
}

static void test_answer_in_place_of_continue_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = taking(f, EXPECT_HEAD);
    head.status = 417;
    head.length = 0;
    assert_int_equal(request_forward_start(request, &head), WEIR_OK);
    request_reply_end(request);
    turns(f);
    assert_true(contains(received(&f->clients[0]), "Connection: close\r\n"));
    assert_true(f->clients[0].ended);
}

static void test_client_that_did_not_wait_keeps_its_connection(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = taking(f, EXPECT_HEAD "he");
    head.length = 0;
    assert_int_equal(request_forward_start(request, &head), WEIR_OK);
    request_reply_end(request);
    turns(f);
    assert_false(contains(received(&f->clients[0]), "Connection: close\r\n"));
    client_says(f, &f->clients[0], "llo");
    assert_false(f->clients[0].ended);
    expect_journal(f, "a:request b:request c:request c:body(he) c:body(llo). "
                      "c:done(200,gateway) b:done(200,gateway) a:done(200,gateway) ");
}

/* --- responses that break off --- */

static struct weir_request *begun(struct fixture *f, const char *request, uint64_t length)
{
    bool full = false;
    struct weir_request *waits = waiting(f, request);
    head.length = length;
    assert_int_equal(request_forward_start(waits, &head), WEIR_OK);
    assert_int_equal(request_reply_body(waits, SPAN("part"), &full), WEIR_OK);
    return waits;
}

static void test_chunked_response_that_is_cut_has_no_last_chunk(void **state)
{
    struct fixture *f = *state;
    request_reply_abort(begun(f, GET_HEAD, REPLY_LENGTH_UNKNOWN), WEIR_CLOSE_BACKEND_LOST);
    turns(f);
    assert_string_equal(body_of(received(&f->clients[0])), "4\r\npart\r\n");
    assert_true(f->clients[0].ended);
    expect_journal(f, "a:request b:request c:request c:done(200,backend) b:done(200,backend) "
                      "a:done(200,backend) ");
    assert_string_equal(f->ending.words, "the backend was lost");
}

static void test_response_of_a_length_that_is_cut_is_too_short(void **state)
{
    struct fixture *f = *state;
    request_reply_abort(begun(f, GET_HEAD, 10), WEIR_CLOSE_BACKEND_LOST);
    turns(f);
    assert_string_equal(body_of(received(&f->clients[0])), "part");
    assert_true(f->clients[0].ended);
}

static void test_answer_that_was_not_begun_is_cut_at_once(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, GET_HEAD);
    request_reply_abort(request, WEIR_CLOSE_BACKEND_LOST);
    request_reply_abort(request, WEIR_CLOSE_BACKEND_TIMEOUT); /* does nothing */
    /* An answer that comes in the same turn is not at fault: the client has gone. */
    assert_int_equal(request_forward_start(request, &head), WEIR_ECLOSED);
    turns(f);
    assert_string_equal(received(&f->clients[0]), "");
    assert_true(f->clients[0].ended);
    assert_int_equal(f->ending.status, 0);
    assert_string_equal(f->ending.words, "the backend was lost");
}

static void test_complete_answer_is_not_cut(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, GET_HEAD);
    assert_int_equal(request_reply(request, 200, NULL, 0, SPAN("whole")), WEIR_OK);
    request_reply_abort(request, WEIR_CLOSE_BACKEND_LOST);
    turns(f);
    assert_string_equal(body_of(received(&f->clients[0])), "whole");
    assert_false(f->clients[0].ended);
}

/* A client on TCP, which knows resets. */
static struct client *connect_tcp(struct fixture *f)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct client *client = &f->clients[0];
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(client->fd, (struct sockaddr *)&address, size), 0);
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd >= 0);
    close(listener);
    connection_accept(&f->worker, &f->listener, fd, &peer, sizeof(sa_family_t));
    return client;
}

static void await_words(struct fixture *f, struct client *client, const char *words)
{
    struct pollfd there = {.fd = client->fd, .events = POLLIN};
    do {
        turns(f);
        assert_int_equal(buffer_append(&client->in, (struct span){(const uint8_t *)"", 1}),
                         WEIR_OK);
        client->in.size--;
        if (contains((const char *)client->in.data, words)) {
            return;
        }
    } while (poll(&there, 1, PATIENCE_MS) > 0);
    fail_msg("%s never came", words);
}

static void test_response_until_the_end_that_is_cut_ends_with_a_reset(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_tcp(f);
    f->plugs[2].does.request = wait_request;
    client_send(f, client, SPAN(OLD_HEAD));
    while (f->plugs[2].request == NULL) {
        assert_true(loop_turn(f->worker.loop, true));
    }
    bool full = false;
    assert_int_equal(request_forward_start(f->plugs[2].request, &head), WEIR_OK);
    assert_int_equal(request_reply_body(f->plugs[2].request, SPAN("part"), &full), WEIR_OK);
    await_words(f, client, "\r\n\r\npart");
    client->deaf = true;
    request_reply_abort(f->plugs[2].request, WEIR_CLOSE_BACKEND_LOST);
    turns(f);
    struct pollfd there = {.fd = client->fd, .events = POLLIN};
    char byte;
    assert_int_equal(poll(&there, 1, PATIENCE_MS), 1);
    assert_int_equal(recv(client->fd, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

#define FORWARD_TEST(function) cmocka_unit_test_setup_teardown(function, forward_make, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FORWARD_TEST(test_unknown_length_is_chunked),
        FORWARD_TEST(test_known_length_is_kept),
        FORWARD_TEST(test_old_client_gets_an_unknown_length_until_the_end),
        FORWARD_TEST(test_old_client_keeps_its_connection_with_a_known_length),
        FORWARD_TEST(test_answer_to_head_has_the_length_or_none),
        FORWARD_TEST(test_not_modified_has_the_length_or_none),
        FORWARD_TEST(test_no_content_has_no_framing),
        FORWARD_TEST(test_head_is_passed_on_as_it_came),
        FORWARD_TEST(test_date_is_added_once_and_server_never),
        FORWARD_TEST(test_head_that_cannot_stand_leaves_room_for_another),
        FORWARD_TEST(test_draining_gateway_closes_behind_the_response),
        FORWARD_TEST(test_trailers_follow_the_last_chunk),
        FORWARD_TEST(test_trailers_are_left_out_where_nothing_is_chunked),
        FORWARD_TEST(test_interim_responses_come_first),
        FORWARD_TEST(test_an_interim_response_keeps_its_phrase),
        FORWARD_TEST(test_what_is_not_interim_is_refused),
        FORWARD_TEST(test_old_client_gets_no_interim_response),
        FORWARD_TEST(test_continue_comes_from_the_backend),
        FORWARD_TEST(test_client_that_waits_for_continue_is_not_late),
        FORWARD_TEST(test_answer_in_place_of_continue_ends_the_connection),
        FORWARD_TEST(test_client_that_did_not_wait_keeps_its_connection),
        FORWARD_TEST(test_chunked_response_that_is_cut_has_no_last_chunk),
        FORWARD_TEST(test_response_of_a_length_that_is_cut_is_too_short),
        FORWARD_TEST(test_answer_that_was_not_begun_is_cut_at_once),
        FORWARD_TEST(test_complete_answer_is_not_cut),
        FORWARD_TEST(test_response_until_the_end_that_is_cut_ends_with_a_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
