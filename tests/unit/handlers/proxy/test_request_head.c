/* Heads as backends get them, byte for byte. The request and the bridge are fakes; all else is the
 * real thing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "handlers/proxy/bridge.h"
#include "handlers/proxy/request_head.h"
#include "proto/ip_address.h"
#include "session/request.h"

enum {
    FIELDS_MAX = 32,
    CHANGES = 8
};

struct weir_request {
    const char *method;
    const char *target;
    const char *host;
    const char *scheme;
    const char *remote;
    bool trusted;                       /* it comes from 10.0.0.9, which is a trusted proxy */
    const char *fields[2 * FIELDS_MAX]; /* names and values in turn, NULL at the end */
    enum request_framing framing;
    uint64_t length;
};

static struct weir_request request;
static struct proxy_settings settings;
static struct header_change changes[CHANGES];
static struct config_server server_config;
static struct upstream_server server;

struct span request_method(const struct weir_request *r)
{
    return span_of(r->method);
}

struct span request_target(const struct weir_request *r)
{
    return span_of(r->target);
}

struct span request_host(const struct weir_request *r)
{
    return span_of(r->host);
}

const char *request_scheme(const struct weir_request *r)
{
    return r->scheme;
}

const char *request_remote(const struct weir_request *r)
{
    return r->remote;
}

bool request_is_trusted(const struct weir_request *r)
{
    return r->trusted;
}

const struct ip_address *request_peer(const struct weir_request *r)
{
    static struct ip_address peer;
    struct span text = span_of(r->trusted ? "10.0.0.9" : r->remote);
    assert_int_equal(ip_address_parse(text, &peer), WEIR_OK);
    return &peer;
}

size_t request_header_count(const struct weir_request *r)
{
    size_t count = 0;
    while (r->fields[2 * count] != NULL) {
        count++;
    }
    return count;
}

struct span request_header_name(const struct weir_request *r, size_t index)
{
    return span_of(r->fields[2 * index]);
}

struct span request_header_value(const struct weir_request *r, size_t index)
{
    return span_of(r->fields[2 * index + 1]);
}

struct span request_header(const struct weir_request *r, struct span name)
{
    for (size_t i = 0; i < request_header_count(r); i++) {
        if (span_equal_nocase(request_header_name(r, i), name)) {
            return request_header_value(r, i);
        }
    }
    return (struct span){NULL, 0};
}

enum request_framing request_framing(const struct weir_request *r, uint64_t *length)
{
    *length = r->length;
    return r->framing;
}

enum weir_err bridge_write_fields(const struct bridge *bridge, struct buffer *head)
{
    (void)bridge;
    return buffer_append(head, SPAN("Bridge: yes\r\n"));
}

static char *text(const char *words)
{
    return (char *)(uintptr_t)words;
}

static int set_up(void **state)
{
    (void)state;
    request = (struct weir_request){
        .method = "GET",
        .target = "/a%2Fb?q=1",
        .host = "example.com",
        .scheme = "http",
        .remote = "192.0.2.7",
        .fields = {"Host", "example.com", "Accept", "*/*"},
    };
    settings = (struct proxy_settings){
        .host = PROXY_HOST_PASS,
        .strip_prefix = text(""),
        .add_prefix = text(""),
        .forwarded = PROXY_FORWARDED_OFF,
        .request_headers = {changes, 0},
    };
    server_config = (struct config_server){.address = text("chat-1:3000")};
    server = (struct upstream_server){.config = &server_config};
    return 0;
}

static void set_fields(const char *const *fields)
{
    size_t i = 0;
    for (; fields[i] != NULL; i++) {
        request.fields[i] = fields[i];
    }
    request.fields[i] = NULL;
}

#define FIELDS(...) set_fields((const char *const[]){"Host", "example.com", __VA_ARGS__, NULL})

