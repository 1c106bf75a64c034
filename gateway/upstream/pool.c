/* A ring of idle connections for each server, the latest used last and taken first: the others get
 * old together and time out. An idle connection watches for input, since whatever comes ends it:
 * the peer's end, an error, or bytes that nobody has asked for. Called by backend.c and dial.c. It
 * holds no leases: idle connections do not count as load. */
#include "upstream/pool.h"

#include <stdlib.h>

#include "base/check.h"
#include "upstream/backend_internal.h"

enum {
    SWEEP_MS = 1000
};

struct pool {
    struct list_node node;          /* in its upstream */
    struct upstream_server *server; /* shared */
    struct list_node idle;
    size_t count;
};

static struct pool *find_pool(const struct upstream *upstream, const struct upstream_server *server)
{
    const struct list_node *head = &upstream->pools;
    for (struct list_node *node = head->next; node != head; node = node->next) {
        struct pool *pool = list_item(node, struct pool, node);
        if (pool->server == server) {
            return pool;
        }
    }
    return NULL;
}

static struct pool *make_pool(struct upstream *upstream, struct upstream_server *server)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (pool != NULL) {
        pool->server = server_share(server);
        list_init(&pool->idle);
        list_append(&upstream->pools, &pool->node);
    }
    return pool;
}

/* Takes it off the pool's books. */
static void take_out(struct pool *pool, struct backend *backend)
{
    list_remove(&backend->node);
    upstream_timer_cancel(&backend->timer);
    pool->count--;
    backend->upstream->idle_count--;
}

static void close_idle(struct pool *pool, struct backend *backend)
{
    take_out(pool, backend);
    backend_destroy(backend);
}

static void close_all(struct pool *pool)
{
    while (!list_is_empty(&pool->idle)) {
        close_idle(pool, list_item(pool->idle.next, struct backend, node));
    }
}

static void free_pool(struct pool *pool)
{
    close_all(pool);
    list_remove(&pool->node);
    server_release(&pool->server);
    free(pool);
}

static void close_by_itself(struct backend *backend)
{
    close_idle(find_pool(backend->upstream, backend->server), backend);
}

bool pool_is_silent(struct backend *backend)
{
    /* A byte is asked for, since TLS may have something of its own to say (a session ticket) that
     * is no answer to anybody. */
    uint8_t byte;
    size_t got;
    return !stream_is_broken(&backend->stream) &&
           stream_read(&backend->stream, &byte, 1, &got) == WEIR_AGAIN;
}

static void idle_ready(struct backend *backend, bool readable, bool writable)
{
    if ((!readable && !writable) || !pool_is_silent(backend)) {
        close_by_itself(backend);
    }
}

static const struct backend_ops idle_ops = {.ready = idle_ready, .timed_out = close_by_itself};

static bool is_known(const struct upstream *upstream, const struct upstream_server *server)
{
    for (size_t i = 0; i < upstream->roster->count; i++) {
        if (upstream->roster->servers[i] == server) {
            return true;
        }
    }
    return false;
}

/* An ejected server keeps what it has: a connection that has worked says more than its failures. */
static bool may_idle(const struct upstream *upstream, const struct upstream_server *server)
{
    return atomic_load_explicit(&server->state, memory_order_relaxed) != CONFIG_SERVER_DOWN &&
           atomic_load_explicit(&server->healthy, memory_order_relaxed) &&
           is_known(upstream, server);
}

/* Nothing waits to be sent, or inside TLS, of which the loop would never tell. */
static bool is_at_rest(const struct stream *stream)
{
    return stream_is_open(stream) && !stream_is_broken(stream) && stream_queued(stream) == 0 &&
           !stream_has_pending(stream);
}

static bool is_worn_out(const struct backend *backend)
{
    uint64_t most = backend->upstream->group->config->keep_alive.max_requests;
    return most > 0 && backend->served >= most;
}

static void sweep_fired(struct upstream_timer *timer)
{
    struct upstream *upstream = list_item(timer, struct upstream, sweep);
    upstream_refresh(upstream);
    pool_sweep(upstream);
    if (upstream->idle_count > 0) {
        upstream_timer_set(upstream, timer, SWEEP_MS);
    }
}

void pool_init(struct upstream *upstream)
{
    list_init(&upstream->pools);
    upstream_timer_init(&upstream->sweep, sweep_fired);
}

bool pool_put(struct backend *backend)
{
    struct upstream *upstream = backend->upstream;
    const struct config_pool *config = &upstream->group->config->keep_alive;
    upstream_refresh(upstream);
    if (is_worn_out(backend) || !may_idle(upstream, backend->server) ||
        !is_at_rest(&backend->stream)) {
        return false;
    }
    struct pool *pool = find_pool(upstream, backend->server);
    if (pool != NULL ? pool->count >= config->max_idle : config->max_idle == 0) {
        return false;
    }
    if (pool == NULL && (pool = make_pool(upstream, backend->server)) == NULL) {
        return false;
    }
    list_remove(&backend->node);
    list_append(&pool->idle, &backend->node);
    pool->count++;
    backend->ops = &idle_ops;
    backend->owner = NULL;
    stream_set_reading(&backend->stream, true);
    upstream_timer_set(upstream, &backend->timer, config->idle_timeout_ms);
    if (upstream->idle_count++ == 0) {
        upstream_timer_set(upstream, &upstream->sweep, SWEEP_MS);
    }
    return true;
}

struct backend *pool_take(struct upstream *upstream, const struct upstream_server *server)
{
    struct pool *pool = find_pool(upstream, server);
    while (pool != NULL && !list_is_empty(&pool->idle)) {
        struct backend *backend = list_item(pool->idle.previous, struct backend, node);
        take_out(pool, backend);
        if (pool_is_silent(backend)) {
            return backend;
        }
        backend_destroy(backend);
    }
    return NULL;
}

void pool_sweep(struct upstream *upstream)
{
    struct list_node *head = &upstream->pools;
    struct list_node *node = head->next;
    while (node != head) {
        struct pool *pool = list_item(node, struct pool, node);
        node = node->next;
        if (!may_idle(upstream, pool->server)) {
            free_pool(pool);
        }
    }
}

void pool_clear(struct upstream *upstream)
{
    while (!list_is_empty(&upstream->pools)) {
        free_pool(list_item(upstream->pools.next, struct pool, node));
    }
    upstream_timer_cancel(&upstream->sweep);
}
