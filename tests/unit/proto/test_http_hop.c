/* Which fields end at a proxy, and which trailers pass it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/http_hop.h"

/* A head's fields, all with `connection` as the value of the Connection field. */
static bool is_local(const char *connection, const char *name)
{
    const struct http_field fields[] = {{SPAN("Host"), SPAN("a")},
                                        {SPAN("connection"), span_of(connection)},
                                        {SPAN("Connection"), SPAN("other")}};
    return http_hop_is_local(fields, 3, span_of(name));
}

static void test_ends_the_fields_of_a_hop(void **state)
{
    static const char *const names[] = {"Connection",
                                        "keep-alive",
                                        "Proxy-Connection",
                                        "Proxy-Authenticate",
                                        "Proxy-Authorization",
                                        "TE",
                                        "te",
                                        "Transfer-Encoding",
                                        "UPGRADE",
                                        "Transfer_Encoding"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_true(http_hop_is_local(NULL, 0, span_of(names[i])));
    }
}

static void test_ends_what_connection_lists(void **state)
{
    (void)state;
    assert_true(is_local("close, X-Mine", "x-mine"));
    assert_true(is_local(" ,x-mine,", "X-Mine"));
    assert_true(is_local("close", "Other")); /* of the second Connection field */
    assert_false(is_local("close", "X-Mine"));
    assert_false(is_local("x-mine2, \"x-mine\"", "X-Mine"));
}

static void test_passes_everything_else_on(void **state)
{
    static const char *const names[] = {
        "Host", "Content-Length", "Set-Cookie",  "Trailer", "Expect",
        "Via",  "X-Upgrade",      "Connections", "T",       ""};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_false(is_local("close", names[i]));
    }
}

static void test_keeps_from_trailers_what_belongs_in_a_head(void **state)
{
    static const char *const names[] = {"Transfer-Encoding",
                                        "Connection",
                                        "TE",
                                        "Upgrade",
                                        "Content-Length",
                                        "content_length",
                                        "Host",
                                        "Trailer",
                                        "Content-Encoding",
                                        "Content-Type",
                                        "Content-Range",
                                        "Cache-Control",
                                        "Expect",
                                        "Max-Forwards",
                                        "Pragma",
                                        "Range",
                                        "If-Match",
                                        "if-none-match",
                                        "If-Range",
                                        "Authorization",
                                        "Proxy-Authorization",
                                        "WWW-Authenticate",
                                        "Set-Cookie",
                                        "Cookie",
                                        "Age",
                                        "Date",
                                        "Expires",
                                        "Location",
                                        "Retry-After",
                                        "Vary",
                                        "Warning",
                                        "Forwarded",
                                        "X-Forwarded-For",
                                        "x_forwarded_proto",
                                        "X-Real-IP",
                                        "Sec-WebSocket-Key",
                                        "Access-Control-Allow-Origin"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (http_hop_may_trail(span_of(names[i]))) {
            fail_msg("%s may trail", names[i]);
        }
    }
}

static void test_lets_other_trailers_pass(void **state)
{
    static const char *const names[] = {
        "ETag",          "Digest",     "Content-MD5", "grpc-status", "Last-Modified",
        "Server-Timing", "X-Checksum", "If",          "Ages",        "Secret"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_true(http_hop_may_trail(span_of(names[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends_the_fields_of_a_hop),
        cmocka_unit_test(test_ends_what_connection_lists),
        cmocka_unit_test(test_passes_everything_else_on),
        cmocka_unit_test(test_keeps_from_trailers_what_belongs_in_a_head),
        cmocka_unit_test(test_lets_other_trailers_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
