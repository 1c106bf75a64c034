/* Addresses, their texts, and CIDR blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ip_address.h"

static struct ip_address parsed(const char *text)
{
    struct ip_address address;
    assert_int_equal(ip_address_parse(span_of(text), &address), WEIR_OK);
    return address;
}

static void assert_text(const char *text, bool with_port, const char *wanted)
{
    char out[IP_ADDRESS_TEXT_BYTES];
    struct ip_address address = parsed(text);
    assert_int_equal(ip_address_format(&address, with_port, out), strlen(wanted));
    assert_string_equal(out, wanted);
}

static void test_parses_and_formats(void **state)
{
    (void)state;
    assert_text("192.0.2.1", false, "192.0.2.1");
    assert_text("192.0.2.1", true, "192.0.2.1:0");
    assert_text("192.0.2.1:65535", true, "192.0.2.1:65535");
    assert_text("192.0.2.1:80", false, "192.0.2.1");
    assert_text("2001:DB8:0::1", false, "2001:db8::1");
    assert_text("[2001:db8::1]", true, "[2001:db8::1]:0");
    assert_text("[::]:80", true, "[::]:80");
    assert_text("::ffff:192.0.2.1", false, "::ffff:192.0.2.1");
}

static void test_formats_the_longest_address_within_its_room(void **state)
{
    (void)state;
    assert_text("[abcd:abcd:abcd:abcd:abcd:abcd:255.255.255.255]:65535", true,
                "[abcd:abcd:abcd:abcd:abcd:abcd:ffff:ffff]:65535");
}

static void test_formats_what_is_not_known(void **state)
{
    char out[IP_ADDRESS_TEXT_BYTES];
    struct ip_address nobody = {0};
    (void)state;
    assert_int_equal(ip_address_format(&nobody, true, out), 7);
    assert_string_equal(out, "unknown");
}

static void test_refuses_what_is_no_address(void **state)
{
    static const char *const bad[] = {"",
                                      "1",
                                      "1.2.3",
                                      "1.2.3.4.5",
                                      "256.1.1.1",
                                      "01.2.3.4",
                                      "0x7f.0.0.1",
                                      "1.2.3.4 ",
                                      " 1.2.3.4",
                                      "1.2.3.4:",
                                      "1.2.3.4:65536",
                                      "1.2.3.4:-1",
                                      "1.2.3.4:000080",
                                      "localhost",
                                      ":",
                                      ":::",
                                      "::1%lo",
                                      "[::1",
                                      "[::1]80",
                                      "[::1]:",
                                      "[1.2.3.4]",
                                      "[]",
                                      "::1]",
                                      "1::2::3",
                                      "abcd:abcd:abcd:abcd:abcd:abcd:255.255.255.2555"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ip_address address;
        if (ip_address_parse(span_of(bad[i]), &address) != WEIR_EINVAL) {
            fail_msg("took \"%s\"", bad[i]);
        }
    }
    struct ip_address address;
    assert_int_equal(ip_address_parse(SPAN("1.2.3.4\0"), &address), WEIR_EINVAL);
}

static void test_compares_hosts_without_ports(void **state)
{
    struct ip_address a = parsed("192.0.2.1:1");
    struct ip_address b = parsed("::ffff:192.0.2.1");
    struct ip_address c = parsed("192.0.2.2");
    struct ip_address nobody = {0};
    (void)state;
    assert_true(ip_address_equal(&a, &b));
    assert_false(ip_address_equal(&a, &c));
    assert_false(ip_address_equal(&nobody, &nobody));
    assert_int_equal(ip_address_unmapped(parsed("[::ffff:192.0.2.1]:7")).port, 7);
}

struct row {
    const char *block;
    const char *address;
    bool contains;
};

static const struct row ROWS[] = {
    {"10.0.0.0/8", "10.255.255.255", true},
    {"10.0.0.0/8", "11.0.0.0", false},
    {"10.0.0.0/8", "9.255.255.255", false},
    {"10.1.2.3/8", "10.9.9.9", true}, /* bits behind the prefix do not count */
    {"10.0.0.0/9", "10.127.255.255", true},
    {"10.0.0.0/9", "10.128.0.0", false},
    {"10.0.0.1", "10.0.0.1", true},
    {"10.0.0.1", "10.0.0.2", false},
    {"10.0.0.0/31", "10.0.0.1", true},
    {"10.0.0.0/31", "10.0.0.2", false},
    {"0.0.0.0/0", "255.255.255.255", true},
    {"0.0.0.0/0", "::1", false},
    {"0.0.0.0/0", "::ffff:1.2.3.4", true},
    {"10.0.0.0/8", "::ffff:10.1.2.3", true},
    {"10.0.0.0/8", "a00::", false}, /* the same leading bytes, another family */
    {"2001:db8::/32", "2001:db8:ffff::", true},
    {"2001:db8::/32", "2001:db9::", false},
    {"::/0", "::1", true},
    {"::/0", "1.2.3.4", false},
    {"::1/128", "::1", true},
    {"::1/128", "::2", false},
    {"::/127", "::1", true},
    {"::/127", "::2", false},
    {"::ffff:10.0.0.0/104", "10.1.2.3", true},
    {"::ffff:10.0.0.0/104", "::ffff:10.1.2.3", true},
    {"::ffff:10.0.0.0/104", "11.0.0.0", false},
};

static void test_blocks_contain_their_addresses_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct ip_block block;
        struct ip_address address = parsed(ROWS[i].address);
        assert_int_equal(ip_block_parse(span_of(ROWS[i].block), &block), WEIR_OK);
        if (ip_block_contains(&block, &address) != ROWS[i].contains) {
            fail_msg("%s in %s", ROWS[i].address, ROWS[i].block);
        }
        assert_int_equal(ip_block_any_contains(&block, 1, &address), ROWS[i].contains);
        assert_false(ip_block_any_contains(&block, 0, &address));
    }
}

static void test_no_block_contains_what_is_not_known(void **state)
{
    struct ip_block block;
    struct ip_address nobody = {0};
    struct ip_block nothing = {0};
    (void)state;
    assert_int_equal(ip_block_parse(SPAN("0.0.0.0/0"), &block), WEIR_OK);
    assert_false(ip_block_contains(&block, &nobody));
    assert_false(ip_block_contains(&nothing, &nobody));
}

static void test_refuses_what_is_no_block(void **state)
{
    static const char *const bad[] = {"",
                                      "/8",
                                      "10.0.0.0/",
                                      "10.0.0.0/33",
                                      "::/129",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/8/8",
                                      "10.0.0.0/08",
                                      "10.0.0.0:80",
                                      "[::1]",
                                      "[::]/0",
                                      "10/8",
                                      "a/8",
                                      "10.0.0.0/8 ",
                                      "10.0.0.0/0008"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ip_block block;
        if (ip_block_parse(span_of(bad[i]), &block) != WEIR_EINVAL) {
            fail_msg("took \"%s\"", bad[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parses_and_formats),
        cmocka_unit_test(test_formats_the_longest_address_within_its_room),
        cmocka_unit_test(test_formats_what_is_not_known),
        cmocka_unit_test(test_refuses_what_is_no_address),
        cmocka_unit_test(test_compares_hosts_without_ports),
        cmocka_unit_test(test_blocks_contain_their_addresses_only),
        cmocka_unit_test(test_no_block_contains_what_is_not_known),
        cmocka_unit_test(test_refuses_what_is_no_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
