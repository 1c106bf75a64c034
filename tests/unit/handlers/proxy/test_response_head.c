/* What of a backend's head passes on, and the trailers that do. Responses are parsed by the real
 * parser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "handlers/proxy/response_head.h"
#include "handlers/proxy/trailers.h"

enum {
    CHANGES = 8
};

static struct proxy_settings settings;
static struct header_change changes[CHANGES];

static int set_up(void **state)
{
    (void)state;
    settings = (struct proxy_settings){.response_headers = {changes, 0}};
    return 0;
}

static void change(enum header_change_kind kind, const char *name, const char *value)
{
    changes[settings.response_headers.count++] =
        (struct header_change){kind, span_of(name), span_of(value)};
}

static void parse(const char *head, bool is_head, struct http_response *response)
{
    size_t scanned = 0;
    size_t consumed = 0;
    const char *why = "";
    assert_int_equal(
        http_response_parse(span_of(head), is_head, 65536, &scanned, response, &consumed, &why),
        WEIR_OK);
    assert_int_equal(consumed, strlen(head));
}

/* Compares the fields, "Name: value|" for each. */
static void expect_fields(const char *head, enum response_use use, const char *cookie,
                          const char *wanted)
{
    struct http_response response;
    struct response_head made;
    char text[2048] = "";
    parse(head, false, &response);
    assert_int_equal(response_head_make(&settings, &response, use, span_of(cookie), &made),
                     WEIR_OK);
    for (size_t i = 0; i < made.count; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%.*s: %.*s|", SPAN_ARGS(made.fields[i].name),
                 SPAN_ARGS(made.fields[i].value));
    }
    assert_string_equal(text, wanted);
    response_head_free(&made);
    assert_null(made.fields);
}

static void test_passes_end_to_end_fields_in_their_order(void **state)
{
    (void)state;
    expect_fields("HTTP/1.1 200 OK\r\nServer: x\r\nSet-Cookie: a\r\nDate: d\r\nset-cookie: b\r\n"
                  "Content-Length: 3\r\nETag: \"e\"\r\nTrailer: X-Sum\r\n\r\n",
                  RESPONSE_FINAL, "",
                  "Server: x|Set-Cookie: a|Date: d|set-cookie: b|ETag: \"e\"|Trailer: X-Sum|");
}

static void test_drops_fields_of_this_hop(void **state)
{
    (void)state;
    expect_fields(
        "HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\n"
        "Transfer-Encoding: chunked\r\nUpgrade: h2c\r\nX: y\r\nProxy-Connection: z\r\n\r\n",
        RESPONSE_FINAL, "", "X: y|");
}

static void test_adds_the_cookie_beside_the_backends_own(void **state)
{
    (void)state;
    expect_fields("HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\n", RESPONSE_FINAL, "weir=1; Path=/",
                  "Set-Cookie: a=b|Set-Cookie: weir=1; Path=/|");
}

static void test_changes_fields_as_the_settings_say(void **state)
{
    (void)state;
    change(HEADER_REMOVE, "x-powered-by", "");
    change(HEADER_SET, "Cache-Control", "no-store");
    change(HEADER_ADD, "X", "2");
    change(HEADER_ADD, "Transfer-Encoding", "chunked");
    change(HEADER_SET, "Content-Length", "0");
    expect_fields("HTTP/1.1 200 OK\r\nX-Powered-By: y\r\nCache-Control: a\r\nX: 1\r\n\r\n",
                  RESPONSE_FINAL, "", "X: 1|Cache-Control: no-store|X: 2|");
}

static void test_changes_nothing_in_interim_responses(void **state)
{
    (void)state;
    change(HEADER_REMOVE, "Link", "");
    change(HEADER_ADD, "X", "2");
    expect_fields("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n",
                  RESPONSE_INTERIM, "", "Link: </a>|");
}

