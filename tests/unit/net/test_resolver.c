/* The resolver, asking name servers that live in this process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "name_server.h"
#include "net/loop.h"
#include "net/resolver.h"

enum {
    PORT = 8080,
    LONG_MS = 20000, /* never reached */
    SHORT_MS = 60,
    CLOCK_MS = 12,   /* libevent's clock may be behind by as much */
    EVDNS_MS = 4500, /* evdns itself would take longer to give up */
    GIVE_UP_MS = 15000
};

static const struct record records[] = {
    {.name = "one.test", .ipv4 = {"10.0.0.1"}},
    {.name = "six.test", .ipv6 = {"fd00::1"}},
    {.name = "both.test",
     .ipv4 = {"10.0.0.3", "10.0.0.1", "10.0.0.3", "10.0.0.2"},
     .ipv6 = {"fd00::2", "fd00::1"}},
    {.name = "both2.test",
     .ipv4 = {"10.0.0.2", "10.0.0.3", "10.0.0.1"},
     .ipv6 = {"fd00::1", "fd00::2"}},
    {.name = "alias.test", .alias = "real.test", .ipv4 = {"10.0.0.9"}},
    {.name = "empty.test"},
    {.name = "servfail.test", .rcode = RCODE_SERVFAIL},
    {.name = "refused.test", .rcode = RCODE_REFUSED},
    {.name = "half.test", .ipv4 = {"10.0.0.4"}, .silent_ipv6 = true},
    {.name = "truncated.test", .ipv4 = {"10.0.0.5"}, .truncated = true},
    {.name = NULL},
};

static struct loop *loop;
static struct resolver *resolver;
static struct name_server first;
static struct name_server second;

static unsigned calls;
static size_t count;
static char answer[4096]; /* `ADDRESS:PORT `, one after the other */
static char words[256];

static int set_up(void **state)
{
    char *nameservers[] = {first.address};
    (void)state;
    calls = 0;
    count = 0;
    answer[0] = words[0] = '\0';
    loop = loop_new();
    if (name_server_open(&first, records) != 0 || name_server_open(&second, records) != 0) {
        return -1;
    }
    return resolver_new(loop, nameservers, 1, &resolver) == WEIR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    resolver_free(&resolver);
    loop_free(&loop);
    name_server_close(&first);
    name_server_close(&second);
    return 0;
}

static void write_address(const struct resolver_address *found)
{
    char text[INET6_ADDRSTRLEN];
    size_t used = strlen(answer);
    const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)(const void *)&found->address;
    const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)(const void *)&found->address;
    if (found->address.ss_family == AF_INET) {
        assert_int_equal(found->size, sizeof *ipv4);
        inet_ntop(AF_INET, &ipv4->sin_addr, text, sizeof text);
        snprintf(answer + used, sizeof answer - used, "%s:%d ", text, ntohs(ipv4->sin_port));
    } else {
        assert_int_equal(found->size, sizeof *ipv6);
        inet_ntop(AF_INET6, &ipv6->sin6_addr, text, sizeof text);
        snprintf(answer + used, sizeof answer - used, "[%s]:%d ", text, ntohs(ipv6->sin6_port));
    }
}

static void heard(void *context, const struct resolver_address *addresses, size_t number,
                  const char *why)
{
    assert_ptr_equal(context, &calls);
    calls++;
    count = number;
    answer[0] = '\0';
    for (size_t i = 0; i < number; i++) {
        write_address(&addresses[i]);
    }
    snprintf(words, sizeof words, "%s", why);
}

static void turn(void)
{
    loop_turn(loop, false);
    name_server_work(&first);
    name_server_work(&second);
}

static void wait_for_calls(unsigned wanted)
{
    uint64_t give_up = clock_monotonic_ms() + GIVE_UP_MS;
    while (calls < wanted && clock_monotonic_ms() < give_up) {
        turn();
    }
    assert_int_equal(calls, wanted);
}

static void ask(const char *host, uint64_t timeout_ms)
{
    unsigned before = calls;
    assert_non_null(resolver_ask(resolver, host, PORT, timeout_ms, heard, &calls));
    assert_int_equal(calls, before); /* never from within */
    wait_for_calls(before + 1);
}

