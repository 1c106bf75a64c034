/* The opening handshake, requirement by requirement (RFC 6455, sections 4.2 and 11.3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ws_handshake.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

/* The fields of a right request, one by one, so that a test can leave one out or change it. */
#define HOST "Host: example.com\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define WITH_KEY "Sec-WebSocket-Key: " KEY "\r\n"
#define LINE "GET /ws HTTP/1.1\r\n"

static struct http_head head;

/* Parses a head that must be right HTTP. */
static void parse(const char *text)
{
    static const struct http_head_limits limits = {8192, 16384, 100};
    size_t scanned = 0;
    size_t consumed = 0;
    unsigned status = 0;
    const char *why = "";
    enum weir_err err =
        http_head_parse(span_of(text), &limits, &scanned, &head, &consumed, &status, &why);
    if (err != WEIR_OK) {
        fail_msg("%s: %u %s", text, status, why);
    }
}

static void expect_status(unsigned wanted, const char *text)
{
    unsigned status = 101;
    const char *why = NULL;
    parse(text);
    enum weir_err err = ws_handshake_check(&head, &status, &why);
    assert_int_equal(err, wanted == 101 ? WEIR_OK : WEIR_EPROTO);
    assert_int_equal(status, wanted);
    assert_true((why == NULL) == (wanted == 101));
}

static void test_takes_the_request_of_rfc6455_section_1_2(void **unused)
{
    (void)unused;
    expect_status(101, "GET /chat HTTP/1.1\r\n"
                       "Host: server.example.com\r\n"
                       "Upgrade: websocket\r\n"
                       "Connection: Upgrade\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Origin: http://example.com\r\n"
                       "Sec-WebSocket-Protocol: chat, superchat\r\n"
                       "Sec-WebSocket-Version: 13\r\n\r\n");
    assert_true(ws_handshake_is_wanted(&head));
}

static void test_answers_the_key_of_rfc6455_section_1_3(void **unused)
{
    (void)unused;
    char accept[WS_ACCEPT_BYTES];
    assert_true(ws_handshake_accept(SPAN(KEY), accept));
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void test_answers_no_key_of_another_length(void **unused)
{
    (void)unused;
    char accept[WS_ACCEPT_BYTES];
    assert_false(ws_handshake_accept(SPAN(""), accept));
    assert_false(ws_handshake_accept(SPAN("dGhlIHNhbXBsZSBub25jZQ="), accept));
    assert_false(ws_handshake_accept(SPAN(KEY "="), accept));
}

static void test_wants_get(void **unused)
{
    (void)unused;
    static const char *const methods[] = {"POST", "HEAD", "OPTIONS", "get"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "%s /ws HTTP/1.1\r\n" HOST UPGRADE CONNECTION VERSION WITH_KEY "\r\n", methods[i]);
        expect_status(405, text);
    }
}

static void test_wants_http_1_1(void **unused)
{
    (void)unused;
    expect_status(400, "GET /ws HTTP/1.0\r\n" HOST UPGRADE CONNECTION VERSION WITH_KEY "\r\n");
}

static void test_takes_connection_and_upgrade_as_lists_in_any_case(void **unused)
{
    (void)unused;
    expect_status(101, LINE HOST "upgrade: WebSocket\r\n"
                                 "connection: keep-alive, UPGRADE\r\n" VERSION WITH_KEY "\r\n");
    expect_status(101, LINE HOST "Upgrade: h2c, websocket\r\n"
                                 "Connection: keep-alive\r\n"
                                 "Connection:upgrade ,\t\r\n" VERSION WITH_KEY "\r\n");
}

static void test_wants_websocket_in_upgrade(void **unused)
{
    (void)unused;
    static const char *const fields[] = {"", "Upgrade: h2c\r\n", "Upgrade: websocket2\r\n",
                                         "Upgrade: web socket\r\n", "Upgrade:\r\n"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char text[512];
        snprintf(text, sizeof text, LINE HOST "%s" CONNECTION VERSION WITH_KEY "\r\n", fields[i]);
        expect_status(426, text);
        assert_false(ws_handshake_is_wanted(&head));
    }
}

