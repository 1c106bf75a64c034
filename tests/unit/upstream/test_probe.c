/* One check of one server: what is good, what is bad and why, for TCP, HTTP and WebSocket, on real
 * sockets; and that none of them leaves a descriptor. */
#include <stdlib.h>

#include "upstream/fake_backend.h"
#include "upstream/loop_fixture.h"
#include "upstream/probe.h"
#include "upstream/upstream_fixture.h"

enum {
    TIMEOUT_MS = 10000,
    SHORT_MS = 40,
    HEAD_MAX = 16 * 1024 /* of an answer */
};

static struct upstream_fixture fixture;
static struct config_health_check check;
static struct fake_backend backend;
static struct upstream_group *group;
static struct upstream_server *server;
static struct probe *probe;
static char path[] = "/healthz?deep=1";
static unsigned descriptors;

static struct verdict {
    unsigned count;
    bool good;
    char why[400];
} verdict;

static void probed(void *context, bool good, const char *why)
{
    assert_ptr_equal(context, &verdict);
    verdict.count++;
    verdict.good = good;
    snprintf(verdict.why, sizeof verdict.why, "%s", why);
    probe = NULL;
}

static int set_up(void **state)
{
    (void)state;
    upstream_fixture_init(&fixture, 1);
    check = (struct config_health_check){
        .path = path, .status_from = 200, .status_to = 299, .timeout_ms = TIMEOUT_MS};
    fixture.config.health_check = &check;
    if (loop_set_up() != 0 || fake_backend_open(&backend) != 0) {
        return -1;
    }
    group = group_new(&fixture.config);
    server = fixture_server(&fixture, &backend.address);
    descriptors = loop_descriptors();
    return group != NULL && server != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    probe_cancel(&probe);
    server_release(&server);
    group_free(&group);
    loop_turn(loop, false);
    loop_tear_down();
    fake_backend_close(&backend);
    return 0;
}

static void run(void)
{
    verdict = (struct verdict){0};
    probe = probe_start(loop, group, server, probed, &verdict);
    assert_non_null(probe);
    assert_int_equal(verdict.count, 0); /* never from within */
    LOOP_UNTIL(verdict.count > 0, fake_backend_work(&backend));
    LOOP_UNTIL(backend.peer_count == 0, fake_backend_work(&backend));
    assert_int_equal(verdict.count, 1);
    assert_int_equal(server->references, 1);
    assert_int_equal(server->active, 0); /* a check takes no lease */
}

static void expect_good(void)
{
    run();
    if (!verdict.good) {
        fail_msg("bad: %s", verdict.why);
    }
    assert_int_equal(loop_descriptors(), descriptors);
}

static void expect_bad(const char *why)
{
    run();
    assert_false(verdict.good);
    if (strstr(verdict.why, why) == NULL) {
        fail_msg("bad for another reason: %s", verdict.why);
    }
    assert_true(loop_descriptors() <= descriptors);
}

/* --- TCP --- */

static void test_tcp_is_good_when_it_connects(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_TCP;
    expect_good();
    assert_int_equal(backend.accepted, 1);
}

static void test_tcp_is_bad_when_it_is_refused(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_TCP;
    fake_backend_close(&backend);
    expect_bad("cannot connect: Connection refused");
}

static void use_unix(void)
{
    fake_backend_close(&backend);
    assert_int_equal(fake_backend_open_unix(&backend), 0);
    server_release(&server);
    server = fixture_server(&fixture, &backend.address);
    assert_non_null(server);
}

static void test_unix_sockets_are_checked_too(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_TCP;
    use_unix();
    expect_good();
    fake_backend_close(&backend);
    expect_bad("cannot connect: No such file or directory");
}

/* A listening socket whose queue is full lets nobody connect, and refuses nobody. */
static void test_tcp_is_bad_when_it_does_not_connect_in_time(void **state)
{
    (void)state;
    int fillers[8];
    check.type = CONFIG_HEALTH_TCP;
    check.timeout_ms = SHORT_MS;
    assert_int_equal(listen(backend.fd, 0), 0);
    for (size_t i = 0; i < 8; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int err = connect(fillers[i], (const struct sockaddr *)&backend.address.address,
                          backend.address.size);
        assert_true(err == 0 || errno == EINPROGRESS);
    }
    probe = probe_start(loop, group, server, probed, &verdict);
    verdict = (struct verdict){0};
    LOOP_UNTIL(verdict.count > 0, (void)0);
    assert_false(verdict.good);
    assert_string_equal(verdict.why, "no connection within 40 ms");
    for (size_t i = 0; i < 8; i++) {
        close(fillers[i]);
    }
}

