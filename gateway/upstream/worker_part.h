/* The upstreams as one worker sees them: its pools, its queues, its connections to backends. One
 * thread. */
#ifndef WEIR_UPSTREAM_WORKER_PART_H
#define WEIR_UPSTREAM_WORKER_PART_H

#include <stddef.h>

#include "config/config.h"
#include "net/loop.h"

struct upstream;  /* one upstream on one worker */
struct upstreams; /* the process part */
struct upstream_worker;

/* The worker's part of all upstreams. Borrows both, which outlive it. Given; NULL when memory is
 * out. Worker's thread. */
struct upstream_worker *upstream_worker_new(struct upstreams *upstreams, struct loop *loop);

/* Cuts every connection to a backend that is left, with no call but backend_ops.dropped, and frees.
 */
void upstream_worker_free(struct upstream_worker **worker);

/* Connections in use and dials under way; idle ones do not count. A worker that stops waits for 0.
 */
size_t upstream_worker_busy(const struct upstream_worker *worker);

/* Borrowed for the worker part's life; NULL where there is none of that name. */
struct upstream *upstream_worker_find(struct upstream_worker *worker, const char *name);

const struct config_upstream *upstream_config(const struct upstream *upstream);

#endif
