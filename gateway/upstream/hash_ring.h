/* A consistent-hash ring over the servers of a roster: each has virtual nodes by its weight, at
 * places that depend on its id alone. So the same servers give the same ring on every worker and
 * after every restart, and a server that joins or goes moves its own share of keys and no other's.
 * One thread. */
#ifndef WEIR_UPSTREAM_HASH_RING_H
#define WEIR_UPSTREAM_HASH_RING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "upstream/group.h"

struct hash_ring;

/* Whether the server at `index` of the roster may be chosen. */
typedef bool (*hash_ring_may_fn)(const void *context, size_t index);

/* Given; borrows neither. NULL when memory is out. */
struct hash_ring *hash_ring_new(const struct config_upstream *config, const struct roster *roster);
void hash_ring_free(struct hash_ring **ring);

/* The index in the roster of the first server at or after the key's place for which `may` says yes;
 * SIZE_MAX where it does for none. */
size_t hash_ring_find(const struct hash_ring *ring, struct span key, hash_ring_may_fn may,
                      const void *context);

/* How many virtual nodes a server of that weight has in this upstream. Any thread. */
size_t hash_ring_nodes(const struct config_upstream *config, uint64_t weight);

#endif
