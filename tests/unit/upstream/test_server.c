/* One server's shared figures: leases are exact whatever threads do, ejection grows and is
 * forgotten, slow start rises. Runs under the thread sanitizer. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#include <cmocka.h>

#include "upstream/server.h"
#include "upstream/upstream_fixture.h"

enum {
    THREADS = 4,
    ROUNDS = 20000,
    LEASES = 3
};

static struct upstream_fixture fixture;
static struct upstream_server *server;

static int set_up(void **state)
{
    (void)state;
    upstream_fixture_init(&fixture, 1);
    struct resolver_address at = fixture_v4("10.0.0.3", 3000);
    server = fixture_server(&fixture, &at);
    return server != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    server_release(&server);
    return 0;
}

/* --- names --- */

static void expect_text(const struct resolver_address *at, const char *text)
{
    struct upstream_server *made = fixture_server(&fixture, at);
    assert_non_null(made);
    assert_string_equal(made->text, text);
    assert_true(made->id != 0);
    server_release(&made);
    assert_null(made);
}

static void test_writes_each_family_as_text(void **state)
{
    (void)state;
    struct resolver_address v4 = fixture_v4("10.0.0.3", 3000);
    struct resolver_address v6 = fixture_v6("::1", 3000);
    struct resolver_address unix_socket = {.size = sizeof(struct sockaddr_un)};
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/run/app.sock"};
    memcpy(&unix_socket.address, &un, sizeof un);
    expect_text(&v4, "10.0.0.3:3000");
    expect_text(&v6, "[::1]:3000");
    expect_text(&unix_socket, "unix:/run/app.sock");
}

