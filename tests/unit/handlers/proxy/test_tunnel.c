/* Upgrades: those that are the backend's become tunnels or pass as plain requests, and those of a
 * route with WebSocket become sessions when the backend has accepted. */
#include "proto/ws_handshake.h"
#include "proxy_fixture.h"

#define UPGRADE                                                                                    \
    "GET /io HTTP/1.1\r\nHost: e\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"     \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
#define SWITCH                                                                                     \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"            \
    "Sec-WebSocket-Accept: k\r\n\r\n"

/* --- tunnels --- */

static struct client *open_tunnel(void)
{
    start_with("{\"forwarded\": \"off\", \"idle_timeout\": 60000}", "");
    struct client *client = client_asks(0, UPGRADE);
    end_received(0);
    end_says(0, SWITCH);
    assert_true(contains(received(client), "HTTP/1.1 101 "));
    return client;
}

static void test_passes_the_upgrade_and_its_answer_on(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, UPGRADE);
    assert_string_equal(end_received(0), "GET /io HTTP/1.1\r\nHost: e\r\n"
                                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                         "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n"
                                         "Connection: Upgrade\r\n\r\n");
    end_says(0, SWITCH);
    assert_string_equal(received(client),
                        "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: k\r\n"
                        "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
}

static void test_copies_bytes_both_ways(void **state)
{
    (void)state;
    struct client *client = open_tunnel();
    client_asks(0, "ping");
    assert_string_equal(end_received(0), "ping");
    end_says(0, "pong");
    assert_string_equal(received(client), "pong");
    end_says(0, "once more");
    assert_string_equal(received(client), "once more");
}

static void test_passes_bytes_that_came_with_the_handshake(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, UPGRADE "early");
    assert_false(contains(end_received(0), "early"));
    end_says(0, SWITCH "also early");
    assert_string_equal(end_received(0), "early");
    assert_string_equal(body_of(received(client)), "also early");
}

static void test_counts_bytes(void **state)
{
    (void)state;
    open_tunnel();
    client_asks(0, "12345");
    end_says(0, "1234567");
    client_closes(px.f, &px.f->clients[0]);
    end_closes(0);
    assert_int_equal(px.record.status, 101);
    assert_int_equal(px.record.bytes_received, strlen(SWITCH) + 7);
    assert_true(px.record.bytes_sent > 100);
}

static void test_passes_the_clients_end_on_and_then_the_backends(void **state)
{
    (void)state;
    struct client *client = open_tunnel();
    client_send(px.f, client, SPAN("last"));
    shutdown(client->fd, SHUT_WR);
    run();
    assert_string_equal(end_received(0), "last");
    assert_true(px.ends[0].ended);
    assert_false(client->ended);
    end_says(0, "answer");
    assert_string_equal(received(client), "answer");
    end_closes(0);
    assert_true(client->ended);
    assert_int_equal(px.f->worker.connection_count, 0);
    assert_int_equal(upstream_worker_busy(px.worker), 0);
}

static void test_passes_the_backends_end_on_and_then_the_clients(void **state)
{
    (void)state;
    struct client *client = open_tunnel();
    assert_int_equal(send(px.ends[0].fd, "last", 4, MSG_NOSIGNAL), 4);
    shutdown(px.ends[0].fd, SHUT_WR);
    run();
    assert_string_equal(received(client), "last");
    assert_true(client->ended);
    client_asks(0, "answer");
    assert_string_equal(end_received(0), "answer");
    client_closes(px.f, client);
    run();
    assert_true(px.ends[0].ended);
    assert_int_equal(px.f->worker.connection_count, 0);
}

static void test_hears_the_last_words_of_a_backend_that_takes_no_more(void **state)
{
    (void)state;
    struct client *client = open_tunnel();
    assert_int_equal(send(px.ends[0].fd, "bye", 3, MSG_NOSIGNAL), 3);
    close(px.ends[0].fd);
    px.ends[0].fd = -1;
    client_asks(0, "too late");
    assert_string_equal(received(client), "bye");
    assert_true(client->ended);
    client_closes(px.f, client);
    assert_int_equal(px.f->worker.connection_count, 0);
}

static void test_ends_when_the_client_has_gone_and_the_backend_still_speaks(void **state)
{
    (void)state;
    open_tunnel();
    client_closes(px.f, &px.f->clients[0]);
    run();
    assert_true(px.ends[0].ended);
    end_says(0, "are you there?");
    assert_int_equal(px.f->worker.connection_count, 0);
    assert_int_equal(upstream_worker_busy(px.worker), 0);
}

