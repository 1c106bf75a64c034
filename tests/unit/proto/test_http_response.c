/* Heads of responses: what they say about their bodies, and what is refused, however they arrive.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/http_response.h"

static struct http_response response;

struct outcome {
    enum weir_err err;
    size_t consumed;
    size_t scanned;
    const char *why;
};

/* One call with the first `size` bytes, from memory of exactly that size: it stays until the next
 * call, as the response borrows it. */
static struct outcome parse_prefix(struct span bytes, size_t size, bool is_head, size_t max,
                                   size_t scanned)
{
    static uint8_t *copy;
    struct outcome outcome = {.scanned = scanned, .why = ""};
    free(copy);
    copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes.data, size);
    outcome.err = http_response_parse((struct span){copy, size}, is_head, max, &outcome.scanned,
                                      &response, &outcome.consumed, &outcome.why);
    return outcome;
}

static struct outcome parse_whole(const char *text, bool is_head)
{
    return parse_prefix(span_of(text), strlen(text), is_head, 65536, 0);
}

struct good {
    const char *text;
    bool is_head;
    unsigned status;
    const char *reason;
    enum http_response_body body;
    uint64_t length;
    bool has_length;
    bool keep_alive;
};

#define HEAD_LENGTH "Content-Length: 5\r\n\r\n"

static const struct good GOOD[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, 200, "OK", HTTP_RESPONSE_LENGTH, 5,
     true, true},
    {"HTTP/1.1 200\r\n" HEAD_LENGTH, false, 200, "", HTTP_RESPONSE_LENGTH, 5, true, true},
    {"HTTP/1.1 200 \r\n" HEAD_LENGTH, false, 200, "", HTTP_RESPONSE_LENGTH, 5, true, true},
    {"HTTP/1.1 404 Not \t\xe9 Found\r\nContent-Length: 0\r\n\r\n", false, 404, "Not \t\xe9 Found",
     HTTP_RESPONSE_NONE, 0, true, true},
    {"HTTP/1.1 200 OK\r\n\r\n", false, 200, "OK", HTTP_RESPONSE_CLOSE, 0, false, false},
    {"HTTP/1.1 200\r\n\r\n", false, 200, "", HTTP_RESPONSE_CLOSE, 0, false, false},
    {"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", false, 200, "OK", HTTP_RESPONSE_CLOSE, 0,
     false, false},
    {"HTTP/1.1 599 x\r\ntransfer-encoding: CHUNKED\r\n\r\n", false, 599, "x", HTTP_RESPONSE_CHUNKED,
     0, false, true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n", false, 200, "OK",
     HTTP_RESPONSE_CHUNKED, 0, false, false},
    {"HTTP/1.1 200 OK\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n",
     false, 200, "OK", HTTP_RESPONSE_CHUNKED, 0, false, true},
    {"HTTP/1.1 200 OK\r\nConnection: x, Close\r\n" HEAD_LENGTH, false, 200, "OK",
     HTTP_RESPONSE_LENGTH, 5, true, false},
    /* HTTP/1.0 persists where it says so */
    {"HTTP/1.0 200 OK\r\n" HEAD_LENGTH, false, 200, "OK", HTTP_RESPONSE_LENGTH, 5, true, false},
    {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n" HEAD_LENGTH, false, 200, "OK",
     HTTP_RESPONSE_LENGTH, 5, true, true},
    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", false, 200, "OK", HTTP_RESPONSE_CLOSE, 0,
     false, false},
    /* without a body whatever the fields say */
    {"HTTP/1.1 200 OK\r\n" HEAD_LENGTH, true, 200, "OK", HTTP_RESPONSE_NONE, 5, true, true},
    {"HTTP/1.1 200 OK\r\n\r\n", true, 200, "OK", HTTP_RESPONSE_NONE, 0, false, true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true, 200, "OK", HTTP_RESPONSE_NONE,
     0, false, true},
    {"HTTP/1.1 304 Not Modified\r\n" HEAD_LENGTH, false, 304, "Not Modified", HTTP_RESPONSE_NONE, 5,
     true, true},
    {"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", false, 304, "Not Modified",
     HTTP_RESPONSE_NONE, 0, false, true},
    {"HTTP/1.1 204 No Content\r\n\r\n", false, 204, "No Content", HTTP_RESPONSE_NONE, 0, false,
     true},
    {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false, 204, "No Content",
     HTTP_RESPONSE_NONE, 0, true, true},
    {"HTTP/1.1 204 No Content\r\n" HEAD_LENGTH, false, 204, "No Content", HTTP_RESPONSE_NONE, 5,
     true, false},
    {"HTTP/1.1 100 Continue\r\n\r\n", false, 100, "Continue", HTTP_RESPONSE_NONE, 0, false, true},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", false,
     101, "Switching Protocols", HTTP_RESPONSE_NONE, 0, false, true},
    {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", false, 103, "Early Hints",
     HTTP_RESPONSE_NONE, 0, false, true},
    {"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", false, 205, "Reset Content",
     HTTP_RESPONSE_NONE, 0, true, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n", false, 200, "OK",
     HTTP_RESPONSE_LENGTH, INT64_MAX, true, true},
};