static void change(enum header_change_kind kind, const char *name, const char *value)
{
    changes[settings.request_headers.count++] =
        (struct header_change){kind, span_of(name), span_of(value)};
}

/* Compares with the head without its last line; `wanted` has "\n" for line ends. */
static void expect_as(enum exchange_kind kind, const char *wanted)
{
    struct buffer out = {0};
    char plain[2048];
    size_t size = 0;
    assert_int_equal(request_head_write(&settings, &request, &server, kind, NULL, &out), WEIR_OK);
    assert_true(out.size > 4 && out.size < sizeof plain);
    assert_memory_equal(out.data + out.size - 4, "\r\n\r\n", 4);
    for (size_t i = 0; i < out.size - 2; i++) {
        if (out.data[i] != '\r') {
            plain[size++] = (char)out.data[i];
        }
    }
    plain[size] = '\0';
    assert_string_equal(plain, wanted);
    buffer_free(&out);
}

static void expect(const char *wanted)
{
    expect_as(EXCHANGE_HTTP, wanted);
}

/* --- the line and Host --- */

static void test_passes_end_to_end_fields_in_their_order(void **state)
{
    (void)state;
    FIELDS("X-B", "2", "Cookie", "a=b", "x-a", "", "Cookie", "c=d", "Expect", "100-continue",
           "Authorization", "Basic eA==", "Range", "bytes=0-1");
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nX-B: 2\nCookie: a=b\nx-a: \nCookie: c=d\n"
           "Expect: 100-continue\nAuthorization: Basic eA==\nRange: bytes=0-1\n");
}

static void test_changes_the_prefix_of_the_path(void **state)
{
    (void)state;
    request.target = "/api/x%20y?z";
    settings.strip_prefix = text("/api");
    settings.add_prefix = text("/v2");
    expect("GET /v2/x%20y?z HTTP/1.1\nHost: example.com\nAccept: */*\n");
}

/* RFC 9112, section 3.2.2 */
static void test_says_the_host_of_the_target_not_of_a_differing_field(void **state)
{
    (void)state;
    request.target = "http://real.example/x";
    request.host = "real.example";
    FIELDS("host", "false.example");
    expect("GET /x HTTP/1.1\nHost: real.example\n");
}

static void test_says_the_host_that_the_settings_want(void **state)
{
    (void)state;
    settings.host = PROXY_HOST_SERVER;
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: chat-1:3000\nAccept: */*\n");
    settings.host = PROXY_HOST_TEXT;
    settings.host_text = text("inner.example:8080");
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: inner.example:8080\nAccept: */*\n");
    settings.host = PROXY_HOST_SERVER;
    server_config.address = text("unix:/run/app.sock");
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: localhost\nAccept: */*\n");
}

static void test_has_a_host_where_an_old_client_sent_none(void **state)
{
    (void)state;
    request.host = "";
    set_fields((const char *const[]){"Accept", "*/*", NULL});
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: chat-1:3000\nAccept: */*\n");
}

/* --- fields of one hop --- */

static void test_drops_fields_of_this_hop(void **state)
{
    (void)state;
    FIELDS("Connection", "keep-alive, X-Secret", "X-Secret", "1", "Keep-Alive", "timeout=5",
           "Proxy-Connection", "keep-alive", "Proxy-Authorization", "x", "Upgrade", "websocket",
           "X-Kept", "2", "Connection", "x-other", "X-Other", "3", "TE", "gzip");
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nX-Kept: 2\n");
}

static void test_asks_for_trailers_when_the_client_does(void **state)
{
    (void)state;
    FIELDS("TE", "gzip, Trailers", "Connection", "TE");
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nTE: trailers\nConnection: TE\n");
}

static void test_does_not_let_connection_take_away_what_the_proxy_writes(void **state)
{
    (void)state;
    request.framing = REQUEST_LENGTH;
    request.length = 5;
    settings.forwarded = PROXY_FORWARDED_X;
    FIELDS("Connection", "Host, Content-Length, X-Forwarded-For", "Content-Length", "5");
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nX-Forwarded-For: 192.0.2.7\n"
           "X-Forwarded-Proto: http\nX-Forwarded-Host: example.com\nContent-Length: 5\n");
}

