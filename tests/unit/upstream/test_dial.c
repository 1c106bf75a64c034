/* Dials that connect or fail: which server, in which order, with which result; and that nothing is
 * told from within, after a cancel, or twice. */
#include <sys/resource.h>

#include "dial_fixture.h"

static struct dial_wish to_server(size_t index)
{
    return (struct dial_wish){.server_id = fx.servers[index]->id};
}

static void test_a_dial_gives_a_connection_with_a_lease(void **state)
{
    char bytes[8];
    struct iovec hello = {(char[]){"hello"}, 5};
    (void)state;
    prepare(1);
    start(1);
    struct backend *backend = connect_one(NULL);
    int fd = accept_at(0);
    assert_int_equal(stream_write(&backend->stream, &hello, 1), WEIR_OK);
    assert_int_equal(recv(fd, bytes, sizeof bytes, 0), 5);
    assert_int_equal(active(0), 1);
    assert_int_equal(backend->served, 0);
    assert_ptr_equal(backend->server, fx.servers[0]);
    assert_int_equal(upstream_worker_busy(fx.worker), 1);
    backend_close(&backend);
    assert_null(backend);
    assert_int_equal(active(0), 0);
    assert_int_equal(upstream_worker_busy(fx.worker), 0);
    assert_true(is_cut(fd));
    close(fd);
}

static void test_a_server_that_refuses_is_followed_by_the_next(void **state)
{
    (void)state;
    prepare(2);
    start(2);
    stop_listening(0);
    struct outcome outcome;
    struct dial_wish wish = to_server(0);
    dial_through(&outcome, &wish);
    assert_int_equal(outcome.result, DIAL_OK);
    assert_ptr_equal(outcome.backend->server, fx.servers[1]);
    assert_int_equal(outcome.tries, 2);
    assert_string_equal(outcome.server, fx.servers[1]->text);
    assert_int_equal(atomic_load(&fx.servers[0]->errors), 1);
    assert_int_equal(atomic_load(&fx.servers[1]->errors), 0);
    assert_int_equal(active(0), 0);
    backend_close(&outcome.backend);
}

static void test_no_more_servers_are_tried_than_is_allowed(void **state)
{
    struct outcome outcome;
    (void)state;
    prepare(3);
    start(3);
    stop_listening(0);
    stop_listening(1);
    fx.settings.servers[2].backup = true; /* the one that listens comes last */
    fx.settings.config.tries = 2;
    dial_through(&outcome, NULL);
    assert_int_equal(outcome.result, DIAL_REFUSED);
    fx.settings.config.tries = 3;
    struct backend *backend = connect_one(NULL);
    assert_ptr_equal(backend->server, fx.servers[2]);
    backend_close(&backend);
}

static void test_each_server_is_tried_once(void **state)
{
    struct outcome outcome;
    (void)state;
    prepare(2);
    fx.settings.config.tries = 10;
    start(2);
    stop_listening(0);
    stop_listening(1);
    struct dial_wish wish = to_server(0);
    dial_through(&outcome, &wish);
    assert_int_equal(outcome.result, DIAL_REFUSED);
    assert_int_equal(outcome.tries, 2);
    assert_string_equal(outcome.server, fx.servers[1]->text);
    assert_int_equal(atomic_load(&fx.servers[0]->errors), 1);
    assert_int_equal(atomic_load(&fx.servers[1]->errors), 1);
    assert_non_null(strstr(outcome.why, "127.0.0.1:"));
    assert_non_null(strstr(outcome.why, "refused"));
    assert_int_equal(upstream_worker_busy(fx.worker), 0);
}

/* Fills the backlog of server `index`, so that the kernel answers nobody else. */
static void fill_backlog(size_t index, int fds[4])
{
    assert_int_equal(listen(fx.listeners[index], 0), 0);
    for (size_t i = 0; i < 4; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int err = connect(fds[i], (struct sockaddr *)(void *)&fx.servers[index]->address,
                          fx.servers[index]->address_size);
        assert_true(err == 0 || errno == EINPROGRESS);
    }
}

static void close_four(int fds[4])
{
    for (size_t i = 0; i < 4; i++) {
        close(fds[i]);
    }
}

