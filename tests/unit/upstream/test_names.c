/* Names against a name server on loopback: asked again and again, answers become servers, failures
 * keep the last answer. */
#include "net/name_server.h"
#include "upstream/loop_fixture.h"
#include "upstream/names.h"
#include "upstream/upstream_fixture.h"

enum {
    INTERVAL_MS = 20,
    TIMEOUT_MS = 5000,
    PORT = 3000
};

static const struct record nothing[] = {{.name = NULL}};
static const struct record one[] = {{.name = "web.test", .ipv4 = {"10.0.0.1"}}, {.name = NULL}};
static const struct record two[] = {{.name = "web.test", .ipv4 = {"10.0.0.1", "10.0.0.2"}},
                                    {.name = NULL}};
static const struct record other[] = {{.name = "web.test", .ipv4 = {"10.0.0.2"}}, {.name = NULL}};
static const struct record both[] = {
    {.name = "web.test", .ipv4 = {"10.0.0.1"}, .ipv6 = {"2001:db8::1"}}, {.name = NULL}};

static struct upstream_fixture fixture;
static struct name_server server;
static struct resolver *resolver;
static struct names *names;
static struct upstream_group *group;
static struct lineup *lineup;
static struct roster *roster; /* what was seen last */

static int set_up(void **state)
{
    char *nameservers[] = {server.address};
    (void)state;
    upstream_fixture_init(&fixture, 1);
    fixture.config.resolve_interval_ms = INTERVAL_MS;
    fixture.config.slow_start_ms = 60000;
    if (loop_set_up() != 0 || name_server_open(&server, nothing) != 0 ||
        resolver_new(loop, nameservers, 1, &resolver) != WEIR_OK) {
        return -1;
    }
    names = names_new(loop, resolver, TIMEOUT_MS);
    group = group_new(&fixture.config);
    lineup = lineup_new(group);
    return names != NULL && lineup != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    roster_release(&roster);
    names_free(&names);
    resolver_free(&resolver);
    lineup_free(&lineup);
    group_free(&group);
    loop_tear_down();
    name_server_close(&server);
    return 0;
}

static void start(const struct record *records)
{
    server.records = records;
    assert_int_equal(names_add(names, lineup, 0, "web.test", PORT), WEIR_OK);
}

static bool roster_has(const char *text)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (strcmp(roster->servers[i]->text, text) == 0) {
            return true;
        }
    }
    return false;
}

static void wait_for_servers(size_t count)
{
    bool there = false;
    LOOP_UNTIL(there, {
        name_server_work(&server);
        roster_release(&roster);
        roster = group_roster(group);
        there = roster->count == count;
    });
}

static void wait_for_questions(unsigned more)
{
    unsigned wanted = server.asked + more;
    LOOP_UNTIL(server.asked >= wanted, name_server_work(&server));
}

static void test_makes_servers_of_addresses_of_both_families(void **state)
{
    (void)state;
    start(both);
    wait_for_servers(2);
    assert_true(roster_has("10.0.0.1:3000"));
    assert_true(roster_has("[2001:db8::1]:3000"));
    assert_false(roster->pending);
    /* All are new together: none has to be spared. */
    assert_int_equal(server_effective_weight(roster->servers[0], loop_now_ms(loop)), 1000);
}

static void test_adds_servers_that_the_name_gets_and_keeps_the_others(void **state)
{
    (void)state;
    start(one);
    wait_for_servers(1);
    struct upstream_server *first = server_share(roster->servers[0]);
    assert_true(server_lease(first));
    server.records = two;
    wait_for_servers(2);
    assert_ptr_equal(roster->servers[0], first);
    assert_string_equal(roster->servers[1]->text, "10.0.0.2:3000");
    assert_true(server_effective_weight(roster->servers[1], loop_now_ms(loop)) < 1000);
    server.records = other;
    wait_for_servers(1);
    assert_string_equal(roster->servers[0]->text, "10.0.0.2:3000");
    assert_int_equal(first->active, 1); /* who uses it still may */
    server_unlease(first);
    server_release(&first);
}

static void test_keeps_the_last_answer_through_a_failure(void **state)
{
    (void)state;
    start(two);
    wait_for_servers(2);
    struct upstream_server *first = server_share(roster->servers[0]);
    server.records = nothing;
    LOOP_UNTIL(loop_log_count("web.test cannot be resolved") == 1, name_server_work(&server));
    wait_for_questions(6);
    wait_for_servers(2);
    assert_ptr_equal(roster->servers[0], first);
    assert_int_equal(loop_log_count("web.test cannot be resolved"), 1);
    assert_int_equal(loop_log_count("is resolved again"), 0);
    server.records = one;
    wait_for_servers(1);
    assert_ptr_equal(roster->servers[0], first);
    wait_for_questions(4);
    assert_int_equal(loop_log_count("is resolved again"), 1);
    server_release(&first);
}

static void test_is_pending_and_asks_every_second_before_the_first_answer(void **state)
{
    (void)state;
    fixture.config.resolve_interval_ms = 3600 * 1000;
    start(nothing);
    LOOP_UNTIL(loop_log_count("web.test cannot be resolved") == 1, name_server_work(&server));
    uint64_t failed_ms = clock_monotonic_ms();
    wait_for_servers(0);
    assert_true(roster->pending);
    server.records = one;
    wait_for_servers(1);
    assert_false(roster->pending);
    uint64_t waited_ms = clock_monotonic_ms() - failed_ms;
    assert_true(waited_ms >= 800); /* timers of libevent may be early by a little */
    assert_int_equal(loop_log_count("cannot be resolved"), 1);
}

static void test_asks_again_at_the_interval_and_not_before(void **state)
{
    (void)state;
    fixture.config.resolve_interval_ms = 300;
    start(one);
    wait_for_servers(1);
    uint64_t answered_ms = clock_monotonic_ms();
    wait_for_questions(1);
    assert_true(clock_monotonic_ms() - answered_ms >= 250);
}

static void test_stops_with_a_question_under_way_and_leaks_nothing(void **state)
{
    (void)state;
    unsigned before = loop_descriptors();
    server.silent = true;
    start(one);
    wait_for_questions(1);
    names_free(&names);
    assert_null(names);
    resolver_free(&resolver);
    for (int i = 0; i < 20; i++) {
        assert_true(loop_turn(loop, true));
    }
    wait_for_servers(0);
    assert_true(loop_descriptors() <= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_makes_servers_of_addresses_of_both_families),
        TEST(test_adds_servers_that_the_name_gets_and_keeps_the_others),
        TEST(test_keeps_the_last_answer_through_a_failure),
        TEST(test_is_pending_and_asks_every_second_before_the_first_answer),
        TEST(test_asks_again_at_the_interval_and_not_before),
        TEST(test_stops_with_a_question_under_way_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