/* --- framing --- */

static void test_repeats_the_framing(void **state)
{
    (void)state;
    request.method = "POST";
    request.framing = REQUEST_LENGTH;
    request.length = UINT64_MAX;
    FIELDS("Content-Length", "18446744073709551615", "X", "y");
    expect("POST /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nX: y\n"
           "Content-Length: 18446744073709551615\n");
    request.framing = REQUEST_CHUNKED;
    FIELDS("Transfer-Encoding", "chunked", "Trailer", "X-Sum");
    expect("POST /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nTrailer: X-Sum\n"
           "Transfer-Encoding: chunked\n");
}

static void test_says_that_a_body_is_empty_only_where_the_client_did(void **state)
{
    (void)state;
    request.method = "POST";
    FIELDS("content-length", "0");
    expect("POST /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nContent-Length: 0\n");
    FIELDS("X", "y");
    expect("POST /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nX: y\n");
}

/* --- who the client is --- */

/* Whoever takes the first of a list must not read what a client has made up. */
static void test_passes_nothing_on_that_an_untrusted_client_says_of_itself(void **state)
{
    (void)state;
    settings.forwarded = PROXY_FORWARDED_X;
    request.scheme = "https";
    FIELDS("X-Forwarded-For", "198.51.100.1, unknown", "X", "y", "x-forwarded-for", "10.0.0.1",
           "X-Forwarded-Proto", "gopher", "X-Forwarded-Host", "evil", "Forwarded", "for=evil");
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nX: y\nX-Forwarded-For: 192.0.2.7\n"
           "X-Forwarded-Proto: https\nX-Forwarded-Host: example.com\n");
    settings.forwarded = PROXY_FORWARDED_RFC;
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nX: y\n"
           "Forwarded: for=192.0.2.7;host=example.com;proto=https\n");
}

/* To a CGI backend X_Forwarded_For and X-Forwarded-For are one variable. */
static void test_passes_no_name_on_that_only_looks_like_another(void **state)
{
    (void)state;
    settings.forwarded = PROXY_FORWARDED_X;
    change(HEADER_SET, "X-User", "nobody");
    change(HEADER_REMOVE, "X_Role", "");
    FIELDS("X_Forwarded_For", "10.0.0.1", "X-Forwarded_Proto", "https", "x_forwarded-host", "evil",
           "X_User", "admin", "X_Role", "a", "X-Role", "b", "X_Users", "kept");
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nX_Users: kept\n"
           "X-Forwarded-For: 192.0.2.7\nX-Forwarded-Proto: http\n"
           "X-Forwarded-Host: example.com\nX-User: nobody\n");
}

static void test_continues_the_list_of_a_trusted_proxy_and_keeps_its_words(void **state)
{
    (void)state;
    settings.forwarded = PROXY_FORWARDED_X;
    request.trusted = true;
    request.remote = "198.51.100.1";
    FIELDS("X-Forwarded-For", "8.8.8.8, 198.51.100.1", "X", "y", "x-forwarded-for", "10.0.0.1",
           "X-Forwarded-For", "", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "shop.example",
           "Forwarded", "for=them");
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nX: y\nForwarded: for=them\n"
           "X-Forwarded-For: 8.8.8.8, 198.51.100.1, 10.0.0.1, 10.0.0.9\n"
           "X-Forwarded-Proto: https\nX-Forwarded-Host: shop.example\n");
}