static void test_a_server_that_does_not_answer_in_time_is_a_timeout(void **state)
{
    struct outcome outcome;
    int fds[4];
    (void)state;
    prepare(1);
    start(1);
    fill_backlog(0, fds);
    dial_for(&outcome, NULL);
    loop_skip_ms(fx.loop, CONNECT_TIMEOUT_MS - LATE_MS - 3 * WHEEL_TICK_MS);
    some_turns();
    assert_int_equal(outcome.calls, 0);
    loop_skip_ms(fx.loop, 2 * LATE_MS);
    TURN_UNTIL(outcome.calls > 0);
    assert_int_equal(outcome.result, DIAL_TIMEOUT);
    assert_non_null(strstr(outcome.why, "3000 ms"));
    assert_int_equal(atomic_load(&fx.servers[0]->errors), 1);
    close_four(fds);
}

static void test_a_server_that_does_not_answer_in_time_is_followed_by_the_next(void **state)
{
    struct outcome outcome;
    int fds[4];
    (void)state;
    prepare(2);
    start(2);
    fill_backlog(0, fds);
    struct dial_wish wish = to_server(0);
    dial_for(&outcome, &wish);
    loop_skip_ms(fx.loop, CONNECT_TIMEOUT_MS + LATE_MS);
    TURN_UNTIL(outcome.calls > 0);
    assert_int_equal(outcome.result, DIAL_OK);
    assert_ptr_equal(outcome.backend->server, fx.servers[1]);
    /* The time of the dial is over, and not the owner's to bear. */
    loop_skip_ms(fx.loop, CONNECT_TIMEOUT_MS + LATE_MS);
    some_turns();
    assert_true(stream_is_open(&outcome.backend->stream));
    backend_close(&outcome.backend);
    close_four(fds);
}

static void test_the_result_is_that_of_the_last_server(void **state)
{
    struct outcome outcome;
    int fds[4];
    (void)state;
    prepare(2);
    start(2);
    fill_backlog(0, fds);
    stop_listening(1);
    struct dial_wish wish = to_server(0);
    dial_for(&outcome, &wish);
    loop_skip_ms(fx.loop, CONNECT_TIMEOUT_MS + LATE_MS);
    TURN_UNTIL(outcome.calls > 0);
    assert_int_equal(outcome.result, DIAL_REFUSED);
    close_four(fds);
}

static void test_a_client_goes_to_the_server_that_it_sticks_to(void **state)
{
    (void)state;
    prepare(3);
    start(3);
    for (size_t i = 0; i < 6; i++) {
        struct dial_wish wish = to_server(i % 3);
        struct backend *backend = connect_one(&wish);
        assert_ptr_equal(backend->server, fx.servers[i % 3]);
        backend_close(&backend);
    }
    server_set_state(fx.servers[1], CONFIG_SERVER_DRAINING, loop_now_ms(fx.loop));
    struct dial_wish wish = to_server(1);
    struct backend *backend = connect_one(&wish);
    assert_ptr_equal(backend->server, fx.servers[1]);
    backend_close(&backend);
}

static void test_a_client_whose_server_cannot_be_used_gets_another(void **state)
{
    (void)state;
    prepare(2);
    start(2);
    struct dial_wish wish = to_server(0);
    server_set_state(fx.servers[0], CONFIG_SERVER_DOWN, loop_now_ms(fx.loop));
    struct backend *backend = connect_one(&wish);
    assert_ptr_equal(backend->server, fx.servers[1]);
    backend_close(&backend);
    wish.server_id = 12345; /* gone, or never there */
    backend = connect_one(&wish);
    assert_ptr_equal(backend->server, fx.servers[1]);
    backend_close(&backend);
}

static void test_a_hash_key_is_kept_for_later_tries(void **state)
{
    char key[] = "203.0.113.7";
    struct outcome outcome;
    (void)state;
    prepare(4);
    fx.settings.config.balance = CONFIG_BALANCE_HASH;
    start(4);
    struct dial_wish wish = {.hash_key = span_of(key)};
    struct backend *backend = connect_one(&wish);
    const struct upstream_server *first = backend->server;
    backend_close(&backend);
    /* It belongs to the caller again as soon as dial_start has returned. */
    dial_for(&outcome, &wish);
    memset(key, 'x', sizeof key - 1);
    TURN_UNTIL(outcome.calls > 0);
    assert_ptr_equal(outcome.backend->server, first);
    backend_close(&outcome.backend);
}

