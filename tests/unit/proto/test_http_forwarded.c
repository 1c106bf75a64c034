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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stops_at_the_first_that_is_not_trusted),
        cmocka_unit_test(test_believes_nobody_without_trusted_proxies),
        cmocka_unit_test(test_gives_an_unknown_peer_back),
        cmocka_unit_test(test_walks_several_fields_from_the_last),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
