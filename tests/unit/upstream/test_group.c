/* What workers share of an upstream: rosters that change under their feet, a queue with a limit for
 * all of them, and letters that wake who waits. Runs under the thread sanitizer. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "upstream/group.h"
#include "upstream/upstream.h"
#include "upstream/upstream_fixture.h"

enum {
    THREADS = 4,
    ROUNDS = 2000,
    QUEUE = 2
};

static struct upstream_fixture fixture;
static struct upstream_group *group;
static struct loop *loop;
static struct upstream member;
static unsigned delivered;

static void deliver(struct mailbox_letter *letter, void *receiver)
{
    (void)letter;
    assert_ptr_equal(receiver, &member);
    atomic_store(&member.woken, false);
    delivered++;
}

static int set_up(void **state)
{
    (void)state;
    upstream_fixture_init(&fixture, 1);
    delivered = 0;
    group = group_new(&fixture.config);
    loop = loop_new();
    member = (struct upstream){.wake_letter = {.deliver = deliver}};
    list_init(&member.membership);
    member.mailbox = loop != NULL ? mailbox_new(loop, &member) : NULL;
    return group != NULL && member.mailbox != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    mailbox_free(&member.mailbox);
    group_free(&group);
    loop_free(&loop);
    return 0;
}

/* --- rosters --- */

static struct roster *roster_of(const char *ip)
{
    struct resolver_address at = fixture_v4(ip, 80);
    struct upstream_server *server = fixture_server(&fixture, &at);
    assert_non_null(server);
    struct roster *roster = roster_new(&server, 1, false);
    assert_non_null(roster);
    server_release(&server);
    return roster;
}

static void test_starts_without_servers_and_pending(void **state)
{
    (void)state;
    struct roster *roster = group_roster(group);
    assert_true(roster->pending);
    assert_int_equal(roster->count, 0);
    assert_true(atomic_load(&group->version) != 0);
    roster_release(&roster);
}

static void test_publishes_a_roster_and_changes_its_version(void **state)
{
    (void)state;
    unsigned before = atomic_load(&group->version);
    struct roster *old = group_roster(group);
    group_publish(group, roster_of("10.0.0.1"));
    assert_true(atomic_load(&group->version) != before);
    struct roster *roster = group_roster(group);
    assert_int_equal(roster->count, 1);
    assert_string_equal(roster->servers[0]->text, "10.0.0.1:80");
    assert_int_equal(old->count, 0); /* who holds the old one keeps it */
    roster_release(&roster);
    roster_release(&old);
    assert_null(old);
}

static void test_keeps_servers_of_an_old_roster_for_who_holds_it(void **state)
{
    (void)state;
    group_publish(group, roster_of("10.0.0.1"));
    struct roster *held = group_roster(group);
    group_publish(group, roster_of("10.0.0.2"));
    assert_string_equal(held->servers[0]->text, "10.0.0.1:80");
    assert_true(server_lease(held->servers[0]));
    server_unlease(held->servers[0]);
    roster_release(&held);
}

static void *look(void *context)
{
    atomic_bool *stop = context;
    size_t seen = 0;
    while (!atomic_load(stop)) {
        struct roster *roster = group_roster(group);
        if (roster->count == 1 && server_lease(roster->servers[0])) {
            server_unlease(roster->servers[0]);
            seen++;
        }
        roster_release(&roster);
    }
    return seen > 0 ? group : NULL;
}

static void test_publishes_while_threads_look(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    atomic_bool stop = false;
    group_publish(group, roster_of("10.0.0.1"));
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, look, &stop), 0);
    }
    for (int i = 0; i < ROUNDS; i++) {
        group_publish(group, roster_of(i % 2 == 0 ? "10.0.0.2" : "10.0.0.1"));
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    struct roster *roster = group_roster(group);
    assert_string_equal(roster->servers[0]->text, "10.0.0.1:80");
    assert_int_equal(roster->servers[0]->active, 0);
    roster_release(&roster);
}

/* --- the queue --- */

static void test_queues_up_to_the_limit(void **state)
{
    (void)state;
    assert_true(group_queue_enter(group));
    assert_true(group_queue_enter(group));
    assert_false(group_queue_enter(group));
    group_queue_leave(group);
    assert_true(group_queue_enter(group));
    assert_false(group_queue_enter(group));
    group_queue_leave(group);
    group_queue_leave(group);
    assert_int_equal(atomic_load(&group->waiting), 0);
}