static void test_without_a_server_that_is_up_there_is_none(void **state)
{
    struct outcome outcome;
    (void)state;
    prepare(2);
    start(2);
    server_set_state(fx.servers[0], CONFIG_SERVER_DOWN, loop_now_ms(fx.loop));
    server_set_healthy(fx.servers[1], false, loop_now_ms(fx.loop));
    dial_through(&outcome, NULL);
    assert_int_equal(outcome.result, DIAL_NO_SERVER);
    assert_int_equal(outcome.tries, 0);
    assert_string_equal(outcome.server, "");
    publish(0, false);
    dial_through(&outcome, NULL);
    assert_int_equal(outcome.result, DIAL_NO_SERVER);
}

static void test_an_ejected_server_is_asked_where_there_is_no_other(void **state)
{
    (void)state;
    prepare(1);
    start(1);
    for (size_t i = 0; i < 3; i++) {
        server_failed(fx.servers[0], loop_now_ms(fx.loop));
    }
    assert_true(server_is_ejected(fx.servers[0], loop_now_ms(fx.loop)));
    struct backend *backend = connect_one(NULL);
    backend_close(&backend);
}

static void test_a_unix_socket_is_dialled_too(void **state)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)state;
    prepare(0);
    snprintf(un.sun_path, sizeof un.sun_path, "/tmp/weir-dial-%ld.sock", (long)getpid());
    fx.listeners[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fx.listeners[0], (struct sockaddr *)(void *)&un, sizeof un), 0);
    assert_int_equal(listen(fx.listeners[0], 4), 0);
    fx.servers[0] = server_new(&fx.settings.config, &fx.settings.servers[0],
                               (struct sockaddr *)(void *)&un, sizeof un);
    start(1);
    struct backend *backend = connect_one(NULL);
    int fd = accept_at(0);
    assert_true(fd >= 0);
    backend_close(&backend);
    assert_true(is_cut(fd));
    close(fd);
    unlink(un.sun_path);
    struct outcome outcome;
    dial_through(&outcome, NULL);
    assert_int_equal(outcome.result, DIAL_REFUSED);
}

static void test_a_dial_that_is_cancelled_says_nothing(void **state)
{
    struct outcome outcome;
    struct dial *none = NULL;
    int fds[4];
    (void)state;
    prepare(1);
    start(1);
    dial_cancel(&none);
    struct dial *dial = dial_for(&outcome, NULL);
    dial_cancel(&dial); /* while it connects, or has just connected */
    assert_null(dial);
    assert_int_equal(active(0), 0);
    assert_int_equal(upstream_worker_busy(fx.worker), 0);
    fill_backlog(0, fds);
    dial = dial_for(&outcome, NULL);
    some_turns();
    dial_cancel(&dial);
    loop_skip_ms(fx.loop, CONNECT_TIMEOUT_MS + LATE_MS);
    some_turns();
    publish(0, false);
    dial = dial_for(&outcome, NULL);
    dial_cancel(&dial); /* its end was about to be told */
    some_turns();
    assert_int_equal(outcome.calls, 0);
    close_four(fds);
}

static void test_what_is_our_own_fault_is_not_blamed_on_the_server(void **state)
{
    struct rlimit before;
    struct rlimit none_left;
    struct outcome outcome;
    (void)state;
    prepare(2);
    start(2);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none_left = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none_left), 0);
    dial_through(&outcome, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(outcome.result, DIAL_NO_MEMORY);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(atomic_load(&fx.servers[i]->errors), 0);
        assert_int_equal(active(i), 0);
    }
}

static void told_in_turn(void *context, enum dial_result result, struct backend *backend,
                         const struct dial_report *report)
{
    struct outcome *outcome = context;
    struct outcome *other = &outcome[1];
    dialled(outcome, result, backend, report);
    /* A new dial from within, whose end is as near, is told of later. */
    static const struct dial_wish any = {.fresh = false};
    assert_non_null(dial_start(fx.upstream, &any, dialled, other));
    assert_int_equal(other->calls, 0);
}

static void test_a_dial_may_be_started_from_within_the_end_of_another(void **state)
{
    static const struct dial_wish any = {.fresh = false};
    struct outcome outcomes[2] = {{0}, {0}};
    (void)state;
    prepare(0);
    start(0);
    assert_non_null(dial_start(fx.upstream, &any, told_in_turn, outcomes));
    TURN_UNTIL(outcomes[1].calls > 0);
    assert_int_equal(outcomes[0].calls, 1);
    assert_int_equal(outcomes[1].result, DIAL_NO_SERVER);
}

