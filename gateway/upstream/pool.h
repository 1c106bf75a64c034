/* The idle connections of one upstream on one worker, by server; for the files of upstream/ alone.
 * One thread. */
#ifndef WEIR_UPSTREAM_POOL_H
#define WEIR_UPSTREAM_POOL_H

#include <stdbool.h>

#include "upstream/backend.h"
#include "upstream/upstream.h"

/* Prepares an upstream's pools. */
void pool_init(struct upstream *upstream);

/* Takes a backend that nobody owns, whose lease the caller still has. False: it cannot be kept, and
 * is the caller's to close. */
bool pool_put(struct backend *backend);

/* The connection to that server that was used last, in no list and without a lease; NULL: none.
 * Those that turn out to be dead are closed. */
struct backend *pool_take(struct upstream *upstream, const struct upstream_server *server);

/* Whether nothing has come on a connection between two requests, and its peer is there. */
bool pool_is_silent(struct backend *backend);

/* Closes what leads to servers that have gone, are down or unhealthy. */
void pool_sweep(struct upstream *upstream);

/* Closes all, and frees. */
void pool_clear(struct upstream *upstream);

#endif
