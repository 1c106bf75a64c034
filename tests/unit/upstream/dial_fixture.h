/* An upstream on one worker and its servers, which are listening sockets in the test's own process:
 * accepted, read and cut by hand between turns of the worker's loop. */
#ifndef WEIR_TESTS_DIAL_FIXTURE_H
#define WEIR_TESTS_DIAL_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/tls_client.h"
#include "upstream/dial.h"
#include "upstream/upstream.h"
#include "upstream/upstreams.h"
#include "upstream_fixture.h"

enum {
    SERVERS = FIXTURE_SERVERS,
    CONNECT_TIMEOUT_MS = 3000,
    QUEUE_TIMEOUT_MS = 5000,
    IDLE_TIMEOUT_MS = 60000,
    LATE_MS = 200, /* timers are coarse */
    GIVE_UP_MS = 10000
};

/* The process part: one group. */
struct upstreams {
    struct upstream_group *group;
};

struct outcome {
    unsigned calls;
    enum dial_result result;
    struct backend *backend;
    unsigned tries;
    char why[320];
    char server[SERVER_ADDRESS_BYTES];
};

struct dial_fixture {
    struct upstream_fixture settings;
    struct upstreams upstreams;
    struct loop *loop;
    struct upstream_worker *worker;
    struct upstream *upstream;
    struct upstream_server *servers[SERVERS];
    int listeners[SERVERS];
};

static struct dial_fixture fx;

size_t upstreams_count(const struct upstreams *upstreams)
{
    return upstreams->group != NULL ? 1 : 0;
}

struct upstream_group *upstreams_at(struct upstreams *upstreams, size_t index)
{
    assert_int_equal(index, 0);
    return upstreams->group;
}

/* Runs turns until `condition`. */
#define TURN_UNTIL(condition)                                                                      \
    do {                                                                                           \
        uint64_t give_up_ms = clock_monotonic_ms() + GIVE_UP_MS;                                   \
        while (!(condition)) {                                                                     \
            loop_turn(fx.loop, false);                                                             \
            if (clock_monotonic_ms() > give_up_ms) {                                               \
                fail_msg("in vain: " #condition);                                                  \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* Enough turns for whatever is under way to come out. */
static inline void some_turns(void)
{
    uint64_t until_ms = clock_monotonic_ms() + 3 * WHEEL_TICK_MS;
    while (clock_monotonic_ms() < until_ms) {
        loop_turn(fx.loop, fx.worker != NULL); /* whose wheel ends each wait */
    }
}

/* A listening socket on a free port. */
static inline int listen_anywhere(struct resolver_address *at)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *at = fixture_v4("127.0.0.1", 0);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&at->address, at->size), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&at->address, &at->size), 0);
    return fd;
}

/* The roster has the first `count` servers from now on. */
static inline void publish(size_t count, bool pending)
{
    group_publish(fx.upstreams.group, roster_new(fx.servers, count, pending));
}

/* Sets up `count` servers that listen, and defaults that a test may change before start(). */
static inline void prepare(size_t count)
{
    memset(&fx, 0, sizeof fx);
    signal(SIGPIPE, SIG_IGN); /* as the gateway does: OpenSSL writes without MSG_NOSIGNAL */
    log_set_level(LOG_ERROR); /* ejections are told of at length */
    upstream_fixture_init(&fx.settings, count);
    struct config_upstream *config = &fx.settings.config;
    config->connect_timeout_ms = CONNECT_TIMEOUT_MS;
    config->queue = (struct config_queue){.size = 2, .timeout_ms = QUEUE_TIMEOUT_MS};
    config->keep_alive = (struct config_pool){.max_idle = 2, .idle_timeout_ms = IDLE_TIMEOUT_MS};
    config->tries = 2;
    for (size_t i = 0; i < SERVERS; i++) {
        fx.listeners[i] = -1;
    }
    for (size_t i = 0; i < count; i++) {
        struct resolver_address at;
        fx.listeners[i] = listen_anywhere(&at);
        fx.servers[i] = server_new(config, &fx.settings.servers[i],
                                   (const struct sockaddr *)(const void *)&at.address, at.size);
    }
    fx.upstreams.group = group_new(config);
    fx.loop = loop_new();
}

static inline void start(size_t count)
{
    publish(count, false);
    fx.worker = upstream_worker_new(&fx.upstreams, fx.loop);
    fx.upstream = upstream_worker_find(fx.worker, "chat");
    assert_non_null(fx.upstream);
}

/* Nothing listens any more where server `index` is. */
static inline void stop_listening(size_t index)
{
    close(fx.listeners[index]);
    fx.listeners[index] = -1;
}

static inline unsigned active(size_t index)
{
    return atomic_load(&fx.servers[index]->active);
}

static inline int finish(void **state)
{
    (void)state;
    upstream_worker_free(&fx.worker);
    for (size_t i = 0; i < SERVERS; i++) {
        if (fx.servers[i] != NULL) {
            assert_int_equal(active(i), 0); /* every lease was given back */
        }
        server_release(&fx.servers[i]);
        if (fx.listeners[i] >= 0) {
            close(fx.listeners[i]);
        }
    }
    assert_int_equal(atomic_load(&fx.upstreams.group->waiting), 0);
    tls_client_free(&fx.upstreams.group->tls);
    group_free(&fx.upstreams.group);
    loop_free(&fx.loop);
    return 0;
}

static inline void dialled(void *context, enum dial_result result, struct backend *backend,
                           const struct dial_report *report)
{
    struct outcome *outcome = context;
    outcome->calls++;
    outcome->result = result;
    outcome->backend = backend;
    outcome->tries = report->tries;
    snprintf(outcome->why, sizeof outcome->why, "%s", report->why);
    snprintf(outcome->server, sizeof outcome->server, "%s", report->server);
    assert_int_equal(backend != NULL, result == DIAL_OK);
}

/* Starts a dial whose end goes to `*outcome`. */
static inline struct dial *dial_for(struct outcome *outcome, const struct dial_wish *wish)
{
    static const struct dial_wish any = {.fresh = false};
    *outcome = (struct outcome){0};
    struct dial *dial = dial_start(fx.upstream, wish != NULL ? wish : &any, dialled, outcome);
    assert_non_null(dial);
    assert_int_equal(outcome->calls, 0); /* never from within */
    return dial;
}

static inline void dial_through(struct outcome *outcome, const struct dial_wish *wish)
{
    dial_for(outcome, wish);
    TURN_UNTIL(outcome->calls > 0);
    assert_int_equal(outcome->calls, 1);
}

/* A dial that must give a connection. */
static inline struct backend *connect_one(const struct dial_wish *wish)
{
    struct outcome outcome;
    dial_through(&outcome, wish);
    if (outcome.result != DIAL_OK) {
        fail_msg("not connected: %d %s", (int)outcome.result, outcome.why);
    }
    return outcome.backend;
}

/* The next connection that has come to server `index`, blocking; -1 for none. */
static inline int accept_at(size_t index)
{
    int fd = accept4(fx.listeners[index], NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0 || errno == EAGAIN);
    return fd;
}

/* Whether the gateway's end of a connection has been closed, by a FIN or a reset. */
static inline bool is_cut(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

#endif
