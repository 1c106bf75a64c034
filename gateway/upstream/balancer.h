/* Which server is next, on one worker and for one roster. Each way of balancing is a row of
 * functions. One thread. */
#ifndef WEIR_UPSTREAM_BALANCER_H
#define WEIR_UPSTREAM_BALANCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "upstream/group.h"

struct balancer;

/* What may not be picked, beside what cannot be used: servers that this request has tried. */
struct balancer_pick {
    struct span hash_key;
    uint64_t now_ms;
    const struct upstream_server *const *tried; /* borrowed */
    size_t tried_count;
};

/* Given; shares the roster. NULL when memory is out. `seed` makes workers differ. */
struct balancer *balancer_new(const struct config_upstream *config, struct roster *roster,
                              uint64_t seed);
void balancer_free(struct balancer **balancer);

/* Picks among the servers that take new work, backups only when no other does; where none does,
 * among those that are only ejected. Takes a lease of the one it returns (borrowed). NULL: none;
 * `*busy` tells that there would be one but for max_connections. */
struct upstream_server *balancer_next(struct balancer *balancer, const struct balancer_pick *pick,
                                      bool *busy);

#endif
