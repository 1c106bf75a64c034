/* Requests that wait: for a slot of servers that have max_connections, and for names that have not
 * been resolved. Both sides of the queue's size and of its time. */
#include "dial_fixture.h"

static void (*on_told)(struct outcome *outcome);

static void told(void *context, enum dial_result result, struct backend *backend,
                 const struct dial_report *report)
{
    dialled(context, result, backend, report);
    if (on_told != NULL) {
        on_told(context);
    }
}

/* `servers` servers with one slot each. */
static void prepare_slots(size_t servers)
{
    prepare(servers);
    for (size_t i = 0; i < servers; i++) {
        fx.settings.servers[i].max_connections = 1;
    }
}

static unsigned waiting(void)
{
    return atomic_load(&fx.upstreams.group->waiting);
}

static void test_as_many_wait_as_the_queue_holds(void **state)
{
    struct outcome outcomes[3];
    (void)state;
    prepare_slots(1);
    start(1);
    struct backend *first = connect_one(NULL);
    struct dial *second = dial_for(&outcomes[0], NULL);
    struct dial *third = dial_for(&outcomes[1], NULL);
    assert_int_equal(waiting(), 2);
    dial_through(&outcomes[2], NULL);
    assert_int_equal(outcomes[2].result, DIAL_BUSY);
    assert_int_equal(outcomes[0].calls + outcomes[1].calls, 0);
    assert_int_equal(upstream_worker_busy(fx.worker), 3);
    dial_cancel(&second);
    assert_int_equal(waiting(), 1);
    dial_cancel(&third);
    assert_int_equal(waiting(), 0);
    backend_close(&first);
}

static void test_nobody_waits_without_a_queue(void **state)
{
    struct outcome outcome;
    (void)state;
    prepare_slots(1);
    fx.settings.config.queue.size = 0;
    start(1);
    struct backend *first = connect_one(NULL);
    dial_through(&outcome, NULL);
    assert_int_equal(outcome.result, DIAL_BUSY);
    backend_close(&first);
}

static void test_a_slot_goes_to_the_one_who_has_waited_longest(void **state)
{
    struct outcome outcomes[2];
    (void)state;
    prepare_slots(1);
    start(1);
    struct backend *first = connect_one(NULL);
    dial_for(&outcomes[0], NULL);
    dial_for(&outcomes[1], NULL);
    backend_close(&first);
    assert_int_equal(outcomes[0].calls, 0); /* never from within */
    TURN_UNTIL(outcomes[0].calls > 0);
    assert_int_equal(outcomes[0].result, DIAL_OK);
    assert_int_equal(outcomes[1].calls, 0);
    assert_int_equal(active(0), 1);
    backend_close(&outcomes[0].backend);
    TURN_UNTIL(outcomes[1].calls > 0);
    assert_int_equal(outcomes[1].result, DIAL_OK);
    backend_close(&outcomes[1].backend);
}

static void test_a_connection_that_is_kept_serves_the_one_who_waits(void **state)
{
    struct outcome outcome;
    (void)state;
    prepare_slots(1);
    start(1);
    struct backend *first = connect_one(NULL);
    const struct backend *same = first;
    dial_for(&outcome, NULL);
    backend_keep(&first);
    TURN_UNTIL(outcome.calls > 0);
    assert_ptr_equal(outcome.backend, same);
    assert_int_equal(outcome.backend->served, 1);
    backend_close(&outcome.backend);
}

static void test_a_slot_that_another_worker_gives_back_wakes(void **state)
{
    struct outcome outcome;
    (void)state;
    prepare_slots(1);
    start(1);
    assert_true(server_lease(fx.servers[0])); /* the other worker's */
    dial_for(&outcome, NULL);
    some_turns();
    assert_int_equal(outcome.calls, 0);
    server_unlease(fx.servers[0]);
    group_wake(fx.upstreams.group);
    TURN_UNTIL(outcome.calls > 0);
    assert_int_equal(outcome.result, DIAL_OK);
    backend_close(&outcome.backend);
}

