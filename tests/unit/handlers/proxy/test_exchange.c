/* Requests and responses through the real proxy, session and upstream, to a backend that the test
 * plays: framing both ways, interim and early responses, connections that are used again. */
#include <linux/tcp.h>

#include "proxy_fixture.h"

#define GET "GET /x HTTP/1.1\r\nHost: example.com\r\n\r\n"
#define OK2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

/* --- plain requests --- */

static void test_passes_request_and_response(void **state)
{
    (void)state;
    start();
    struct client *client =
        client_asks(0, "GET /a?b HTTP/1.1\r\nHost: example.com\r\nX: 1\r\n\r\n");
    assert_string_equal(end_received(0), "GET /a?b HTTP/1.1\r\nHost: example.com\r\nX: 1\r\n\r\n");
    end_says(0, "HTTP/1.1 201 Made It\r\nX: 2\r\nContent-Length: 5\r\n\r\nhello");
    expect_response(client, "HTTP/1.1 201 Made It\r\nX: 2\r\nContent-Length: 5\r\n\r\nhello");
    assert_false(client->ended);
}

static void test_uses_a_connection_again(void **state)
{
    (void)state;
    start();
    for (unsigned i = 0; i < 3; i++) {
        struct client *client = client_asks(0, GET);
        assert_true(contains(end_received(0), "GET /x "));
        end_says(0, OK2);
        expect_status(client, 200);
    }
    assert_int_equal(px.accepted, 1);
    assert_false(px.ends[0].ended);
    assert_int_equal(upstream_worker_busy(px.worker), 0);
}

static void test_closes_a_connection_that_the_backend_wants_closed(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, GET);
    end_says(0, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
    expect_response(client, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    assert_true(px.ends[0].ended);
    assert_false(client->ended);
    client_asks(0, GET);
    assert_int_equal(px.accepted, 2);
}

static void test_does_not_use_a_connection_that_said_too_much(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, GET);
    end_says(0, OK2 "HTTP/1.1 200 OK\r\n");
    expect_response(client, OK2);
    assert_true(px.ends[0].ended);
}

static void test_tells_the_access_log(void **state)
{
    (void)state;
    start();
    client_asks(0, GET);
    size_t sent = px.ends[0].in.size;
    end_says(0, OK2);
    assert_string_equal(px.record.name, "back");
    assert_int_equal(px.record.status, 200);
    assert_int_equal(px.record.tries, 1);
    assert_int_equal(px.record.bytes_sent, sent);
    assert_int_equal(px.record.bytes_received, strlen(OK2));
    assert_true(px.record.first_byte_us >= px.record.connect_us);
    assert_memory_equal(px.record.server, "unix:/tmp/weir-proxy-", 21);
}

/* --- heads in pieces --- */

static void test_reads_a_response_split_at_every_byte(void **state)
{
    static const char answer[] = "HTTP/1.1 103 Hints of mine\r\nLink: a\r\n\r\n"
                                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n"
                                 "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n";
    (void)state;
    start();
    for (size_t cut = 1; cut < sizeof answer - 1; cut++) {
        char part[sizeof answer];
        struct client *client = client_asks(0, GET);
        snprintf(part, sizeof part, "%.*s", (int)cut, answer);
        end_says(0, part);
        end_says(0, answer + cut);
        const char *got = received(client);
        assert_true(
            contains(got, "HTTP/1.1 103 Hints of mine\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\n"));
        assert_true(contains(got, "X: y\r\nTransfer-Encoding: chunked\r\n\r\n"));
        assert_true(contains(got, "0\r\nX-Sum: 1\r\n\r\n"));
    }
    assert_int_equal(px.accepted, 1);
}

static void test_reads_a_response_byte_by_byte(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, GET);
    for (const char *at = OK2; *at != '\0'; at++) {
        end_says(0, (char[]){*at, '\0'});
    }
    expect_response(client, OK2);
}

/* --- bodies of requests --- */

static void test_passes_a_body_on_as_it_comes(void **state)
{
    (void)state;
    start();
    struct client *client =
        client_asks(0, "POST /x HTTP/1.1\r\nHost: e\r\nContent-Length: 10\r\n\r\nhello");
    assert_string_equal(end_received(0),
                        "POST /x HTTP/1.1\r\nHost: e\r\nContent-Length: 10\r\n\r\nhello");
    client_asks(0, "world");
    assert_string_equal(end_received(0), "world");
    end_says(0, OK2);
    expect_response(client, OK2);
    client_asks(0, GET);
    assert_int_equal(px.accepted, 1);
}