static void test_wants_upgrade_in_connection(void **unused)
{
    (void)unused;
    static const char *const fields[] = {"", "Connection: keep-alive\r\n",
                                         "Connection: upgraded\r\n", "Connection: not upgrade\r\n"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char text[512];
        snprintf(text, sizeof text, LINE HOST UPGRADE "%s" VERSION WITH_KEY "\r\n", fields[i]);
        expect_status(400, text);
    }
}

static void test_asks_for_version_13(void **unused)
{
    (void)unused;
    static const char *const values[] = {"12", "14",     "8",   "0",     "013", "13.0",
                                         "",   "13, 13", "-13", "13, 8", "x",   "130"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 LINE HOST UPGRADE CONNECTION WITH_KEY "Sec-WebSocket-Version: %s\r\n\r\n",
                 values[i]);
        expect_status(426, text);
    }
    expect_status(426, LINE HOST UPGRADE CONNECTION WITH_KEY "\r\n");
}

static void test_wants_one_version(void **unused)
{
    (void)unused;
    expect_status(400, LINE HOST UPGRADE CONNECTION WITH_KEY VERSION VERSION "\r\n");
}

static void expect_key(unsigned wanted, const char *key)
{
    char text[512];
    snprintf(text, sizeof text,
             LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: %s\r\n\r\n", key);
    expect_status(wanted, text);
}

static void test_takes_any_sixteen_bytes_as_key(void **unused)
{
    (void)unused;
    expect_key(101, "AAAAAAAAAAAAAAAAAAAAAA==");
    expect_key(101, "/////////////////////w==");
    expect_key(101, "++++++++++zZ09aAzZ09aQ==");
    expect_key(101, "AAAAAAAAAAAAAAAAAAAAAg==");
}

static void test_rejects_keys_that_are_not_sixteen_bytes(void **unused)
{
    (void)unused;
    expect_key(400, "");
    expect_key(400, "AAAAAAAAAAAAAAAAAAAA");         /* 15 */
    expect_key(400, "AAAAAAAAAAAAAAAAAAAAAAA=");     /* 17 */
    expect_key(400, "AAAAAAAAAAAAAAAAAAAAAAAA");     /* 18 */
    expect_key(400, "AAAAAAAAAAAAAAAAAAAAAA=");      /* padding cut */
    expect_key(400, "AAAAAAAAAAAAAAAAAAAAAA===");    /* too much of it */
    expect_key(400, "AAAAAAAAAAAAAAAAAAAAA===");     /* 22nd character missing */
    expect_key(400, "AAAAAAAAAAAAAAAAAAAAAAAAAA=="); /* 19 */
}

static void test_rejects_keys_that_are_not_canonical_base64(void **unused)
{
    (void)unused;
    expect_key(400, "AAAAAAAAAAAAAAAAAAAAAB=="); /* bits behind the 16th byte */
    expect_key(400, "AAAAAAAAAAAAAAAAAAAAAP==");
    expect_key(400, "AAAAAAAAAAAAAAAAAAAA-A=="); /* the other alphabet */
    expect_key(400, "AAAA_AAAAAAAAAAAAAAAAA==");
    expect_key(400, "AAAA=AAAAAAAAAAAAAAAAA==");
    expect_key(400, "AAAA AAAAAAAAAAAAAAAAA==");
    expect_key(400, "=AAAAAAAAAAAAAAAAAAAAA==");
}

static void test_wants_one_key(void **unused)
{
    (void)unused;
    expect_status(400, LINE HOST UPGRADE CONNECTION VERSION "\r\n");
    expect_status(400, LINE HOST UPGRADE CONNECTION VERSION WITH_KEY WITH_KEY "\r\n");
}

static void test_rejects_a_body(void **unused)
{
    (void)unused;
    expect_status(400, LINE HOST UPGRADE CONNECTION VERSION WITH_KEY "Content-Length: 1\r\n\r\n");
    expect_status(400,
                  LINE HOST UPGRADE CONNECTION VERSION WITH_KEY "Transfer-Encoding: chunked\r\n"
                                                                "\r\n");
    expect_status(101, LINE HOST UPGRADE CONNECTION VERSION WITH_KEY "Content-Length: 0\r\n\r\n");
}

/* --- subprotocols --- */

static const char *choose(const char *fields)
{
    static char chat[] = "chat.v1";
    static char news[] = "news";
    static char *const ours[] = {chat, news};
    char text[512];
    snprintf(text, sizeof text, LINE HOST "%s\r\n", fields);
    parse(text);
    return ws_handshake_subprotocol(&head, ours, 2);
}

static void test_picks_the_first_wish_that_we_have(void **unused)
{
    (void)unused;
    assert_string_equal(choose("Sec-WebSocket-Protocol: chat.v1\r\n"), "chat.v1");
    assert_string_equal(choose("Sec-WebSocket-Protocol: mqtt, news, chat.v1\r\n"), "news");
    assert_string_equal(choose("Sec-WebSocket-Protocol: mqtt\r\n"
                               "sec-websocket-protocol: ,news\r\n"),
                        "news");
    assert_string_equal(choose("Sec-WebSocket-Protocol: news, news\r\n"), "news");
    assert_string_equal(choose("Sec-WebSocket-Protocol: (no token), \"news\", news\r\n"), "news");
}

static void test_picks_none_where_nothing_matches(void **unused)
{
    (void)unused;
    assert_null(choose(""));
    assert_null(choose("Sec-WebSocket-Protocol:\r\n"));
    assert_null(choose("Sec-WebSocket-Protocol: mqtt, chat.v2\r\n"));
    assert_null(choose("Sec-WebSocket-Protocol: NEWS\r\n")); /* names are exact */
    assert_null(choose("Sec-WebSocket-Protocol: new, newss, chat.v1;x\r\n"));
    assert_null(choose("Sec-WebSocket-Protocol: \"news\"\r\n"));
    assert_null(ws_handshake_subprotocol(&head, NULL, 0));
}

/* --- origins --- */

static bool allows(const char *pattern, const char *origin)
{
    char copy[128];
    char text[512];
    char *const allowed[] = {copy};
    snprintf(copy, sizeof copy, "%s", pattern);
    snprintf(text, sizeof text, LINE HOST "Origin: %s\r\n\r\n", origin);
    parse(text);
    return ws_handshake_origin_allowed(&head, allowed, 1);
}

static void test_an_origin_matches_itself(void **unused)
{
    (void)unused;
    assert_true(allows("https://example.com", "https://example.com"));
    assert_true(allows("https://example.com", "HTTPS://Example.COM"));
    assert_true(allows("http://localhost:5000", "http://localhost:5000"));
    assert_true(allows("http://[::1]:5000", "http://[::1]:5000"));
    assert_true(allows("null", "null"));
    assert_true(allows("capacitor://localhost", "capacitor://localhost"));
    assert_true(allows("chrome-extension://abcdef", "chrome-extension://abcdef"));
}

static void test_default_ports_may_be_left_out(void **unused)
{
    (void)unused;
    assert_true(allows("https://example.com:443", "https://example.com"));
    assert_true(allows("https://example.com", "https://example.com:443"));
    assert_true(allows("http://example.com:80", "http://example.com"));
    assert_false(allows("https://example.com", "https://example.com:80"));
    assert_false(allows("http://example.com", "http://example.com:443"));
    assert_false(allows("http://example.com", "http://example.com:8080"));
    assert_false(allows("capacitor://localhost:80", "capacitor://localhost"));
}

static void test_refuses_other_origins(void **unused)
{
    (void)unused;
    assert_false(allows("https://example.com", "http://example.com"));
    assert_false(allows("https://example.com", "https://example.org"));
    assert_false(allows("https://example.com", "https://www.example.com"));
    assert_false(allows("https://example.com", "https://example.com.evil.net"));
    assert_false(allows("https://example.com", "https://evil-example.com"));
    assert_false(allows("https://example.com", "https://example.com@evil.net"));
    assert_false(allows("https://example.com", "https://example.com/"));
    assert_false(allows("https://example.com", "https://example.com https://evil.net"));
    assert_false(allows("https://example.com", "example.com"));
    assert_false(allows("https://example.com", "https://*.example.com"));
    assert_false(allows("https://example.com", "null"));
    assert_false(allows("https://example.com", ""));
    assert_false(allows("https://example.com", "://example.com"));
}

static void test_a_star_stands_for_every_name_below(void **unused)
{
    (void)unused;
    assert_true(allows("https://*.example.com", "https://www.example.com"));
    assert_true(allows("https://*.example.com", "https://a.b.example.com"));
    assert_true(allows("https://*.example.com", "https://WWW.EXAMPLE.COM:443"));
    assert_true(allows("https://*.example.com:8443", "https://www.example.com:8443"));
    assert_false(allows("https://*.example.com", "https://example.com"));
    assert_false(allows("https://*.example.com", "https://.example.com"));
    assert_false(allows("https://*.example.com", "https://evil-example.com"));
    assert_false(allows("https://*.example.com", "https://www.example.com:8443"));
    assert_false(allows("https://*.example.com", "http://www.example.com"));
    assert_false(allows("https://*.example.com", "https://www.example.com.evil.net"));
    assert_false(allows("https://*.example.com", "https://*.example.com"));
}

static void test_no_origin_or_no_list_is_allowed(void **unused)
{
    (void)unused;
    char pattern[] = "https://example.com";
    char *const allowed[] = {pattern};
    parse(LINE HOST "\r\n");
    assert_true(ws_handshake_origin_allowed(&head, allowed, 1));
    parse(LINE HOST "Origin: https://evil.net\r\n\r\n");
    assert_true(ws_handshake_origin_allowed(&head, NULL, 0));
    assert_false(ws_handshake_origin_allowed(&head, allowed, 1));
}

static void test_any_of_several_may_match(void **unused)
{
    (void)unused;
    char first[] = "https://a.example";
    char second[] = "https://*.b.example";
    char *const allowed[] = {first, second};
    parse(LINE HOST "Origin: https://x.b.example\r\n\r\n");
    assert_true(ws_handshake_origin_allowed(&head, allowed, 2));
    assert_false(ws_handshake_origin_allowed(&head, allowed, 1));
}

static void test_two_origin_fields_are_refused(void **unused)
{
    (void)unused;
    char pattern[] = "https://example.com";
    char *const allowed[] = {pattern};
    parse(LINE HOST "Origin: https://example.com\r\nOrigin: https://example.com\r\n\r\n");
    assert_false(ws_handshake_origin_allowed(&head, allowed, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_the_request_of_rfc6455_section_1_2),
        cmocka_unit_test(test_answers_the_key_of_rfc6455_section_1_3),
        cmocka_unit_test(test_answers_no_key_of_another_length),
        cmocka_unit_test(test_wants_get),
        cmocka_unit_test(test_wants_http_1_1),
        cmocka_unit_test(test_takes_connection_and_upgrade_as_lists_in_any_case),
        cmocka_unit_test(test_wants_websocket_in_upgrade),
        cmocka_unit_test(test_wants_upgrade_in_connection),
        cmocka_unit_test(test_asks_for_version_13),
        cmocka_unit_test(test_wants_one_version),
        cmocka_unit_test(test_takes_any_sixteen_bytes_as_key),
        cmocka_unit_test(test_rejects_keys_that_are_not_sixteen_bytes),
        cmocka_unit_test(test_rejects_keys_that_are_not_canonical_base64),
        cmocka_unit_test(test_wants_one_key),
        cmocka_unit_test(test_rejects_a_body),
        cmocka_unit_test(test_picks_the_first_wish_that_we_have),
        cmocka_unit_test(test_picks_none_where_nothing_matches),
        cmocka_unit_test(test_an_origin_matches_itself),
        cmocka_unit_test(test_default_ports_may_be_left_out),
        cmocka_unit_test(test_refuses_other_origins),
        cmocka_unit_test(test_a_star_stands_for_every_name_below),
        cmocka_unit_test(test_no_origin_or_no_list_is_allowed),
        cmocka_unit_test(test_any_of_several_may_match),
        cmocka_unit_test(test_two_origin_fields_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