static void test_switches_with_the_backends_words(void **state)
{
    (void)state;
    expect_fields("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                  "Connection: Upgrade\r\nSec-WebSocket-Accept: k\r\nDate: d\r\n\r\n",
                  RESPONSE_SWITCH, "weir=1",
                  "Sec-WebSocket-Accept: k|Date: d|Set-Cookie: weir=1|Upgrade: websocket|"
                  "Connection: Upgrade|");
}

static void test_gives_a_session_what_is_not_its_own_handshake(void **state)
{
    (void)state;
    expect_fields("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX-Room: 7\r\n"
                  "Connection: Upgrade\r\nsec-websocket-accept: k\r\nDate: d\r\nServer: s\r\n"
                  "Sec-WebSocket-Protocol: p\r\nSet-Cookie: a\r\n\r\n",
                  RESPONSE_SESSION, "weir=1", "X-Room: 7|Set-Cookie: a|Set-Cookie: weir=1|");
}

/* RFC 9110, section 15.5.22 */
static void test_says_with_a_426_what_to_upgrade_to(void **state)
{
    (void)state;
    expect_fields("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nX: y\r\n\r\n",
                  RESPONSE_FINAL, "", "X: y|Upgrade: websocket|Connection: Upgrade|");
    expect_fields("HTTP/1.1 426 Upgrade Required\r\nX: y\r\n\r\n", RESPONSE_FINAL, "", "X: y|");
}

static uint64_t length_of(const char *head, bool is_head)
{
    struct http_response response;
    parse(head, is_head, &response);
    return response_head_length(&response);
}

static void test_tells_the_length(void **state)
{
    (void)state;
    assert_int_equal(length_of("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", false), 7);
    assert_int_equal(length_of("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false), 0);
    assert_int_equal(length_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false),
                     REPLY_LENGTH_UNKNOWN);
    assert_int_equal(length_of("HTTP/1.1 200 OK\r\n\r\n", false), REPLY_LENGTH_UNKNOWN);
    assert_int_equal(length_of("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", true), 7);
    assert_int_equal(length_of("HTTP/1.1 200 OK\r\n\r\n", true), REPLY_LENGTH_UNKNOWN);
    assert_int_equal(length_of("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", false), 7);
    assert_int_equal(length_of("HTTP/1.1 304 Not Modified\r\n\r\n", false), REPLY_LENGTH_UNKNOWN);
    assert_int_equal(length_of("HTTP/1.1 204 No Content\r\n\r\n", false), 0);
    assert_int_equal(length_of("HTTP/1.1 204 No Content\r\n\r\n", true), 0);
}

static void expect_trailers(const char *raw, enum weir_err err, const char *wanted)
{
    struct buffer out = {0};
    assert_int_equal(trailers_filter(span_of(raw), &out), err);
    assert_true(span_equal(buffer_span(&out), span_of(wanted)));
    buffer_free(&out);
}

static void test_passes_only_harmless_trailers(void **state)
{
    (void)state;
    expect_trailers("", WEIR_OK, "");
    expect_trailers("X-Sum: 1\r\nContent-Length: 3\r\nETag: \"e\"\r\nHost: x\r\n"
                    "Transfer-Encoding: chunked\r\nAuthorization: y\r\n",
                    WEIR_OK, "X-Sum: 1\r\nETag: \"e\"\r\n");
    expect_trailers("bad\r\n", WEIR_EPROTO, "");
    expect_trailers("X: 1\r\n\r\nHTTP/1.1 200 OK\r\n", WEIR_EPROTO, "");
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_passes_end_to_end_fields_in_their_order),
        TEST(test_drops_fields_of_this_hop),
        TEST(test_adds_the_cookie_beside_the_backends_own),
        TEST(test_changes_fields_as_the_settings_say),
        TEST(test_changes_nothing_in_interim_responses),
        TEST(test_switches_with_the_backends_words),
        TEST(test_gives_a_session_what_is_not_its_own_handshake),
        TEST(test_says_with_a_426_what_to_upgrade_to),
        TEST(test_tells_the_length),
        TEST(test_passes_only_harmless_trailers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
