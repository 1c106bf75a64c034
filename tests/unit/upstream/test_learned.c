/* The table of learned ids: what is remembered, for how long, and what goes when it is full. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "upstream/learned.h"

enum {
    TTL_MS = 1000,
    THREADS = 4,
    IDS_OF_A_THREAD = 3000
};

static struct span token(size_t number)
{
    static _Thread_local char text[32];
    int size = snprintf(text, sizeof text, "token-%zu", number);
    return (struct span){(const uint8_t *)text, (size_t)size};
}

static void test_an_id_is_found_with_its_server(void **state)
{
    struct learned_ids *ids = learned_ids_new(TTL_MS, 100);
    (void)state;
    learned_ids_put(ids, SPAN("abc"), 7, 0);
    learned_ids_put(ids, SPAN("abd"), 8, 0);
    assert_int_equal(learned_ids_get(ids, SPAN("abc"), 1), 7);
    assert_int_equal(learned_ids_get(ids, SPAN("abd"), 1), 8);
    assert_int_equal(learned_ids_get(ids, SPAN("ab"), 1), 0);
    assert_int_equal(learned_ids_get(ids, SPAN(""), 1), 0);
    learned_ids_free(&ids);
    assert_null(ids);
    learned_ids_free(&ids);
}

static void test_an_id_that_is_learned_again_moves(void **state)
{
    struct learned_ids *ids = learned_ids_new(TTL_MS, 100);
    (void)state;
    learned_ids_put(ids, SPAN("abc"), 7, 0);
    learned_ids_put(ids, SPAN("abc"), 9, 0);
    assert_int_equal(learned_ids_get(ids, SPAN("abc"), 1), 9);
    assert_int_equal(learned_ids_count(ids), 1);
    learned_ids_free(&ids);
}

static void test_an_id_expires_when_it_was_not_used_for_the_whole_time(void **state)
{
    struct learned_ids *ids = learned_ids_new(TTL_MS, 100);
    (void)state;
    learned_ids_put(ids, SPAN("abc"), 7, 5000);
    assert_int_equal(learned_ids_get(ids, SPAN("abc"), 5000 + TTL_MS - 1), 7);
    assert_int_equal(learned_ids_get(ids, SPAN("abc"), 5000 + 2 * TTL_MS - 2), 7);
    assert_int_equal(learned_ids_get(ids, SPAN("abc"), 5000 + 3 * TTL_MS - 2), 0);
    assert_int_equal(learned_ids_count(ids), 0);
    learned_ids_free(&ids);
}

static void test_a_worker_whose_clock_is_behind_takes_nothing_away(void **state)
{
    struct learned_ids *ids = learned_ids_new(TTL_MS, 100);
    (void)state;
    learned_ids_put(ids, SPAN("abc"), 7, 5000);
    assert_int_equal(learned_ids_get(ids, SPAN("abc"), 4990), 7);
    assert_int_equal(learned_ids_get(ids, SPAN("abc"), 5000 + TTL_MS - 1), 7);
    learned_ids_free(&ids);
}

static void test_the_least_recently_used_one_goes_when_it_is_full(void **state)
{
    struct learned_ids *ids = learned_ids_new(TTL_MS, 3);
    (void)state;
    learned_ids_put(ids, SPAN("a"), 1, 0);
    learned_ids_put(ids, SPAN("b"), 2, 0);
    learned_ids_put(ids, SPAN("c"), 3, 0);
    assert_int_equal(learned_ids_count(ids), 3);
    assert_int_equal(learned_ids_get(ids, SPAN("a"), 1), 1);
    learned_ids_put(ids, SPAN("d"), 4, 1);
    assert_int_equal(learned_ids_count(ids), 3);
    assert_int_equal(learned_ids_get(ids, SPAN("b"), 1), 0);
    assert_int_equal(learned_ids_get(ids, SPAN("a"), 1), 1);
    assert_int_equal(learned_ids_get(ids, SPAN("c"), 1), 3);
    assert_int_equal(learned_ids_get(ids, SPAN("d"), 1), 4);
    learned_ids_free(&ids);
}

static void test_expired_ids_make_room_before_others_do(void **state)
{
    struct learned_ids *ids = learned_ids_new(TTL_MS, 3);
    (void)state;
    learned_ids_put(ids, SPAN("a"), 1, 0);
    learned_ids_put(ids, SPAN("b"), 2, 0);
    learned_ids_put(ids, SPAN("c"), 3, TTL_MS / 2);
    learned_ids_put(ids, SPAN("d"), 4, TTL_MS);
    assert_int_equal(learned_ids_count(ids), 2);
    assert_int_equal(learned_ids_get(ids, SPAN("c"), TTL_MS), 3);
    learned_ids_free(&ids);
}

/* Enough for buckets to be doubled, and for all shards to have some. */
static void test_many_ids_are_all_found_and_their_number_is_bounded(void **state)
{
    enum {
        MAX = 20000,
        FEWER = MAX / 2
    };
    struct learned_ids *ids = learned_ids_new(TTL_MS, MAX);
    (void)state;
    for (size_t i = 0; i < FEWER; i++) {
        learned_ids_put(ids, token(i), i + 1, 0);
    }
    for (size_t i = 0; i < FEWER; i++) {
        assert_int_equal(learned_ids_get(ids, token(i), 0), i + 1);
    }
    for (size_t i = FEWER; i < (size_t)MAX * 2; i++) {
        learned_ids_put(ids, token(i), i + 1, 0);
    }
    assert_true(learned_ids_count(ids) <= MAX);
    assert_true(learned_ids_count(ids) > MAX * 9 / 10);
    assert_int_equal(learned_ids_get(ids, token(2 * MAX - 1), 0), 2 * MAX);
    assert_int_equal(learned_ids_get(ids, token(0), 0), 0);
    learned_ids_free(&ids);
}

struct work {
    struct learned_ids *ids;
    size_t from;
    size_t wrong;
};

static void *put_and_get(void *context)
{
    struct work *work = context;
    for (size_t i = work->from; i < work->from + IDS_OF_A_THREAD; i++) {
        learned_ids_put(work->ids, token(i), i + 1, 0);
        work->wrong += learned_ids_get(work->ids, token(i), 0) != i + 1;
    }
    return NULL;
}

static void test_threads_do_not_disturb_each_other(void **state)
{
    struct learned_ids *ids = learned_ids_new(TTL_MS, (uint64_t)THREADS * IDS_OF_A_THREAD * 2);
    pthread_t threads[THREADS];
    struct work work[THREADS];
    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        work[i] = (struct work){.ids = ids, .from = i * IDS_OF_A_THREAD};
        assert_int_equal(pthread_create(&threads[i], NULL, put_and_get, &work[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(work[i].wrong, 0);
    }
    assert_int_equal(learned_ids_count(ids), THREADS * IDS_OF_A_THREAD);
    learned_ids_free(&ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_id_is_found_with_its_server),
        cmocka_unit_test(test_an_id_that_is_learned_again_moves),
        cmocka_unit_test(test_an_id_expires_when_it_was_not_used_for_the_whole_time),
        cmocka_unit_test(test_a_worker_whose_clock_is_behind_takes_nothing_away),
        cmocka_unit_test(test_the_least_recently_used_one_goes_when_it_is_full),
        cmocka_unit_test(test_expired_ids_make_room_before_others_do),
        cmocka_unit_test(test_many_ids_are_all_found_and_their_number_is_bounded),
        cmocka_unit_test(test_threads_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