static void test_ends_an_idle_tunnel(void **state)
{
    (void)state;
    struct client *client = open_tunnel();
    pass_backend_ms(59000);
    client_asks(0, "x");
    pass_backend_ms(59000);
    end_says(0, "y");
    pass_backend_ms(59000);
    assert_false(client->ended);
    pass_backend_ms(1300);
    assert_true(client->ended);
    assert_true(px.ends[0].ended);
    assert_string_equal(px.f->ending.words, "no byte either way within idle_timeout");
    assert_string_equal(px.f->ending.closed_by, "gateway");
}

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
    BIG = 32 * 1024 * 1024,
    MUCH = 256 * 1024,
    PUSHED = 64 * 1024,
    HELD_AT_MOST = 8 * 1024 * 1024
};

static void test_holds_little_of_what_is_not_read(void **state)
{
    (void)state;
    struct client *client = open_tunnel();
    client->deaf = true;
    px.ends[0].deaf = true;
    size_t to_client = push(px.ends[0].fd, BIG);
    size_t to_backend = push(client->fd, BIG);
    assert_true(to_client > 256 * 1024 && to_client < HELD_AT_MOST);
    assert_true(to_backend > 256 * 1024 && to_backend < HELD_AT_MOST);
    client->deaf = false;
    px.ends[0].deaf = false;
    run();
    assert_int_equal(client->in.size, to_client);
    assert_int_equal(px.ends[0].in.size, to_backend);
    assert_false(client->ended);
}

/* Much at a time, so that the rest is moved within the kernel; then urgent data, where a move stops
 * for ever (test_splicer.c), and something behind it. Returns how much shall arrive. */
static size_t say_much_and_something_urgent(int fd)
{
    for (size_t sent = 0; sent < MUCH; sent += PUSHED) {
        assert_int_equal(push(fd, PUSHED), PUSHED);
        run();
    }
    assert_int_equal(send(fd, "!", 1, MSG_OOB), 1);
    assert_int_equal(send(fd, "behind", 6, 0), 6);
    return MUCH + 6;
}

static void test_passes_what_is_behind_urgent_data(void **state)
{
    (void)state;
    listen_over_tcp();
    struct client *client = open_tunnel();
    client->in.size = 0;
    size_t said = say_much_and_something_urgent(px.ends[0].fd);
    run();
    assert_int_equal(client->in.size, said);
    said += say_much_and_something_urgent(px.ends[0].fd);
    assert_int_equal(shutdown(px.ends[0].fd, SHUT_WR), 0);
    run();
    assert_int_equal(client->in.size, said);
    assert_true(client->ended);
}

/* --- upgrades that are none --- */

static void test_passes_a_refusal_of_the_backend(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, UPGRADE);
    end_says(0, "HTTP/1.1 400 Bad Request\r\nContent-Length: 10\r\n\r\n{\"code\":1}");
    expect_status(client, 400);
    assert_int_equal(upstream_worker_busy(px.worker), 0);
}

static void test_answers_502_to_a_switch_without_a_protocol(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, UPGRADE);
    end_says(0, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
    expect_status(client, 502);
    assert_true(px.ends[0].ended);
}

/* Requests in it would be seen by no route. */
static void test_does_not_tunnel_cleartext_http2(void **state)
{
    (void)state;
    start();
    client_asks(0, "GET / HTTP/1.1\r\nHost: e\r\nUpgrade: websocket, H2C\r\n"
                   "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n");
    assert_string_equal(end_received(0), "GET / HTTP/1.1\r\nHost: e\r\n\r\n");
}

static void test_does_not_tunnel_a_request_with_a_body(void **state)
{
    (void)state;
    start();
    client_asks(0, "POST / HTTP/1.1\r\nHost: e\r\nUpgrade: x\r\nConnection: Upgrade\r\n"
                   "Content-Length: 2\r\n\r\nhi");
    assert_string_equal(end_received(0),
                        "POST / HTTP/1.1\r\nHost: e\r\nContent-Length: 2\r\n\r\nhi");
}

