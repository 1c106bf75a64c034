/* A registry whose plugins are the test's own, and clients that block: workers are threads here,
 * and the test's thread is their control thread. Two plugins: the first only looks, the second
 * accepts, answers and echoes. */
#ifndef WEIR_TESTS_WORKER_FIXTURE_H
#define WEIR_TESTS_WORKER_FIXTURE_H

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "session/request.h"
#include "session/session.h"
#include "session/worker_access.h"
#include "worker/registry_internal.h"

enum {
    PLUGINS = 2,
    NO_WORKER = 1000,
    CLIENT_PATIENCE_S = 20 /* a read that takes longer fails the test */
};

/* What the plugins of all workers have seen. */
static struct counts {
    atomic_uint starts;
    atomic_uint stops;
    atomic_uint unloads;
    atomic_uint opens;
    atomic_uint closes;
    atomic_uint codes_1001;
} counts;

/* Posted when a plugin starts on a worker; the listeners are bound by then. */
static sem_t started;

/* The worker on which the second plugin does not start. */
static unsigned failing_worker = NO_WORKER;

struct fixture {
    struct registry *registry;
    struct loaded_plugin originals[PLUGINS];
    char folder[64];
    char path[96]; /* of the unix socket */
};

/* --- the plugins --- */

static int plugin_worker_start(void *plugin, struct weir_worker *worker, void **self, char *error,
                               size_t error_size)
{
    (void)plugin;
    atomic_fetch_add(&counts.starts, 1);
    sem_post(&started);
    *self = malloc(1); /* a stop that is forgotten is a leak */
    assert_non_null(*self);
    assert_true(worker_id(worker) < worker_count(worker));
    assert_non_null(worker_loop(worker));
    (void)error;
    (void)error_size;
    return 0;
}

static int plugin_worker_start_or_fail(void *plugin, struct weir_worker *worker, void **self,
                                       char *error, size_t error_size)
{
    if (worker_id(worker) == failing_worker) {
        snprintf(error, error_size, "not on worker %u", failing_worker);
        return -1;
    }
    return plugin_worker_start(plugin, worker, self, error, error_size);
}

static void plugin_worker_stop(void *self)
{
    free(self);
    atomic_fetch_add(&counts.stops, 1);
}

static enum weir_verdict plugin_on_request(void *self, struct weir_request *request, unsigned seat)
{
    (void)self;
    (void)seat;
    if (request_wants_session(request)) {
        return WEIR_ACCEPT;
    }
    enum weir_err err = request_reply(request, 200, NULL, 0, SPAN("hello"));
    (void)err; /* the client has gone */
    return WEIR_REPLY;
}

static enum weir_verdict plugin_on_open(void *self, struct weir_session *session, unsigned seat)
{
    (void)self;
    (void)session;
    (void)seat;
    atomic_fetch_add(&counts.opens, 1);
    return WEIR_NEXT;
}

static enum weir_verdict plugin_on_message(void *self, struct weir_session *session, unsigned seat,
                                           const struct weir_message *message)
{
    struct span payload = {message->payload.data, message->payload.size};
    enum weir_err err = session_send(session, seat, message->kind, payload);
    (void)self;
    (void)err; /* the client has gone */
    return WEIR_NEXT;
}

static void plugin_on_close(void *self, struct weir_session *session, unsigned seat,
                            const struct weir_ending *ending)
{
    (void)self;
    (void)session;
    (void)seat;
    atomic_fetch_add(&counts.closes, 1);
    if (ending->code == 1001) {
        atomic_fetch_add(&counts.codes_1001, 1);
    }
}

static const struct weir_plugin_ops first_ops = {
    .struct_size = sizeof first_ops,
    .worker_start = plugin_worker_start,
    .worker_stop = plugin_worker_stop,
};

static const struct weir_plugin_ops second_ops = {
    .struct_size = sizeof second_ops,
    .worker_start = plugin_worker_start_or_fail,
    .worker_stop = plugin_worker_stop,
    .on_request = plugin_on_request,
    .on_open = plugin_on_open,
    .on_message = plugin_on_message,
    .on_close = plugin_on_close,
};

/* --- the registry --- */

