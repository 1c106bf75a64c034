/* One connection to a server of an upstream, on one worker: in use by an owner, or idle in its
 * pool. Dialling gives it (dial.h). One thread: its worker's. */
#ifndef WEIR_UPSTREAM_BACKEND_H
#define WEIR_UPSTREAM_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/wheel.h"
#include "upstream/server.h"

struct backend;
struct upstream;

/* What the owner is told. It may close or keep the backend from within. */
struct backend_ops {
    void (*ready)(struct backend *backend, bool readable, bool writable); /* as stream_ready_fn */
    void (*timed_out)(struct backend *backend); /* of backend_set_timeout */
    /* The worker part is freed, and cuts the connection after this: forget it, free what belongs to
     * it, and call nothing. NULL for owners that are freed by others. */
    void (*dropped)(struct backend *backend);
};

/* A timer of the worker part's wheel; for upstream/ alone. */
struct upstream_timer {
    struct wheel_timer wheel; /* first: the wheel's callback finds the timer by it */
    void (*fired)(struct upstream_timer *timer);
};

struct backend {
    struct stream stream; /* first: the stream's callback finds the backend by it */
    struct upstream_timer timer;
    struct list_node node; /* in its upstream's list of those in use, or in a pool */
    struct loop_retired retired;
    const struct backend_ops *ops; /* NULL while nobody owns it */
    void *owner;
    struct upstream *upstream;
    struct upstream_server *server; /* shared; a lease of it is held while it is in use */
    uint32_t served;                /* requests before this one; not 0: it comes from the pool */
    bool closed;
};

/* Who is told from now on; no timeout runs. Reading is off until the owner sets it, but for a
 * backend that comes from a dial, where it may be on already: such an owner sets it before it
 * returns. */
void backend_own(struct backend *backend, const struct backend_ops *ops, void *owner);

/* Calls ops->timed_out once in `ms`, or up to 100 ms later; 0: never. A later call moves it. */
void backend_set_timeout(struct backend *backend, uint64_t ms);

/* Cuts the connection, gives the lease back and nulls the owner's pointer; freed at the end of the
 * turn. NULL inside is fine. */
void backend_close(struct backend **backend);

/* Gives a connection that is ready for the next request back: to the pool, or closed where that is
 * full. Nulls the owner's pointer. */
void backend_keep(struct backend **backend);

/* What this request has found out about the server, for ejection: once for each. */
void backend_succeeded(struct backend *backend);
void backend_failed(struct backend *backend);

#endif