static void test_says_what_a_trusted_proxy_has_left_unsaid(void **state)
{
    (void)state;
    settings.forwarded = PROXY_FORWARDED_X;
    request.trusted = true;
    FIELDS("X-Forwarded-Proto", "", "X-Forwarded-For", "");
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nX-Forwarded-For: 10.0.0.9\n"
           "X-Forwarded-Proto: http\nX-Forwarded-Host: example.com\n");
}

static void test_lets_connection_take_away_no_word_of_a_trusted_proxy(void **state)
{
    (void)state;
    settings.forwarded = PROXY_FORWARDED_X;
    request.trusted = true;
    FIELDS("Connection", "X-Forwarded-Proto", "X-Forwarded-Proto", "https");
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nX-Forwarded-For: 10.0.0.9\n"
           "X-Forwarded-Proto: https\nX-Forwarded-Host: example.com\n");
}

static void test_writes_forwarded(void **state)
{
    (void)state;
    settings.forwarded = PROXY_FORWARDED_RFC;
    request.remote = "2001:db8::7";
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nAccept: */*\n"
           "Forwarded: for=\"[2001:db8::7]\";host=example.com;proto=http\n");
    request.trusted = true;
    FIELDS("Forwarded", "for=198.51.100.1;proto=https", "X-Forwarded-For", "198.51.100.1",
           "forwarded", "for=10.0.0.1");
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nX-Forwarded-For: 198.51.100.1\n"
           "Forwarded: for=198.51.100.1;proto=https, for=10.0.0.1, "
           "for=10.0.0.9;host=example.com;proto=http\n");
}

static void test_begins_forwarded_with_what_x_forwarded_fields_of_a_trusted_proxy_say(void **state)
{
    (void)state;
    settings.forwarded = PROXY_FORWARDED_RFC;
    request.remote = "198.51.100.1";
    request.trusted = true;
    FIELDS("X-Forwarded-Proto", "https, http", "X-Forwarded-Host", "shop.example:8443");
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nX-Forwarded-Proto: https, http\n"
           "X-Forwarded-Host: shop.example:8443\n"
           "Forwarded: for=198.51.100.1;host=\"shop.example:8443\";proto=https\n");
}

static void test_writes_both_or_neither(void **state)
{
    (void)state;
    settings.forwarded = PROXY_FORWARDED_BOTH;
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nAccept: */*\nX-Forwarded-For: 192.0.2.7\n"
           "X-Forwarded-Proto: http\nX-Forwarded-Host: example.com\n"
           "Forwarded: for=192.0.2.7;host=example.com;proto=http\n");
    settings.forwarded = PROXY_FORWARDED_OFF;
    FIELDS("X-Forwarded-For", "1.2.3.4", "Forwarded", "for=x");
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nX-Forwarded-For: 1.2.3.4\n"
           "Forwarded: for=x\n");
}

/* --- changes --- */

static void test_changes_fields_as_the_settings_say(void **state)
{
    (void)state;
    FIELDS("Accept", "*/*", "X-Old", "1", "x-old", "2", "X-Set", "3", "X-Add", "4");
    change(HEADER_REMOVE, "x-OLD", "");
    change(HEADER_SET, "X-Set", "new");
    change(HEADER_ADD, "X-Add", "more");
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nAccept: */*\nX-Add: 4\nX-Set: new\n"
           "X-Add: more\n");
}

static void test_changes_its_own_fields_too(void **state)
{
    (void)state;
    settings.forwarded = PROXY_FORWARDED_X;
    change(HEADER_REMOVE, "X-Forwarded-Host", "");
    change(HEADER_SET, "X-Forwarded-Proto", "https");
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nAccept: */*\nX-Forwarded-For: 192.0.2.7\n"
           "X-Forwarded-Proto: https\n");
}

static void test_lets_no_setting_touch_what_frames_and_routes(void **state)
{
    (void)state;
    request.framing = REQUEST_LENGTH;
    request.length = 3;
    change(HEADER_REMOVE, "Content-Length", "");
    change(HEADER_SET, "Transfer-Encoding", "chunked");
    change(HEADER_ADD, "Connection", "close");
    change(HEADER_SET, "Host", "evil");
    change(HEADER_ADD, "Upgrade", "websocket");
    expect("GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nAccept: */*\nContent-Length: 3\n");
}

