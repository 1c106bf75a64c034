/* What workers count for themselves, and the sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/traffic.h"

enum {
    WORKERS = 4,
    ROUNDS = 20000
};

static uint64_t sum_of(enum traffic_count count)
{
    uint64_t sums[TRAFFIC_COUNTS];
    traffic_sum(sums);
    return sums[count];
}

static void test_sums_all_workers_and_those_that_have_left(void **state)
{
    struct traffic *a = traffic_join();
    struct traffic *b = traffic_join();
    uint64_t before = sum_of(TRAFFIC_BYTES_IN);
    (void)state;
    traffic_add(a, TRAFFIC_BYTES_IN, 5);
    traffic_add(b, TRAFFIC_BYTES_IN, 7);
    traffic_add(b, TRAFFIC_BYTES_OUT, 100);
    assert_int_equal(sum_of(TRAFFIC_BYTES_IN) - before, 12);
    traffic_leave(&a);
    assert_null(a);
    assert_int_equal(sum_of(TRAFFIC_BYTES_IN) - before, 12);
    traffic_leave(&b);
    assert_int_equal(sum_of(TRAFFIC_BYTES_IN) - before, 12);
    traffic_leave(&b);
}

static void *work(void *context)
{
    struct traffic *traffic = traffic_join();
    (void)context;
    for (unsigned i = 0; i < ROUNDS; i++) {
        traffic_add(traffic, TRAFFIC_MESSAGES_IN, 1);
    }
    traffic_leave(&traffic);
    return NULL;
}

static void test_workers_lose_nothing_while_somebody_sums(void **state)
{
    pthread_t threads[WORKERS];
    uint64_t last = sum_of(TRAFFIC_MESSAGES_IN);
    uint64_t before = last;
    (void)state;
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work, NULL), 0);
    }
    for (unsigned i = 0; i < 100; i++) {
        uint64_t now = sum_of(TRAFFIC_MESSAGES_IN);
        assert_true(now >= last);
        last = now;
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(sum_of(TRAFFIC_MESSAGES_IN) - before, WORKERS * ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_all_workers_and_those_that_have_left),
        cmocka_unit_test(test_workers_lose_nothing_while_somebody_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
