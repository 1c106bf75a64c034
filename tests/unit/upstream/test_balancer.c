/* Who is picked: the exact order of turns, shares by weight, the least busy, backups, and what
 * happens when everyone is out, busy or was tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "upstream/balancer.h"
#include "upstream_fixture.h"

enum {
    SERVERS = FIXTURE_SERVERS,
    NOW_MS = 1000000
};

static struct upstream_fixture fixture;
static struct upstream_server *servers[SERVERS];
static struct roster *roster;
static struct balancer *balancer;

static void set_up_servers(enum config_balance balance, size_t count)
{
    upstream_fixture_init(&fixture, count);
    fixture.config.balance = balance;
    for (size_t i = 0; i < count; i++) {
        struct resolver_address at = fixture_v4("127.0.0.1", (uint16_t)(4000 + i));
        servers[i] = server_new(&fixture.config, &fixture.servers[i],
                                (const struct sockaddr *)(const void *)&at.address, at.size);
    }
}

/* Weights and the like have been set by now. */
static void start(uint64_t seed)
{
    roster = roster_new(servers, fixture.config.server_count, false);
    balancer = balancer_new(&fixture.config, roster, seed);
    assert_non_null(balancer);
}

static int tear_down(void **state)
{
    (void)state;
    balancer_free(&balancer);
    roster_release(&roster);
    for (size_t i = 0; i < SERVERS; i++) {
        server_release(&servers[i]);
    }
    return 0;
}

static size_t index_of(const struct upstream_server *server)
{
    size_t i = 0;
    while (i < SERVERS && servers[i] != server) {
        i++;
    }
    return i;
}

/* The index of the next pick, whose lease is kept; SERVERS for none. */
static size_t pick_leased(const struct balancer_pick *pick, bool *busy)
{
    struct upstream_server *server = balancer_next(balancer, pick, busy);
    return server != NULL ? index_of(server) : SERVERS;
}

static size_t pick_for(const struct balancer_pick *pick, bool *busy)
{
    size_t index = pick_leased(pick, busy);
    if (index < SERVERS) {
        server_unlease(servers[index]);
    }
    return index;
}

static size_t pick_one(void)
{
    struct balancer_pick pick = {.now_ms = NOW_MS};
    bool busy = true;
    size_t index = pick_for(&pick, &busy);
    assert_false(busy);
    return index;
}

static void count_picks(size_t picks, size_t counts[SERVERS])
{
    for (size_t i = 0; i < SERVERS; i++) {
        counts[i] = 0;
    }
    for (size_t i = 0; i < picks; i++) {
        counts[pick_one()]++;
    }
}

static void test_turns_are_spread_smoothly_over_each_round(void **state)
{
    static const size_t expected[] = {0, 0, 1, 0, 2, 0, 0};
    (void)state;
    set_up_servers(CONFIG_BALANCE_ROUND_ROBIN, 3);
    fixture.servers[0].weight = 5;
    start(0);
    for (size_t i = 0; i < 21; i++) {
        assert_int_equal(pick_one(), expected[i % 7]);
    }
}

static void test_every_round_of_turns_has_exactly_the_weights_whatever_the_seed(void **state)
{
    size_t counts[SERVERS];
    (void)state;
    for (uint64_t seed = 0; seed < 23; seed++) {
        set_up_servers(CONFIG_BALANCE_ROUND_ROBIN, 3);
        fixture.servers[0].weight = 7;
        fixture.servers[1].weight = 3;
        start(seed);
        for (size_t round = 0; round < 5; round++) {
            count_picks(11, counts);
            assert_int_equal(counts[0], 7);
            assert_int_equal(counts[1], 3);
            assert_int_equal(counts[2], 1);
        }
        tear_down(NULL);
    }
}

static void test_a_backup_takes_no_part_in_the_rounds_of_the_others(void **state)
{
    size_t counts[SERVERS];
    (void)state;
    for (uint64_t seed = 0; seed < 23; seed++) {
        set_up_servers(CONFIG_BALANCE_ROUND_ROBIN, 3);
        fixture.servers[0].weight = 3;
        fixture.servers[2].weight = 5;
        fixture.servers[2].backup = true;
        start(seed);
        for (size_t round = 0; round < 5; round++) {
            count_picks(4, counts);
            assert_int_equal(counts[0], 3);
            assert_int_equal(counts[1], 1);
        }
        tear_down(NULL);
    }
}

