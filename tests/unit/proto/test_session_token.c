/* Tokens out of first answers: found at the first byte where they are certain, and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/session_token.h"

typedef enum weir_err read_fn(struct span body, char out[SESSION_TOKEN_MAX], size_t *size);

/* Reads the first `cut` bytes, from memory of exactly that size. */
static enum weir_err read_prefix(read_fn *read, struct span body, size_t cut, char *out,
                                 size_t *size)
{
    uint8_t *copy = malloc(cut + (cut == 0));
    assert_non_null(copy);
    memcpy(copy, body.data, cut);
    enum weir_err err = read((struct span){copy, cut}, out, size);
    free(copy);
    return err;
}

struct good {
    const char *body; /* the token is certain exactly at the mark; a "^" is no part of it */
    const char *token;
};

#define SID "lv_VI97HAXpY6yYWAAAC"
#define REST "\"upgrades\":[\"websocket\"],\"pingInterval\":25000,\"maxPayload\":1000000}"

static const struct good ENGINE_IO[] = {
    {"0{\"sid\":\"" SID "\"^," REST, SID},
    {"0{\"sid\":\"" SID "\"^," REST "\x1e"
     "40[\"a\"]",
     SID},
    {"0{ \"sid\" :\t\"" SID "\"^ }", SID},
    {"0{\"sid\":\"a\"^", "a"},
    {"0{\"sid\":\"a\"^}garbage", "a"},
    {"0{\"pingTimeout\":20000,\"upgrades\":[\"a\",[],{\"sid\":\"no\"}],\"sid\":\"yes\"^}", "yes"},
    {"0{\"a\":-1.5e+3,\"b\":true,\"c\":null,\"d\":\"\\\"sid\\\":\\\"no\\\"\",\"sid\":\"yes\"^}",
     "yes"},
    {"0{\"d\":\"]}\\\\\",\"e\":{\"f\":[{},\"}\"]},\"sid\":\"yes\"^}", "yes"},
    {"0{\"d\":\"\xc3\xa9\\u00e9\",\"sid\":\"yes\"^}", "yes"},
    {"0{\"\\u0073id\":\"a\\u002Bb\\/c\"^}", "a+b/c"},
    {"0{\"a\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]],\"sid\":\"a\"^}", "a"}, /* 16 deep */
    {"0{\"sid\":\"first\"^,\"sid\":\"second\"}", "first"},
    {"97:0{\"sid\":\"" SID "\"^," REST "2:40", SID},
    {"999999:0{\"sid\":\"a\"^}", "a"},
    {"___eio[0](\"0{\\\"sid\\\":\\\"" SID "\\\"^,\\\"upgrades\\\":[]}\");", SID},
    {"___eio[12](\"97:0{\\\"sid\\\":\\\"" SID "\\\"^}2:40\");", SID},
    {"___eio[](\"0{\\\"sid\\\":\\\"a\\\"^}\");", "a"},
    {"___eio[0](\"0{\\u0022d\\\":\\\"\\\\\\\"\\\",\\\"sid\\\":\\\"a\\\\u002bb\\\"^}\");", "a+b"},
};

static const struct good SIGNALR[] = {
    {"{\"negotiateVersion\":1,\"connectionId\":\"05265228\",\"connectionToken\":\"2y-F_==\"^,"
     "\"availableTransports\":[{\"transport\":\"WebSockets\"}]}",
     "2y-F_=="},
    {" {\"connectionToken\":\"b\"^,\"connectionId\":\"a\"}", "b"},
    {"{\"connectionId\":\"807809a5\",\"availableTransports\":[{\"transport\":\"ServerSentEvents\","
     "\"transferFormats\":[\"Text\"]}]}^",
     "807809a5"},
    {"{\"connectionId\":\"a\"}^", "a"},
    {"{\"x\":{\"connectionToken\":\"no\"},\"connectionId\":\"a\"\r\n}^\r\n", "a"},
    {"{\"connectionToken\":\"a\\u002Bb\"^}", "a+b"},
};

