/* The timer wheel: never early, at most two ticks late, whatever is set, moved or cancelled from
 * within the callback. Time is given by hand, so nothing here waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/wheel.h"

enum {
    ROUND_MS = WHEEL_TICK_MS * WHEEL_SLOTS,
    TIMERS = 200
};

struct probe {
    struct wheel_timer timer;
    unsigned fired;
    uint64_t fired_ms;
};

static struct loop *loop;
static struct wheel *wheel;
static uint64_t start_ms; /* what wheel_set takes for now: the loop does not run here */
static uint64_t now_ms;
static void (*also)(struct probe *probe); /* what a test's callback does beyond counting */
static struct probe probes[TIMERS];

static void fired(struct wheel_timer *timer)
{
    struct probe *probe = list_item(timer, struct probe, timer);
    probe->fired++;
    probe->fired_ms = now_ms;
    if (also != NULL) {
        also(probe);
    }
}

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    wheel = loop != NULL ? wheel_new(loop, fired) : NULL;
    if (wheel == NULL) {
        return -1;
    }
    start_ms = now_ms = loop_now_ms(loop);
    also = NULL;
    for (size_t i = 0; i < TIMERS; i++) {
        probes[i] = (struct probe){.fired = 0};
        wheel_timer_init(&probes[i].timer);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wheel_free(&wheel);
    loop_free(&loop);
    return 0;
}

/* Lets the time pass in steps of `step_ms` until `ms` after the start. */
static void pass_until(uint64_t ms, uint64_t step_ms)
{
    while (now_ms < start_ms + ms) {
        now_ms += step_ms;
        wheel_advance(wheel, now_ms);
    }
}

static void test_fires_never_early_and_at_most_two_ticks_late(void **state)
{
    (void)state;
    for (size_t i = 0; i < TIMERS; i++) {
        wheel_set(wheel, &probes[i].timer, i);
    }
    pass_until(TIMERS + 2 * WHEEL_TICK_MS, 1);
    for (size_t i = 0; i < TIMERS; i++) {
        uint64_t due = start_ms + i;
        assert_int_equal(probes[i].fired, 1);
        assert_true(probes[i].fired_ms >= due);
        assert_true(probes[i].fired_ms <= due + 2 * WHEEL_TICK_MS);
    }
}

static void test_waits_whole_rounds_for_far_deadlines(void **state)
{
    static const uint64_t delays[] = {ROUND_MS - 1, ROUND_MS,         ROUND_MS + 1,
                                      ROUND_MS + 2, 2 * ROUND_MS - 1, 2 * ROUND_MS + 77};
    const size_t count = sizeof delays / sizeof delays[0];
    (void)state;
    for (size_t i = 0; i < count; i++) {
        wheel_set(wheel, &probes[i].timer, delays[i]);
    }
    pass_until(3 * ROUND_MS, WHEEL_TICK_MS);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(probes[i].fired, 1);
        assert_true(probes[i].fired_ms >= start_ms + delays[i]);
        assert_true(probes[i].fired_ms <= start_ms + delays[i] + 2 * WHEEL_TICK_MS);
    }
}

static void test_fires_all_that_is_due_after_a_long_sleep(void **state)
{
    (void)state;
    for (size_t i = 0; i < TIMERS; i++) {
        wheel_set(wheel, &probes[i].timer, i * 1000);
    }
    now_ms = start_ms + 100 * 1000;
    wheel_advance(wheel, now_ms);
    for (size_t i = 0; i < TIMERS; i++) {
        /* The one at 100 s exactly may have to wait for its tick to be over. */
        assert_true(i == 100 || probes[i].fired == (i < 100 ? 1 : 0));
    }
    pass_until(201 * 1000, WHEEL_TICK_MS);
    for (size_t i = 0; i < TIMERS; i++) {
        assert_int_equal(probes[i].fired, 1);
    }
}

static void test_a_cancelled_timer_does_not_fire(void **state)
{
    (void)state;
    wheel_set(wheel, &probes[0].timer, 100);
    wheel_set(wheel, &probes[1].timer, 100);
    wheel_cancel(&probes[0].timer);
    wheel_cancel(&probes[2].timer); /* never set */
    pass_until(1000, WHEEL_TICK_MS);
    assert_int_equal(probes[0].fired, 0);
    assert_int_equal(probes[1].fired, 1);
    wheel_cancel(&probes[1].timer); /* has fired */
}

static void test_a_moved_timer_fires_once_at_its_new_time(void **state)
{
    (void)state;
    wheel_set(wheel, &probes[0].timer, 100);
    wheel_set(wheel, &probes[0].timer, 2000);
    wheel_set(wheel, &probes[1].timer, 2000);
    wheel_set(wheel, &probes[1].timer, 100);
    pass_until(1000, WHEEL_TICK_MS);
    assert_int_equal(probes[0].fired, 0);
    assert_int_equal(probes[1].fired, 1);
    pass_until(3000, WHEEL_TICK_MS);
    assert_int_equal(probes[0].fired, 1);
    assert_int_equal(probes[1].fired, 1);
}

