/* Verdicts in a row change what all threads see of a server, and the log once; servers that join
 * are checked soon, those that leave or are down are left alone. */
#include <stdlib.h>

#include "upstream/fake_backend.h"
#include "upstream/health.h"
#include "upstream/loop_fixture.h"
#include "upstream/upstream.h"
#include "upstream/upstream_fixture.h"

enum {
    INTERVAL_MS = 10,
    BACKENDS = 3
};

static struct upstream_fixture fixture;
static struct config_health_check check;
static struct fake_backend backends[BACKENDS];
static struct upstream_group *group;
static struct lineup *lineup;
static struct health *health;
static char path[] = "/";

static const char good_answer[] = "HTTP/1.1 200 OK\r\n\r\n";
static const char bad_answer[] = "HTTP/1.1 500 Oh\r\n\r\n";

static int set_up(void **state)
{
    (void)state;
    upstream_fixture_init(&fixture, 1);
    fixture.config.slow_start_ms = 60000;
    check = (struct config_health_check){.type = CONFIG_HEALTH_HTTP,
                                         .path = path,
                                         .status_from = 200,
                                         .status_to = 299,
                                         .interval_ms = INTERVAL_MS,
                                         .timeout_ms = 10000,
                                         .rise = 2,
                                         .fall = 3};
    fixture.config.health_check = &check;
    if (loop_set_up() != 0) {
        return -1;
    }
    for (size_t i = 0; i < BACKENDS; i++) {
        if (fake_backend_open(&backends[i]) != 0) {
            return -1;
        }
        backends[i].answer = good_answer;
    }
    group = group_new(&fixture.config);
    lineup = lineup_new(group);
    health = health_new(loop);
    return lineup != NULL && health != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    health_free(&health);
    lineup_free(&lineup);
    group_free(&group);
    loop_turn(loop, false);
    loop_tear_down();
    for (size_t i = 0; i < BACKENDS; i++) {
        fake_backend_close(&backends[i]);
    }
    return 0;
}

static void work(void)
{
    for (size_t i = 0; i < BACKENDS; i++) {
        fake_backend_work(&backends[i]);
    }
}

static void line_up(size_t from, size_t count)
{
    struct resolver_address addresses[BACKENDS];
    for (size_t i = 0; i < count; i++) {
        addresses[i] = backends[from + i].address;
    }
    assert_int_equal(lineup_set(lineup, 0, addresses, count, loop_now_ms(loop)), WEIR_OK);
}

static struct upstream_server *server_at(size_t index)
{
    struct roster *roster = group_roster(group);
    assert_true(index < roster->count);
    struct upstream_server *server = roster->servers[index];
    roster_release(&roster); /* the lineup holds it */
    return server;
}

static void wait_for_checks(struct fake_backend *backend, unsigned more)
{
    unsigned wanted = backend->accepted + more;
    LOOP_UNTIL(backend->accepted >= wanted, work());
}

static void test_starts_healthy_and_is_checked_at_once(void **state)
{
    (void)state;
    check.interval_ms = 3600 * 1000;
    line_up(0, 1);
    assert_int_equal(health_add(health, lineup), WEIR_OK);
    assert_true(server_takes_new(server_at(0), 1));
    wait_for_checks(&backends[0], 1);
    LOOP_UNTIL(backends[0].ended == 1, work());
    assert_true(server_takes_new(server_at(0), 1));
    assert_int_equal(loop_log_count("healthy"), 0);
}

static void test_is_unhealthy_after_so_many_bad_verdicts_and_not_before(void **state)
{
    (void)state;
    backends[0].answer = bad_answer;
    line_up(0, 1);
    assert_int_equal(health_add(health, lineup), WEIR_OK);
    while (server_takes_new(server_at(0), 1)) {
        assert_true(backends[0].ended < 3);
        wait_for_checks(&backends[0], 1);
        LOOP_UNTIL(backends[0].ended == backends[0].accepted, work());
    }
    assert_int_equal(backends[0].ended, 3);
    wait_for_checks(&backends[0], 4);
    assert_int_equal(loop_log_count("is not healthy: it answers with status 500"), 1);
}

static void test_is_healthy_again_after_so_many_good_verdicts(void **state)
{
    (void)state;
    check.fall = 1;
    backends[0].answer = bad_answer;
    line_up(0, 1);
    assert_int_equal(health_add(health, lineup), WEIR_OK);
    LOOP_UNTIL(!server_takes_new(server_at(0), 1), work());
    LOOP_UNTIL(backends[0].ended == backends[0].accepted, work());
    backends[0].answer = good_answer;
    unsigned before = backends[0].ended;
    while (!server_takes_new(server_at(0), 1)) {
        assert_true(backends[0].ended < before + 2);
        wait_for_checks(&backends[0], 1);
        LOOP_UNTIL(backends[0].ended == backends[0].accepted, work());
    }
    assert_int_equal(backends[0].ended, before + 2);
    assert_int_equal(loop_log_count("is healthy again"), 1);
    assert_true(server_effective_weight(server_at(0), loop_now_ms(loop)) < 1000);
}

static void test_forgives_single_bad_verdicts(void **state)
{
    (void)state;
    check.fall = 2;
    line_up(0, 1);
    assert_int_equal(health_add(health, lineup), WEIR_OK);
    for (int i = 0; i < 6; i++) {
        backends[0].answer = i % 2 == 0 ? bad_answer : good_answer;
        wait_for_checks(&backends[0], 1);
        LOOP_UNTIL(backends[0].ended == backends[0].accepted, work());
    }
    assert_true(server_takes_new(server_at(0), 1));
    assert_int_equal(loop_log_count("healthy"), 0);
}