static void check_good(read_fn *read, const struct good *good)
{
    char body[1024];
    size_t mark = strcspn(good->body, "^");
    assert_true(good->body[mark] == '^');
    size_t size =
        (size_t)snprintf(body, sizeof body, "%.*s%s", (int)mark, good->body, good->body + mark + 1);
    for (size_t cut = 0; cut <= size; cut++) {
        char out[SESSION_TOKEN_MAX];
        size_t token_size = 0;
        enum weir_err err =
            read_prefix(read, (struct span){(uint8_t *)body, size}, cut, out, &token_size);
        if (err != (cut < mark ? WEIR_AGAIN : WEIR_OK)) {
            fail_msg("%s at %zu: %s", good->body, cut, weir_err_name(err));
        }
        if (err == WEIR_OK) {
            assert_int_equal(token_size, strlen(good->token));
            assert_memory_equal(out, good->token, token_size);
        }
    }
}

static void test_finds_the_sid_as_soon_as_it_has_come(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ENGINE_IO / sizeof ENGINE_IO[0]; i++) {
        check_good(session_token_engine_io, &ENGINE_IO[i]);
    }
}

static void test_finds_the_connection_token_or_else_its_id(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof SIGNALR / sizeof SIGNALR[0]; i++) {
        check_good(session_token_signalr, &SIGNALR[i]);
    }
}

static const char *const NO_ENGINE_IO[] = {
    "{\"code\":1,\"message\":\"Session ID unknown\"}",
    "ok",
    "4hello",
    "40[\"a\"]",
    "6\x1e"
    "2",
    "00{\"sid\":\"a\"}",
    "0[\"sid\"]",
    "0 {\"sid\":\"a\"}",
    " 0{\"sid\":\"a\"}",
    "0{}",
    "0{\"upgrades\":[]}",
    "0{\"Sid\":\"a\"}",
    "0{\"sid \":\"a\"}",
    "0{\"sid\":\"\"}",
    "0{\"sid\":7}",
    "0{\"sid\":null}",
    "0{\"sid\":[\"a\"]}",
    "0{\"sid\":{\"a\":1}}",
    "0{\"sid\":\"a b\"}",
    "0{\"sid\":\"a\\u0000\"}",
    "0{\"sid\":\"a\\nb\"}",
    "0{\"sid\":\"a\\u00e9\"}",
    "0{\"sid\":\"\xc3\xa9\"}",
    "0{\"sid\":\"a\x7f\"}",
    "0{\"sid\":\"\\x41\"}",
    "0{\"sid\":\"\\u00g1\"}",
    "0{\"sid\":\"a\nb\"}",
    "0{\"sid\"=\"a\"}",
    "0{\"sid\" \"a\"}",
    "0{sid:\"a\"}",
    "0{'sid':'a'}",
    "0{,\"sid\":\"a\"}",
    "0{\"a\":1,}",
    "0{\"a\":1;\"sid\":\"a\"}",
    "0{\"a\":,\"sid\":\"a\"}",
    "0{\"a\" :]",
    "0{\"a\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]",
    "97;0{\"sid\":\"a\"}",
    "97:1{\"sid\":\"a\"}",
    "97:97:0{\"sid\":\"a\"}",
    "1000000:0{\"sid\":\"a\"}",
    "097:0{\"sid\":\"a\"}",
    ":0{\"sid\":\"a\"}",
    "b0{\"sid\":\"a\"}",
    "bMHsic2lkIjoiYSJ9",
    "\x01\x09\x07\xff"
    "0{\"sid\":\"a\"}",
    "___eio[0]('0{\"sid\":\"a\"}')",
    "___eio[x](\"0{\\\"sid\\\":\\\"a\\\"}\");",
    "___eio[1000000](\"0{\\\"sid\\\":\\\"a\\\"}\");",
    "___eio[0](\"0{\"sid\":\"a\"}\");",
    "___eio[0](\"0{\\\"sid\\\":\\\"a\");",
    "___eio[0](\"0{\\\"sid\\\":\\\"\\\\\"a\");",
    "___eio[0](\"\");",
    "___eio[0](0{});",
    "___foo[0](\"0{\\\"sid\\\":\\\"a\\\"}\");",
};

