/* Workers as threads: they start, serve, stop with their clients' leave or without it, and leave
 * nothing behind; also when one of them does not start. */
#include "worker_fixture.h"

#include <errno.h>
#include <fcntl.h>

#include "net/listener.h"
#include "pubsub/bus.h"
#include "worker/worker.h"

enum {
    WORKERS_MAX = 4,
    SESSIONS = 16,
    PATIENCE_MS = 20000
};

/* What a control thread has. */
struct control {
    struct loop *loop;
    struct mailbox *mailbox;
    struct worker_common common;
    struct worker *workers[WORKERS_MAX];
    struct mailbox_letter stopped[WORKERS_MAX];
    unsigned count;
    unsigned running;
};

static void one_has_stopped(struct mailbox_letter *letter, void *receiver)
{
    struct control *control = receiver;
    (void)letter;
    control->running--;
}

static void control_make(struct control *control)
{
    memset(control, 0, sizeof *control);
    control->loop = loop_new();
    assert_non_null(control->loop);
    control->mailbox = mailbox_new(control->loop, control);
    assert_non_null(control->mailbox);
    control->common.room = mail_room_new(WORKERS_MAX);
    assert_non_null(control->common.room);
    control->common.bus = bus_new(WORKERS_MAX);
    assert_non_null(control->common.bus);
}

/* The listening socket of a worker; all share one. */
static int socket_for(const struct fixture *f, unsigned worker, int first)
{
    char address[128];
    char why[256] = "";
    int fd = -1;
    if (worker > 0) {
        return fcntl(first, F_DUPFD_CLOEXEC, 0);
    }
    snprintf(address, sizeof address, "unix:%s", f->path);
    assert_int_equal(listener_bind(address, 64, &fd, why, sizeof why), WEIR_OK);
    return fd;
}

/* Starts workers; stops at the first that does not start, whose error it returns. */
static enum weir_err control_start(struct control *control, struct fixture *f, unsigned count)
{
    int fds[WORKERS_MAX];
    enum weir_err err = WEIR_OK;
    f->registry = load_registry(f, count);
    control->common.count = count;
    for (unsigned w = 0; w < count; w++) {
        fds[w] = socket_for(f, w, fds[0]);
    }
    for (unsigned w = 0; w < count; w++) {
        if (err != WEIR_OK) {
            close(fds[w]);
            continue;
        }
        control->stopped[w].deliver = one_has_stopped;
        err = worker_start(f->registry, w, &control->common, &fds[w], control->mailbox,
                           &control->stopped[w], &control->workers[w]);
        if (err == WEIR_OK) {
            control->count++;
            control->running++;
        } else {
            assert_int_equal(fcntl(fds[w], F_GETFD), -1); /* taken, and closed */
            assert_int_equal(errno, EBADF);
            assert_null(control->workers[w]);
        }
    }
    return err;
}

static void ask_to_stop(struct control *control, uint64_t patience_ms)
{
    for (unsigned w = 0; w < control->count; w++) {
        worker_stop(control->workers[w], patience_ms);
    }
}

/* Waits until all have said that they have stopped. */
static void control_end(struct control *control)
{
    while (control->running > 0) {
        assert_true(loop_turn(control->loop, true));
    }
    for (unsigned w = 0; w < control->count; w++) {
        worker_join(&control->workers[w]);
        assert_null(control->workers[w]);
    }
    mailbox_free(&control->mailbox);
    mail_room_free(&control->common.room);
    bus_free(&control->common.bus);
    loop_free(&control->loop);
}

static void test_workers_start_and_stop_without_clients(void **state)
{
    struct fixture *f = *state;
    struct control control;
    control_make(&control);
    assert_int_equal(control_start(&control, f, WORKERS_MAX), WEIR_OK);
    assert_int_equal(atomic_load(&counts.starts), PLUGINS * WORKERS_MAX);
    assert_int_equal(atomic_load(&counts.stops), 0);
    ask_to_stop(&control, PATIENCE_MS);
    control_end(&control);
}

