/* What the head parser accepts, and both sides of each of its limits. What it refuses for safety is
 * in test_http_smuggling.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http_feed.h"

#define END "\r\n\r\n"

static void assert_span(struct span got, const char *wanted)
{
    if (!span_equal(got, span_of(wanted))) {
        fail_msg("got \"%.*s\", not \"%s\"", SPAN_ARGS(got), wanted);
    }
}

struct accepted {
    struct span bytes;
    const char *method;
    const char *path;
    const char *query;
    const char *host;
    size_t field_count;
    enum http_body body;
    uint64_t content_length;
    size_t rest; /* bytes behind the head */
    bool keep_alive;
};

static const struct accepted ACCEPTED[] = {
    {BYTES("GET / HTTP/1.1\r\nHost: a" END), "GET", "/", "", "a", 1, HTTP_BODY_NONE, 0, 0, true},
    {BYTES("GET /a/b?c=d?e HTTP/1.1\r\nHost: a.example:8080" END "GET"), "GET", "/a/b", "c=d?e",
     "a.example:8080", 1, HTTP_BODY_NONE, 0, 3, true},
    {BYTES("GET /? HTTP/1.1\r\nHost:a\r\nX:\r\nY: \t y z \t" END), "GET", "/", "", "a", 3,
     HTTP_BODY_NONE, 0, 0, true},
    {BYTES("\r\n\r\n\r\n\r\nGET /{|}^\"<> HTTP/1.1\r\nHost: [::1]:5000" END), "GET", "/{|}^\"<>",
     "", "[::1]:5000", 1, HTTP_BODY_NONE, 0, 0, true},
    {BYTES("GET http://b.example?q HTTP/1.1\r\nHost: a" END), "GET", "/", "q", "b.example", 1,
     HTTP_BODY_NONE, 0, 0, true},
    {BYTES("GET WSS://b:1/p HTTP/1.1\r\nHost: a" END), "GET", "/p", "", "b:1", 1, HTTP_BODY_NONE, 0,
     0, true},
    {BYTES("OPTIONS * HTTP/1.1\r\nHost: a" END), "OPTIONS", "*", "", "a", 1, HTTP_BODY_NONE, 0, 0,
     true},
    {BYTES("OPTIONS https://b HTTP/1.1\r\nHost: a" END), "OPTIONS", "*", "", "b", 1, HTTP_BODY_NONE,
     0, 0, true},
    {BYTES("GET / HTTP/1.1\r\nHost:" END), "GET", "/", "", "", 1, HTTP_BODY_NONE, 0, 0, true},
    {BYTES("GET / HTTP/1.0" END), "GET", "/", "", "", 0, HTTP_BODY_NONE, 0, 0, false},
    {BYTES("GET / HTTP/1.0\r\nConnection: x, Keep-Alive" END), "GET", "/", "", "", 1,
     HTTP_BODY_NONE, 0, 0, true},
    {BYTES("GET / HTTP/1.0\r\nConnection: keep-alive, close" END), "GET", "/", "", "", 1,
     HTTP_BODY_NONE, 0, 0, false},
    {BYTES("GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nconnection: CLOSE" END), "GET", "/", "",
     "a", 3, HTTP_BODY_NONE, 0, 0, false},
    {BYTES("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed" END), "GET", "/", "", "a", 2,
     HTTP_BODY_NONE, 0, 0, true},
    {BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0" END), "POST", "/", "", "a", 2,
     HTTP_BODY_NONE, 0, 0, true},
    {BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:  007 " END "seven.."), "POST", "/", "",
     "a", 2, HTTP_BODY_LENGTH, 7, 7, true},
    {BYTES("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807" END), "PUT", "/", "",
     "a", 2, HTTP_BODY_LENGTH, INT64_MAX, 0, true},
    {BYTES("POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:\tChunked" END "0" END), "POST", "/",
     "", "a", 2, HTTP_BODY_CHUNKED, 0, 5, true},
    {BYTES("M-SEARCH / HTTP/1.1\r\nHost: a_b\r\nX: \x80\xff\r\nX: 2" END), "M-SEARCH", "/", "",
     "a_b", 3, HTTP_BODY_NONE, 0, 0, true},
};

static void check_accepted(struct http_feed *feed, const struct accepted *row)
{
    const struct http_head *head = &feed->head;
    assert_span(head->method, row->method);
    assert_span(head->path, row->path);
    assert_span(head->query, row->query);
    assert_span(head->host, row->host);
    assert_int_equal(head->field_count, row->field_count);
    assert_int_equal(head->body, row->body);
    assert_int_equal(head->content_length, row->content_length);
    assert_int_equal(head->keep_alive, row->keep_alive);
    assert_int_equal(feed->consumed, row->bytes.size - row->rest);
    assert_int_equal(feed->scanned, 0);
}