static void test_queues_nobody_where_the_size_is_nought(void **state)
{
    (void)state;
    fixture.config.queue.size = 0;
    assert_false(group_queue_enter(group));
}

static void *crowd(void *context)
{
    atomic_uint *over = context;
    for (int i = 0; i < ROUNDS; i++) {
        if (group_queue_enter(group)) {
            if (atomic_load(&group->waiting) > QUEUE) {
                atomic_fetch_add(over, 1);
            }
            group_queue_leave(group);
        }
    }
    return NULL;
}

static void test_queues_no_more_than_the_limit_for_many_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    atomic_uint over = 0;
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, crowd, &over), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(over, 0);
    assert_int_equal(atomic_load(&group->waiting), 0);
}

/* --- waking --- */

static void test_wakes_a_member_once_until_its_letter_is_read(void **state)
{
    (void)state;
    group_join(group, &member);
    assert_true(group_queue_enter(group));
    group_wake(group);
    group_wake(group);
    group_publish(group, roster_of("10.0.0.1"));
    assert_int_equal(delivered, 0);
    assert_true(loop_turn(loop, false));
    assert_int_equal(delivered, 1);
    group_wake(group);
    assert_true(loop_turn(loop, false));
    assert_int_equal(delivered, 2);
    group_queue_leave(group);
    group_leave(group, &member);
}

static void test_wakes_nobody_while_nobody_waits(void **state)
{
    (void)state;
    group_join(group, &member);
    group_wake(group);
    group_publish(group, roster_of("10.0.0.1"));
    assert_true(loop_turn(loop, false));
    assert_int_equal(delivered, 0);
    group_leave(group, &member);
}

static void test_wakes_nobody_who_has_left(void **state)
{
    (void)state;
    group_join(group, &member);
    group_leave(group, &member);
    assert_true(group_queue_enter(group));
    group_wake(group);
    assert_true(loop_turn(loop, false));
    assert_int_equal(delivered, 0);
    group_queue_leave(group);
}

/* One thread frees slots and wakes; the loop takes a slot, waits in the queue for the next, and
 * must never wait for a slot that is free. */
struct waiter {
    struct upstream_server *server;
    unsigned got;
};
static struct waiter waiter;

static void take_slots(void)
{
    while (waiter.got < ROUNDS && server_lease(waiter.server)) {
        waiter.got++;
    }
    if (waiter.got == ROUNDS) {
        group_queue_leave(group);
        loop_stop(loop);
    }
}

static void deliver_slot(struct mailbox_letter *letter, void *receiver)
{
    (void)letter;
    (void)receiver;
    atomic_store(&member.woken, false);
    if (waiter.got < ROUNDS) {
        take_slots();
    }
}

static void *free_slots(void *context)
{
    struct upstream_server *server = context;
    for (int i = 0; i < ROUNDS; i++) {
        while (atomic_load(&server->active) == 0) {
            sched_yield(); /* until the slot is taken */
        }
        server_unlease(server);
        group_wake(group);
    }
    return NULL;
}

static void test_never_misses_a_slot_that_becomes_free(void **state)
{
    (void)state;
    pthread_t thread;
    struct resolver_address at = fixture_v4("10.0.0.1", 80);
    fixture.servers[0].max_connections = 1;
    waiter = (struct waiter){.server = fixture_server(&fixture, &at)};
    assert_non_null(waiter.server);
    member.wake_letter.deliver = deliver_slot;
    group_join(group, &member);
    assert_int_equal(pthread_create(&thread, NULL, free_slots, waiter.server), 0);
    assert_true(group_queue_enter(group));
    take_slots();
    loop_run(loop); /* a wake that is missed would let it sleep for ever */
    pthread_join(thread, NULL);
    assert_int_equal(waiter.got, ROUNDS);
    group_leave(group, &member);
    server_release(&waiter.server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_starts_without_servers_and_pending),
        TEST(test_publishes_a_roster_and_changes_its_version),
        TEST(test_keeps_servers_of_an_old_roster_for_who_holds_it),
        TEST(test_publishes_while_threads_look),
        TEST(test_queues_up_to_the_limit),
        TEST(test_queues_nobody_where_the_size_is_nought),
        TEST(test_queues_no_more_than_the_limit_for_many_threads),
        TEST(test_wakes_a_member_once_until_its_letter_is_read),
        TEST(test_wakes_nobody_while_nobody_waits),
        TEST(test_wakes_nobody_who_has_left),
        TEST(test_never_misses_a_slot_that_becomes_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
