/* Connections between two requests: which is used again, how many are kept and for how long, and
 * that one whose server has gone is noticed. */
#include "dial_fixture.h"

/* Connects `count` at once, then gives them all back in order; their servers' ends are in `fds`. */
static void keep_some(size_t count, struct backend *kept[], int fds[])
{
    for (size_t i = 0; i < count; i++) {
        kept[i] = connect_one(NULL);
        fds[i] = accept_at(0);
        assert_true(fds[i] >= 0);
    }
    for (size_t i = 0; i < count; i++) {
        struct backend *backend = kept[i];
        backend_keep(&backend);
        assert_null(backend);
    }
}

static struct backend *keep_one(int *fd)
{
    struct backend *kept[1];
    keep_some(1, kept, fd);
    return kept[0];
}

static void test_the_one_that_was_used_last_is_used_again(void **state)
{
    struct backend *kept[2];
    int fds[2];
    char bytes[8];
    struct iovec hello = {(char[]){"hello"}, 5};
    (void)state;
    prepare(1);
    start(1);
    keep_some(2, kept, fds);
    assert_int_equal(active(0), 0); /* idle ones are no load */
    assert_int_equal(upstream_worker_busy(fx.worker), 0);
    assert_int_equal(fx.upstream->idle_count, 2);
    struct backend *again = connect_one(NULL);
    assert_ptr_equal(again, kept[1]);
    assert_int_equal(again->served, 1);
    assert_int_equal(active(0), 1);
    assert_int_equal(upstream_worker_busy(fx.worker), 1);
    assert_int_equal(stream_write(&again->stream, &hello, 1), WEIR_OK);
    assert_int_equal(recv(fds[1], bytes, sizeof bytes, 0), 5);
    backend_keep(&again);
    again = connect_one(NULL);
    assert_ptr_equal(again, kept[1]);
    assert_int_equal(again->served, 2);
    assert_int_equal(accept_at(0), -1);
    backend_close(&again);
    close(fds[0]);
    close(fds[1]);
}

static void test_a_fresh_one_is_made_where_that_is_wished(void **state)
{
    static const struct dial_wish fresh = {.fresh = true};
    int fd;
    (void)state;
    prepare(1);
    start(1);
    const struct backend *kept = keep_one(&fd);
    struct backend *another = connect_one(&fresh);
    assert_ptr_not_equal(another, kept);
    assert_int_equal(another->served, 0);
    assert_int_equal(fx.upstream->idle_count, 1);
    backend_close(&another);
    close(fd);
}

static void test_each_server_has_a_pool_of_its_own(void **state)
{
    (void)state;
    prepare(2);
    start(2);
    struct dial_wish wish = {.server_id = fx.servers[0]->id};
    struct backend *first = connect_one(&wish);
    backend_keep(&first);
    wish.server_id = fx.servers[1]->id;
    struct backend *other = connect_one(&wish);
    assert_int_equal(other->served, 0);
    assert_ptr_equal(other->server, fx.servers[1]);
    backend_close(&other);
}

static void test_no_more_are_kept_than_is_allowed(void **state)
{
    struct backend *kept[3];
    int fds[3];
    (void)state;
    prepare(1);
    start(1);
    keep_some(3, kept, fds);
    assert_int_equal(fx.upstream->idle_count, 2);
    assert_false(is_cut(fds[0]));
    assert_false(is_cut(fds[1]));
    assert_true(is_cut(fds[2]));
    for (size_t i = 0; i < 3; i++) {
        close(fds[i]);
    }
}

static void test_none_is_kept_where_that_is_not_wished(void **state)
{
    int fd;
    (void)state;
    prepare(1);
    fx.settings.config.keep_alive.max_idle = 0;
    start(1);
    keep_one(&fd);
    assert_int_equal(fx.upstream->idle_count, 0);
    assert_true(is_cut(fd));
    assert_int_equal(active(0), 0);
    close(fd);
}

static void test_a_connection_ends_with_its_last_request(void **state)
{
    int fd;
    (void)state;
    prepare(1);
    fx.settings.config.keep_alive.max_requests = 2;
    start(1);
    keep_one(&fd);
    assert_false(is_cut(fd));
    struct backend *again = connect_one(NULL);
    assert_int_equal(again->served, 1);
    backend_keep(&again);
    assert_int_equal(fx.upstream->idle_count, 0);
    assert_true(is_cut(fd));
    close(fd);
}

static void test_idle_ones_are_closed_in_time(void **state)
{
    int fd;
    (void)state;
    prepare(1);
    start(1);
    keep_one(&fd);
    loop_skip_ms(fx.loop, IDLE_TIMEOUT_MS - LATE_MS - 3 * WHEEL_TICK_MS);
    some_turns();
    assert_false(is_cut(fd));
    loop_skip_ms(fx.loop, 2 * LATE_MS);
    TURN_UNTIL(is_cut(fd));
    assert_int_equal(fx.upstream->idle_count, 0);
    close(fd);
}