static void set_again_at_once(struct probe *probe)
{
    wheel_set(wheel, &probe->timer, 0);
}

static void test_a_callback_may_set_its_timer_again_without_end(void **state)
{
    (void)state;
    also = set_again_at_once;
    wheel_set(wheel, &probes[0].timer, 0);
    pass_until(20 * WHEEL_TICK_MS, WHEEL_TICK_MS);
    /* Once a tick: not never, and not for ever within one tick. */
    assert_in_range(probes[0].fired, 18, 21);
}

static void set_again_one_round_later(struct probe *probe)
{
    wheel_set(wheel, &probe->timer, now_ms - start_ms + ROUND_MS);
}

static void test_a_callback_may_set_into_the_slot_that_is_being_fired(void **state)
{
    (void)state;
    also = set_again_one_round_later;
    for (size_t i = 0; i < 10; i++) {
        wheel_set(wheel, &probes[i].timer, 100);
    }
    pass_until(1000, WHEEL_TICK_MS);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(probes[i].fired, 1);
    }
    pass_until(ROUND_MS + 1000, WHEEL_TICK_MS);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(probes[i].fired, 2);
    }
}

static void cancel_the_others(struct probe *probe)
{
    for (size_t i = 0; i < TIMERS; i++) {
        if (&probes[i] != probe) {
            wheel_cancel(&probes[i].timer);
        }
    }
}

static void test_a_callback_may_cancel_others_that_are_due(void **state)
{
    unsigned sum = 0;
    (void)state;
    also = cancel_the_others;
    for (size_t i = 0; i < TIMERS; i++) {
        wheel_set(wheel, &probes[i].timer, 100);
    }
    pass_until(1000, WHEEL_TICK_MS);
    for (size_t i = 0; i < TIMERS; i++) {
        sum += probes[i].fired;
    }
    assert_int_equal(sum, 1);
}

/* The wheel against the plain truth, with timers that are set, moved and cancelled at random and
 * time that passes in uneven steps. */
static void test_agrees_with_a_list_of_deadlines(void **state)
{
    uint64_t due[TIMERS] = {0}; /* 0: not set */
    unsigned expected[TIMERS] = {0};
    unsigned seed = 7;
    (void)state;
    for (int step = 0; step < 5000; step++) {
        size_t i = (size_t)rand_r(&seed) % TIMERS;
        if (rand_r(&seed) % 4 == 0) {
            wheel_cancel(&probes[i].timer);
            due[i] = 0;
        } else {
            uint64_t delay = now_ms - start_ms + (uint64_t)rand_r(&seed) % (2 * ROUND_MS);
            wheel_set(wheel, &probes[i].timer, delay);
            due[i] = start_ms + delay;
        }
        now_ms += (uint64_t)rand_r(&seed) % 120;
        wheel_advance(wheel, now_ms);
        for (size_t t = 0; t < TIMERS; t++) {
            if (probes[t].fired > expected[t]) {
                assert_true(due[t] != 0 && due[t] <= now_ms);
                expected[t]++;
                due[t] = 0;
            }
            assert_int_equal(probes[t].fired, expected[t]);
            assert_true(due[t] == 0 || now_ms <= due[t] + 2 * WHEEL_TICK_MS);
        }
    }
}

/* The wheel's own tick, driven by the loop, and the loop's end. */
static void stop_loop(struct probe *probe)
{
    (void)probe;
    loop_stop(loop);
}

static void test_the_loop_drives_it(void **state)
{
    (void)state;
    also = stop_loop;
    wheel_set(wheel, &probes[0].timer, 60);
    loop_run(loop);
    assert_int_equal(probes[0].fired, 1);
    assert_true(loop_now_ms(loop) >= start_ms + 60);
}

#define WHEEL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WHEEL_TEST(test_fires_never_early_and_at_most_two_ticks_late),
        WHEEL_TEST(test_waits_whole_rounds_for_far_deadlines),
        WHEEL_TEST(test_fires_all_that_is_due_after_a_long_sleep),
        WHEEL_TEST(test_a_cancelled_timer_does_not_fire),
        WHEEL_TEST(test_a_moved_timer_fires_once_at_its_new_time),
        WHEEL_TEST(test_a_callback_may_set_its_timer_again_without_end),
        WHEEL_TEST(test_a_callback_may_set_into_the_slot_that_is_being_fired),
        WHEEL_TEST(test_a_callback_may_cancel_others_that_are_due),
        WHEEL_TEST(test_agrees_with_a_list_of_deadlines),
        WHEEL_TEST(test_the_loop_drives_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