static void test_writes_the_longest_unix_path_whole(void **state)
{
    (void)state;
    struct resolver_address at = {.size = sizeof(struct sockaddr_un)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char expected[SERVER_ADDRESS_BYTES];
    memset(un.sun_path, 'a', sizeof un.sun_path); /* 108 bytes, without a terminator */
    memcpy(&at.address, &un, sizeof un);
    snprintf(expected, sizeof expected, "unix:%.*s", (int)sizeof un.sun_path, un.sun_path);
    expect_text(&at, expected);
}

static void test_has_the_same_id_after_a_restart(void **state)
{
    (void)state;
    struct resolver_address same = fixture_v4("10.0.0.3", 3000);
    struct resolver_address other = fixture_v4("10.0.0.3", 3001);
    struct upstream_server *again = fixture_server(&fixture, &same);
    struct upstream_server *another = fixture_server(&fixture, &other);
    assert_true(again->id == server->id);
    assert_true(another->id != server->id);
    /* Cookies of earlier versions name it by this number. */
    assert_true(server->id == 0x5d8d78341acf2c44U);
    server_release(&again);
    server_release(&another);
}

static void expect_host(const char *address, const char *host)
{
    struct resolver_address at = fixture_v4("10.0.0.3", 3000);
    char copy[300];
    snprintf(copy, sizeof copy, "%s", address);
    fixture.servers[0].address = copy;
    struct upstream_server *made = fixture_server(&fixture, &at);
    assert_string_equal(made->host, host);
    assert_string_equal(server_tls_name(made), host);
    server_release(&made);
}

static void test_knows_the_host_without_port_and_brackets(void **state)
{
    (void)state;
    expect_host("chat-1.example.com:3000", "chat-1.example.com");
    expect_host("10.0.0.3:3000", "10.0.0.3");
    expect_host("[2001:db8::1]:3000", "2001:db8::1");
    expect_host("unix:/run/app.sock", "localhost");
}

static void test_prefers_the_configured_tls_name(void **state)
{
    (void)state;
    static char name[] = "backend.example.com";
    struct config_upstream_tls tls = {.server_name = name};
    assert_string_equal(server_tls_name(server), "localhost");
    fixture.config.tls = &tls;
    assert_string_equal(server_tls_name(server), name);
    tls.server_name = NULL;
    assert_string_equal(server_tls_name(server), "localhost");
}

/* --- states --- */

static void test_takes_what_its_state_allows(void **state)
{
    (void)state;
    assert_true(server_takes_new(server, 1));
    assert_true(server_serves_its_own(server, 1));
    server_set_state(server, CONFIG_SERVER_DRAINING, 1);
    assert_false(server_takes_new(server, 1));
    assert_false(server_takes_in_need(server));
    assert_true(server_serves_its_own(server, 1));
    server_set_state(server, CONFIG_SERVER_DOWN, 1);
    assert_false(server_takes_new(server, 1));
    assert_false(server_serves_its_own(server, 1));
    server_set_state(server, CONFIG_SERVER_UP, 1);
    assert_true(server_takes_new(server, 1));
}

static void test_starts_in_its_configured_state(void **state)
{
    (void)state;
    struct resolver_address at = fixture_v4("10.0.0.4", 3000);
    fixture.servers[0].state = CONFIG_SERVER_DRAINING;
    struct upstream_server *made = fixture_server(&fixture, &at);
    assert_false(server_takes_new(made, 1));
    assert_true(server_serves_its_own(made, 1));
    server_release(&made);
}

static void test_takes_nothing_while_it_is_not_healthy(void **state)
{
    (void)state;
    server_set_healthy(server, false, 1);
    assert_false(server_takes_new(server, 1));
    assert_false(server_takes_in_need(server));
    assert_false(server_serves_its_own(server, 1));
    server_set_healthy(server, true, 1);
    assert_true(server_takes_new(server, 1));
    assert_true(server_serves_its_own(server, 1));
}

/* --- leases --- */

static void test_leases_up_to_the_limit_and_no_more(void **state)
{
    (void)state;
    fixture.servers[0].max_connections = LEASES;
    for (int i = 0; i < LEASES; i++) {
        assert_true(server_lease(server));
    }
    assert_false(server_lease(server));
    assert_int_equal(server->active, LEASES);
    assert_int_equal(server->requests, LEASES);
    server_unlease(server);
    assert_true(server_lease(server));
    assert_false(server_lease(server));
}

static void test_leases_without_a_limit(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_true(server_lease(server));
    }
    assert_int_equal(server->active, 1000);
}

struct contender {
    atomic_uint *inside;
    atomic_uint *most;
    unsigned got;
};

static void *contend(void *context)
{
    struct contender *mine = context;
    for (int i = 0; i < ROUNDS; i++) {
        if (!server_lease(server)) {
            continue;
        }
        unsigned inside = atomic_fetch_add(mine->inside, 1) + 1;
        unsigned most = atomic_load(mine->most);
        while (inside > most && !atomic_compare_exchange_weak(mine->most, &most, inside)) {
            /* another thread has seen more or less meanwhile */
        }
        mine->got++;
        atomic_fetch_sub(mine->inside, 1);
        server_unlease(server);
    }
    return NULL;
}