static void test_whoever_waits_too_long_is_told_so(void **state)
{
    struct outcome outcome;
    (void)state;
    prepare_slots(1);
    start(1);
    struct backend *first = connect_one(NULL);
    dial_for(&outcome, NULL);
    loop_skip_ms(fx.loop, QUEUE_TIMEOUT_MS - LATE_MS - 3 * WHEEL_TICK_MS);
    some_turns();
    assert_int_equal(outcome.calls, 0);
    loop_skip_ms(fx.loop, 2 * LATE_MS);
    TURN_UNTIL(outcome.calls > 0);
    assert_int_equal(outcome.result, DIAL_BUSY);
    assert_int_equal(waiting(), 0);
    backend_close(&first);
}

static void test_a_new_server_serves_those_who_wait(void **state)
{
    struct outcome outcome;
    (void)state;
    prepare_slots(2);
    start(1);
    struct backend *first = connect_one(NULL);
    dial_for(&outcome, NULL);
    publish(2, false);
    TURN_UNTIL(outcome.calls > 0);
    assert_ptr_equal(outcome.backend->server, fx.servers[1]);
    backend_close(&first);
    backend_close(&outcome.backend);
}

static void eject(size_t index, uint64_t ms)
{
    atomic_store(&fx.servers[index]->ejected_until_ms, loop_now_ms(fx.loop) + ms);
}

static void test_a_server_whose_ejection_ends_serves_those_who_wait(void **state)
{
    struct outcome outcomes[2];
    (void)state;
    prepare_slots(3);
    start(3);
    eject(1, 2 * LATE_MS);
    eject(2, 5 * LATE_MS);
    struct backend *first = connect_one(NULL);
    assert_ptr_equal(first->server, fx.servers[0]);
    dial_for(&outcomes[0], NULL);
    dial_for(&outcomes[1], NULL);
    some_turns();
    assert_int_equal(outcomes[0].calls, 0);
    loop_skip_ms(fx.loop, 2 * LATE_MS);
    TURN_UNTIL(outcomes[0].calls > 0);
    assert_ptr_equal(outcomes[0].backend->server, fx.servers[1]);
    assert_int_equal(outcomes[1].calls, 0);
    loop_skip_ms(fx.loop, 3 * LATE_MS);
    TURN_UNTIL(outcomes[1].calls > 0);
    assert_ptr_equal(outcomes[1].backend->server, fx.servers[2]);
    backend_close(&first);
    backend_close(&outcomes[0].backend);
    backend_close(&outcomes[1].backend);
}

static void test_an_ejection_that_ends_when_nobody_waits_any_more_wakes_nobody(void **state)
{
    struct outcome outcome;
    (void)state;
    prepare_slots(2);
    start(2);
    eject(1, 2 * LATE_MS);
    struct backend *first = connect_one(NULL);
    struct dial *dial = dial_for(&outcome, NULL);
    dial_cancel(&dial);
    loop_skip_ms(fx.loop, 2 * LATE_MS);
    some_turns();
    assert_int_equal(outcome.calls, 0);
    assert_int_equal(active(1), 0);
    backend_close(&first);
}

static void test_who_waits_hears_at_once_that_no_server_is_left(void **state)
{
    struct outcome outcome;
    (void)state;
    prepare_slots(1);
    start(1);
    struct backend *first = connect_one(NULL);
    dial_for(&outcome, NULL);
    server_set_healthy(fx.servers[0], false, loop_now_ms(fx.loop));
    group_wake(fx.upstreams.group);
    TURN_UNTIL(outcome.calls > 0);
    assert_int_equal(outcome.result, DIAL_NO_SERVER);
    backend_close(&first);
}