static void ask_others(const char *nameserver1, const char *nameserver2)
{
    char *nameservers[] = {(char *)(uintptr_t)nameserver1, (char *)(uintptr_t)nameserver2};
    resolver_free(&resolver);
    assert_int_equal(resolver_new(loop, nameservers, nameserver2 != NULL ? 2 : 1, &resolver),
                     WEIR_OK);
}

/* --- answers --- */

static void test_finds_an_ipv4_address(void **state)
{
    (void)state;
    ask("one.test", LONG_MS);
    assert_string_equal(answer, "10.0.0.1:8080 ");
    assert_string_equal(words, "");
    ask("ONE.test.", LONG_MS);
    assert_string_equal(answer, "10.0.0.1:8080 ");
}

static void test_finds_an_ipv6_address(void **state)
{
    (void)state;
    ask("six.test", LONG_MS);
    assert_string_equal(answer, "[fd00::1]:8080 ");
}

static void test_all_addresses_come_once_and_in_the_same_order(void **state)
{
    static const char all[] =
        "10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080 [fd00::1]:8080 [fd00::2]:8080 ";
    (void)state;
    ask("both.test", LONG_MS);
    assert_string_equal(answer, all);
    ask("both2.test", LONG_MS);
    assert_string_equal(answer, all);
}

static void test_follows_an_alias(void **state)
{
    (void)state;
    ask("alias.test", LONG_MS);
    assert_string_equal(answer, "10.0.0.9:8080 ");
}

static void test_takes_no_more_addresses_than_it_has_room_for(void **state)
{
    static char text[40][16];
    struct record many[2] = {{.name = "many.test"}, {.name = NULL}};
    (void)state;
    for (int i = 0; i < 40; i++) {
        snprintf(text[i], sizeof text[i], "10.1.0.%d", i + 1);
        many[0].ipv4[i] = text[i];
    }
    first.records = many;
    ask("many.test", LONG_MS);
    assert_true(count >= 32 && count <= RESOLVER_ADDRESSES_MAX); /* evdns takes 32 of each kind */
}

static void test_an_address_is_its_own_answer(void **state)
{
    (void)state;
    ask("192.0.2.7", LONG_MS);
    assert_string_equal(answer, "192.0.2.7:8080 ");
    ask("2001:db8::7", LONG_MS);
    assert_string_equal(answer, "[2001:db8::7]:8080 ");
    assert_int_equal(first.asked, 0);
}

static void test_the_hosts_file_comes_before_name_servers(void **state)
{
    (void)state;
    ask("localhost", LONG_MS);
    assert_non_null(strstr(answer, "127.0.0.1:8080 "));
    assert_int_equal(first.asked, 0);
}

static void test_many_queries_are_under_way_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_non_null(resolver_ask(resolver, i % 2 == 0 ? "one.test" : "gone.test", PORT, LONG_MS,
                                     heard, &calls));
    }
    wait_for_calls(100);
}

/* --- no answer --- */

static void test_a_name_that_does_not_exist_says_so(void **state)
{
    (void)state;
    ask("gone.test", LONG_MS);
    assert_int_equal(count, 0);
    assert_non_null(strstr(words, "does not exist"));
}

static void test_a_name_without_addresses_fails(void **state)
{
    (void)state;
    ask("empty.test", LONG_MS);
    assert_int_equal(count, 0);
    assert_true(strlen(words) > 0);
}

static void test_a_server_that_fails_or_refuses_is_not_asked_for_ever(void **state)
{
    (void)state;
    ask("servfail.test", LONG_MS);
    assert_int_equal(count, 0);
    assert_true(first.asked <= 2 * 5);
    ask("refused.test", LONG_MS);
    assert_int_equal(count, 0);
    ask("one.test", LONG_MS); /* and it is believed again */
    assert_string_equal(answer, "10.0.0.1:8080 ");
}

static void test_a_truncated_answer_is_none(void **state)
{
    (void)state;
    ask("truncated.test", LONG_MS);
    assert_int_equal(count, 0);
    assert_true(strlen(words) > 0);
}