static void test_never_leases_more_than_the_limit_to_many_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    struct contender contenders[THREADS];
    atomic_uint inside = 0;
    atomic_uint most = 0;
    unsigned got = 0;
    fixture.servers[0].max_connections = LEASES;
    for (size_t i = 0; i < THREADS; i++) {
        contenders[i] = (struct contender){.inside = &inside, .most = &most};
        assert_int_equal(pthread_create(&threads[i], NULL, contend, &contenders[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        got += contenders[i].got;
    }
    assert_true(most <= LEASES);
    assert_int_equal(server->active, 0);
    assert_true(got >= ROUNDS); /* with a place for all but one, most rounds get one */
    assert_int_equal(server->requests, got);
}

/* --- ejection --- */

static void fail_times(int times, uint64_t now_ms)
{
    for (int i = 0; i < times; i++) {
        server_failed(server, now_ms);
    }
}

static void test_ejects_with_the_last_of_the_failures_in_a_row(void **state)
{
    (void)state;
    fail_times(2, 1000);
    assert_true(server_takes_new(server, 1000));
    fail_times(1, 1000);
    assert_false(server_takes_new(server, 1000));
    assert_false(server_serves_its_own(server, 1000));
    assert_true(server_is_ejected(server, 1099));
    assert_true(server_takes_in_need(server));
    assert_false(server_is_ejected(server, 1100));
    assert_true(server_takes_new(server, 1100));
    assert_int_equal(server->errors, 3);
}

static void test_counts_failures_in_a_row_only(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        fail_times(2, 1000);
        server_succeeded(server, 1000);
    }
    assert_true(server_takes_new(server, 1000));
    assert_int_equal(server->errors, 10);
    assert_int_equal(server->failures, 0);
}

static void test_ejects_for_longer_each_time_up_to_the_limit(void **state)
{
    (void)state;
    static const uint64_t lengths_ms[] = {100, 200, 350, 350};
    uint64_t now_ms = 1000;
    fail_times(2, now_ms);
    for (size_t i = 0; i < sizeof lengths_ms / sizeof lengths_ms[0]; i++) {
        fail_times(1, now_ms); /* after the first ejection one more failure is enough */
        assert_true(server_is_ejected(server, now_ms + lengths_ms[i] - 1));
        now_ms += lengths_ms[i];
        assert_false(server_is_ejected(server, now_ms));
    }
    assert_int_equal(server->ejections, 4);
}

static void test_forgets_ejections_with_the_first_good_answer_after_one(void **state)
{
    (void)state;
    fail_times(3, 1000);
    server_succeeded(server, 1050); /* was under way: it says nothing of now */
    assert_int_equal(server->ejections, 1);
    assert_true(server_is_ejected(server, 1050));
    server_succeeded(server, 1100);
    assert_int_equal(server->ejections, 0);
    fail_times(2, 1200);
    assert_true(server_takes_new(server, 1200));
    fail_times(1, 1200);
    assert_true(server_is_ejected(server, 1299));
    assert_false(server_is_ejected(server, 1300));
}

static void test_does_not_prolong_an_ejection(void **state)
{
    (void)state;
    fail_times(10, 1000);
    fail_times(10, 1099);
    assert_int_equal(server->ejections, 1);
    assert_false(server_is_ejected(server, 1100));
}

static void test_does_not_eject_where_that_is_off(void **state)
{
    (void)state;
    fixture.config.ejection.enabled = false;
    fail_times(100, 1000);
    assert_true(server_takes_new(server, 1000));
    assert_int_equal(server->errors, 100);
}

static void test_ejects_without_a_wrap_of_a_long_backoff(void **state)
{
    (void)state;
    fixture.config.ejection.max_backoff_ms = UINT64_MAX / 4;
    atomic_store(&server->ejections, 200);
    fail_times(3, 1000);
    assert_true(server_is_ejected(server, UINT64_MAX / 4));
}

static void *fail_much(void *context)
{
    (void)context;
    fail_times(1000, 1000);
    return NULL;
}

static void test_ejects_once_when_many_threads_fail(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, fail_much, NULL), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(server->ejections, 1);
    assert_int_equal(server->errors, THREADS * 1000);
    assert_false(server_is_ejected(server, 1100));
}

static void test_forgets_ejection_when_checks_find_it_healthy_again(void **state)
{
    (void)state;
    fail_times(3, 1000);
    server_set_healthy(server, true, 1010); /* it was so all the time: no news */
    assert_true(server_is_ejected(server, 1010));
    server_set_healthy(server, false, 1020);
    server_set_healthy(server, true, 1030);
    assert_true(server_takes_new(server, 1030));
    assert_int_equal(server->ejections, 0);
    assert_int_equal(server->failures, 0);
}

/* --- slow start --- */