static void test_workers_with_other_seeds_begin_elsewhere(void **state)
{
    bool begun_with[SERVERS] = {false};
    (void)state;
    for (uint64_t seed = 0; seed < SERVERS; seed++) {
        set_up_servers(CONFIG_BALANCE_ROUND_ROBIN, SERVERS);
        start(seed);
        begun_with[pick_one()] = true;
        tear_down(NULL);
    }
    for (size_t i = 0; i < SERVERS; i++) {
        assert_true(begun_with[i]);
    }
}

static void test_a_server_that_starts_slowly_gets_less_than_its_turn(void **state)
{
    size_t counts[SERVERS];
    (void)state;
    set_up_servers(CONFIG_BALANCE_ROUND_ROBIN, 2);
    fixture.config.slow_start_ms = 1000;
    start(0);
    server_start_slowly(servers[1], NOW_MS);
    count_picks(110, counts);
    assert_int_equal(counts[1], 10); /* a tenth of the other's at first */
    server_start_slowly(servers[1], NOW_MS - 1000);
    count_picks(100, counts);
    assert_in_range(counts[1], 49, 51);
}

static void test_the_least_busy_by_weight_is_picked(void **state)
{
    (void)state;
    set_up_servers(CONFIG_BALANCE_LEAST_CONNECTIONS, 3);
    fixture.servers[2].weight = 10;
    start(0);
    atomic_store(&servers[0]->active, 4);
    atomic_store(&servers[1]->active, 3);
    atomic_store(&servers[2]->active, 38);
    assert_int_equal(pick_one(), 2); /* 39 / 10 is less than 4 / 1 */
    atomic_store(&servers[2]->active, 40);
    assert_int_equal(pick_one(), 1); /* 41 / 10 is more */
}

static void test_equally_busy_servers_are_picked_in_turn(void **state)
{
    size_t counts[SERVERS];
    (void)state;
    set_up_servers(CONFIG_BALANCE_LEAST_CONNECTIONS, SERVERS);
    start(3);
    count_picks(SERVERS * 5, counts);
    for (size_t i = 0; i < SERVERS; i++) {
        assert_int_equal(counts[i], 5);
    }
}

/* Sessions that are long open count, so that the newcomer is filled first, and then all evenly. */
static void test_new_connections_go_to_a_server_that_has_joined(void **state)
{
    struct balancer_pick pick = {.now_ms = NOW_MS};
    bool busy;
    (void)state;
    set_up_servers(CONFIG_BALANCE_LEAST_CONNECTIONS, 3);
    fixture.config.server_count = 2;
    start(0);
    for (size_t i = 0; i < 40; i++) {
        pick_leased(&pick, &busy);
    }
    assert_int_equal(atomic_load(&servers[0]->active), 20);
    assert_int_equal(atomic_load(&servers[1]->active), 20);
    balancer_free(&balancer);
    roster_release(&roster);
    fixture.config.server_count = 3;
    start(0);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(pick_leased(&pick, &busy), 2);
    }
    for (size_t i = 0; i < 9; i++) {
        pick_leased(&pick, &busy);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(atomic_load(&servers[i]->active), 23);
    }
}

static void test_slow_start_tempers_what_a_server_that_has_joined_gets(void **state)
{
    struct balancer_pick pick = {.now_ms = NOW_MS};
    bool busy;
    (void)state;
    set_up_servers(CONFIG_BALANCE_LEAST_CONNECTIONS, 2);
    fixture.config.slow_start_ms = 1000;
    start(0);
    atomic_store(&servers[0]->active, 100);
    server_start_slowly(servers[1], NOW_MS);
    for (size_t i = 0; i < 50; i++) {
        pick_leased(&pick, &busy);
    }
    /* A tenth of the other's share while it has a tenth of its weight. */
    assert_in_range(atomic_load(&servers[1]->active), 12, 15);
}

static void test_of_two_random_ones_the_less_busy_is_picked(void **state)
{
    size_t counts[SERVERS];
    (void)state;
    set_up_servers(CONFIG_BALANCE_RANDOM_TWO, 3);
    start(42);
    atomic_store(&servers[1]->active, 5);
    count_picks(300, counts);
    /* The busy one loses against any other; it is one of the two in two thirds of the draws. */
    assert_int_equal(counts[1], 0);
    assert_in_range(counts[0], 110, 190);
    assert_int_equal(counts[0] + counts[2], 300);
}

