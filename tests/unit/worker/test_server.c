/* The whole server in this process: it serves until a signal, removes its socket file, and does not
 * serve at all when a worker does not start. */
#include "worker_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include "worker/server.h"

enum {
    SESSIONS = 6
};

static bool is_there(const struct fixture *f)
{
    struct stat facts;
    return stat(f->path, &facts) == 0;
}

/* Opens sessions once the server has bound its socket, then asks it to stop and leaves in order. */
static void *visit(void *context)
{
    const struct fixture *f = context;
    int clients[SESSIONS];
    while (sem_wait(&started) != 0) {
        /* interrupted */
    }
    for (unsigned i = 0; i < SESSIONS; i++) {
        clients[i] = client_open(f);
    }
    client_get(f);
    kill(getpid(), SIGTERM);
    for (unsigned i = 0; i < SESSIONS; i++) {
        client_leave(clients[i]);
    }
    return NULL;
}

static void test_server_serves_until_a_signal(void **state)
{
    struct fixture *f = *state;
    sigset_t term;
    pthread_t visitor;
    f->registry = load_registry(f, 3);
    /* The visitor must not be the one that the signal interrupts. */
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, NULL);
    assert_int_equal(pthread_create(&visitor, NULL, visit, f), 0);
    pthread_sigmask(SIG_UNBLOCK, &term, NULL);
    assert_int_equal(server_run(f->registry), WEIR_OK);
    pthread_join(visitor, NULL);
    assert_false(is_there(f));
    assert_int_equal(atomic_load(&counts.closes), SESSIONS);
    assert_int_equal(atomic_load(&counts.codes_1001), SESSIONS);
    assert_int_equal(atomic_load(&counts.stops), 3 * PLUGINS);
}

static void test_server_does_not_serve_when_a_worker_does_not_start(void **state)
{
    struct fixture *f = *state;
    for (unsigned failing = 0; failing < 3; failing++) {
        failing_worker = failing;
        if (f->registry == NULL) {
            f->registry = load_registry(f, 3);
        }
        assert_int_equal(server_run(f->registry), WEIR_EINVAL);
        assert_int_equal(atomic_load(&counts.starts), atomic_load(&counts.stops));
        assert_int_equal(atomic_load(&f->registry->references), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_server_serves_until_a_signal),
        TEST(test_server_does_not_serve_when_a_worker_does_not_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