/* --- HTTP --- */

static void expect_status(unsigned status, bool good)
{
    char answer[100];
    char why[40];
    snprintf(answer, sizeof answer, "HTTP/1.1 %u Words\r\nContent-Length: 2\r\n\r\nok", status);
    snprintf(why, sizeof why, "status %u", status);
    backend.answer = answer;
    if (good) {
        expect_good();
    } else {
        expect_bad(why);
    }
}

static void test_http_is_good_within_the_range_of_status(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_HTTP;
    check.status_from = 204;
    check.status_to = 301;
    expect_status(203, false);
    expect_status(204, true);
    expect_status(301, true);
    expect_status(302, false);
    expect_status(503, false);
}

static void test_http_asks_as_the_configuration_says(void **state)
{
    (void)state;
    static char host[] = "app.example.com";
    check.type = CONFIG_HEALTH_HTTP;
    expect_status(200, true);
    assert_string_equal(backend.head, "GET /healthz?deep=1 HTTP/1.1\r\nHost: localhost:80\r\n"
                                      "User-Agent: weir\r\nConnection: close\r\n\r\n");
    check.host = host;
    expect_status(200, true);
    assert_non_null(strstr(backend.head, "\r\nHost: app.example.com\r\n"));
    check.host = NULL;
    use_unix();
    static char address[] = "unix:/run/app.sock";
    fixture.servers[0].address = address;
    server_release(&server);
    server = fixture_server(&fixture, &backend.address);
    expect_status(200, true);
    assert_non_null(strstr(backend.head, "\r\nHost: localhost\r\n"));
}

static void test_http_takes_the_answer_in_any_two_pieces(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_HTTP;
    backend.answer =
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n";
    for (backend.piece = 1; backend.piece <= strlen(backend.answer); backend.piece++) {
        expect_good();
    }
}

static void test_http_is_bad_when_the_answer_is_none(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_HTTP;
    backend.answer = "SSH-2.0-OpenSSH_9.2\r\n\r\n";
    expect_bad("the answer is no HTTP: ");
}

static void expect_head_size(size_t size, bool good)
{
    static char answer[HEAD_MAX + 100];
    int head = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nA: ");
    memset(answer + head, 'x', size - 4 - (size_t)head);
    memcpy(answer + size - 4, "\r\n\r\n", 5);
    backend.answer = answer;
    if (good) {
        expect_good();
    } else {
        expect_bad("the answer is no HTTP: ");
    }
}

static void test_http_takes_a_head_up_to_the_limit(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_HTTP;
    expect_head_size(HEAD_MAX, true);
    expect_head_size(HEAD_MAX + 1, false);
}

static void test_http_is_bad_when_the_connection_ends_first(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_HTTP;
    backend.cuts = true;
    expect_bad("the ");
    assert_true(strstr(verdict.why, "connection broke") != NULL ||
                strstr(verdict.why, "closed the connection") != NULL);
}

static void test_http_is_bad_when_no_answer_comes_in_time(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_HTTP;
    check.timeout_ms = SHORT_MS;
    expect_bad("no answer within 40 ms");
    backend.answer = "HTTP/1.1 200 OK\r\nA: "; /* half of one is none */
    expect_bad("no answer within 40 ms");
}

/* Or one that never stops would keep the control thread from all else. */
static void test_http_takes_a_little_of_a_long_answer_in_each_turn(void **state)
{
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    static const char final[] = "HTTP/1.1 200 OK\r\n\r\n";
    (void)state;
    check.type = CONFIG_HEALTH_HTTP;
    verdict = (struct verdict){0};
    probe = probe_start(loop, group, server, probed, &verdict);
    LOOP_UNTIL(backend.head[0] != '\0', fake_backend_work(&backend));
    for (unsigned i = 0; i < 1000; i++) {
        fake_send(&backend.peers[0], interim, sizeof interim - 1);
    }
    fake_send(&backend.peers[0], final, sizeof final - 1);
    loop_turn(loop, false);
    assert_int_equal(verdict.count, 0);
    LOOP_UNTIL(verdict.count > 0, fake_backend_work(&backend));
    assert_true(verdict.good);
}

/* --- WebSocket --- */