static void assert_is(const struct good *good)
{
    assert_int_equal(response.status, good->status);
    assert_true(span_equal(response.reason, span_of(good->reason)));
    assert_int_equal(response.minor, good->text[7] - '0');
    assert_int_equal(response.body, good->body);
    assert_int_equal(response.content_length, good->length);
    assert_int_equal(response.has_length, good->has_length);
    assert_int_equal(response.keep_alive, good->keep_alive);
}

static void test_reads_heads_that_end_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
        char text[256];
        size_t size = (size_t)snprintf(text, sizeof text, "%s", GOOD[i].text);
        memcpy(text + size, "\r\nbody", 6);
        struct span bytes = {(uint8_t *)text, size + 6};
        size_t scanned = 0;
        for (size_t cut = 0; cut < size; cut++) {
            struct outcome alone = parse_prefix(bytes, cut, GOOD[i].is_head, 65536, 0);
            assert_int_equal(alone.err, WEIR_AGAIN);
            alone = parse_prefix(bytes, cut, GOOD[i].is_head, 65536, scanned);
            assert_int_equal(alone.err, WEIR_AGAIN);
            scanned = alone.scanned;
            assert_int_equal(scanned, cut);
        }
        struct outcome whole = parse_prefix(bytes, bytes.size, GOOD[i].is_head, 65536, scanned);
        if (whole.err != WEIR_OK) {
            fail_msg("%s: %s", GOOD[i].text, whole.why);
        }
        assert_int_equal(whole.consumed, size);
        assert_int_equal(whole.scanned, 0);
        assert_is(&GOOD[i]);
    }
}

static void test_gives_fields_in_order(void **state)
{
    (void)state;
    struct outcome outcome =
        parse_whole("HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nX:\r\nSet-Cookie:\tc=d \r\n\r\n", false);
    assert_int_equal(outcome.err, WEIR_OK);
    assert_int_equal(response.field_count, 3);
    assert_true(span_equal(response.fields[0].value, SPAN("a=b")));
    assert_true(span_equal(response.fields[1].name, SPAN("X")));
    assert_int_equal(response.fields[1].value.size, 0);
    assert_true(span_equal(response.fields[2].value, SPAN("c=d")));
}

struct bad {
    const char *text;
    size_t size;
};

#define BAD_TEXT(literal)                                                                          \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
#define STATUS "HTTP/1.1 200 OK\r\n"