static void test_names_that_are_not_known_yet_are_waited_for(void **state)
{
    struct outcome outcome;
    (void)state;
    prepare(1);
    start(1);
    publish(0, true);
    dial_for(&outcome, NULL);
    assert_int_equal(waiting(), 1);
    some_turns();
    assert_int_equal(outcome.calls, 0);
    publish(1, false);
    TURN_UNTIL(outcome.calls > 0);
    assert_int_equal(outcome.result, DIAL_OK);
    backend_close(&outcome.backend);
}

static void test_names_that_stay_unknown_are_no_server(void **state)
{
    struct outcome outcomes[2];
    (void)state;
    prepare(1);
    start(1);
    publish(0, true);
    dial_for(&outcomes[0], NULL);
    dial_for(&outcomes[1], NULL);
    loop_skip_ms(fx.loop, QUEUE_TIMEOUT_MS + LATE_MS);
    TURN_UNTIL(outcomes[0].calls > 0 && outcomes[1].calls > 0);
    assert_int_equal(outcomes[0].result, DIAL_NO_SERVER);
    dial_for(&outcomes[0], NULL);
    publish(0, false); /* the last name has been asked for, in vain */
    TURN_UNTIL(outcomes[0].calls > 0);
    assert_int_equal(outcomes[0].result, DIAL_NO_SERVER);
}

static void test_a_client_waits_for_its_own_server_while_others_pass(void **state)
{
    struct outcome outcomes[2];
    (void)state;
    prepare_slots(2);
    start(2);
    struct dial_wish wish = {.server_id = fx.servers[0]->id};
    struct backend *first = connect_one(&wish);
    dial_for(&outcomes[0], &wish);
    some_turns();
    assert_int_equal(outcomes[0].calls, 0); /* the other server does not know it */
    dial_through(&outcomes[1], NULL);
    assert_ptr_equal(outcomes[1].backend->server, fx.servers[1]);
    backend_close(&first);
    TURN_UNTIL(outcomes[0].calls > 0);
    assert_ptr_equal(outcomes[0].backend->server, fx.servers[0]);
    backend_close(&outcomes[0].backend);
    backend_close(&outcomes[1].backend);
}

/* Who sticks to a server is not held up by somebody before it for whom there is no slot. */
static void test_a_slot_of_a_draining_server_goes_to_whom_it_serves(void **state)
{
    struct outcome outcomes[2];
    (void)state;
    prepare_slots(2);
    start(2);
    struct dial_wish wish = {.server_id = fx.servers[0]->id};
    struct backend *own = connect_one(&wish);
    struct backend *other = connect_one(NULL);
    server_set_state(fx.servers[0], CONFIG_SERVER_DRAINING, loop_now_ms(fx.loop));
    dial_for(&outcomes[0], NULL);
    dial_for(&outcomes[1], &wish);
    backend_close(&own);
    TURN_UNTIL(outcomes[1].calls > 0);
    assert_ptr_equal(outcomes[1].backend->server, fx.servers[0]);
    assert_int_equal(outcomes[0].calls, 0);
    backend_close(&other);
    TURN_UNTIL(outcomes[0].calls > 0);
    backend_close(&outcomes[0].backend);
    backend_close(&outcomes[1].backend);
}

static void test_a_client_whose_server_goes_while_it_waits_gets_another(void **state)
{
    struct outcome outcome;
    (void)state;
    prepare_slots(2);
    start(2);
    struct dial_wish wish = {.server_id = fx.servers[0]->id};
    struct backend *first = connect_one(&wish);
    dial_for(&outcome, &wish);
    server_set_state(fx.servers[0], CONFIG_SERVER_DOWN, loop_now_ms(fx.loop));
    group_wake(fx.upstreams.group);
    TURN_UNTIL(outcome.calls > 0);
    assert_ptr_equal(outcome.backend->server, fx.servers[1]);
    backend_close(&first);
    backend_close(&outcome.backend);
}

