/* Rosters put together from what each configured server means at the moment: who stays is the same
 * object, who leaves lives on for its holders, who joins starts slowly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "upstream/lineup.h"
#include "upstream/upstream_fixture.h"

enum {
    NOW_MS = 5000
};

static struct upstream_fixture fixture;
static struct upstream_group *group;
static struct lineup *lineup;
static unsigned changes;

static void count_change(void *context)
{
    assert_ptr_equal(context, &changes);
    changes++;
}

static int set_up(void **state)
{
    (void)state;
    upstream_fixture_init(&fixture, 2);
    fixture.config.slow_start_ms = 1000;
    changes = 0;
    group = group_new(&fixture.config);
    lineup = group != NULL ? lineup_new(group) : NULL;
    if (lineup == NULL) {
        return -1;
    }
    lineup_on_change(lineup, count_change, &changes);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lineup_free(&lineup);
    group_free(&group);
    return 0;
}

static void set(size_t index, const char *const *ips, size_t count)
{
    struct resolver_address addresses[4];
    for (size_t i = 0; i < count; i++) {
        addresses[i] =
            strchr(ips[i], ':') == NULL ? fixture_v4(ips[i], 80) : fixture_v6(ips[i], 80);
    }
    assert_int_equal(lineup_set(lineup, index, addresses, count, NOW_MS), WEIR_OK);
}

#define SET(index, ...)                                                                            \
    set((index), (const char *const[]){__VA_ARGS__},                                               \
        sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void test_is_pending_until_every_name_is_known(void **state)
{
    (void)state;
    SET(1, "10.0.0.2");
    struct roster *roster = group_roster(group);
    assert_true(roster->pending);
    assert_int_equal(roster->count, 1); /* what is known serves already */
    roster_release(&roster);
    SET(0, "10.0.0.1");
    roster = group_roster(group);
    assert_false(roster->pending);
    roster_release(&roster);
}

static void test_keeps_the_order_of_the_configuration(void **state)
{
    (void)state;
    SET(1, "10.0.0.2", "::1");
    SET(0, "10.0.0.1");
    struct roster *roster = group_roster(group);
    assert_int_equal(roster->count, 3);
    assert_string_equal(roster->servers[0]->text, "10.0.0.1:80");
    assert_string_equal(roster->servers[1]->text, "10.0.0.2:80");
    assert_string_equal(roster->servers[2]->text, "[::1]:80");
    assert_ptr_equal(roster->servers[0]->config, &fixture.servers[0]);
    assert_ptr_equal(roster->servers[2]->config, &fixture.servers[1]);
    roster_release(&roster);
}

static void test_keeps_a_server_that_stays_with_all_that_lives_in_it(void **state)
{
    (void)state;
    SET(0, "10.0.0.1", "10.0.0.2");
    struct roster *before = group_roster(group);
    assert_true(server_lease(before->servers[1]));
    SET(0, "10.0.0.2", "10.0.0.3");
    struct roster *after = group_roster(group);
    assert_ptr_equal(after->servers[0], before->servers[1]);
    assert_int_equal(after->servers[0]->active, 1);
    assert_int_equal(after->servers[1]->active, 0);
    roster_release(&before);
    roster_release(&after);
}

static void test_lets_a_server_that_leaves_live_for_its_holders(void **state)
{
    (void)state;
    SET(0, "10.0.0.1");
    struct roster *before = group_roster(group);
    struct upstream_server *held = server_share(before->servers[0]);
    roster_release(&before);
    SET(0, "10.0.0.2");
    assert_string_equal(held->text, "10.0.0.1:80");
    assert_int_equal(held->references, 1);
    server_release(&held);
}

static void test_starts_slowly_who_joins_others_and_not_the_first(void **state)
{
    (void)state;
    SET(0, "10.0.0.1");
    SET(0, "10.0.0.1", "10.0.0.2");
    struct roster *roster = group_roster(group);
    assert_int_equal(server_effective_weight(roster->servers[0], NOW_MS), 1000);
    assert_int_equal(server_effective_weight(roster->servers[1], NOW_MS), 100);
    roster_release(&roster);
}

static void test_starts_who_joins_in_the_configured_state(void **state)
{
    (void)state;
    SET(0, "10.0.0.1");
    struct roster *roster = group_roster(group);
    server_set_state(roster->servers[0], CONFIG_SERVER_DOWN, NOW_MS);
    roster_release(&roster);
    SET(0, "10.0.0.1", "10.0.0.2");
    roster = group_roster(group);
    assert_false(server_takes_new(roster->servers[0], NOW_MS));
    assert_true(server_takes_new(roster->servers[1], NOW_MS));
    roster_release(&roster);
}

static void test_publishes_only_what_changes(void **state)
{
    (void)state;
    SET(0, "10.0.0.1", "10.0.0.2");
    assert_int_equal(changes, 1);
    unsigned version = atomic_load(&group->version);
    SET(0, "10.0.0.1", "10.0.0.2");
    assert_int_equal(changes, 1);
    assert_int_equal(atomic_load(&group->version), version);
    SET(0, "10.0.0.1");
    assert_int_equal(changes, 2);
    assert_true(atomic_load(&group->version) != version);
    lineup_on_change(lineup, NULL, NULL);
    SET(0, "10.0.0.2");
    assert_int_equal(changes, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_is_pending_until_every_name_is_known),
        TEST(test_keeps_the_order_of_the_configuration),
        TEST(test_keeps_a_server_that_stays_with_all_that_lives_in_it),
        TEST(test_lets_a_server_that_leaves_live_for_its_holders),
        TEST(test_starts_slowly_who_joins_others_and_not_the_first),
        TEST(test_starts_who_joins_in_the_configured_state),
        TEST(test_publishes_only_what_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
