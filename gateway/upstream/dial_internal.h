/* A dial and how it goes on, for the files of upstream/ alone. One thread. */
#ifndef WEIR_UPSTREAM_DIAL_INTERNAL_H
#define WEIR_UPSTREAM_DIAL_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "upstream/dial.h"
#include "upstream/upstream.h"

enum {
    DIAL_WHY_BYTES = 320,
    DIAL_TRIES_MAX = 16 /* the most that the configuration allows */
};

enum dial_state {
    DIAL_CONNECTING,
    DIAL_SHAKING_HANDS, /* TLS */
    DIAL_WAITING,       /* in the queue */
    DIAL_DONE           /* and about to say so, from the loop */
};

struct dial {
    struct list_node node; /* in its upstream's dials, or among those that wait */
    struct list_node soon; /* in the worker's list once it is done */
    struct upstream *upstream;
    struct backend *backend; /* connecting or connected, ours until it is given */
    dial_fn fn;
    void *context;
    uint64_t server_id;
    bool fresh;
    bool has_place; /* in the group's queue */
    bool for_names; /* waits for names to be resolved, not for a slot */
    enum dial_state state;
    enum dial_result result;                       /* of the last try, or for good */
    struct upstream_timer timer;                   /* of the queue */
    struct upstream_server *tried[DIAL_TRIES_MAX]; /* shared */
    size_t tried_count;
    char why[DIAL_WHY_BYTES];
    size_t key_size;
    uint8_t key[]; /* the hash key */
};

/* Picks a server and goes on with it: to a connection, the next server, the queue, or an end. Never
 * calls back. */
void dial_step(struct dial *dial);

/* Lets those that wait try again, first come first. Never calls back. */
void dial_queue_run(struct upstream *upstream);

/* The same, as what `revival` fires. */
void dial_queue_revived(struct upstream_timer *timer);

/* No server was to be had: waits, if it may, or ends. `busy`: for a slot. In dial_queue.c. */
void dial_wait(struct dial *dial, bool busy);

/* Leaves the queue, if it is in there. */
void dial_queue_leave(struct dial *dial);

/* Picks a server, with a lease. NULL: none; `*busy` as balancer_next. */
struct upstream_server *dial_pick(struct dial *dial, bool *busy);

/* Goes on with a server that dial_pick has given. In dial_connect.c. */
void dial_try(struct dial *dial, struct upstream_server *server);

/* It is over; told of in the next turn. */
void dial_done(struct dial *dial, enum dial_result result);

/* Tells its end now, and frees it; from the loop alone. */
void dial_tell(struct dial *dial);

/* Tells all that are done, and lets queues run that have become due; from the loop alone. */
void dial_run_soon(struct upstream_worker *worker);

/* Makes dial_run_soon be called in the next turn. */
void dial_soon(struct upstream_worker *worker);

#endif