static unsigned drops;

static void note_drop(struct backend *backend)
{
    assert_ptr_equal(backend->owner, &drops);
    drops++;
}

static void note_ready(struct backend *backend, bool readable, bool writable)
{
    (void)backend;
    (void)readable;
    (void)writable;
    fail_msg("told of a cut that is the worker's own");
}

static void test_the_end_of_the_worker_part_cuts_all_that_is_left(void **state)
{
    static const struct backend_ops ops = {.ready = note_ready, .dropped = note_drop};
    struct outcome outcome;
    int fds[4];
    (void)state;
    prepare(2);
    start(2);
    struct dial_wish wish = to_server(0);
    struct backend *kept = connect_one(&wish);
    struct backend *used = connect_one(&wish);
    int kept_fd = accept_at(0);
    int used_fd = accept_at(0);
    backend_keep(&kept);
    drops = 0;
    backend_own(used, &ops, &drops);
    fill_backlog(1, fds);
    wish = to_server(1);
    dial_for(&outcome, &wish);
    upstream_worker_free(&fx.worker);
    assert_null(fx.worker);
    assert_int_equal(drops, 1);
    assert_true(is_cut(kept_fd));
    assert_true(is_cut(used_fd));
    some_turns();
    assert_int_equal(outcome.calls, 0);
    close(kept_fd);
    close(used_fd);
    close_four(fds);
}

static void test_a_worker_without_upstreams_has_nothing_to_do(void **state)
{
    struct upstreams none = {.group = NULL};
    (void)state;
    prepare(0);
    fx.worker = upstream_worker_new(&none, fx.loop);
    assert_non_null(fx.worker);
    assert_int_equal(upstream_worker_busy(fx.worker), 0);
    assert_null(upstream_worker_find(fx.worker, "chat"));
}

static void test_an_upstream_is_found_by_its_name(void **state)
{
    (void)state;
    prepare(1);
    start(1);
    assert_null(upstream_worker_find(fx.worker, "chats"));
    assert_ptr_equal(upstream_worker_find(fx.worker, "chat"), fx.upstream);
    assert_ptr_equal(upstream_config(fx.upstream), &fx.settings.config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_dial_gives_a_connection_with_a_lease, finish),
        cmocka_unit_test_teardown(test_a_server_that_refuses_is_followed_by_the_next, finish),
        cmocka_unit_test_teardown(test_no_more_servers_are_tried_than_is_allowed, finish),
        cmocka_unit_test_teardown(test_each_server_is_tried_once, finish),
        cmocka_unit_test_teardown(test_a_server_that_does_not_answer_in_time_is_a_timeout, finish),
        cmocka_unit_test_teardown(
            test_a_server_that_does_not_answer_in_time_is_followed_by_the_next, finish),
        cmocka_unit_test_teardown(test_the_result_is_that_of_the_last_server, finish),
        cmocka_unit_test_teardown(test_a_client_goes_to_the_server_that_it_sticks_to, finish),
        cmocka_unit_test_teardown(test_a_client_whose_server_cannot_be_used_gets_another, finish),
        cmocka_unit_test_teardown(test_a_hash_key_is_kept_for_later_tries, finish),
        cmocka_unit_test_teardown(test_without_a_server_that_is_up_there_is_none, finish),
        cmocka_unit_test_teardown(test_an_ejected_server_is_asked_where_there_is_no_other, finish),
        cmocka_unit_test_teardown(test_a_unix_socket_is_dialled_too, finish),
        cmocka_unit_test_teardown(test_a_dial_that_is_cancelled_says_nothing, finish),
        cmocka_unit_test_teardown(test_what_is_our_own_fault_is_not_blamed_on_the_server, finish),
        cmocka_unit_test_teardown(test_a_dial_may_be_started_from_within_the_end_of_another,
                                  finish),
        cmocka_unit_test_teardown(test_the_end_of_the_worker_part_cuts_all_that_is_left, finish),
        cmocka_unit_test_teardown(test_a_worker_without_upstreams_has_nothing_to_do, finish),
        cmocka_unit_test_teardown(test_an_upstream_is_found_by_its_name, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