static void test_the_time_of_an_idle_one_ends_with_its_use(void **state)
{
    int fd;
    (void)state;
    prepare(1);
    start(1);
    keep_one(&fd);
    struct backend *again = connect_one(NULL);
    loop_skip_ms(fx.loop, 2 * IDLE_TIMEOUT_MS);
    some_turns();
    assert_false(is_cut(fd));
    backend_close(&again);
    close(fd);
}

static void test_one_that_its_server_has_closed_is_noticed_at_once(void **state)
{
    int fd;
    (void)state;
    prepare(1);
    start(1);
    keep_one(&fd);
    close(fd);
    TURN_UNTIL(fx.upstream->idle_count == 0);
    struct backend *fresh = connect_one(NULL);
    assert_int_equal(fresh->served, 0);
    backend_close(&fresh);
}

static void test_one_that_was_closed_since_the_last_turn_is_not_given(void **state)
{
    struct backend *kept[2];
    int fds[2];
    (void)state;
    prepare(1);
    start(1);
    keep_some(2, kept, fds);
    close(fds[1]);
    struct backend *other = connect_one(NULL); /* without a turn in between */
    assert_ptr_equal(other, kept[0]);
    close(fds[0]);
    backend_close(&other);
}

static void test_one_that_is_closed_before_its_new_owner_has_it_is_replaced(void **state)
{
    struct outcome outcome;
    int fd;
    (void)state;
    prepare(1);
    start(1);
    const struct backend *kept = keep_one(&fd);
    dial_for(&outcome, NULL);
    assert_int_equal(fx.upstream->idle_count, 0); /* it has been taken */
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    TURN_UNTIL(outcome.calls > 0);
    assert_int_equal(outcome.result, DIAL_OK);
    /* Which of the two events the loop handles first is its own affair. */
    assert_true(outcome.backend == kept || outcome.backend->served == 0);
    assert_int_equal(active(0), 1);
    backend_close(&outcome.backend);
}

static void test_bytes_that_nobody_has_asked_for_end_a_connection(void **state)
{
    int fd;
    (void)state;
    prepare(1);
    start(1);
    keep_one(&fd);
    assert_int_equal(send(fd, "HTTP/1.1 408 \r\n\r\n", 17, 0), 17);
    TURN_UNTIL(fx.upstream->idle_count == 0);
    assert_true(is_cut(fd));
    close(fd);
}

static void test_a_connection_that_still_has_bytes_is_not_given_to_another(void **state)
{
    int fd;
    (void)state;
    prepare(1);
    start(1);
    struct backend *backend = connect_one(NULL);
    fd = accept_at(0);
    assert_int_equal(send(fd, "x", 1, 0), 1);
    backend_keep(&backend);
    struct backend *other = connect_one(NULL);
    assert_int_equal(other->served, 0);
    backend_close(&other);
    close(fd);
}

static void test_what_leads_to_a_server_that_has_gone_is_closed(void **state)
{
    int fd;
    (void)state;
    prepare(2);
    start(1);
    keep_one(&fd);
    group_publish(fx.upstreams.group, roster_new(&fx.servers[1], 1, false));
    loop_skip_ms(fx.loop, 1000 + LATE_MS);
    TURN_UNTIL(is_cut(fd)); /* though no request comes */
    close(fd);
    assert_int_equal(fx.upstream->idle_count, 0);
}

static void close_when(void (*change)(struct upstream_server *server, uint64_t now_ms))
{
    int fd;
    prepare(1);
    start(1);
    keep_one(&fd);
    loop_skip_ms(fx.loop, 1000 + LATE_MS);
    some_turns();
    assert_false(is_cut(fd));
    change(fx.servers[0], loop_now_ms(fx.loop));
    loop_skip_ms(fx.loop, 1000 + LATE_MS);
    TURN_UNTIL(is_cut(fd));
    close(fd);
}

static void take_down(struct upstream_server *server, uint64_t now_ms)
{
    server_set_state(server, CONFIG_SERVER_DOWN, now_ms);
}

static void make_unhealthy(struct upstream_server *server, uint64_t now_ms)
{
    server_set_healthy(server, false, now_ms);
}

static void test_what_leads_to_a_server_that_is_down_is_closed(void **state)
{
    (void)state;
    close_when(take_down);
}

static void test_what_leads_to_an_unhealthy_server_is_closed(void **state)
{
    (void)state;
    close_when(make_unhealthy);
}