static void test_one_worker_serves_and_stops(void **state)
{
    struct fixture *f = *state;
    struct control control;
    control_make(&control);
    assert_int_equal(control_start(&control, f, 1), WEIR_OK);
    client_get(f);
    client_get(f);
    ask_to_stop(&control, PATIENCE_MS);
    control_end(&control);
}

static void test_stopping_sends_sessions_away_with_1001_and_waits_for_them(void **state)
{
    struct fixture *f = *state;
    struct control control;
    int clients[SESSIONS];
    control_make(&control);
    assert_int_equal(control_start(&control, f, WORKERS_MAX), WEIR_OK);
    for (unsigned i = 0; i < SESSIONS; i++) {
        clients[i] = client_open(f);
    }
    client_get(f);
    assert_int_equal(atomic_load(&counts.opens), SESSIONS);
    ask_to_stop(&control, PATIENCE_MS);
    for (unsigned i = 0; i < SESSIONS; i++) {
        client_leave(clients[i]);
    }
    control_end(&control);
    assert_int_equal(atomic_load(&counts.closes), SESSIONS);
    assert_int_equal(atomic_load(&counts.codes_1001), SESSIONS);
}

static void test_clients_that_do_not_leave_are_cut_when_patience_is_over(void **state)
{
    struct fixture *f = *state;
    struct control control;
    int clients[SESSIONS];
    control_make(&control);
    assert_int_equal(control_start(&control, f, 2), WEIR_OK);
    for (unsigned i = 0; i < SESSIONS; i++) {
        clients[i] = client_open(f);
    }
    ask_to_stop(&control, 1);
    control_end(&control);
    for (unsigned i = 0; i < SESSIONS; i++) {
        close(clients[i]);
    }
    assert_int_equal(atomic_load(&counts.closes), SESSIONS);
}

/* Clients come, talk and go on several workers while the control thread stops them. */
static void test_stopping_while_clients_come_and_go(void **state)
{
    struct fixture *f = *state;
    struct control control;
    control_make(&control);
    assert_int_equal(control_start(&control, f, 3), WEIR_OK);
    for (unsigned i = 0; i < SESSIONS; i++) {
        close(client_open(f));
        client_get(f);
    }
    ask_to_stop(&control, PATIENCE_MS);
    control_end(&control);
    assert_int_equal(atomic_load(&counts.opens), SESSIONS);
    assert_int_equal(atomic_load(&counts.closes), SESSIONS);
}

static void test_worker_whose_plugin_does_not_start_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    struct control control;
    failing_worker = 0;
    control_make(&control);
    assert_int_equal(control_start(&control, f, 1), WEIR_EINVAL);
    assert_int_equal(atomic_load(&counts.starts), 1); /* of the plugin before it */
    control_end(&control);
    assert_int_equal(atomic_load(&counts.stops), 1);
}

static void test_workers_before_the_one_that_does_not_start_can_be_stopped(void **state)
{
    struct fixture *f = *state;
    struct control control;
    failing_worker = 2;
    control_make(&control);
    assert_int_equal(control_start(&control, f, WORKERS_MAX), WEIR_EINVAL);
    assert_int_equal(control.count, 2);
    client_get(f);
    ask_to_stop(&control, 0);
    control_end(&control);
    assert_int_equal(atomic_load(&counts.stops), 2 * PLUGINS + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_workers_start_and_stop_without_clients),
        TEST(test_one_worker_serves_and_stops),
        TEST(test_stopping_sends_sessions_away_with_1001_and_waits_for_them),
        TEST(test_clients_that_do_not_leave_are_cut_when_patience_is_over),
        TEST(test_stopping_while_clients_come_and_go),
        TEST(test_worker_whose_plugin_does_not_start_leaves_nothing_behind),
        TEST(test_workers_before_the_one_that_does_not_start_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