static void test_two_random_ones_are_drawn_by_weight(void **state)
{
    struct balancer_pick pick = {.now_ms = NOW_MS};
    bool busy;
    (void)state;
    set_up_servers(CONFIG_BALANCE_RANDOM_TWO, 3);
    fixture.servers[0].weight = 8;
    start(42);
    for (size_t i = 0; i < 1000; i++) {
        pick_leased(&pick, &busy);
    }
    assert_in_range(atomic_load(&servers[0]->active), 780, 820);
    assert_in_range(atomic_load(&servers[1]->active), 80, 120);
}

static void test_a_key_stays_with_its_server(void **state)
{
    struct balancer_pick pick = {.now_ms = NOW_MS, .hash_key = SPAN("203.0.113.7")};
    bool busy;
    (void)state;
    set_up_servers(CONFIG_BALANCE_HASH, SERVERS);
    start(1);
    size_t first = pick_for(&pick, &busy);
    atomic_store(&servers[first]->active, 1000);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(pick_for(&pick, &busy), first);
    }
    balancer_free(&balancer);
    roster_release(&roster);
    start(2); /* another worker */
    assert_int_equal(pick_for(&pick, &busy), first);
}

static void test_requests_without_a_key_are_spread(void **state)
{
    size_t counts[SERVERS];
    (void)state;
    set_up_servers(CONFIG_BALANCE_HASH, SERVERS);
    start(0);
    count_picks(SERVERS * 3, counts);
    for (size_t i = 0; i < SERVERS; i++) {
        assert_int_equal(counts[i], 3);
    }
}

static const enum config_balance all_ways[] = {
    CONFIG_BALANCE_ROUND_ROBIN, CONFIG_BALANCE_LEAST_CONNECTIONS,
    CONFIG_BALANCE_RANDOM_TWO,  CONFIG_BALANCE_HASH,
    CONFIG_BALANCE_STICKY,
};

static void eject(struct upstream_server *server)
{
    for (size_t i = 0; i < fixture.config.ejection.failures; i++) {
        server_failed(server, NOW_MS);
    }
    assert_true(server_is_ejected(server, NOW_MS));
}

/* `check` with each way of balancing, and a key for those that want one. */
static void with_all_ways(size_t count, void (*prepare)(void),
                          void (*check)(const struct balancer_pick *pick))
{
    struct balancer_pick pick = {.now_ms = NOW_MS, .hash_key = SPAN("key")};
    for (size_t i = 0; i < sizeof all_ways / sizeof all_ways[0]; i++) {
        set_up_servers(all_ways[i], count);
        prepare();
        start(i);
        check(&pick);
        tear_down(NULL);
    }
}

static void only_the_last_can_be_used(void)
{
    server_set_state(servers[0], CONFIG_SERVER_DRAINING, NOW_MS);
    server_set_state(servers[1], CONFIG_SERVER_DOWN, NOW_MS);
    server_set_healthy(servers[2], false, NOW_MS);
}

static void the_last_is_picked(const struct balancer_pick *pick)
{
    bool busy;
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(pick_for(pick, &busy), 3);
    }
}

static void test_draining_down_and_unhealthy_servers_are_passed_over(void **state)
{
    (void)state;
    with_all_ways(4, only_the_last_can_be_used, the_last_is_picked);
}

static void two_are_backups(void)
{
    fixture.servers[0].backup = true;
    fixture.servers[1].backup = true;
}

static void backups_come_after_all_others(const struct balancer_pick *pick)
{
    bool busy;
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(pick_for(pick, &busy), 2);
    }
    eject(servers[2]);
    for (size_t i = 0; i < 20; i++) {
        assert_in_range(pick_for(pick, &busy), 0, 1);
    }
    const struct upstream_server *tried[] = {servers[0], servers[1]};
    struct balancer_pick again = *pick;
    again.tried = tried;
    again.tried_count = 2;
    assert_int_equal(pick_for(&again, &busy), 2); /* ejected, but the last that is left */
}

static void test_backups_are_picked_only_when_no_other_can_be_used(void **state)
{
    (void)state;
    with_all_ways(3, two_are_backups, backups_come_after_all_others);
}

static void nothing_special(void)
{
}

