/* Several workers that compete for few slots: never more leases than slots, and no wake-up is lost,
 * or somebody would wait for ever. */
#include <pthread.h>

#include "dial_fixture.h"

enum {
    WORKERS = 3,
    AT_ONCE = 4, /* dials of a worker under way */
    DIALS_OF_A_WORKER = 400
};

struct rival {
    pthread_t thread;
    struct loop *loop;
    struct upstream_worker *worker;
    struct upstream *upstream;
    size_t started;
    size_t served;
    size_t failed;
};

static struct rival rivals[WORKERS];
static atomic_uint in_use;
static atomic_uint most_in_use;

static void begin_one(struct rival *rival);

static void note_use(void)
{
    unsigned now = atomic_fetch_add(&in_use, 1) + 1;
    unsigned most = atomic_load(&most_in_use);
    while (now > most && !atomic_compare_exchange_weak(&most_in_use, &most, now)) {
        /* `most` is what it is now */
    }
}

static void served(void *context, enum dial_result result, struct backend *backend,
                   const struct dial_report *report)
{
    struct rival *rival = context;
    (void)report;
    if (result == DIAL_OK) {
        note_use();
        rival->served++;
        atomic_fetch_sub(&in_use, 1);
        backend_keep(&backend);
    } else {
        rival->failed++;
    }
    begin_one(rival);
}

static void begin_one(struct rival *rival)
{
    static const struct dial_wish any = {.fresh = false};
    if (rival->started < DIALS_OF_A_WORKER) {
        rival->started++;
        rival->failed += dial_start(rival->upstream, &any, served, rival) == NULL;
    }
}

static void *compete(void *context)
{
    struct rival *rival = context;
    uint64_t give_up_ms = clock_monotonic_ms() + 6 * GIVE_UP_MS;
    rival->loop = loop_new();
    rival->worker = upstream_worker_new(&fx.upstreams, rival->loop);
    rival->upstream = upstream_worker_find(rival->worker, "chat");
    for (size_t i = 0; i < AT_ONCE; i++) {
        begin_one(rival);
    }
    while (rival->served + rival->failed < DIALS_OF_A_WORKER && clock_monotonic_ms() < give_up_ms) {
        loop_turn(rival->loop, true);
    }
    upstream_worker_free(&rival->worker);
    loop_free(&rival->loop);
    return NULL;
}

static void test_slots_are_shared_and_nobody_is_forgotten(void **state)
{
    (void)state;
    prepare(2);
    fx.settings.servers[0].max_connections = 1;
    fx.settings.servers[1].max_connections = 1;
    fx.settings.config.queue.size = (uint64_t)WORKERS * AT_ONCE;
    fx.settings.config.queue.timeout_ms = 600000; /* a lost wake-up is not made good by it */
    start(2);
    for (size_t i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_create(&rivals[i].thread, NULL, compete, &rivals[i]), 0);
    }
    for (size_t i = 0; i < WORKERS; i++) {
        pthread_join(rivals[i].thread, NULL);
    }
    for (size_t i = 0; i < WORKERS; i++) {
        assert_int_equal(rivals[i].served, DIALS_OF_A_WORKER);
        assert_int_equal(rivals[i].failed, 0);
    }
    assert_in_range(atomic_load(&most_in_use), 1, 2);
    assert_int_equal(atomic_load(&fx.upstreams.group->waiting), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_slots_are_shared_and_nobody_is_forgotten, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
