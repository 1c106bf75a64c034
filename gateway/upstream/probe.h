/* One active check of one server: connects, asks as the configuration says, and tells what came of
 * it. One thread: the control thread. */
#ifndef WEIR_UPSTREAM_PROBE_H
#define WEIR_UPSTREAM_PROBE_H

#include <stdbool.h>

#include "net/loop.h"
#include "upstream/group.h"

struct probe;

/* The end of a probe, which is freed. `why`, where it is not good, is terminated words without the
 * server's name, borrowed for the call. */
typedef void (*probe_fn)(void *context, bool good, const char *why);

/* Starts what the health_check of the group's configuration says; it takes its timeout at most.
 * Shares `server`, borrows `loop` and `group`. `fn` is called later, never from within. Borrowed
 * until then; NULL when memory is out. */
struct probe *probe_start(struct loop *loop, const struct upstream_group *group,
                          struct upstream_server *server, probe_fn fn, void *context);

/* Ends it without calling back, and nulls it. NULL inside is fine. */
void probe_cancel(struct probe **probe);

#endif