/* --- upgrades --- */

static void test_passes_an_upgrade_on_as_it_came(void **state)
{
    (void)state;
    FIELDS("Connection", "keep-alive, Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Key", "k",
           "Sec-WebSocket-Version", "13", "Sec-WebSocket-Extensions", "permessage-deflate; x",
           "Sec-WebSocket-Protocol", "a, b", "TE", "trailers");
    expect_as(EXCHANGE_TUNNEL,
              "GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nSec-WebSocket-Key: k\n"
              "Sec-WebSocket-Version: 13\nSec-WebSocket-Extensions: permessage-deflate; x\n"
              "Sec-WebSocket-Protocol: a, b\nUpgrade: websocket\nConnection: Upgrade\n");
}

static void test_leaves_a_sessions_handshake_to_the_bridge(void **state)
{
    (void)state;
    FIELDS("Connection", "Upgrade", "Upgrade", "websocket", "sec-websocket-key", "k",
           "Sec-WebSocket-Version", "13", "Sec-WebSocket-Extensions", "x", "Origin", "http://a",
           "Sec-WebSocket-Protocol", "a, b", "Sec-Fetch-Mode", "websocket");
    expect_as(EXCHANGE_SESSION, "GET /a%2Fb?q=1 HTTP/1.1\nHost: example.com\nOrigin: http://a\n"
                                "Sec-Fetch-Mode: websocket\nBridge: yes\n");
}

/* --- what cannot be written --- */

static void test_refuses_what_would_break_the_head(void **state)
{
    (void)state;
    struct buffer out = {0};
    request.target = "/a b";
    assert_int_equal(request_head_write(&settings, &request, &server, EXCHANGE_HTTP, NULL, &out),
                     WEIR_EINVAL);
    request.target = "/";
    change(HEADER_ADD, "X", "a\r\nY: b");
    assert_int_equal(request_head_write(&settings, &request, &server, EXCHANGE_HTTP, NULL, &out),
                     WEIR_EINVAL);
    buffer_free(&out);
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_passes_end_to_end_fields_in_their_order),
        TEST(test_changes_the_prefix_of_the_path),
        TEST(test_says_the_host_of_the_target_not_of_a_differing_field),
        TEST(test_says_the_host_that_the_settings_want),
        TEST(test_has_a_host_where_an_old_client_sent_none),
        TEST(test_drops_fields_of_this_hop),
        TEST(test_asks_for_trailers_when_the_client_does),
        TEST(test_does_not_let_connection_take_away_what_the_proxy_writes),
        TEST(test_repeats_the_framing),
        TEST(test_says_that_a_body_is_empty_only_where_the_client_did),
        TEST(test_passes_nothing_on_that_an_untrusted_client_says_of_itself),
        TEST(test_passes_no_name_on_that_only_looks_like_another),
        TEST(test_continues_the_list_of_a_trusted_proxy_and_keeps_its_words),
        TEST(test_says_what_a_trusted_proxy_has_left_unsaid),
        TEST(test_lets_connection_take_away_no_word_of_a_trusted_proxy),
        TEST(test_writes_forwarded),
        TEST(test_begins_forwarded_with_what_x_forwarded_fields_of_a_trusted_proxy_say),
        TEST(test_writes_both_or_neither),
        TEST(test_changes_fields_as_the_settings_say),
        TEST(test_changes_its_own_fields_too),
        TEST(test_lets_no_setting_touch_what_frames_and_routes),
        TEST(test_passes_an_upgrade_on_as_it_came),
        TEST(test_leaves_a_sessions_handshake_to_the_bridge),
        TEST(test_refuses_what_would_break_the_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
