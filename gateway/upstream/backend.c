/* The life of one connection to a server: connected or taken from the pool, in use by one owner,
 * and then idle again or closed. All ends lead through backend_destroy: cut at once, freed when the
 * turn is over, since callers on the stack still look at it. Called by dial.c, which makes
 * backends, and by handlers, which own them. It never reads or writes for its owner. Thousands of
 * tunnels each have one, so it holds no bytes. */
#include "upstream/backend.h"

#include <stdlib.h>

#include "base/check.h"
#include "upstream/backend_internal.h"
#include "upstream/pool.h"

/* An idle tunnelled pair may cost 1.5 KiB in all, and this is a good part of it. */
_Static_assert(sizeof(struct backend) <= 320, "a backend stays small");

static void backend_ready(struct stream *stream, bool readable, bool writable)
{
    struct backend *backend = (struct backend *)(void *)stream;
    if (!backend->closed && backend->ops != NULL) {
        backend->ops->ready(backend, readable, writable);
    }
}

static void backend_timer_fired(struct upstream_timer *timer)
{
    struct backend *backend = list_item(timer, struct backend, timer);
    if (!backend->closed && backend->ops != NULL) {
        backend->ops->timed_out(backend);
    }
}

static void backend_free(struct loop_retired *retired)
{
    struct backend *backend = list_item(retired, struct backend, retired);
    server_release(&backend->server);
    free(backend);
}

enum weir_err backend_connect(struct upstream *upstream, struct upstream_server *server,
                              const struct backend_ops *ops, void *owner, struct backend **out)
{
    struct backend *backend = calloc(1, sizeof *backend);
    if (backend == NULL) {
        return WEIR_ENOMEM;
    }
    enum weir_err err = stream_connect(&backend->stream, upstream->worker->loop,
                                       (const struct sockaddr *)&server->address,
                                       server->address_size, backend_ready);
    if (err != WEIR_OK) {
        free(backend);
        return err;
    }
    backend->upstream = upstream;
    backend->server = server_share(server);
    backend->ops = ops;
    backend->owner = owner;
    upstream_timer_init(&backend->timer, backend_timer_fired);
    list_init(&backend->node);
    backend_use(backend);
    *out = backend;
    return WEIR_OK;
}

void backend_use(struct backend *backend)
{
    list_append(&backend->upstream->in_use, &backend->node);
    backend->upstream->worker->busy++;
}

void backend_destroy(struct backend *backend)
{
    WEIR_CHECK(!backend->closed);
    backend->closed = true;
    backend->ops = NULL;
    backend->owner = NULL;
    upstream_timer_cancel(&backend->timer);
    stream_close(&backend->stream);
    loop_retire(backend->upstream->worker->loop, &backend->retired, backend_free);
}

void backend_own(struct backend *backend, const struct backend_ops *ops, void *owner)
{
    /* The pool has read from it, and a new owner will at once: off and on again would be four
     * system calls for each request. */
    if (backend->ops != NULL) {
        stream_set_reading(&backend->stream, false);
    }
    upstream_timer_cancel(&backend->timer);
    backend->ops = ops;
    backend->owner = owner;
}

void backend_set_timeout(struct backend *backend, uint64_t ms)
{
    if (ms == 0) {
        upstream_timer_cancel(&backend->timer);
    } else {
        upstream_timer_set(backend->upstream, &backend->timer, ms);
    }
}

void backend_close(struct backend **backend)
{
    struct backend *gone = *backend;
    *backend = NULL;
    if (gone == NULL) {
        return;
    }
    list_remove(&gone->node);
    gone->upstream->worker->busy--;
    backend_destroy(gone);
    upstream_unlease(gone->upstream, gone->server);
}

void backend_keep(struct backend **backend)
{
    struct backend *kept = *backend;
    kept->served++;
    if (!pool_put(kept)) {
        backend_close(backend);
        return;
    }
    *backend = NULL;
    kept->upstream->worker->busy--;
    upstream_unlease(kept->upstream, kept->server);
}

void backend_succeeded(struct backend *backend)
{
    server_succeeded(backend->server, upstream_now_ms(backend->upstream));
}

void backend_failed(struct backend *backend)
{
    server_failed(backend->server, upstream_now_ms(backend->upstream));
}
