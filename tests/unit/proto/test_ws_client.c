/* The client's half of the handshake: what a 101 must say, and what it must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ws_client.h"

/* RFC 6455, section 1.3. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define GOOD "HTTP/1.1 101 Switching Protocols\r\n" UPGRADE ACCEPT

struct answer {
    enum weir_err err;
    char subprotocol[32];
    bool deflates;
    struct ws_deflate_params agreed;
    const char *why;
};

/* Parses `head` (the empty line is added) and checks it against `wish`. */
static struct answer check(const char *head, const struct ws_client_wish *wish)
{
    static struct http_response response;
    struct answer answer = {.why = ""};
    char text[1024];
    struct span subprotocol = {0};
    size_t scanned = 0;
    size_t consumed = 0;
    int size = snprintf(text, sizeof text, "%s\r\n", head);
    assert_true(size > 0 && (size_t)size < sizeof text);
    assert_int_equal(http_response_parse(span_of(text), false, sizeof text, &scanned, &response,
                                         &consumed, &answer.why),
                     WEIR_OK);
    answer.err = ws_client_check(&response, wish, &subprotocol, &answer.deflates, &answer.agreed,
                                 &answer.why);
    assert_int_equal(answer.err == WEIR_OK, strlen(answer.why) == 0);
    snprintf(answer.subprotocol, sizeof answer.subprotocol, "%.*s", SPAN_ARGS(subprotocol));
    return answer;
}

static const struct ws_client_wish PLAIN = {.key = KEY};

static struct ws_client_wish wish_for(const char *subprotocols)
{
    return (struct ws_client_wish){
        .key = KEY,
        .subprotocols = span_of(subprotocols),
        .offers_deflate = true,
        .deflate = {.server_max_window_bits = 15, .client_max_window_bits = 15}};
}

static void test_writes_a_key(void **state)
{
    char key[WS_CLIENT_KEY_BYTES];
    (void)state;
    ws_client_key((const uint8_t *)"the sample nonce", key);
    assert_string_equal(key, KEY);
    ws_client_key((const uint8_t *)"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff", key);
    assert_string_equal(key, "AAAAAAAAAAAAAAAAAAAA/w==");
}

static void test_takes_a_right_answer(void **state)
{
    static const char *const heads[] = {
        GOOD,
        "HTTP/1.1 101\r\n" UPGRADE ACCEPT,
        "HTTP/1.1 101 x\r\nUpgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n" ACCEPT,
        "HTTP/1.1 101 x\r\nUPGRADE: websocket\r\nConnection: a\r\nconnection: UPGRADE\r\n" ACCEPT,
        GOOD "Sec-WebSocket-Extensions:\r\n",
        GOOD "Sec-WebSocket-Extensions: ,\r\n",
        GOOD "Set-Cookie: a=b\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct answer answer = check(heads[i], &PLAIN);
        if (answer.err != WEIR_OK) {
            fail_msg("%s: %s", heads[i], answer.why);
        }
        assert_string_equal(answer.subprotocol, "");
        assert_false(answer.deflates);
    }
}

static void test_refuses_a_wrong_answer(void **state)
{
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" UPGRADE ACCEPT,
        "HTTP/1.1 100 x\r\n" UPGRADE ACCEPT,
        "HTTP/1.0 101 x\r\n" UPGRADE ACCEPT,
        "HTTP/1.1 101 x\r\nConnection: Upgrade\r\n" ACCEPT,
        "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n" ACCEPT,
        "HTTP/1.1 101 x\r\nUpgrade: websocket, h2c\r\nConnection: Upgrade\r\n" ACCEPT,
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n" UPGRADE ACCEPT,
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n" ACCEPT,
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: close\r\n" ACCEPT,
        "HTTP/1.1 101 x\r\n" UPGRADE,
        "HTTP/1.1 101 x\r\n" UPGRADE "Sec-WebSocket-Accept:\r\n",
        "HTTP/1.1 101 x\r\n" UPGRADE "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n",
        "HTTP/1.1 101 x\r\n" UPGRADE "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        "HTTP/1.1 101 x\r\n" UPGRADE "Sec-WebSocket-Accept: " KEY "\r\n",
        GOOD ACCEPT,
        GOOD "Sec-WebSocket-Protocol: chat\r\n",
        GOOD "Sec-WebSocket-Protocol:\r\n",
        GOOD "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        GOOD "Sec-WebSocket-Extensions: x\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        if (check(heads[i], &PLAIN).err != WEIR_EPROTO) {
            fail_msg("accepted: %s", heads[i]);
        }
    }
}