static void test_does_not_check_what_the_operator_has_taken_down(void **state)
{
    (void)state;
    line_up(0, 2);
    assert_int_equal(health_add(health, lineup), WEIR_OK);
    server_set_state(server_at(0), CONFIG_SERVER_DOWN, 1);
    server_set_state(server_at(1), CONFIG_SERVER_DRAINING, 1);
    wait_for_checks(&backends[1], 5);
    assert_int_equal(backends[0].accepted, 0);
    server_set_state(server_at(0), CONFIG_SERVER_UP, 1);
    wait_for_checks(&backends[0], 1);
}

static void test_checks_who_joins_and_not_who_has_left(void **state)
{
    (void)state;
    line_up(0, 2);
    assert_int_equal(health_add(health, lineup), WEIR_OK);
    wait_for_checks(&backends[0], 1);
    wait_for_checks(&backends[1], 1);
    line_up(1, 2);
    wait_for_checks(&backends[2], 1);
    LOOP_UNTIL(backends[0].peer_count == 0, work());
    unsigned before = backends[0].accepted;
    wait_for_checks(&backends[1], 5);
    assert_int_equal(backends[0].accepted, before);
}

static void test_keeps_the_verdict_of_who_stays_when_others_join(void **state)
{
    (void)state;
    check.fall = 1;
    backends[0].answer = bad_answer;
    line_up(0, 1);
    assert_int_equal(health_add(health, lineup), WEIR_OK);
    LOOP_UNTIL(!server_takes_new(server_at(0), 1), work());
    line_up(0, 2);
    assert_false(server_takes_new(server_at(0), 1));
    assert_true(server_takes_new(server_at(1), 1));
}

static void test_spreads_the_first_checks_over_the_interval(void **state)
{
    (void)state;
    check.interval_ms = 600;
    line_up(0, 3);
    assert_int_equal(health_add(health, lineup), WEIR_OK);
    uint64_t started_ms = clock_monotonic_ms();
    LOOP_UNTIL(backends[2].accepted == 1, work());
    assert_true(clock_monotonic_ms() - started_ms >= 350); /* two thirds of it */
    assert_int_equal(backends[0].accepted, 1);
    assert_int_equal(backends[1].accepted, 1);
}

static unsigned woken;

static void deliver(struct mailbox_letter *letter, void *receiver)
{
    struct upstream *member = receiver;
    (void)letter;
    atomic_store(&member->woken, false);
    woken++;
}

static void test_wakes_who_waits_when_the_health_of_a_server_changes(void **state)
{
    (void)state;
    struct upstream member = {.wake_letter = {.deliver = deliver}};
    check.fall = 1;
    check.rise = 1;
    woken = 0;
    member.mailbox = mailbox_new(loop, &member);
    assert_non_null(member.mailbox);
    list_init(&member.membership);
    group_join(group, &member);
    backends[0].answer = bad_answer;
    line_up(0, 1);
    assert_int_equal(health_add(health, lineup), WEIR_OK);
    assert_true(group_queue_enter(group));
    LOOP_UNTIL(woken > 0, work());
    assert_false(server_takes_new(server_at(0), 1));
    backends[0].answer = good_answer;
    LOOP_UNTIL(woken > 1, work());
    assert_true(server_takes_new(server_at(0), 1));
    group_queue_leave(group);
    group_leave(group, &member);
    mailbox_free(&member.mailbox);
}

static void test_does_nothing_where_no_check_is_configured(void **state)
{
    (void)state;
    fixture.config.health_check = NULL;
    line_up(0, 1);
    assert_int_equal(health_add(health, lineup), WEIR_OK);
    for (int i = 0; i < 20; i++) {
        assert_true(loop_turn(loop, true));
        work();
    }
    assert_int_equal(backends[0].accepted, 0);
}

static void test_stops_with_checks_under_way_and_leaks_nothing(void **state)
{
    (void)state;
    unsigned before = loop_descriptors();
    backends[0].answer = NULL; /* silent */
    line_up(0, 2);
    assert_int_equal(health_add(health, lineup), WEIR_OK);
    wait_for_checks(&backends[0], 1);
    wait_for_checks(&backends[1], 1);
    health_free(&health);
    assert_null(health);
    LOOP_UNTIL(backends[0].peer_count == 0 && backends[1].peer_count == 0, work());
    assert_int_equal(loop_descriptors(), before);
    line_up(2, 1); /* nobody listens to the lineup any more */
    for (int i = 0; i < 20; i++) {
        assert_true(loop_turn(loop, true));
        work();
    }
    assert_int_equal(backends[2].accepted, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_starts_healthy_and_is_checked_at_once),
        TEST(test_is_unhealthy_after_so_many_bad_verdicts_and_not_before),
        TEST(test_is_healthy_again_after_so_many_good_verdicts),
        TEST(test_forgives_single_bad_verdicts),
        TEST(test_does_not_check_what_the_operator_has_taken_down),
        TEST(test_checks_who_joins_and_not_who_has_left),
        TEST(test_keeps_the_verdict_of_who_stays_when_others_join),
        TEST(test_spreads_the_first_checks_over_the_interval),
        TEST(test_wakes_who_waits_when_the_health_of_a_server_changes),
        TEST(test_does_nothing_where_no_check_is_configured),
        TEST(test_stops_with_checks_under_way_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