static void test_websocket_is_good_with_a_pong_and_says_goodbye(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_WEBSOCKET;
    backend.websocket = true;
    expect_good();
    assert_int_equal(backend.pings, 1);
    assert_int_equal(backend.closes, 1);
    assert_int_equal(backend.close_code, 1000);
    assert_int_equal(
        strncmp(backend.head, "GET /healthz?deep=1 HTTP/1.1\r\nHost: localhost:80\r\n", 50), 0);
    assert_non_null(strstr(backend.head, "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                         "Sec-WebSocket-Version: 13\r\n"));
}

static void test_websocket_has_a_new_key_each_time(void **state)
{
    (void)state;
    char first[FAKE_BYTES];
    check.type = CONFIG_HEALTH_WEBSOCKET;
    backend.websocket = true;
    expect_good();
    snprintf(first, sizeof first, "%s", backend.head);
    expect_good();
    assert_string_not_equal(first, backend.head);
}

static void test_websocket_passes_over_what_the_server_says_first(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_WEBSOCKET;
    backend.websocket = true;
    /* A text, a ping, and a pong that nobody has asked for. */
    backend.greeting = "\x81\x05hello\x89\x02hi\x8a\x02hi";
    expect_good();
    assert_int_equal(backend.close_code, 1000);
}

static void test_websocket_is_bad_with_a_wrong_key(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_WEBSOCKET;
    backend.websocket = true;
    backend.wrong_key = true;
    expect_bad("it answers the handshake wrongly: ");
    assert_int_equal(backend.pings, 0);
}

static void test_websocket_is_bad_when_the_handshake_is_refused(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_WEBSOCKET;
    backend.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    expect_bad("it answers the handshake with status 200");
}

static void test_websocket_is_bad_without_a_pong(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_WEBSOCKET;
    check.timeout_ms = SHORT_MS;
    backend.websocket = true;
    backend.no_pong = true;
    expect_bad("no answer within 40 ms");
    assert_int_equal(backend.pings, 1);
}

static void test_websocket_is_bad_when_it_closes_instead_of_a_pong(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_WEBSOCKET;
    backend.websocket = true;
    backend.closes_instead = true;
    expect_bad("it closes the session before its pong");
}

static void test_websocket_is_bad_when_it_breaks_the_protocol(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_WEBSOCKET;
    backend.websocket = true;
    backend.greeting = "\x81\x81mask!"; /* RFC 6455, section 5.1: a server masks nothing */
    expect_bad("it breaks the protocol: ");
}

static void test_websocket_is_good_although_nobody_answers_the_goodbye(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_WEBSOCKET;
    check.timeout_ms = 200;
    backend.websocket = true;
    backend.no_close = true;
    expect_good();
    assert_int_equal(backend.close_code, 1000);
}

/* --- the end --- */

static void test_calls_nobody_back_after_it_was_cancelled(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_HTTP;
    verdict = (struct verdict){0};
    probe = probe_start(loop, group, server, probed, &verdict);
    LOOP_UNTIL(backend.accepted == 1, fake_backend_work(&backend));
    assert_int_equal(loop_descriptors(), descriptors + 2);
    probe_cancel(&probe);
    assert_null(probe);
    probe_cancel(&probe); /* nothing is fine */
    LOOP_UNTIL(backend.peer_count == 0, fake_backend_work(&backend));
    assert_int_equal(verdict.count, 0);
    assert_int_equal(server->references, 1);
    assert_int_equal(loop_descriptors(), descriptors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_tcp_is_good_when_it_connects),
        TEST(test_tcp_is_bad_when_it_is_refused),
        TEST(test_unix_sockets_are_checked_too),
        TEST(test_tcp_is_bad_when_it_does_not_connect_in_time),
        TEST(test_http_is_good_within_the_range_of_status),
        TEST(test_http_asks_as_the_configuration_says),
        TEST(test_http_takes_the_answer_in_any_two_pieces),
        TEST(test_http_is_bad_when_the_answer_is_none),
        TEST(test_http_takes_a_head_up_to_the_limit),
        TEST(test_http_is_bad_when_the_connection_ends_first),
        TEST(test_http_is_bad_when_no_answer_comes_in_time),
        TEST(test_http_takes_a_little_of_a_long_answer_in_each_turn),
        TEST(test_websocket_is_good_with_a_pong_and_says_goodbye),
        TEST(test_websocket_has_a_new_key_each_time),
        TEST(test_websocket_passes_over_what_the_server_says_first),
        TEST(test_websocket_is_bad_with_a_wrong_key),
        TEST(test_websocket_is_bad_when_the_handshake_is_refused),
        TEST(test_websocket_is_bad_without_a_pong),
        TEST(test_websocket_is_bad_when_it_closes_instead_of_a_pong),
        TEST(test_websocket_is_bad_when_it_breaks_the_protocol),
        TEST(test_websocket_is_good_although_nobody_answers_the_goodbye),
        TEST(test_calls_nobody_back_after_it_was_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