static void test_a_connection_to_a_server_that_has_gone_is_not_kept(void **state)
{
    (void)state;
    prepare(2);
    start(1);
    struct backend *backend = connect_one(NULL);
    group_publish(fx.upstreams.group, roster_new(&fx.servers[1], 1, false));
    backend_keep(&backend);
    assert_int_equal(fx.upstream->idle_count, 0);
    assert_int_equal(active(0), 0);
}

struct owner {
    unsigned readable;
    unsigned gone;
    unsigned timeouts;
};

static void owner_ready(struct backend *backend, bool readable, bool writable)
{
    struct owner *owner = backend->owner;
    owner->readable += readable;
    owner->gone += !readable && !writable;
}

static void owner_timed_out(struct backend *backend)
{
    struct owner *owner = backend->owner;
    owner->timeouts++;
}

static const struct backend_ops owner_ops = {.ready = owner_ready, .timed_out = owner_timed_out};

static void test_the_owner_hears_of_input_once_it_reads_and_of_its_timeout(void **state)
{
    struct owner owner = {0};
    (void)state;
    prepare(1);
    start(1);
    struct backend *backend = connect_one(NULL);
    int fd = accept_at(0);
    backend_own(backend, &owner_ops, &owner);
    assert_int_equal(send(fd, "x", 1, 0), 1);
    some_turns();
    assert_int_equal(owner.readable, 0);
    stream_set_reading(&backend->stream, true);
    TURN_UNTIL(owner.readable > 0);
    stream_set_reading(&backend->stream, false);
    backend_set_timeout(backend, 1000);
    backend_set_timeout(backend, 3000); /* moves it */
    loop_skip_ms(fx.loop, 1000 + LATE_MS);
    some_turns();
    assert_int_equal(owner.timeouts, 0);
    loop_skip_ms(fx.loop, 2000);
    TURN_UNTIL(owner.timeouts > 0);
    backend_set_timeout(backend, 1000);
    backend_set_timeout(backend, 0); /* never */
    loop_skip_ms(fx.loop, 1000 + LATE_MS);
    some_turns();
    assert_int_equal(owner.timeouts, 1);
    backend_close(&backend);
    close(fd);
}

static void test_what_requests_find_out_counts_for_the_server(void **state)
{
    (void)state;
    prepare(1);
    start(1);
    struct backend *backend = connect_one(NULL);
    backend_failed(backend);
    backend_failed(backend);
    assert_int_equal(atomic_load(&fx.servers[0]->failures), 2);
    backend_succeeded(backend);
    assert_int_equal(atomic_load(&fx.servers[0]->failures), 0);
    backend_close(&backend);
    backend_close(&backend); /* nothing is left to close */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_the_one_that_was_used_last_is_used_again, finish),
        cmocka_unit_test_teardown(test_a_fresh_one_is_made_where_that_is_wished, finish),
        cmocka_unit_test_teardown(test_each_server_has_a_pool_of_its_own, finish),
        cmocka_unit_test_teardown(test_no_more_are_kept_than_is_allowed, finish),
        cmocka_unit_test_teardown(test_none_is_kept_where_that_is_not_wished, finish),
        cmocka_unit_test_teardown(test_a_connection_ends_with_its_last_request, finish),
        cmocka_unit_test_teardown(test_idle_ones_are_closed_in_time, finish),
        cmocka_unit_test_teardown(test_the_time_of_an_idle_one_ends_with_its_use, finish),
        cmocka_unit_test_teardown(test_one_that_its_server_has_closed_is_noticed_at_once, finish),
        cmocka_unit_test_teardown(test_one_that_was_closed_since_the_last_turn_is_not_given,
                                  finish),
        cmocka_unit_test_teardown(test_one_that_is_closed_before_its_new_owner_has_it_is_replaced,
                                  finish),
        cmocka_unit_test_teardown(test_bytes_that_nobody_has_asked_for_end_a_connection, finish),
        cmocka_unit_test_teardown(test_a_connection_that_still_has_bytes_is_not_given_to_another,
                                  finish),
        cmocka_unit_test_teardown(test_what_leads_to_a_server_that_has_gone_is_closed, finish),
        cmocka_unit_test_teardown(test_what_leads_to_a_server_that_is_down_is_closed, finish),
        cmocka_unit_test_teardown(test_what_leads_to_an_unhealthy_server_is_closed, finish),
        cmocka_unit_test_teardown(test_a_connection_to_a_server_that_has_gone_is_not_kept, finish),
        cmocka_unit_test_teardown(test_the_owner_hears_of_input_once_it_reads_and_of_its_timeout,
                                  finish),
        cmocka_unit_test_teardown(test_what_requests_find_out_counts_for_the_server, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
