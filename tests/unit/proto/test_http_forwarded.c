/* The walk through X-Forwarded-For: from the right, past those we trust, and not one step further.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http_feed.h"
#include "proto/http_forwarded.h"

static struct ip_address address(const char *text)
{
    struct ip_address parsed;
    assert_int_equal(ip_address_parse(span_of(text), &parsed), WEIR_OK);
    return parsed;
}

static struct ip_block trusted[2]; /* 10.0.0.0/8 and fd00::/8 */

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(ip_block_parse(SPAN("10.0.0.0/8"), &trusted[0]), WEIR_OK);
    assert_int_equal(ip_block_parse(SPAN("fd00::/8"), &trusted[1]), WEIR_OK);
    return 0;
}

struct row {
    const char *peer;
    const char *value;
    const char *client;
};

static const struct row ROWS[] = {
    {"10.0.0.1", "192.0.2.1", "192.0.2.1"},
    {"10.0.0.1", "", "10.0.0.1"},
    {"10.0.0.1", " , ,", "10.0.0.1"},
    {"192.0.2.9", "192.0.2.1", "192.0.2.9"},                     /* the peer is not trusted */
    {"10.0.0.1", "6.6.6.6, 192.0.2.1", "192.0.2.1"},             /* the client forged the left */
    {"10.0.0.1", "192.0.2.1,10.0.0.3 ,\t10.0.0.2", "192.0.2.1"}, /* two proxies in between */
    {"10.0.0.1", "6.6.6.6, 192.0.2.1, fd00::1, 10.0.0.2", "192.0.2.1"},
    {"10.0.0.1", "10.0.0.9, 10.0.0.2", "10.0.0.9"}, /* all trusted: the leftmost */
    {"10.0.0.1", "6.6.6.6, unknown", "10.0.0.1"},
    {"10.0.0.1", "6.6.6.6, unknown, 10.0.0.2", "10.0.0.2"},
    {"10.0.0.1", "6.6.6.6, 1.2.3.4x, 10.0.0.2", "10.0.0.2"},
    {"10.0.0.1", "192.0.2.1:4711", "192.0.2.1"},
    {"10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"},
    {"10.0.0.1", "2001:db8::1", "2001:db8::1"},
    {"::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1"},
    {"fd00::9", "192.0.2.1, ::ffff:10.0.0.2", "192.0.2.1"},
    {"10.0.0.1", "192.0.2.1,,", "192.0.2.1"},
};

static void test_stops_at_the_first_that_is_not_trusted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct ip_address wanted = address(ROWS[i].client);
        struct ip_address client =
            http_forwarded_client(span_of(ROWS[i].value), trusted, 2, address(ROWS[i].peer));
        if (!ip_address_equal(&client, &wanted)) {
            fail_msg("row %zu: %s", i, ROWS[i].value);
        }
    }
}

static void test_believes_nobody_without_trusted_proxies(void **state)
{
    struct ip_address peer = address("10.0.0.1");
    (void)state;
    struct ip_address client = http_forwarded_client(SPAN("192.0.2.1"), NULL, 0, peer);
    assert_true(ip_address_equal(&client, &peer));
}

static void test_gives_an_unknown_peer_back(void **state)
{
    struct ip_address peer = {0};
    (void)state;
    struct ip_address client = http_forwarded_client(SPAN("192.0.2.1"), trusted, 2, peer);
    assert_int_equal(client.family, IP_NONE);
}

static void test_walks_several_fields_from_the_last(void **state)
{
    struct http_feed feed = HTTP_FEED_INIT;
    struct ip_address wanted = address("192.0.2.1");
    (void)state;
    assert_int_equal(http_feed_whole(&feed, SPAN("GET / HTTP/1.1\r\nHost: a\r\n"
                                                 "X-Forwarded-For: 6.6.6.6\r\n"
                                                 "x-forwarded-for: 5.5.5.5, 192.0.2.1\r\n"
                                                 "X-Forwarded-For: 10.0.0.2\r\n\r\n")),
                     WEIR_OK);
    struct ip_address client =
        http_forwarded_head_client(&feed.head, trusted, 2, address("10.0.0.1"));
    assert_true(ip_address_equal(&client, &wanted));
    http_feed_free(&feed);
}

struct element {
    const char *client;
    const char *host;
    const char *proto;
    const char *wanted;
};

static const struct element ELEMENTS[] = {
    {"192.0.2.1", "example.com", "https", "for=192.0.2.1;host=example.com;proto=https"},
    {"192.0.2.1", "example.com:8080", "http", "for=192.0.2.1;host=\"example.com:8080\";proto=http"},
    {"192.0.2.1:4711", "", "http", "for=\"192.0.2.1:4711\";proto=http"},
    {"2001:db8::1", "", "", "for=\"[2001:db8::1]\""},
    {"::", "", "", "for=\"[::]\""},
    {"::ffff:192.0.2.1", "", "", "for=\"[::ffff:192.0.2.1]\""},
    {"[2001:db8::1]", "", "", "for=\"[2001:db8::1]\""},
    {"[2001:db8::1]:4711", "[::1]:80", "http",
     "for=\"[2001:db8::1]:4711\";host=\"[::1]:80\";proto=http"},
    {"unknown", "a", "http", "for=unknown;host=a;proto=http"},
    {"", "a", "", "for=unknown;host=a"},
    {"_hidden", "", "", "for=_hidden"},
    {"a:b:c", "", "", "for=\"a:b:c\""},
    {"a\"b\\c;d,e f\t\xe9", "", "", "for=\"a\\\"b\\\\c;d,e f\t\xe9\""},
};

static void test_writes_forwarded_elements(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ELEMENTS / sizeof ELEMENTS[0]; i++) {
        const struct element *row = &ELEMENTS[i];
        struct buffer out = {0};
        assert_int_equal(buffer_append(&out, SPAN("x, ")), WEIR_OK);
        assert_int_equal(http_forwarded_write(&out, span_of(row->client), span_of(row->host),
                                              span_of(row->proto)),
                         WEIR_OK);
        if (!span_equal(span_from(buffer_span(&out), 3), span_of(row->wanted))) {
            fail_msg("%.*s", SPAN_ARGS(buffer_span(&out)));
        }
        buffer_free(&out);
    }
}

static void test_writes_no_line_into_forwarded(void **state)
{
    static const char *const rows[][3] = {
        {"a\r\nb", "", ""}, {"\x7f", "", ""}, {"a", "b\nc", ""}, {"a", "b", "http\x01"}};
    struct buffer out = {0};
    (void)state;
    assert_int_equal(buffer_append(&out, SPAN("x")), WEIR_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(http_forwarded_write(&out, span_of(rows[i][0]), span_of(rows[i][1]),
                                              span_of(rows[i][2])),
                         WEIR_EINVAL);
        assert_int_equal(out.size, 1);
    }
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stops_at_the_first_that_is_not_trusted),
        cmocka_unit_test(test_believes_nobody_without_trusted_proxies),
        cmocka_unit_test(test_gives_an_unknown_peer_back),
        cmocka_unit_test(test_walks_several_fields_from_the_last),
        cmocka_unit_test(test_writes_forwarded_elements),
        cmocka_unit_test(test_writes_no_line_into_forwarded),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
