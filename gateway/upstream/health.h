/* Active health checks of all upstreams that have them. One thread: the control thread. */
#ifndef WEIR_UPSTREAM_HEALTH_H
#define WEIR_UPSTREAM_HEALTH_H

#include "base/err.h"
#include "net/loop.h"
#include "upstream/lineup.h"

struct health;

/* Borrows `loop`. Given; NULL when memory is out. */
struct health *health_new(struct loop *loop);

/* Ends all checks and frees. NULL inside is fine. */
void health_free(struct health **health);

/* Checks the servers of this lineup (borrowed) from now on, at each moment those that are in it.
 * Nothing happens without a health_check in its configuration. */
WEIR_MUST enum weir_err health_add(struct health *health, struct lineup *lineup);

#endif