static void test_dials_anew_for_an_upgrade(void **state)
{
    (void)state;
    start();
    client_asks(0, "GET / HTTP/1.1\r\nHost: e\r\n\r\n");
    end_says(0, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    client_asks(0, UPGRADE);
    assert_int_equal(px.accepted, 2);
    assert_true(contains(end_received(1), "GET /io "));
}

/* --- sessions --- */

/* The accept key for what the bridge has sent. */
static void accept_session(size_t at)
{
    char answer[512];
    char accept[WS_ACCEPT_BYTES];
    const char *request = end_received(at);
    const char *key = strstr(request, "Sec-WebSocket-Key: ");
    assert_non_null(key);
    key += strlen("Sec-WebSocket-Key: ");
    struct span text = {(const uint8_t *)key, strcspn(key, "\r")};
    assert_true(ws_handshake_accept(text, accept));
    snprintf(answer, sizeof answer,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\nX-Room: 7\r\n\r\n",
             accept);
    end_says(at, answer);
}

static void start_session(void)
{
    px.f->route_config.websocket = &px.f->websocket;
    start();
}

static void test_accepts_a_session_when_the_backend_has(void **state)
{
    (void)state;
    start_session();
    struct client *client = client_asks(0, UPGRADE_HEAD);
    assert_string_equal(received(client), "");
    accept_session(0);
    const char *answer = received(client);
    assert_true(contains(answer, "HTTP/1.1 101 "));
    assert_true(contains(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_true(contains(answer, "\r\nX-Room: 7\r\n"));
    send_text(px.f, client, "hi");
    run();
    assert_true(px.ends[0].in.size >= 2 + 4 + 2);
    end_says(0, "\x81\x02yo");
    expect_frames(client, "text(yo) ");
    client_closes(px.f, client);
    end_closes(0);
}

static void test_passes_the_refusal_of_a_session(void **state)
{
    (void)state;
    start_session();
    struct client *client = client_asks(0, UPGRADE_HEAD);
    end_says(0, "HTTP/1.1 403 Forbidden\r\nX-Why: 1\r\nContent-Length: 2\r\n\r\nno");
    const char *answer = received(client);
    assert_true(contains(answer, "HTTP/1.1 403 Forbidden\r\n"));
    assert_true(contains(answer, "X-Why: 1\r\n"));
    assert_string_equal(body_of(answer), "no");
}

static void test_answers_502_to_a_wrong_accept_key(void **state)
{
    (void)state;
    start_session();
    struct client *client = client_asks(0, UPGRADE_HEAD);
    end_says(0, SWITCH);
    expect_status(client, 502);
    assert_true(px.ends[0].ended);
}

static void test_refuses_a_bad_handshake_without_asking_the_backend(void **state)
{
    (void)state;
    start_session();
    struct client *client =
        client_asks(0, "GET / HTTP/1.1\r\nHost: e\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                       "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: x\r\n\r\n");
    expect_status(client, 426);
    assert_int_equal(px.accepted, 0);
}

static void test_lets_the_backend_go_when_the_client_goes_before_the_answer(void **state)
{
    (void)state;
    start_session();
    client_asks(0, UPGRADE_HEAD);
    client_closes(px.f, &px.f->clients[0]);
    run();
    assert_true(px.ends[0].ended);
    assert_int_equal(upstream_worker_busy(px.worker), 0);
}

static enum weir_verdict close_it(struct plug *plug, struct weir_session *session)
{
    (void)plug;
    (void)session;
    return WEIR_CLOSE;
}

/* on_open never comes to the proxy then, but on_close does. */
static void test_frees_a_session_that_a_plugin_closes_at_once(void **state)
{
    (void)state;
    px.f->plugs[0].does.open = close_it;
    start_session();
    struct client *client = client_asks(0, UPGRADE_HEAD);
    accept_session(0);
    assert_true(contains(received(client), "HTTP/1.1 101 "));
    client_closes(px.f, client);
    run();
    assert_int_equal(px.f->worker.connection_count, 0);
    end_closes(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROXY_TEST(test_passes_the_upgrade_and_its_answer_on),
        PROXY_TEST(test_copies_bytes_both_ways),
        PROXY_TEST(test_passes_bytes_that_came_with_the_handshake),
        PROXY_TEST(test_counts_bytes),
        PROXY_TEST(test_passes_the_clients_end_on_and_then_the_backends),
        PROXY_TEST(test_passes_the_backends_end_on_and_then_the_clients),
        PROXY_TEST(test_hears_the_last_words_of_a_backend_that_takes_no_more),
        PROXY_TEST(test_ends_when_the_client_has_gone_and_the_backend_still_speaks),
        PROXY_TEST(test_ends_an_idle_tunnel),
        PROXY_TEST(test_holds_little_of_what_is_not_read),
        PROXY_TEST(test_passes_what_is_behind_urgent_data),
        PROXY_TEST(test_passes_a_refusal_of_the_backend),
        PROXY_TEST(test_answers_502_to_a_switch_without_a_protocol),
        PROXY_TEST(test_does_not_tunnel_cleartext_http2),
        PROXY_TEST(test_does_not_tunnel_a_request_with_a_body),
        PROXY_TEST(test_dials_anew_for_an_upgrade),
        PROXY_TEST(test_accepts_a_session_when_the_backend_has),
        PROXY_TEST(test_passes_the_refusal_of_a_session),
        PROXY_TEST(test_answers_502_to_a_wrong_accept_key),
        PROXY_TEST(test_refuses_a_bad_handshake_without_asking_the_backend),
        PROXY_TEST(test_lets_the_backend_go_when_the_client_goes_before_the_answer),
        PROXY_TEST(test_frees_a_session_that_a_plugin_closes_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
