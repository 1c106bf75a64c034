/* The table of ids that were learned from servers' answers: token -> server, for one upstream, for
 * all workers. All functions but new and free: any thread. */
#ifndef WEIR_UPSTREAM_LEARNED_H
#define WEIR_UPSTREAM_LEARNED_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct learned_ids;

/* An id that was not used for `ttl_ms` is forgotten; of more than `max_ids` (at least 1) the one
 * that was not used for longest goes. Given; NULL when memory is out, or the system has no random
 * bytes. Any thread. */
struct learned_ids *learned_ids_new(uint64_t ttl_ms, uint64_t max_ids);

/* Frees and nulls it; NULL inside is fine. Nobody else uses it any more. */
void learned_ids_free(struct learned_ids **ids);

/* Remembers that `token` (borrowed, of any size) belongs to the server of that id, or moves it
 * there. `now_ms` is of the monotonic clock. Without memory it is not remembered. */
void learned_ids_put(struct learned_ids *ids, struct span token, uint64_t server_id,
                     uint64_t now_ms);

/* The server's id, or 0 for a token that is not known or has expired. Counts as a use. */
uint64_t learned_ids_get(struct learned_ids *ids, struct span token, uint64_t now_ms);

/* How many are kept, expired ones that nobody has asked for among them. */
size_t learned_ids_count(struct learned_ids *ids);

#endif