static void test_frames_chunks_anew_and_passes_harmless_trailers(void **state)
{
    (void)state;
    start();
    client_asks(0, "POST /x HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "5;ext=1\r\nhello\r\n");
    assert_string_equal(end_received(0), "POST /x HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: "
                                         "chunked\r\n\r\n5\r\nhello\r\n");
    client_asks(0, "a\r\n0123456789\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n");
    assert_string_equal(end_received(0), "a\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n");
    end_says(0, OK2);
    expect_response(&px.f->clients[0], OK2);
}

static void append_chunk(struct buffer *to, size_t size)
{
    static char zeros[8192];
    assert_true(size <= sizeof zeros);
    assert_int_equal(
        buffer_printf(to, "%zx\r\n%.*s\r\n", size, (int)size, (char *)memset(zeros, 'z', size)),
        WEIR_OK);
}

static void test_keeps_the_order_of_small_and_large_chunks(void **state)
{
    struct buffer body = {0};
    (void)state;
    start();
    client_asks(0, "POST /x HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n");
    end_received(0);
    for (size_t i = 1; i < 40; i++) {
        append_chunk(&body, i % 3 == 0 ? 8000 - i : i);
    }
    assert_int_equal(buffer_append(&body, SPAN("0\r\n\r\n")), WEIR_OK);
    client_send(px.f, &px.f->clients[0], buffer_span(&body));
    run();
    assert_int_equal(px.ends[0].in.size, body.size);
    assert_memory_equal(px.ends[0].in.data, body.data, body.size);
    end_says(0, OK2);
    expect_response(&px.f->clients[0], OK2);
    client_asks(0, GET);
    assert_int_equal(px.accepted, 1);
    buffer_free(&body);
}

/* A client that sends a body of one-byte chunks must not cost a system call for each. */
static void test_sends_small_chunks_together(void **state)
{
    struct buffer body = {0};
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    (void)state;
    listen_over_tcp();
    start();
    client_asks(0, "POST /x HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < 5000; i++) {
        append_chunk(&body, 1);
    }
    client_send(px.f, &px.f->clients[0], buffer_span(&body));
    run();
    assert_true(px.ends[0].in.size > body.size);
    assert_int_equal(getsockopt(px.ends[0].fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    assert_in_range(info.tcpi_segs_in, 1, 16);
    buffer_free(&body);
}

static void test_passes_an_empty_chunked_body(void **state)
{
    (void)state;
    start();
    client_asks(0, "POST /x HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_true(contains(end_received(0), "\r\n\r\n0\r\n\r\n"));
    end_says(0, OK2);
    client_asks(0, GET);
    assert_int_equal(px.accepted, 1);
}

static void test_lets_the_backend_say_100_continue(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, "PUT /x HTTP/1.1\r\nHost: e\r\nContent-Length: 2\r\n"
                                           "Expect: 100-continue\r\n\r\n");
    assert_true(contains(end_received(0), "Expect: 100-continue\r\n"));
    assert_string_equal(received(client), "");
    end_says(0, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_string_equal(received(client), "HTTP/1.1 100 Continue\r\n\r\n");
    client_asks(0, "hi");
    assert_string_equal(end_received(0), "hi");
    end_says(0, OK2);
    expect_response(client, OK2);
    assert_false(client->ended);
}

static void test_passes_a_body_that_did_not_wait_for_100(void **state)
{
    (void)state;
    start();
    client_asks(0, "PUT /x HTTP/1.1\r\nHost: e\r\nContent-Length: 2\r\n"
                   "Expect: 100-continue\r\n\r\nhi");
    assert_string_equal(body_of(end_received(0)), "hi");
    end_says(0, OK2);
    expect_response(&px.f->clients[0], OK2);
    assert_false(px.f->clients[0].ended);
}

/* --- early responses --- */

/* RFC 9112, section 9.3: the backend's connection cannot be used again. The client's can: what is
 * left of its body is read away. */
static void test_passes_a_response_that_comes_before_the_body_has_ended(void **state)
{
    (void)state;
    start();
    struct client *client =
        client_asks(0, "POST /x HTTP/1.1\r\nHost: e\r\nContent-Length: 10\r\n\r\nhello");
    end_says(0, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    expect_response(client, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    assert_true(px.ends[0].ended);
    client_asks(0, "world" GET);
    assert_true(contains(end_received(1), "GET /x "));
    end_says(1, OK2);
    expect_response(client, OK2);
}

static void test_hears_an_answer_from_a_backend_that_reads_no_further(void **state)
{
    (void)state;
    start();
    struct client *client =
        client_asks(0, "POST /x HTTP/1.1\r\nHost: e\r\nContent-Length: 10\r\n\r\nhello");
    /* One turn for both: the write fails before the answer is read. */
    const char *answer = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";
    assert_int_equal(send(px.ends[0].fd, answer, strlen(answer), MSG_NOSIGNAL), strlen(answer));
    close(px.ends[0].fd);
    px.ends[0].fd = -1;
    client_asks(0, "world");
    expect_response(client, answer);
}

static void test_streams_both_ways_at_once(void **state)
{
    (void)state;
    start();
    struct client *client =
        client_asks(0, "POST /x HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n");
    end_says(0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    assert_true(contains(received(client), "1\r\na\r\n"));
    client_asks(0, "1\r\nb\r\n");
    assert_true(contains(end_received(0), "1\r\nb\r\n"));
    end_says(0, "1\r\nc\r\n");
    assert_string_equal(received(client), "1\r\nc\r\n");
    client_asks(0, "0\r\n\r\n");
    assert_string_equal(end_received(0), "0\r\n\r\n");
    end_says(0, "0\r\n\r\n");
    assert_string_equal(received(client), "0\r\n\r\n");
    client_asks(0, GET);
    assert_int_equal(px.accepted, 1);
}

/* --- bodies of responses --- */

static void test_passes_events_without_delay(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, GET);
    end_says(0, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    expect_response(client, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n");
    end_says(0, "data: 1\n\n");
    assert_string_equal(received(client), "9\r\ndata: 1\n\n\r\n");
    end_says(0, "data: 2\n\n");
    assert_string_equal(received(client), "9\r\ndata: 2\n\n\r\n");
    end_closes(0);
    assert_string_equal(received(client), "0\r\n\r\n");
    assert_false(client->ended);
}

static void test_ends_a_body_for_an_old_client_by_closing(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, "GET /x HTTP/1.0\r\n\r\n");
    assert_true(contains(end_received(0), "GET /x HTTP/1.1\r\nHost: "));
    end_says(0, "HTTP/1.1 103 Early Hints\r\n\r\n"
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    expect_response(client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi");
    assert_true(client->ended);
    client_asks(1, GET);
    assert_int_equal(px.accepted, 1);
}

static void test_takes_an_old_backends_body_until_it_closes(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, GET);
    end_says(0, "HTTP/1.0 200 OK\r\n\r\nhi");
    end_closes(0);
    expect_response(client, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
                            "0\r\n\r\n");
}

static void test_passes_heads_without_bodies(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, "HEAD /x HTTP/1.1\r\nHost: e\r\n\r\n");
    end_says(0, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
    expect_response(client, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
    client_asks(0, GET);
    end_says(0, "HTTP/1.1 204 No Content\r\n\r\n");
    expect_response(client, "HTTP/1.1 204 No Content\r\n\r\n");
    client_asks(0, GET);
    end_says(0, "HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\n\r\n");
    expect_response(client, "HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\n\r\n");
    client_asks(0, GET);
    end_says(0, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    expect_response(client, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(px.accepted, 1);
}

static void test_binds_the_client_with_a_cookie(void **state)
{
    (void)state;
    start_with("{}", "    balance: sticky\n    sticky: {cookie: weir}\n");
    struct client *client = client_asks(0, GET);
    end_says(0, OK2);
    const char *got = received(client);
    assert_true(contains(got, "\r\nSet-Cookie: weir="));
    char again[512];
    const char *value = strstr(got, "weir=");
    snprintf(again, sizeof again, "GET /x HTTP/1.1\r\nHost: e\r\nCookie: %.*s\r\n\r\n",
             (int)strcspn(value, ";"), value);
    client_asks(0, again);
    end_says(0, OK2);
    expect_response(client, OK2);
}

/* --- back-pressure --- */

static size_t push(int fd, size_t most)
{
    static const char zeros[65536];
    size_t total = 0;
    for (unsigned idle = 0; idle < 8 && total < most;) {
        size_t room = most - total < sizeof zeros ? most - total : sizeof zeros;
        ssize_t sent = send(fd, zeros, room, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            total += (size_t)sent;
            idle = 0;
        } else {
            idle++;
            assert_true(loop_turn(px.f->worker.loop, false));
        }
    }
    return total;
}

enum {
    BIG = 64 * 1024 * 1024,
    HELD_AT_MOST = 8 * 1024 * 1024 /* sockets' buffers, the queue and one read */
};

static void test_does_not_read_a_client_faster_than_the_backend_takes(void **state)
{
    (void)state;
    start();
    client_asks(0, "POST /x HTTP/1.1\r\nHost: e\r\nContent-Length: 67108864\r\n\r\n");
    px.ends[0].deaf = true;
    size_t held = push(px.f->clients[0].fd, BIG);
    assert_true(held > 256 * 1024 && held < HELD_AT_MOST);
    px.ends[0].deaf = false;
    px.ends[0].in.size = 0;
    size_t sent = held;
    size_t heard = 0;
    while (heard < BIG) {
        sent += push(px.f->clients[0].fd, BIG - sent);
        run();
        heard += px.ends[0].in.size;
        px.ends[0].in.size = 0;
        assert_false(px.ends[0].ended);
    }
    assert_true(heard >= BIG);
    end_says(0, OK2);
    expect_response(&px.f->clients[0], OK2);
}

static void test_does_not_read_a_backend_faster_than_the_client_takes(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, GET);
    client->deaf = true;
    end_says(0, "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n");
    size_t held = push(px.ends[0].fd, BIG);
    assert_true(held > 256 * 1024 && held < HELD_AT_MOST);
    pass_backend_ms(120000); /* it is not the backend that is slow */
    client->deaf = false;
    size_t sent = held;
    size_t heard = 0;
    while (heard < BIG) {
        sent += push(px.ends[0].fd, BIG - sent);
        run();
        heard += client->in.size;
        client->in.size = 0;
        assert_false(client->ended);
    }
    assert_int_equal(sent, BIG);
    client_asks(0, GET);
    assert_int_equal(px.accepted, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROXY_TEST(test_passes_request_and_response),
        PROXY_TEST(test_uses_a_connection_again),
        PROXY_TEST(test_closes_a_connection_that_the_backend_wants_closed),
        PROXY_TEST(test_does_not_use_a_connection_that_said_too_much),
        PROXY_TEST(test_tells_the_access_log),
        PROXY_TEST(test_reads_a_response_split_at_every_byte),
        PROXY_TEST(test_reads_a_response_byte_by_byte),
        PROXY_TEST(test_passes_a_body_on_as_it_comes),
        PROXY_TEST(test_frames_chunks_anew_and_passes_harmless_trailers),
        PROXY_TEST(test_keeps_the_order_of_small_and_large_chunks),
        PROXY_TEST(test_sends_small_chunks_together),
        PROXY_TEST(test_passes_an_empty_chunked_body),
        PROXY_TEST(test_lets_the_backend_say_100_continue),
        PROXY_TEST(test_passes_a_body_that_did_not_wait_for_100),
        PROXY_TEST(test_passes_a_response_that_comes_before_the_body_has_ended),
        PROXY_TEST(test_hears_an_answer_from_a_backend_that_reads_no_further),
        PROXY_TEST(test_streams_both_ways_at_once),
        PROXY_TEST(test_passes_events_without_delay),
        PROXY_TEST(test_ends_a_body_for_an_old_client_by_closing),
        PROXY_TEST(test_takes_an_old_backends_body_until_it_closes),
        PROXY_TEST(test_passes_heads_without_bodies),
        PROXY_TEST(test_binds_the_client_with_a_cookie),
        PROXY_TEST(test_does_not_read_a_client_faster_than_the_backend_takes),
        PROXY_TEST(test_does_not_read_a_backend_faster_than_the_client_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
