/* The control thread. It binds all sockets before the first worker starts, so that an address in
 * use is an error at start and not a worker that serves less than the others. */
#include "worker/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/mail_room.h"
#include "net/mailbox.h"
#include "pubsub/bus.h"
#include "upstream/upstreams.h"
#include "worker/worker.h"

enum {
    WHY_BYTES = 512
};

struct server {
    struct registry *registry;
    struct loop *loop;
    struct mailbox *mailbox;
    struct worker_common common;
    struct worker **workers;
    struct mailbox_letter *stopped; /* one for each worker to send when it is done */
    unsigned count;
    unsigned running;
    bool stopping;
};

/* Every client is a descriptor; the soft limit of most systems is far below what the hard one
 * allows. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void close_all(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
}

/* A TCP address is bound once for each worker; a unix socket cannot be, so its descriptor is
 * duplicated. */
static enum weir_err bind_listener(const struct config_listener *listen, int *fds, size_t stride,
                                   unsigned workers)
{
    char why[WHY_BYTES] = "";
    bool shared = listener_unix_path(listen->address) != NULL;
    for (unsigned w = 0; w < workers; w++) {
        int *fd = &fds[w * stride];
        enum weir_err err = WEIR_OK;
        if (shared && w > 0) {
            *fd = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
            err = *fd < 0 ? WEIR_EIO : WEIR_OK;
            snprintf(why, sizeof why, "%s: %s", listen->address, strerror(errno));
        } else {
            err = listener_bind(listen->address, (int)listen->backlog, fd, why, sizeof why);
        }
        if (err != WEIR_OK) {
            log_error("listener", "%s", why);
            return err;
        }
    }
    log_info("listener", "listening on %s%s", listen->address, listen->tls != NULL ? " (TLS)" : "");
    return WEIR_OK;
}

static void worker_has_stopped(struct mailbox_letter *letter, void *receiver)
{
    struct server *server = receiver;
    (void)letter;
    server->running--;
    if (server->running == 0) {
        loop_stop(server->loop);
    }
}

static enum weir_err start_workers(struct server *server, int *fds, size_t listeners)
{
    for (unsigned w = 0; w < server->count; w++) {
        int *mine = &fds[w * listeners];
        server->stopped[w].deliver = worker_has_stopped;
        enum weir_err err = worker_start(server->registry, w, &server->common, mine,
                                         server->mailbox, &server->stopped[w], &server->workers[w]);
        for (size_t i = 0; i < listeners; i++) {
            mine[i] = -1; /* taken */
        }
        if (err != WEIR_OK) {
            log_error("server", "worker %u does not start: %s", w, weir_err_name(err));
            return err;
        }
        server->running++;
    }
    return WEIR_OK;
}

static void stop_workers(struct server *server, uint64_t patience_ms)
{
    for (unsigned w = 0; w < server->count; w++) {
        if (server->workers[w] != NULL) {
            worker_stop(server->workers[w], patience_ms);
        }
    }
}

static void stop_signal(void *context)
{
    struct server *server = context;
    if (server->stopping) {
        log_warn("server", "stopping at once");
        _exit(EXIT_FAILURE);
    }
    server->stopping = true;
    log_info("server", "stopping: sessions are closed with 1001");
    stop_workers(server, registry_config(server->registry)->shutdown_timeout_ms);
}

/* Before any is bound, so that a configuration may have both 0.0.0.0 and one address of it. */
static enum weir_err check_unused(const struct listener_setup *setups, size_t listeners)
{
    char why[WHY_BYTES] = "";
    enum weir_err result = WEIR_OK;
    for (size_t i = 0; i < listeners; i++) {
        enum weir_err err = listener_check_unused(setups[i].config->address, why, sizeof why);
        if (err != WEIR_OK) {
            log_error("listener", "%s", why);
            result = err;
        }
    }
    return result;
}

static enum weir_err bind_and_start(struct server *server)
{
    size_t listeners = 0;
    const struct listener_setup *setups = registry_listeners(server->registry, &listeners);
    size_t total = listeners * server->count;
    int *fds = malloc((total + 1) * sizeof *fds);
    if (fds == NULL) {
        return WEIR_ENOMEM;
    }
    memset(fds, -1, total * sizeof *fds);
    enum weir_err err = check_unused(setups, listeners);
    for (size_t i = 0; i < listeners && err == WEIR_OK; i++) {
        err = bind_listener(setups[i].config, &fds[i], listeners, server->count);
    }
    if (err == WEIR_OK) {
        err = upstreams_start(registry_upstreams(server->registry), server->loop);
    }
    if (err == WEIR_OK) {
        err = start_workers(server, fds, listeners);
    }
    close_all(fds, total);
    free(fds);
    return err;
}

static void remove_socket_files(const struct registry *registry)
{
    const struct config *config = registry_config(registry);
    for (size_t i = 0; i < config->listen_count; i++) {
        const char *path = listener_unix_path(config->listen[i].address);
        if (path != NULL) {
            unlink(path);
        }
    }
}

static enum weir_err serve(struct server *server)
{
    /* What the handlers below leave behind when they go: a second signal in the gateway's last
     * moments must not make a clean end look like a death. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    struct loop_signal *term = loop_signal_new(server->loop, SIGTERM, stop_signal, server);
    struct loop_signal *interrupt = loop_signal_new(server->loop, SIGINT, stop_signal, server);
    enum weir_err err = term != NULL && interrupt != NULL ? bind_and_start(server) : WEIR_ENOMEM;
    if (err == WEIR_OK) {
        log_info("server", "serving with %u workers", server->count);
    } else {
        server->stopping = true; /* a signal from here on must not ask workers a second time */
        stop_workers(server, 0);
    }
    if (server->running > 0) {
        loop_run(server->loop);
    }
    for (unsigned w = 0; w < server->count; w++) {
        if (server->workers[w] != NULL) {
            worker_join(&server->workers[w]);
        }
    }
    upstreams_stop(registry_upstreams(server->registry));
    if (err == WEIR_OK) {
        remove_socket_files(server->registry);
    }
    loop_signal_free(&term);
    loop_signal_free(&interrupt);
    return err;
}

enum weir_err server_run(struct registry *registry)
{
    struct server server = {.registry = registry,
                            .count = (unsigned)registry_config(registry)->workers};
    enum weir_err err = WEIR_ENOMEM;
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    server.loop = loop_new();
    server.workers = calloc(server.count, sizeof *server.workers);
    server.stopped = calloc(server.count, sizeof *server.stopped);
    server.common.count = server.count;
    server.common.room = mail_room_new(server.count);
    server.common.bus = bus_new(server.count);
    if (server.loop != NULL && server.workers != NULL && server.stopped != NULL &&
        server.common.room != NULL && server.common.bus != NULL) {
        server.mailbox = mailbox_new(server.loop, &server);
    }
    if (server.mailbox != NULL) {
        err = serve(&server);
    }
    mailbox_free(&server.mailbox);
    mail_room_free(&server.common.room);
    bus_free(&server.common.bus);
    loop_free(&server.loop);
    free(server.workers);
    free(server.stopped);
    return err;
}