static void test_whoever_waits_and_is_then_refused_tries_the_next(void **state)
{
    struct outcome outcome;
    (void)state;
    prepare_slots(2);
    start(2);
    struct dial_wish wish = {.server_id = fx.servers[0]->id};
    struct backend *first = connect_one(&wish);
    struct backend *second = connect_one(NULL);
    dial_for(&outcome, &wish);
    stop_listening(0);
    backend_close(&first);
    some_turns(); /* refused by the one, and the other is busy: it waits again */
    assert_int_equal(outcome.calls, 0);
    assert_int_equal(waiting(), 1);
    backend_close(&second);
    TURN_UNTIL(outcome.calls > 0);
    assert_ptr_equal(outcome.backend->server, fx.servers[1]);
    backend_close(&outcome.backend);
}

static struct dial *to_cancel;

static void cancel_the_other(struct outcome *outcome)
{
    (void)outcome;
    dial_cancel(&to_cancel);
}

static void test_the_end_of_one_may_cancel_the_next(void **state)
{
    static const struct dial_wish any = {.fresh = false};
    struct outcome outcomes[2] = {{0}, {0}};
    (void)state;
    prepare(1);
    start(0);
    on_told = cancel_the_other;
    assert_non_null(dial_start(fx.upstream, &any, told, &outcomes[0]));
    to_cancel = dial_start(fx.upstream, &any, told, &outcomes[1]);
    TURN_UNTIL(outcomes[0].calls > 0);
    some_turns();
    on_told = NULL;
    assert_int_equal(outcomes[1].calls, 0);
}

static void test_the_end_of_the_worker_part_ends_the_queue(void **state)
{
    struct outcome outcomes[2];
    (void)state;
    prepare_slots(1);
    start(1);
    struct backend *first = connect_one(NULL);
    assert_non_null(first);
    dial_for(&outcomes[0], NULL);
    dial_for(&outcomes[1], NULL);
    upstream_worker_free(&fx.worker);
    assert_int_equal(waiting(), 0);
    assert_int_equal(outcomes[0].calls + outcomes[1].calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_as_many_wait_as_the_queue_holds, finish),
        cmocka_unit_test_teardown(test_nobody_waits_without_a_queue, finish),
        cmocka_unit_test_teardown(test_a_slot_goes_to_the_one_who_has_waited_longest, finish),
        cmocka_unit_test_teardown(test_a_connection_that_is_kept_serves_the_one_who_waits, finish),
        cmocka_unit_test_teardown(test_a_slot_that_another_worker_gives_back_wakes, finish),
        cmocka_unit_test_teardown(test_whoever_waits_too_long_is_told_so, finish),
        cmocka_unit_test_teardown(test_a_new_server_serves_those_who_wait, finish),
        cmocka_unit_test_teardown(test_a_server_whose_ejection_ends_serves_those_who_wait, finish),
        cmocka_unit_test_teardown(
            test_an_ejection_that_ends_when_nobody_waits_any_more_wakes_nobody, finish),
        cmocka_unit_test_teardown(test_who_waits_hears_at_once_that_no_server_is_left, finish),
        cmocka_unit_test_teardown(test_names_that_are_not_known_yet_are_waited_for, finish),
        cmocka_unit_test_teardown(test_names_that_stay_unknown_are_no_server, finish),
        cmocka_unit_test_teardown(test_a_client_waits_for_its_own_server_while_others_pass, finish),
        cmocka_unit_test_teardown(test_a_slot_of_a_draining_server_goes_to_whom_it_serves, finish),
        cmocka_unit_test_teardown(test_a_client_whose_server_goes_while_it_waits_gets_another,
                                  finish),
        cmocka_unit_test_teardown(test_whoever_waits_and_is_then_refused_tries_the_next, finish),
        cmocka_unit_test_teardown(test_the_end_of_one_may_cancel_the_next, finish),
        cmocka_unit_test_teardown(test_the_end_of_the_worker_part_ends_the_queue, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