static void test_accepts_valid_heads_split_at_every_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ACCEPTED / sizeof ACCEPTED[0]; i++) {
        const struct accepted *row = &ACCEPTED[i];
        struct http_feed feed = HTTP_FEED_INIT;
        size_t head_size = row->bytes.size - row->rest;
        for (size_t cut = 0; cut < head_size; cut++) {
            feed.scanned = 0;
            assert_int_equal(http_feed_prefix(&feed, row->bytes, cut), WEIR_AGAIN);
            assert_int_equal(http_feed_prefix(&feed, row->bytes, row->bytes.size), WEIR_OK);
            check_accepted(&feed, row);
        }
        http_feed_free(&feed);
    }
}

static void test_accepts_valid_heads_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ACCEPTED / sizeof ACCEPTED[0]; i++) {
        const struct accepted *row = &ACCEPTED[i];
        struct http_feed feed = HTTP_FEED_INIT;
        size_t head_size = row->bytes.size - row->rest;
        for (size_t size = 0; size < head_size; size++) {
            assert_int_equal(http_feed_prefix(&feed, row->bytes, size), WEIR_AGAIN);
        }
        assert_int_equal(http_feed_prefix(&feed, row->bytes, head_size), WEIR_OK);
        assert_int_equal(feed.consumed, head_size);
        http_feed_free(&feed);
    }
}

static void test_trims_values_and_keeps_order(void **state)
{
    struct http_feed feed = HTTP_FEED_INIT;
    (void)state;
    assert_int_equal(
        http_feed_whole(&feed, SPAN("GET / HTTP/1.1\r\nHost: a\r\nX: \t 1 2\t \r\nx:2" END)),
        WEIR_OK);
    assert_span(feed.head.fields[1].name, "X");
    assert_span(feed.head.fields[1].value, "1 2");
    assert_span(feed.head.fields[2].value, "2");
    assert_ptr_equal(http_head_find(&feed.head, SPAN("x")), &feed.head.fields[1]);
    assert_null(http_head_find(&feed.head, SPAN("y")));
    http_feed_free(&feed);
}

static void test_finds_tokens_in_any_of_several_fields(void **state)
{
    struct http_feed feed = HTTP_FEED_INIT;
    (void)state;
    assert_int_equal(http_feed_whole(&feed, SPAN("GET / HTTP/1.1\r\nHost: a\r\nConnection: a,, "
                                                 "B\r\nConnection: Upgrade, c" END)),
                     WEIR_OK);
    assert_true(http_head_has_token(&feed.head, SPAN("connection"), SPAN("upgrade")));
    assert_true(http_head_has_token(&feed.head, SPAN("connection"), SPAN("b")));
    assert_false(http_head_has_token(&feed.head, SPAN("connection"), SPAN("up")));
    assert_false(http_head_has_token(&feed.head, SPAN("upgrade"), SPAN("upgrade")));
    http_feed_free(&feed);
}

static void test_expects_continue_only_with_a_body_in_http_1_1(void **state)
{
    struct http_feed feed = HTTP_FEED_INIT;
    (void)state;
    assert_int_equal(http_feed_whole(&feed, SPAN("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "
                                                 "1\r\nExpect: 100-Continue" END)),
                     WEIR_OK);
    assert_true(feed.head.expects_continue);
    assert_int_equal(
        http_feed_whole(&feed, SPAN("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue" END)),
        WEIR_OK);
    assert_false(feed.head.expects_continue);
    assert_int_equal(
        http_feed_whole(&feed,
                        SPAN("POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue" END)),
        WEIR_OK);
    assert_false(feed.head.expects_continue);
    http_feed_free(&feed);
}

static void test_parses_pipelined_heads_one_after_the_other(void **state)
{
    struct http_feed feed = HTTP_FEED_INIT;
    struct span bytes = SPAN("GET /1 HTTP/1.1\r\nHost: a" END "GET /2 HTTP/1.0" END);
    (void)state;
    assert_int_equal(http_feed_prefix(&feed, bytes, bytes.size), WEIR_OK);
    assert_span(feed.head.path, "/1");
    bytes = span_from(bytes, feed.consumed);
    assert_int_equal(http_feed_prefix(&feed, bytes, bytes.size), WEIR_OK);
    assert_span(feed.head.path, "/2");
    assert_int_equal(feed.head.field_count, 0);
    assert_int_equal(feed.consumed, bytes.size);
    http_feed_free(&feed);
}