static void test_what_is_no_host_name_fails_at_once(void **state)
{
    static char label[70];
    (void)state;
    memset(label, 'a', 64);
    memcpy(label + 64, ".test", 6);
    ask(label, LONG_MS);
    assert_int_equal(count, 0);
    assert_true(strlen(words) > 0);
    assert_int_equal(first.asked, 0);
}

static void test_silence_ends_with_the_timeout(void **state)
{
    (void)state;
    first.silent = true;
    uint64_t before = clock_monotonic_ms();
    ask("one.test", SHORT_MS);
    assert_true(clock_monotonic_ms() - before >= SHORT_MS - CLOCK_MS);
    assert_int_equal(count, 0);
    assert_string_equal(words, "no name server has answered within 60 ms");
    assert_true(first.asked > 0);
}

static void test_silence_about_ipv6_does_not_hold_up_ipv4(void **state)
{
    (void)state;
    uint64_t before = clock_monotonic_ms();
    ask("half.test", LONG_MS);
    assert_string_equal(answer, "10.0.0.4:8080 ");
    assert_true(clock_monotonic_ms() - before < EVDNS_MS);
    ask("half.test", SHORT_MS); /* what is there when time is up is better than nothing */
    assert_string_equal(answer, "10.0.0.4:8080 ");
}

/* --- several name servers --- */

static void test_a_silent_name_server_has_a_stand_in(void **state)
{
    (void)state;
    ask_others(first.address, second.address);
    first.silent = true;
    for (int i = 0; i < 3; i++) {
        ask("one.test", LONG_MS);
        assert_string_equal(answer, "10.0.0.1:8080 ");
    }
    assert_true(second.asked > 0);
}

static void test_a_name_server_that_is_back_is_asked_again(void **state)
{
    (void)state;
    first.silent = true;
    for (int i = 0; i < 5; i++) {
        ask("one.test", SHORT_MS);
        assert_int_equal(count, 0);
    }
    first.silent = false;
    ask("one.test", LONG_MS);
    assert_string_equal(answer, "10.0.0.1:8080 ");
}

/* As above, after so long that evdns itself has given it up. */
static void test_a_name_server_that_was_given_up_recovers(void **state)
{
    (void)state;
    first.silent = true;
    ask("one.test", LONG_MS);
    assert_int_equal(count, 0);
    assert_non_null(strstr(words, "timed out"));
    first.silent = false;
    uint64_t before = clock_monotonic_ms();
    ask("one.test", LONG_MS);
    assert_string_equal(answer, "10.0.0.1:8080 ");
    assert_true(clock_monotonic_ms() - before < EVDNS_MS);
}

static void test_only_addresses_are_name_servers(void **state)
{
    static const char *const bad[] = {
        "ns.test", "10.0.0.1:99999", "10.0.0.1:", "", "[::1", "::1]:5"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *nameservers[] = {first.address, (char *)(uintptr_t)bad[i]};
        struct resolver *made = NULL;
        assert_int_equal(resolver_new(loop, nameservers, 2, &made), WEIR_EINVAL);
        assert_null(made);
    }
    ask_others("127.0.0.1", "127.0.0.1:53"); /* the same one twice is no mistake */
    ask_others("127.0.0.1:65535", NULL);
}

static void test_the_systems_name_servers_need_no_words(void **state)
{
    (void)state;
    resolver_free(&resolver);
    assert_int_equal(resolver_new(loop, NULL, 0, &resolver), WEIR_OK);
    ask("localhost", LONG_MS);
    assert_non_null(strstr(answer, "127.0.0.1:8080 "));
}

/* --- ends --- */

static void test_a_cancelled_query_is_silent(void **state)
{
    (void)state;
    struct resolver_query *query = resolver_ask(resolver, "one.test", PORT, LONG_MS, heard, &calls);
    struct resolver_query *at_once =
        resolver_ask(resolver, "10.0.0.1", PORT, LONG_MS, heard, &calls);
    assert_non_null(query);
    assert_non_null(at_once);
    resolver_cancel(&query);
    resolver_cancel(&at_once);
    assert_null(query);
    resolver_cancel(&query);
    ask("six.test", LONG_MS); /* later than the other would have come */
    assert_int_equal(calls, 1);
}