static void what_was_tried_is_not_picked_again(const struct balancer_pick *pick)
{
    const struct upstream_server *tried[3];
    struct balancer_pick again = *pick;
    bool busy = true;
    again.tried = tried;
    for (again.tried_count = 0; again.tried_count < 3; again.tried_count++) {
        size_t index = pick_for(&again, &busy);
        assert_true(index < 3);
        for (size_t i = 0; i < again.tried_count; i++) {
            assert_ptr_not_equal(tried[i], servers[index]);
        }
        tried[again.tried_count] = servers[index];
    }
    assert_int_equal(pick_for(&again, &busy), SERVERS);
    assert_false(busy);
}

static void test_servers_that_were_tried_are_passed_over(void **state)
{
    (void)state;
    with_all_ways(3, nothing_special, what_was_tried_is_not_picked_again);
}

static void all_are_ejected_but_one_is_unhealthy(void)
{
    for (size_t i = 0; i < 3; i++) {
        eject(servers[i]);
    }
    server_set_healthy(servers[1], false, NOW_MS);
}

static void one_that_is_only_ejected_is_picked(const struct balancer_pick *pick)
{
    bool busy = true;
    for (size_t i = 0; i < 20; i++) {
        size_t index = pick_for(pick, &busy);
        assert_true(index == 0 || index == 2);
        assert_false(busy);
    }
}

static void test_where_all_are_ejected_one_of_them_is_asked_none_the_less(void **state)
{
    (void)state;
    with_all_ways(3, all_are_ejected_but_one_is_unhealthy, one_that_is_only_ejected_is_picked);
}

static void each_has_one_slot(void)
{
    for (size_t i = 0; i < 3; i++) {
        fixture.servers[i].max_connections = 1;
    }
    fixture.servers[2].backup = true;
}

static void the_slots_are_used_up_and_the_backup_stays_out(const struct balancer_pick *pick)
{
    bool busy = true;
    size_t first = pick_leased(pick, &busy);
    assert_false(busy);
    assert_true(pick_leased(pick, &busy) != first);
    assert_int_equal(pick_leased(pick, &busy), SERVERS);
    assert_true(busy);
    assert_int_equal(atomic_load(&servers[2]->active), 0);
    server_unlease(servers[first]);
    assert_int_equal(pick_leased(pick, &busy), first);
}

static void test_busy_servers_are_told_of_and_do_not_call_for_a_backup(void **state)
{
    (void)state;
    with_all_ways(3, each_has_one_slot, the_slots_are_used_up_and_the_backup_stays_out);
}

static void nobody_is_there(const struct balancer_pick *pick)
{
    bool busy = true;
    assert_int_equal(pick_for(pick, &busy), SERVERS);
    assert_false(busy);
}

static void test_without_servers_there_is_none(void **state)
{
    (void)state;
    with_all_ways(0, nothing_special, nobody_is_there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_turns_are_spread_smoothly_over_each_round, tear_down),
        cmocka_unit_test(test_every_round_of_turns_has_exactly_the_weights_whatever_the_seed),
        cmocka_unit_test(test_a_backup_takes_no_part_in_the_rounds_of_the_others),
        cmocka_unit_test(test_workers_with_other_seeds_begin_elsewhere),
        cmocka_unit_test_teardown(test_a_server_that_starts_slowly_gets_less_than_its_turn,
                                  tear_down),
        cmocka_unit_test_teardown(test_the_least_busy_by_weight_is_picked, tear_down),
        cmocka_unit_test_teardown(test_equally_busy_servers_are_picked_in_turn, tear_down),
        cmocka_unit_test_teardown(test_new_connections_go_to_a_server_that_has_joined, tear_down),
        cmocka_unit_test_teardown(test_slow_start_tempers_what_a_server_that_has_joined_gets,
                                  tear_down),
        cmocka_unit_test_teardown(test_of_two_random_ones_the_less_busy_is_picked, tear_down),
        cmocka_unit_test_teardown(test_two_random_ones_are_drawn_by_weight, tear_down),
        cmocka_unit_test_teardown(test_a_key_stays_with_its_server, tear_down),
        cmocka_unit_test_teardown(test_requests_without_a_key_are_spread, tear_down),
        cmocka_unit_test(test_draining_down_and_unhealthy_servers_are_passed_over),
        cmocka_unit_test(test_backups_are_picked_only_when_no_other_can_be_used),
        cmocka_unit_test(test_servers_that_were_tried_are_passed_over),
        cmocka_unit_test(test_where_all_are_ejected_one_of_them_is_asked_none_the_less),
        cmocka_unit_test(test_busy_servers_are_told_of_and_do_not_call_for_a_backup),
        cmocka_unit_test(test_without_servers_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
