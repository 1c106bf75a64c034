/* From a wish to a connection: picks a server, waits where all are busy, takes a connection from
 * the pool or makes one (with TLS), and tries the next server when one cannot be reached. One
 * thread: its worker's. */
#ifndef WEIR_UPSTREAM_DIAL_H
#define WEIR_UPSTREAM_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "upstream/backend.h"
#include "upstream/worker_part.h"

struct dial;

struct dial_wish {
    struct span hash_key; /* what balance: hash goes by; borrowed for the call */
    uint64_t server_id; /* the server that this client sticks to; 0: any. One that cannot be used is
                           replaced by another pick */
    bool fresh;         /* not from the pool: for upgrades, and for a second try */
};

enum dial_result {
    DIAL_OK,
    DIAL_REFUSED,   /* no server that was tried could be reached: 502 */
    DIAL_NO_SERVER, /* none is up, or no name could be resolved: 503 */
    DIAL_BUSY,      /* all have max_connections, and the queue is full or has taken too long: 503 */
    DIAL_TIMEOUT,   /* the last one that was tried did not answer within connect_timeout: 504 */
    DIAL_NO_MEMORY  /* this machine is out of memory or of descriptors: 503 */
};

/* How it came to its end; all is borrowed for the call, and texts are terminated. */
struct dial_report {
    const char *why;    /* words for the log, where it failed */
    const char *server; /* the last one that was tried, as in its `text`; "" where none was */
    unsigned tries;     /* servers that were tried, with the one that was reached */
};

/* The end of a dial, which is freed. With DIAL_OK `backend` is given: established (TLS too), with a
 * lease, without an owner yet; else NULL. */
typedef void (*dial_fn)(void *context, enum dial_result result, struct backend *backend,
                        const struct dial_report *report);

/* Starts; `fn` is called later, never from within, and not after dial_cancel. Borrowed until then;
 * NULL when memory is out. */
struct dial *dial_start(struct upstream *upstream, const struct dial_wish *wish, dial_fn fn,
                        void *context);

/* Ends a dial without calling back, and nulls it; what was connected is closed. NULL inside is
 * fine. */
void dial_cancel(struct dial **dial);

#endif