static const struct bad BAD[] = {
    /* the status line */
    BAD_TEXT("\r\nHTTP/1.1 200 OK\r\n\r\n"),
    BAD_TEXT("\r\n\r\n"),
    BAD_TEXT("http/1.1 200 OK\r\n\r\n"),
    BAD_TEXT("HTTP/1.2 200 OK\r\n\r\n"),
    BAD_TEXT("HTTP/1.9 200 OK\r\n\r\n"),
    BAD_TEXT("HTTP/0.9 200 OK\r\n\r\n"),
    BAD_TEXT("HTTP/2.0 200 OK\r\n\r\n"),
    BAD_TEXT("HTTP/2 200\r\n\r\n"),
    BAD_TEXT("HTTP/1. 200 OK\r\n\r\n"),
    BAD_TEXT("HTTP/1.\r\n\r\n"),
    BAD_TEXT("HTTP/1.1\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 \r\n\r\n"),
    BAD_TEXT("HTTP/1.1 2\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 20\r\n\r\n"),
    BAD_TEXT("HTTP/1.11 200 OK\r\n\r\n"),
    BAD_TEXT("HTTP/1.1  200 OK\r\n\r\n"),
    BAD_TEXT("HTTP/1.1\t200 OK\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 099 OK\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 600 OK\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 20 OK\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 2000 OK\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 +20 OK\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 2x0 OK\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 20x OK\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 200OK\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 200\tOK\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 200 O\0K\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 200 O\x7fK\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 200 O\rK\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 200\r\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 200 OK\n\r\n"),
    BAD_TEXT("HTTP/1.1 200 OK\n\n"),
    BAD_TEXT("ICY 200 OK\r\n\r\n"),
    BAD_TEXT("SSH-2.0-OpenSSH_9\r\n"),
    BAD_TEXT("{\"error\":1}"),
    BAD_TEXT("\x15\x03\x03\x00\x02\x02\x0a"),
    /* the fields */
    BAD_TEXT(STATUS "A: b\r\n c\r\n\r\n"),
    BAD_TEXT(STATUS " A: b\r\n\r\n"),
    BAD_TEXT(STATUS "A : b\r\n\r\n"),
    BAD_TEXT(STATUS ": b\r\n\r\n"),
    BAD_TEXT(STATUS "A\r\n\r\n"),
    BAD_TEXT(STATUS "A: b\nC: d\r\n\r\n"),
    BAD_TEXT(STATUS "A: b\rC: d\r\n\r\n"),
    BAD_TEXT(STATUS "A: \0\r\n\r\n"),
    BAD_TEXT(STATUS "A: \x01\r\n\r\n"),
    BAD_TEXT(STATUS "A\x80: b\r\n\r\n"),
    BAD_TEXT(STATUS "A: b\r\n\n"),
    /* the framing */
    BAD_TEXT(STATUS "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
    BAD_TEXT(STATUS "Content-Length: 5\r\ncontent-length: 5\r\n\r\n"),
    BAD_TEXT(STATUS "Content-Length: 5, 5\r\n\r\n"),
    BAD_TEXT(STATUS "Content-Length:\r\n\r\n"),
    BAD_TEXT(STATUS "Content-Length: -1\r\n\r\n"),
    BAD_TEXT(STATUS "Content-Length: +1\r\n\r\n"),
    BAD_TEXT(STATUS "Content-Length: 0x5\r\n\r\n"),
    BAD_TEXT(STATUS "Content-Length: 5 5\r\n\r\n"),
    BAD_TEXT(STATUS "Content-Length: 9223372036854775808\r\n\r\n"),
    BAD_TEXT(STATUS "Content_Length: 5\r\n\r\n"),
    BAD_TEXT(STATUS "Transfer_Encoding: chunked\r\n\r\n"),
    BAD_TEXT(STATUS "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD_TEXT(STATUS "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"),
    BAD_TEXT(STATUS "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD_TEXT(STATUS "Transfer-Encoding: chunked, chunked\r\n\r\n"),
    BAD_TEXT(STATUS "Transfer-Encoding: gzip, chunked\r\n\r\n"),
    BAD_TEXT(STATUS "Transfer-Encoding: gzip\r\n\r\n"),
    BAD_TEXT(STATUS "Transfer-Encoding: identity\r\n\r\n"),
    BAD_TEXT(STATUS "Transfer-Encoding: \"chunked\"\r\n\r\n"),
    BAD_TEXT(STATUS "Transfer-Encoding: chunked;q=1\r\n\r\n"),
    BAD_TEXT(STATUS "Transfer-Encoding:\r\n\r\n"),
    BAD_TEXT("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 199 x\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 304 x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"),
    BAD_TEXT("HTTP/1.1 304 x\r\nTransfer-Encoding: gzip\r\n\r\n"),
    BAD_TEXT(STATUS "Connection: close, content-length\r\nContent-Length: 5\r\n\r\n"),
};

/* A prefix may be refused already; none may be taken. */
static void test_refuses_malformed_heads_that_end_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct span bytes = {(const uint8_t *)BAD[i].text, BAD[i].size};
        size_t scanned = 0;
        struct outcome outcome = {.err = WEIR_AGAIN};
        for (size_t cut = 1; cut <= bytes.size && outcome.err == WEIR_AGAIN; cut++) {
            outcome = parse_prefix(bytes, cut, false, 65536, scanned);
            scanned = outcome.scanned;
        }
        if (outcome.err != WEIR_EPROTO || strlen(outcome.why) == 0) {
            fail_msg("bad head %zu, %s: %s", i, BAD[i].text, weir_err_name(outcome.err));
        }
        assert_int_equal(parse_prefix(bytes, bytes.size, false, 65536, 0).err, WEIR_EPROTO);
    }
}

static void test_refuses_another_protocol_at_its_first_byte(void **state)
{
    (void)state;
    assert_int_equal(parse_whole("S", false).err, WEIR_EPROTO);
    assert_int_equal(parse_whole("HTTP/2", false).err, WEIR_EPROTO);
    assert_int_equal(parse_whole("HTTP/1.", false).err, WEIR_AGAIN);
}

static void test_limits_the_head(void **state)
{
    const char *text = "HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody behind it";
    size_t size = strlen(text) - strlen("body behind it");
    (void)state;
    assert_int_equal(parse_prefix(span_of(text), strlen(text), false, size, 0).err, WEIR_OK);
    struct outcome over = parse_prefix(span_of(text), strlen(text), false, size - 1, 0);
    assert_int_equal(over.err, WEIR_ELIMIT);
    assert_true(strlen(over.why) > 0);
    assert_int_equal(parse_prefix(span_of(text), size - 2, false, size - 1, 0).err, WEIR_AGAIN);
    assert_int_equal(parse_prefix(span_of(text), size - 1, false, size - 1, 0).err, WEIR_ELIMIT);
}

static void test_limits_the_fields(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        char text[HTTP_FIELDS_MAX * 6 + 64] = "HTTP/1.1 200 OK\r\n";
        for (size_t i = 0; i < HTTP_FIELDS_MAX + over; i++) {
            strcat(text, "A: b\r\n");
        }
        strcat(text, "\r\n");
        struct outcome outcome = parse_whole(text, false);
        assert_int_equal(outcome.err, over == 0 ? WEIR_OK : WEIR_ELIMIT);
        assert_int_equal(strlen(outcome.why) > 0, over == 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_heads_that_end_anywhere),
        cmocka_unit_test(test_gives_fields_in_order),
        cmocka_unit_test(test_refuses_malformed_heads_that_end_anywhere),
        cmocka_unit_test(test_refuses_another_protocol_at_its_first_byte),
        cmocka_unit_test(test_limits_the_head),
        cmocka_unit_test(test_limits_the_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