static const char *const NO_SIGNALR[] = {
    "[]",
    "null",
    "\"connectionToken\"",
    "{}",
    "{\"error\":\"no\"}",
    "{\"url\":\"https://example.com/hub\",\"accessToken\":\"x\"}",
    "{\"x\":{\"connectionToken\":\"a\",\"connectionId\":\"b\"}}",
    "{\"connectionToken\":\"\",\"connectionId\":\"a\"}",
    "{\"connectionToken\":null,\"connectionId\":\"a\"}",
    "{\"connectionId\":1,\"connectionToken\":\"a\"}",
    "\xef\xbb\xbf{\"connectionToken\":\"a\"}",
    "0{\"connectionToken\":\"a\"}",
};

/* No prefix may give a token either. */
static void check_none(read_fn *read, const char *body)
{
    char out[SESSION_TOKEN_MAX];
    size_t size = 0;
    bool is_over = false;
    for (size_t cut = 0; cut <= strlen(body); cut++) {
        enum weir_err err = read_prefix(read, span_of(body), cut, out, &size);
        if (err == WEIR_OK || (is_over && err != WEIR_EINVAL)) {
            fail_msg("%s at %zu: %s", body, cut, weir_err_name(err));
        }
        is_over = err == WEIR_EINVAL;
    }
    if (!is_over) {
        fail_msg("%s: still hopes", body);
    }
}

static void test_believes_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof NO_ENGINE_IO / sizeof NO_ENGINE_IO[0]; i++) {
        check_none(session_token_engine_io, NO_ENGINE_IO[i]);
    }
    for (size_t i = 0; i < sizeof NO_SIGNALR / sizeof NO_SIGNALR[0]; i++) {
        check_none(session_token_signalr, NO_SIGNALR[i]);
    }
}

static void test_believes_no_binary_answer(void **state)
{
    char out[SESSION_TOKEN_MAX];
    size_t size = 0;
    (void)state;
    assert_int_equal(session_token_engine_io(SPAN("\0\x09\x07\xff"
                                                  "0{\"sid\":\"a\"}"),
                                             out, &size),
                     WEIR_EINVAL);
    assert_int_equal(session_token_engine_io(SPAN("0{\"\\\0\":1,\"sid\":\"a\"}"), out, &size),
                     WEIR_EINVAL);
}

static void test_limits_the_token(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        char body[SESSION_TOKEN_MAX + 64] = "0{\"sid\":\"";
        char out[SESSION_TOKEN_MAX];
        size_t size = 0;
        size_t start = strlen(body);
        memset(body + start, 'x', SESSION_TOKEN_MAX + over);
        strcpy(body + start + SESSION_TOKEN_MAX + over, "\"}");
        enum weir_err err = session_token_engine_io(span_of(body), out, &size);
        assert_int_equal(err, over == 0 ? WEIR_OK : WEIR_EINVAL);
        assert_int_equal(size, over == 0 ? SESSION_TOKEN_MAX : 0);
        err = session_token_signalr(span_of(body + 1), out, &size);
        assert_int_equal(err, WEIR_EINVAL);
    }
}

static void test_limits_how_far_it_looks(void **state)
{
    static char body[SESSION_TOKEN_BODY_MAX + 64];
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        char out[SESSION_TOKEN_MAX];
        size_t size = 0;
        static const char end[] = "\",\"sid\":\"a\"";
        memset(body, 'x', sizeof body);
        memcpy(body, "0{\"d\":\"", 7);
        memcpy(body + SESSION_TOKEN_BODY_MAX + over - strlen(end), end, strlen(end));
        struct span all = {(uint8_t *)body, SESSION_TOKEN_BODY_MAX + over};
        assert_int_equal(session_token_engine_io(all, out, &size),
                         over == 0 ? WEIR_OK : WEIR_EINVAL);
        all.size = SESSION_TOKEN_BODY_MAX - 1;
        assert_int_equal(session_token_engine_io(all, out, &size), WEIR_AGAIN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_sid_as_soon_as_it_has_come),
        cmocka_unit_test(test_finds_the_connection_token_or_else_its_id),
        cmocka_unit_test(test_believes_nothing_else),
        cmocka_unit_test(test_believes_no_binary_answer),
        cmocka_unit_test(test_limits_the_token),
        cmocka_unit_test(test_limits_how_far_it_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