static void test_checks_the_accept_key_against_its_own(void **state)
{
    const struct ws_client_wish other = {.key = "AAAAAAAAAAAAAAAAAAAAAA==",
                                         .subprotocols = {(const uint8_t *)"", 0}};
    const struct ws_client_wish none = {.key = "", .subprotocols = {(const uint8_t *)"", 0}};
    (void)state;
    assert_int_equal(check(GOOD, &other).err, WEIR_EPROTO);
    assert_int_equal(check(GOOD, &none).err, WEIR_EPROTO);
}

static void test_takes_only_a_subprotocol_that_was_offered(void **state)
{
    struct ws_client_wish wish = wish_for("chat.v2 ,\tchat.v1, bad one");
    (void)state;
    assert_string_equal(check(GOOD "Sec-WebSocket-Protocol: chat.v1\r\n", &wish).subprotocol,
                        "chat.v1");
    assert_string_equal(check(GOOD "Sec-WebSocket-Protocol: chat.v2\r\n", &wish).subprotocol,
                        "chat.v2");
    assert_int_equal(check(GOOD, &wish).err, WEIR_OK);
    assert_string_equal(check(GOOD, &wish).subprotocol, "");
    static const char *const wrong[] = {"Chat.v1", "chat", "chat.v11", "chat.v1, chat.v2",
                                        "",        ",",    "bad one",  "\"chat.v1\""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char head[512];
        snprintf(head, sizeof head, GOOD "Sec-WebSocket-Protocol: %s\r\n", wrong[i]);
        assert_int_equal(check(head, &wish).err, WEIR_EPROTO);
    }
    assert_int_equal(check(GOOD "Sec-WebSocket-Protocol: chat.v1\r\n"
                                "Sec-WebSocket-Protocol: chat.v1\r\n",
                           &wish)
                         .err,
                     WEIR_EPROTO);
}

static void test_takes_only_an_extension_that_was_offered(void **state)
{
    struct ws_client_wish wish = wish_for("");
    struct answer answer = check(
        GOOD "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n", &wish);
    (void)state;
    assert_int_equal(answer.err, WEIR_OK);
    assert_true(answer.deflates);
    assert_int_equal(answer.agreed.server_max_window_bits, 10);
    assert_int_equal(answer.agreed.client_max_window_bits, 15);
    assert_false(check(GOOD, &wish).deflates);
    assert_int_equal(check(GOOD, &wish).err, WEIR_OK);
    assert_int_equal(check(GOOD "Sec-WebSocket-Extensions: permessage-deflate\r\n"
                                "Sec-WebSocket-Extensions: permessage-deflate\r\n",
                           &wish)
                         .err,
                     WEIR_EPROTO);
    assert_int_equal(check(GOOD "Sec-WebSocket-Extensions: permessage-deflate, x\r\n", &wish).err,
                     WEIR_EPROTO);
    assert_int_equal(check(GOOD "Sec-WebSocket-Extensions: x, permessage-deflate\r\n", &wish).err,
                     WEIR_EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_a_key),
        cmocka_unit_test(test_takes_a_right_answer),
        cmocka_unit_test(test_refuses_a_wrong_answer),
        cmocka_unit_test(test_checks_the_accept_key_against_its_own),
        cmocka_unit_test(test_takes_only_a_subprotocol_that_was_offered),
        cmocka_unit_test(test_takes_only_an_extension_that_was_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
