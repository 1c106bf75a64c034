/* How backends begin and end, for the files of upstream/ alone. One thread. */
#ifndef WEIR_UPSTREAM_BACKEND_INTERNAL_H
#define WEIR_UPSTREAM_BACKEND_INTERNAL_H

#include "base/err.h"
#include "upstream/backend.h"
#include "upstream/upstream.h"

/* Starts a connection to `server`, of which the caller has a lease; that is the backend's from then
 * on. Given, in use, with `ops` and `owner`. WEIR_ENOMEM; WEIR_EIO: errno tells why. The lease
 * stays the caller's then. */
WEIR_MUST enum weir_err backend_connect(struct upstream *upstream, struct upstream_server *server,
                                        const struct backend_ops *ops, void *owner,
                                        struct backend **out);

/* A backend from the pool is in use again; the lease that the caller has is its own now. */
void backend_use(struct backend *backend);

/* Closes one that is in no list and has no lease; it is freed at the end of the turn. */
void backend_destroy(struct backend *backend);

#endif