static void test_has_its_full_weight_if_it_never_was_away(void **state)
{
    (void)state;
    fixture.config.slow_start_ms = 1000;
    fixture.servers[0].weight = 7;
    assert_int_equal(server_effective_weight(server, 5), 7000);
}

static void test_rises_from_a_tenth_to_its_weight(void **state)
{
    (void)state;
    fixture.config.slow_start_ms = 1000;
    server_start_slowly(server, 5000);
    assert_int_equal(server_effective_weight(server, 4000), 100);
    assert_int_equal(server_effective_weight(server, 5000), 100);
    assert_int_equal(server_effective_weight(server, 5500), 550);
    assert_int_equal(server_effective_weight(server, 5999), 999);
    assert_int_equal(server_effective_weight(server, 6000), 1000);
    assert_int_equal(server_effective_weight(server, 60000), 1000);
}

static void test_does_not_rise_where_slow_start_is_off(void **state)
{
    (void)state;
    server_start_slowly(server, 5000);
    assert_int_equal(server_effective_weight(server, 5000), 1000);
}

static void test_rises_after_ejection_recovery_and_the_operators_word(void **state)
{
    (void)state;
    fixture.config.slow_start_ms = 1000;
    fail_times(3, 1000);
    assert_int_equal(server_effective_weight(server, 1100), 100); /* where the ejection ends */
    assert_int_equal(server_effective_weight(server, 2100), 1000);
    server_set_healthy(server, false, 3000);
    server_set_healthy(server, true, 4000);
    assert_int_equal(server_effective_weight(server, 4000), 100);
    server_set_state(server, CONFIG_SERVER_DOWN, 6000);
    server_set_state(server, CONFIG_SERVER_UP, 7000);
    assert_int_equal(server_effective_weight(server, 7000), 100);
    server_set_state(server, CONFIG_SERVER_UP, 8000); /* no change, no new start */
    assert_int_equal(server_effective_weight(server, 8000), 1000);
}

static void test_lives_until_its_last_holder_lets_go(void **state)
{
    (void)state;
    struct upstream_server *held = server_share(server);
    assert_ptr_equal(held, server);
    server_release(&held);
    assert_null(held);
    assert_true(server_takes_new(server, 1)); /* AddressSanitizer would tell */
    server_release(&held);                    /* nothing is fine */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_writes_each_family_as_text),
        TEST(test_writes_the_longest_unix_path_whole),
        TEST(test_has_the_same_id_after_a_restart),
        TEST(test_knows_the_host_without_port_and_brackets),
        TEST(test_prefers_the_configured_tls_name),
        TEST(test_takes_what_its_state_allows),
        TEST(test_starts_in_its_configured_state),
        TEST(test_takes_nothing_while_it_is_not_healthy),
        TEST(test_leases_up_to_the_limit_and_no_more),
        TEST(test_leases_without_a_limit),
        TEST(test_never_leases_more_than_the_limit_to_many_threads),
        TEST(test_ejects_with_the_last_of_the_failures_in_a_row),
        TEST(test_counts_failures_in_a_row_only),
        TEST(test_ejects_for_longer_each_time_up_to_the_limit),
        TEST(test_forgets_ejections_with_the_first_good_answer_after_one),
        TEST(test_does_not_prolong_an_ejection),
        TEST(test_does_not_eject_where_that_is_off),
        TEST(test_ejects_without_a_wrap_of_a_long_backoff),
        TEST(test_ejects_once_when_many_threads_fail),
        TEST(test_forgets_ejection_when_checks_find_it_healthy_again),
        TEST(test_has_its_full_weight_if_it_never_was_away),
        TEST(test_rises_from_a_tenth_to_its_weight),
        TEST(test_does_not_rise_where_slow_start_is_off),
        TEST(test_rises_after_ejection_recovery_and_the_operators_word),
        TEST(test_lives_until_its_last_holder_lets_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