/* Loads a configuration with built-in plugins, and puts the test's own in their place. */
static inline struct registry *load_registry(struct fixture *f, unsigned workers)
{
    char yaml[1024];
    struct buffer errors = {0};
    struct config *config = NULL;
    struct registry *registry = NULL;
    snprintf(yaml, sizeof yaml,
             "workers: %u\nlisten: [{address: 'unix:%s'}]\nshutdown_timeout: 20s\n"
             "routes: [{path: /, websocket: on, plugins: [access_log], handler: {static: '%s'}}]\n",
             workers, f->path, f->folder);
    enum weir_err err = config_load_text("t.yaml", yaml, strlen(yaml), &errors, &config);
    if (err == WEIR_OK) {
        err = registry_load(config, "t.yaml", &errors, &registry);
    }
    if (err != WEIR_OK) {
        print_error("%.*s", (int)errors.size, (const char *)errors.data);
    }
    assert_int_equal(err, WEIR_OK);
    assert_int_equal(registry->plugin_count, PLUGINS);
    memcpy(f->originals, registry->plugins, sizeof f->originals);
    registry->plugins[0].ops = &first_ops;
    registry->plugins[1].ops = &second_ops;
    config_release(&config);
    buffer_free(&errors);
    return registry;
}

static inline int fixture_make(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    memset(&counts, 0, sizeof counts);
    failing_worker = NO_WORKER;
    assert_int_equal(sem_init(&started, 0, 0), 0);
    strcpy(f->folder, "/tmp/weir-worker-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/socket", f->folder);
    *state = f;
    return 0;
}

/* Every reference to the registry but the test's own has been given back. */
static inline int fixture_free(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(atomic_load(&f->registry->references), 1);
    assert_int_equal(atomic_load(&counts.starts), atomic_load(&counts.stops));
    registry_release(&f->registry);
    for (size_t i = 0; i < PLUGINS; i++) {
        if (f->originals[i].ops->unload != NULL) {
            f->originals[i].ops->unload(f->originals[i].plugin);
        }
    }
    unlink(f->path);
    rmdir(f->folder);
    sem_destroy(&started);
    free(f);
    return 0;
}

/* --- clients --- */

static inline int client_connect(const struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = CLIENT_PATIENCE_S};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", f->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static inline void client_write(int fd, const void *bytes, size_t size)
{
    assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
}

/* Reads exactly `size` bytes. */
static inline void client_read(int fd, void *bytes, size_t size)
{
    assert_int_equal(recv(fd, bytes, size, MSG_WAITALL), size);
}

/* Reads to the end of a response's head. */
static inline void client_read_head(int fd, const char *status_line)
{
    char head[1024];
    size_t size = 0;
    while (size < 4 || memcmp(head + size - 4, "\r\n\r\n", 4) != 0) {
        assert_true(size < sizeof head - 1);
        client_read(fd, head + size++, 1);
    }
    head[size] = '\0';
    assert_int_equal(strncmp(head, status_line, strlen(status_line)), 0);
}

/* A session that has echoed once. */
static inline int client_open(const struct fixture *f)
{
    static const char upgrade[] =
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    char echoed[4];
    int fd = client_connect(f);
    client_write(fd, upgrade, sizeof upgrade - 1);
    client_read_head(fd, "HTTP/1.1 101 ");
    client_write(fd, "\x81\x82\0\0\0\0hi", 8);
    client_read(fd, echoed, 4);
    assert_memory_equal(echoed, "\x81\x02hi", 4);
    return fd;
}

static inline void client_get(const struct fixture *f)
{
    char body[5];
    int fd = client_connect(f);
    client_write(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
    client_read_head(fd, "HTTP/1.1 200 ");
    client_read(fd, body, 5);
    assert_memory_equal(body, "hello", 5);
    close(fd);
}

/* Reads the close frame that a stopping gateway sends, answers it, and sees the end. */
static inline void client_leave(int fd)
{
    uint8_t head[4];
    char reason[125];
    client_read(fd, head, 4);
    assert_int_equal(head[0], 0x88);
    assert_memory_equal(head + 2, "\x03\xe9", 2);
    client_read(fd, reason, head[1] - 2U);
    client_write(fd, "\x88\x82\0\0\0\0\x03\xe9", 8);
    assert_int_equal(recv(fd, head, 1, 0), 0);
    close(fd);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_make, fixture_free)

#endif