/* --- limits --- */

static void expect_limit(struct http_feed *feed, enum weir_err err, unsigned status)
{
    assert_int_equal(err, WEIR_ELIMIT);
    assert_int_equal(feed->status, status);
    assert_true(strlen(feed->why) > 0);
}

static void test_limits_the_request_line(void **state)
{
    struct span bytes = SPAN("\r\nGET /12345 HTTP/1.1\r\nHost: a" END);
    struct http_feed feed = HTTP_FEED_INIT;
    (void)state;
    feed.limits.line_bytes = strlen("GET /12345 HTTP/1.1");
    assert_int_equal(http_feed_whole(&feed, bytes), WEIR_OK);
    feed.limits.line_bytes--;
    expect_limit(&feed, http_feed_whole(&feed, bytes), 414);
    http_feed_free(&feed);
}

static void test_refuses_a_long_request_line_before_it_ends(void **state)
{
    struct span bytes = SPAN("GET /1234567890");
    struct http_feed feed = HTTP_FEED_INIT;
    (void)state;
    feed.limits.line_bytes = 10;
    for (size_t size = 0; size < 12; size++) {
        assert_int_equal(http_feed_prefix(&feed, bytes, size), WEIR_AGAIN);
    }
    expect_limit(&feed, http_feed_prefix(&feed, bytes, 12), 414);
    http_feed_free(&feed);
}

static void test_limits_the_head(void **state)
{
    struct span bytes = SPAN("GET / HTTP/1.1\r\nHost: a" END "and a body");
    size_t head_size = bytes.size - strlen("and a body");
    struct http_feed feed = HTTP_FEED_INIT;
    (void)state;
    feed.limits.head_bytes = head_size;
    assert_int_equal(http_feed_whole(&feed, bytes), WEIR_OK);
    feed.limits.head_bytes = head_size - 1;
    expect_limit(&feed, http_feed_whole(&feed, bytes), 431);
    feed.scanned = 0;
    for (size_t size = 0; size < head_size - 1; size++) {
        assert_int_equal(http_feed_prefix(&feed, bytes, size), WEIR_AGAIN);
    }
    expect_limit(&feed, http_feed_prefix(&feed, bytes, head_size - 1), 431);
    http_feed_free(&feed);
}

static void test_limits_the_number_of_fields(void **state)
{
    struct span bytes = SPAN("GET / HTTP/1.1\r\nHost: a\r\nB: b\r\nC: c" END);
    struct http_feed feed = HTTP_FEED_INIT;
    (void)state;
    feed.limits.fields = 3;
    assert_int_equal(http_feed_whole(&feed, bytes), WEIR_OK);
    assert_int_equal(feed.head.field_count, 3);
    feed.limits.fields = 2;
    expect_limit(&feed, http_feed_whole(&feed, bytes), 431);
    http_feed_free(&feed);
}

static void test_never_fills_more_than_its_array(void **state)
{
    char text[4096] = "GET / HTTP/1.1\r\nHost: a\r\n";
    struct http_feed feed = HTTP_FEED_INIT;
    (void)state;
    feed.limits.fields = 100000;
    for (size_t i = 1; i < HTTP_FIELDS_MAX; i++) {
        strcat(text, "X: y\r\n");
    }
    size_t full = strlen(text);
    strcat(text, "\r\n");
    assert_int_equal(http_feed_whole(&feed, span_of(text)), WEIR_OK);
    assert_int_equal(feed.head.field_count, HTTP_FIELDS_MAX);
    strcpy(text + full, "X: y" END);
    expect_limit(&feed, http_feed_whole(&feed, span_of(text)), 431);
    http_feed_free(&feed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts_valid_heads_split_at_every_byte),
        cmocka_unit_test(test_accepts_valid_heads_byte_by_byte),
        cmocka_unit_test(test_trims_values_and_keeps_order),
        cmocka_unit_test(test_finds_tokens_in_any_of_several_fields),
        cmocka_unit_test(test_expects_continue_only_with_a_body_in_http_1_1),
        cmocka_unit_test(test_parses_pipelined_heads_one_after_the_other),
        cmocka_unit_test(test_limits_the_request_line),
        cmocka_unit_test(test_refuses_a_long_request_line_before_it_ends),
        cmocka_unit_test(test_limits_the_head),
        cmocka_unit_test(test_limits_the_number_of_fields),
        cmocka_unit_test(test_never_fills_more_than_its_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
