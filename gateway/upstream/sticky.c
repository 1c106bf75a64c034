/* Ids that were learned, as handlers ask for them. Called by the proxy with requests that carry an
 * id and with answers that bring one; the table is learned.c's. */
#include "upstream/sticky.h"

#include "upstream/learned.h"
#include "upstream/upstream.h"

void sticky_learn(struct upstream *upstream, struct span token,
                  const struct upstream_server *server)
{
    if (upstream->group->learned != NULL && token.size > 0) {
        learned_ids_put(upstream->group->learned, token, server->id, upstream_now_ms(upstream));
    }
}

uint64_t sticky_recall(struct upstream *upstream, struct span token)
{
    if (upstream->group->learned == NULL || token.size == 0) {
        return 0;
    }
    return learned_ids_get(upstream->group->learned, token, upstream_now_ms(upstream));
}
