/* Addresses as they are configured: what is an address at once, and what has to be asked for. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "upstream/server_address.h"

static struct server_address parse(const char *text)
{
    struct server_address out;
    const char *why = NULL;
    assert_int_equal(server_address_parse(text, &out, &why), WEIR_OK);
    return out;
}

static void expect_refused(const char *text)
{
    struct server_address out;
    const char *why = NULL;
    assert_int_equal(server_address_parse(text, &out, &why), WEIR_EINVAL);
    assert_non_null(why);
}

static void test_takes_ipv4(void **state)
{
    (void)state;
    struct server_address out = parse("10.0.0.3:3000");
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&out.address;
    assert_false(out.is_name);
    assert_int_equal(out.address_size, sizeof *v4);
    assert_int_equal(v4->sin_family, AF_INET);
    assert_int_equal(ntohs(v4->sin_port), 3000);
    assert_int_equal(ntohl(v4->sin_addr.s_addr), 0x0a000003);
}

static void test_takes_ipv6(void **state)
{
    (void)state;
    struct server_address out = parse("[::1]:65535");
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&out.address;
    assert_false(out.is_name);
    assert_int_equal(out.address_size, sizeof *v6);
    assert_int_equal(v6->sin6_family, AF_INET6);
    assert_int_equal(ntohs(v6->sin6_port), 65535);
    assert_memory_equal(&v6->sin6_addr, &in6addr_loopback, sizeof in6addr_loopback);
}

static void test_takes_a_unix_socket_up_to_the_longest_path(void **state)
{
    (void)state;
    char text[200];
    char path[108];
    memset(path, 'a', sizeof path);
    snprintf(text, sizeof text, "unix:/%.106s", path);
    struct server_address out = parse(text);
    const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)&out.address;
    assert_false(out.is_name);
    assert_int_equal(un->sun_family, AF_UNIX);
    assert_string_equal(un->sun_path, text + 5);
    snprintf(text, sizeof text, "unix:/%.107s", path);
    expect_refused(text);
    expect_refused("unix:");
}

static void test_takes_names(void **state)
{
    (void)state;
    struct server_address out = parse("chat-1.example.com:1");
    assert_true(out.is_name);
    assert_string_equal(out.host, "chat-1.example.com");
    assert_int_equal(out.port, 1);
    assert_int_equal(parse("web_1:65535").port, 65535);
}

static void test_refuses_what_is_neither(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",         "chat",       "chat:", ":80",   "chat:0",  "chat:65536", "chat:80x",
        "10.0.0.3", "10.0.0.3:0", "::1",   "[::1]", "[::1]:0", "[::1:80",    "a:b:80"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        expect_refused(texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_ipv4),
        cmocka_unit_test(test_takes_ipv6),
        cmocka_unit_test(test_takes_a_unix_socket_up_to_the_longest_path),
        cmocka_unit_test(test_takes_names),
        cmocka_unit_test(test_refuses_what_is_neither),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