static void test_a_query_may_be_cancelled_when_its_answer_has_come(void **state)
{
    (void)state;
    for (int turns = 0; turns < 6; turns++) {
        struct resolver_query *query =
            resolver_ask(resolver, "one.test", PORT, LONG_MS, heard, &calls);
        for (int i = 0; i < turns && calls == 0; i++) {
            turn();
        }
        if (calls == 0) {
            resolver_cancel(&query);
        }
        calls = 0;
    }
}

static void test_the_resolver_may_be_freed_at_any_time(void **state)
{
    (void)state;
    for (int turns = 0; turns < 6; turns++) {
        ask_others(first.address, NULL);
        resolver_ask(resolver, "one.test", PORT, LONG_MS, heard, &calls);
        resolver_ask(resolver, "10.0.0.1", PORT, LONG_MS, heard, &calls);
        for (int i = 0; i < turns; i++) {
            turn();
        }
        unsigned before = calls;
        resolver_free(&resolver);
        assert_null(resolver);
        resolver_free(&resolver);
        turn();
        assert_int_equal(calls, before);
    }
}

static void test_the_loop_may_be_freed_right_after_the_resolver(void **state)
{
    (void)state;
    resolver_ask(resolver, "one.test", PORT, LONG_MS, heard, &calls);
    turn();
    resolver_free(&resolver);
    loop_free(&loop); /* the sanitizer finds what stays */
    assert_int_equal(calls, 0);
}

static void free_resolver_within(void *context, const struct resolver_address *addresses,
                                 size_t number, const char *why)
{
    (void)context;
    (void)addresses;
    (void)number;
    (void)why;
    calls++;
    resolver_free(&resolver);
}

static void test_the_resolver_may_be_freed_from_within_an_answer(void **state)
{
    (void)state;
    resolver_ask(resolver, "one.test", PORT, LONG_MS, free_resolver_within, NULL);
    resolver_ask(resolver, "half.test", PORT, LONG_MS, heard, &calls);
    wait_for_calls(1);
    for (int i = 0; i < 5; i++) {
        turn();
    }
    assert_int_equal(calls, 1);
}

#define RESOLVER(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RESOLVER(test_finds_an_ipv4_address),
        RESOLVER(test_finds_an_ipv6_address),
        RESOLVER(test_all_addresses_come_once_and_in_the_same_order),
        RESOLVER(test_follows_an_alias),
        RESOLVER(test_takes_no_more_addresses_than_it_has_room_for),
        RESOLVER(test_an_address_is_its_own_answer),
        RESOLVER(test_the_hosts_file_comes_before_name_servers),
        RESOLVER(test_many_queries_are_under_way_at_once),
        RESOLVER(test_a_name_that_does_not_exist_says_so),
        RESOLVER(test_a_name_without_addresses_fails),
        RESOLVER(test_a_server_that_fails_or_refuses_is_not_asked_for_ever),
        RESOLVER(test_a_truncated_answer_is_none),
        RESOLVER(test_what_is_no_host_name_fails_at_once),
        RESOLVER(test_silence_ends_with_the_timeout),
        RESOLVER(test_silence_about_ipv6_does_not_hold_up_ipv4),
        RESOLVER(test_a_silent_name_server_has_a_stand_in),
        RESOLVER(test_a_name_server_that_is_back_is_asked_again),
        RESOLVER(test_a_name_server_that_was_given_up_recovers),
        RESOLVER(test_only_addresses_are_name_servers),
        RESOLVER(test_the_systems_name_servers_need_no_words),
        RESOLVER(test_a_cancelled_query_is_silent),
        RESOLVER(test_a_query_may_be_cancelled_when_its_answer_has_come),
        RESOLVER(test_the_resolver_may_be_freed_at_any_time),
        RESOLVER(test_the_loop_may_be_freed_right_after_the_resolver),
        RESOLVER(test_the_resolver_may_be_freed_from_within_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
