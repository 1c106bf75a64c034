/* The ring: shares by weight, and how few keys move when servers join or go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "upstream/hash_ring.h"
#include "upstream_fixture.h"

enum {
    SERVERS = 10,
    KEYS = 10000
};

static struct config_server settings[SERVERS];
static struct config_upstream config;
static struct upstream_server *servers[SERVERS];

static int set_up(void **state)
{
    static char name[] = "ring";
    static char address[] = "localhost:80";
    (void)state;
    config = (struct config_upstream){.name = name, .servers = settings, .server_count = SERVERS};
    for (size_t i = 0; i < SERVERS; i++) {
        struct resolver_address at = fixture_v4("10.0.0.1", (uint16_t)(4000 + i));
        settings[i] = (struct config_server){.address = address, .weight = 1};
        servers[i] = server_new(&config, &settings[i],
                                (const struct sockaddr *)(const void *)&at.address, at.size);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < SERVERS; i++) {
        server_release(&servers[i]);
    }
    return 0;
}

static bool any(const void *context, size_t index)
{
    (void)context;
    (void)index;
    return true;
}

static bool all_but(const void *context, size_t index)
{
    return index != *(const size_t *)context;
}

static bool none(const void *context, size_t index)
{
    (void)context;
    (void)index;
    return false;
}

/* Where each key goes, as the server's id. */
static void place_keys(struct upstream_server *const *members, size_t count, hash_ring_may_fn may,
                       const void *context, uint64_t ids[KEYS])
{
    struct roster *roster = roster_new(members, count, false);
    struct hash_ring *ring = hash_ring_new(&config, roster);
    assert_non_null(ring);
    for (size_t i = 0; i < KEYS; i++) {
        char key[16];
        int size = snprintf(key, sizeof key, "key-%zu", i);
        size_t index =
            hash_ring_find(ring, (struct span){(const uint8_t *)key, (size_t)size}, may, context);
        ids[i] = members[index]->id;
    }
    hash_ring_free(&ring);
    assert_null(ring);
    roster_release(&roster);
}

static size_t share_of(const uint64_t ids[KEYS], const struct upstream_server *server)
{
    size_t share = 0;
    for (size_t i = 0; i < KEYS; i++) {
        share += ids[i] == server->id;
    }
    return share;
}

static void test_equal_servers_have_about_equal_shares(void **state)
{
    static uint64_t ids[KEYS];
    (void)state;
    place_keys(servers, SERVERS, any, NULL, ids);
    for (size_t i = 0; i < SERVERS; i++) {
        assert_in_range(share_of(ids, servers[i]), KEYS / SERVERS * 3 / 4, KEYS / SERVERS * 5 / 4);
    }
}

static void test_shares_go_by_weight(void **state)
{
    static uint64_t ids[KEYS];
    (void)state;
    settings[0].weight = 6; /* of 15 */
    place_keys(servers, SERVERS, any, NULL, ids);
    assert_in_range(share_of(ids, servers[0]), KEYS * 4 / 10 * 9 / 10, KEYS * 4 / 10 * 11 / 10);
}

static void test_a_server_that_goes_moves_its_own_keys_only(void **state)
{
    static uint64_t before[KEYS];
    static uint64_t after[KEYS];
    (void)state;
    settings[9].weight = 3;
    place_keys(servers, SERVERS, any, NULL, before);
    place_keys(servers, SERVERS - 1, any, NULL, after); /* the heaviest has gone */
    for (size_t i = 0; i < KEYS; i++) {
        assert_true(before[i] == after[i] || before[i] == servers[9]->id);
        assert_true(after[i] != servers[9]->id);
    }
}

static void test_the_keys_of_one_that_goes_are_spread_over_the_others(void **state)
{
    static uint64_t before[KEYS];
    static uint64_t after[KEYS];
    size_t moved_to[SERVERS] = {0};
    (void)state;
    place_keys(servers, SERVERS, any, NULL, before);
    place_keys(servers, SERVERS - 1, any, NULL, after);
    for (size_t i = 0; i < KEYS; i++) {
        for (size_t s = 0; s < SERVERS; s++) {
            moved_to[s] += before[i] != after[i] && after[i] == servers[s]->id;
        }
    }
    for (size_t s = 0; s < SERVERS - 1; s++) {
        assert_in_range(moved_to[s], 50, 200); /* some 111 for each */
    }
}

static void test_a_server_that_cannot_be_used_moves_the_same_keys_as_one_that_goes(void **state)
{
    static uint64_t without[KEYS];
    static uint64_t gone[KEYS];
    const size_t last = SERVERS - 1;
    (void)state;
    place_keys(servers, SERVERS, all_but, &last, without);
    place_keys(servers, SERVERS - 1, any, NULL, gone);
    assert_memory_equal(without, gone, sizeof gone);
}

static void test_the_order_of_the_roster_does_not_matter(void **state)
{
    static uint64_t before[KEYS];
    static uint64_t after[KEYS];
    struct upstream_server *turned[SERVERS];
    (void)state;
    for (size_t i = 0; i < SERVERS; i++) {
        turned[i] = servers[SERVERS - 1 - i];
    }
    place_keys(servers, SERVERS, any, NULL, before);
    place_keys(turned, SERVERS, any, NULL, after);
    assert_memory_equal(before, after, sizeof after);
}

/* Places that were handed out stay: a change of them would move the keys of everyone who upgrades.
 */
static void test_places_are_the_same_in_every_release(void **state)
{
    static uint64_t ids[KEYS];
    static const size_t expected[] = {8, 2, 8, 0, 7, 9, 1, 7};
    (void)state;
    place_keys(servers, SERVERS, any, NULL, ids);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(ids[i], servers[expected[i]]->id);
    }
}

static void test_nodes_go_by_weight_within_bounds(void **state)
{
    (void)state;
    assert_int_equal(hash_ring_nodes(&config, 1), 160);
    settings[0].weight = 25;
    assert_int_equal(hash_ring_nodes(&config, 25), 4000);
    settings[0].weight = 1000; /* too wide: the heaviest has the most, the lightest some */
    assert_int_equal(hash_ring_nodes(&config, 1000), 4096);
    assert_int_equal(hash_ring_nodes(&config, 1), 4);
    for (size_t i = 0; i < SERVERS; i++) {
        settings[i].weight = 1000; /* equal weights, whatever their figure */
    }
    assert_int_equal(hash_ring_nodes(&config, 1000), 160);
}

static void test_nobody_is_found_where_nobody_may(void **state)
{
    struct roster *roster = roster_new(servers, SERVERS, false);
    struct roster *empty = roster_new(servers, 0, false);
    struct hash_ring *ring = hash_ring_new(&config, roster);
    struct hash_ring *empty_ring = hash_ring_new(&config, empty);
    (void)state;
    assert_true(hash_ring_find(ring, SPAN("key"), none, NULL) == SIZE_MAX);
    assert_true(hash_ring_find(empty_ring, SPAN("key"), any, NULL) == SIZE_MAX);
    hash_ring_free(&ring);
    hash_ring_free(&empty_ring);
    roster_release(&roster);
    roster_release(&empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_equal_servers_have_about_equal_shares, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_shares_go_by_weight, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_server_that_goes_moves_its_own_keys_only, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_the_keys_of_one_that_goes_are_spread_over_the_others,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_server_that_cannot_be_used_moves_the_same_keys_as_one_that_goes, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(test_the_order_of_the_roster_does_not_matter, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_places_are_the_same_in_every_release, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_nodes_go_by_weight_within_bounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_is_found_where_nobody_may, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
