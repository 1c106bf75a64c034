/* The loop: turns have an end, timers may cancel themselves, and time stands still within a turn.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/loop.h"

static struct loop *loop;
static struct loop_timer *timer;
static struct loop_signal *caught;
static unsigned calls;
static unsigned turn_ends;
static uint64_t seen_ms;

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    timer = NULL;
    calls = turn_ends = 0;
    return loop != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    loop_timer_free(&timer);
    loop_free(&loop);
    return 0;
}

static void stop(void *context)
{
    (void)context;
    calls++;
    loop_stop(loop);
}

static void count_turn_end(void *context)
{
    assert_ptr_equal(context, &turn_ends);
    turn_ends++;
}

static void test_a_turn_that_stops_the_loop_has_its_end_too(void **state)
{
    (void)state;
    loop_on_turn_end(loop, count_turn_end, &turn_ends);
    timer = loop_timer_new(loop, 1, false, stop, NULL);
    loop_run(loop);
    assert_int_equal(calls, 1);
    assert_int_equal(turn_ends, 1);
}

static void stop_at_three(void *context)
{
    assert_int_equal(calls, turn_ends);
    calls++;
    if (calls == 3) {
        loop_stop(context);
    }
}

static void test_a_repeating_timer_fires_once_a_turn(void **state)
{
    (void)state;
    loop_on_turn_end(loop, count_turn_end, &turn_ends);
    timer = loop_timer_new(loop, 1, true, stop_at_three, loop);
    loop_run(loop);
    assert_int_equal(calls, 3);
    assert_int_equal(turn_ends, 3);
}

static void never(void *context)
{
    (void)context;
    fail_msg("a cancelled timer has fired");
}

static void test_a_cancelled_timer_does_not_fire(void **state)
{
    struct loop_timer *cancelled = loop_timer_new(loop, 1, true, never, NULL);
    (void)state;
    timer = loop_timer_new(loop, 20, false, stop, NULL);
    loop_timer_free(&cancelled);
    assert_null(cancelled);
    loop_timer_free(&cancelled);
    loop_run(loop);
    assert_int_equal(calls, 1);
}

static void free_itself(void *context)
{
    struct loop_timer **mine = context;
    loop_timer_free(mine);
    stop(NULL);
}

static void test_a_timer_may_cancel_itself(void **state)
{
    (void)state;
    for (int repeats = 0; repeats < 2; repeats++) {
        struct loop *own = loop;
        if (repeats == 1) {
            loop_free(&loop);
            own = loop = loop_new();
        }
        timer = loop_timer_new(own, 0, repeats == 1, free_itself, &timer);
        loop_run(own);
        assert_null(timer);
    }
    assert_int_equal(calls, 2);
}

static void compare_times(void *context)
{
    (void)context;
    seen_ms = loop_now_ms(loop);
    while (clock_monotonic_ms() == seen_ms) {
        /* until the real time has moved on */
    }
    assert_int_equal(loop_now_ms(loop), seen_ms);
    loop_stop(loop);
}

static void test_time_stands_still_within_a_turn_and_is_never_behind_at_its_start(void **state)
{
    uint64_t before = clock_monotonic_ms();
    (void)state;
    timer = loop_timer_new(loop, 30, false, compare_times, NULL);
    loop_run(loop);
    assert_true(seen_ms >= before + 29);
}

static void raise_once(void *context)
{
    (void)context;
    raise(SIGUSR1);
}

static void test_a_signal_comes_on_the_loops_thread(void **state)
{
    (void)state;
    caught = loop_signal_new(loop, SIGUSR1, stop, NULL);
    assert_non_null(caught);
    timer = loop_timer_new(loop, 1, false, raise_once, NULL);
    loop_run(loop);
    assert_int_equal(calls, 1);
    loop_signal_free(&caught);
    loop_signal_free(&caught);
}

struct thing {
    struct loop_retired retired;
    struct thing *inner; /* retired when this is freed */
    unsigned ends;       /* of turns, when it was freed */
};

static void note_end(struct loop_retired *retired)
{
    struct thing *thing = (struct thing *)(void *)retired;
    calls++;
    thing->ends = turn_ends;
    if (thing->inner != NULL) {
        loop_retire(loop, &thing->inner->retired, note_end);
    }
}

static void retire_within(void *context)
{
    struct thing *thing = context;
    loop_retire(loop, &thing->retired, note_end);
    assert_int_equal(calls, 0);
}

static void test_what_is_retired_is_freed_after_the_end_of_the_turn(void **state)
{
    struct thing inner = {.ends = 0};
    struct thing outer = {.inner = &inner};
    (void)state;
    loop_on_turn_end(loop, count_turn_end, &turn_ends);
    timer = loop_timer_new(loop, 0, false, retire_within, &outer);
    while (calls == 0) {
        turn_ends = 0;
        assert_true(loop_turn(loop, true));
    }
    assert_int_equal(calls, 2);
    assert_int_equal(outer.ends, 1);
    assert_int_equal(inner.ends, 1);
    assert_true(loop_turn(loop, false));
    assert_int_equal(calls, 2);
}

static void test_what_is_retired_is_freed_with_the_loop(void **state)
{
    struct thing inner = {.ends = 0};
    struct thing outer = {.inner = &inner};
    (void)state;
    loop_retire(loop, &outer.retired, note_end);
    loop_free(&loop);
    assert_int_equal(calls, 2);
}

static void let_go(void *context)
{
    (void)context;
    calls++;
    loop_timer_free(&timer);
    loop_let_go(loop);
}

static void test_a_loop_that_is_held_runs_until_it_is_let_go(void **state)
{
    (void)state;
    loop_hold(loop);
    timer = loop_timer_new(loop, 0, false, let_go, NULL);
    loop_free(&loop);
    assert_int_equal(calls, 1);
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_a_turn_that_stops_the_loop_has_its_end_too),
        LOOP_TEST(test_a_repeating_timer_fires_once_a_turn),
        LOOP_TEST(test_a_cancelled_timer_does_not_fire),
        LOOP_TEST(test_a_timer_may_cancel_itself),
        LOOP_TEST(test_time_stands_still_within_a_turn_and_is_never_behind_at_its_start),
        LOOP_TEST(test_what_is_retired_is_freed_after_the_end_of_the_turn),
        LOOP_TEST(test_what_is_retired_is_freed_with_the_loop),
        LOOP_TEST(test_a_loop_that_is_held_runs_until_it_is_let_go),
        LOOP_TEST(test_a_signal_comes_on_the_loops_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
