/* Hosts and ports, as route lookup sees them. What is refused is in test_http_smuggling.c too,
 * where it is refused on the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/http_host.h"

static void assert_split(const char *text, const char *name, unsigned port)
{
    struct span got_name;
    uint16_t got_port;
    assert_true(http_host_split(span_of(text), &got_name, &got_port));
    assert_true(span_equal(got_name, span_of(name)));
    assert_int_equal(got_port, port);
}

static void test_splits_name_and_port(void **state)
{
    (void)state;
    assert_split("a", "a", 0);
    assert_split("A-1.b_c~d:5000", "A-1.b_c~d", 5000);
    assert_split("a:", "a", 0);
    assert_split("a:0", "a", 0);
    assert_split("127.0.0.1:65535", "127.0.0.1", 65535);
    assert_split("[::1]", "[::1]", 0);
    assert_split("[2001:db8::1]:00080", "[2001:db8::1]", 80);
}

static void test_refuses_what_is_no_host(void **state)
{
    static const char *const bad[] = {
        "",     ":80", "a:65536", "a:000080", "a:8 0",   "a b",   "a,b",  "a@b", "a/b",
        "[::1", "[]",  "[::1]x",  "[a]:",     "[::1]::", "a:80:", "a%41", "!",   "[::1]:-1"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (http_host_is_valid(span_of(bad[i]))) {
            fail_msg("took %s", bad[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits_name_and_port),
        cmocka_unit_test(test_refuses_what_is_no_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
