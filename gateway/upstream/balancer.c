/* Finds who may be picked, and lets the configured way (balancer_ways.c) choose among them. Four
 * circles are asked in turn: servers that take new work, backups that do, and then, rather than
 * fail, servers and backups that nothing speaks against but an ejection: when every server has been
 * ejected, the fault may well be ours or the network's, and one attempt costs less than a certain
 * 503. Whoever is at max_connections waits for a slot; that does not turn work over to a backup.
 * Called by dial.c. It keeps no figures of its own about servers. */
#include "upstream/balancer.h"

#include <stdlib.h>

#include "upstream/balancer_ways.h"
#include "upstream/hash_ring.h"

struct circle {
    bool backup;
    bool ejected;
};

static const struct circle circles[] = {{false, false}, {true, false}, {false, true}, {true, true}};

struct balancer *balancer_new(const struct config_upstream *config, struct roster *roster,
                              uint64_t seed)
{
    struct balancer *balancer = calloc(1, sizeof *balancer);
    if (balancer == NULL) {
        return NULL;
    }
    atomic_fetch_add_explicit(&roster->references, 1, memory_order_relaxed);
    balancer->roster = roster;
    balancer->config = config;
    balancer->random = seed;
    balancer->turn = (size_t)seed;
    balancer->way = balancer_way_of(config->balance);
    balancer->candidates =
        calloc(roster->count > 0 ? roster->count : 1, sizeof *balancer->candidates);
    if (balancer->candidates == NULL ||
        (balancer->way->prepare != NULL && !balancer->way->prepare(balancer))) {
        balancer_free(&balancer);
    }
    return balancer;
}

void balancer_free(struct balancer **balancer)
{
    struct balancer *gone = *balancer;
    if (gone == NULL) {
        return;
    }
    hash_ring_free(&gone->ring);
    free(gone->credit);
    free(gone->candidates);
    roster_release(&gone->roster);
    free(gone);
    *balancer = NULL;
}

static bool was_tried(const struct balancer_pick *pick, const struct upstream_server *server)
{
    for (size_t i = 0; i < pick->tried_count; i++) {
        if (pick->tried[i] == server) {
            return true;
        }
    }
    return false;
}

static bool is_in(const struct circle *circle, const struct balancer_pick *pick,
                  const struct upstream_server *server)
{
    if (server->config->backup != circle->backup || was_tried(pick, server)) {
        return false;
    }
    return circle->ejected ? server_takes_in_need(server) : server_takes_new(server, pick->now_ms);
}

/* Fills the candidates; `*busy` tells of servers in the circle that have no slot. */
static void gather(struct balancer *balancer, const struct circle *circle,
                   const struct balancer_pick *pick, bool *busy)
{
    const struct roster *roster = balancer->roster;
    balancer->candidate_count = 0;
    for (size_t i = 0; i < roster->count; i++) {
        const struct upstream_server *server = roster->servers[i];
        if (!is_in(circle, pick, server)) {
            continue;
        }
        unsigned active = atomic_load_explicit(&server->active, memory_order_relaxed);
        if (server->config->max_connections > 0 && active >= server->config->max_connections) {
            *busy = true;
            continue;
        }
        balancer->candidates[balancer->candidate_count++] = (struct candidate){
            .index = i,
            .active = active,
            .weight = server_effective_weight(server, pick->now_ms),
        };
    }
}

/* The chosen candidate with a lease, or NULL once all of them have been filled up by other workers
 * meanwhile. */
static struct upstream_server *lease_one(struct balancer *balancer,
                                         const struct balancer_pick *pick, bool *busy)
{
    while (balancer->candidate_count > 0) {
        size_t at = balancer->way->choose(balancer, pick);
        struct upstream_server *server = balancer->roster->servers[balancer->candidates[at].index];
        if (server_lease(server)) {
            return server;
        }
        *busy = true;
        balancer->candidates[at] = balancer->candidates[--balancer->candidate_count];
    }
    return NULL;
}

struct upstream_server *balancer_next(struct balancer *balancer, const struct balancer_pick *pick,
                                      bool *busy)
{
    *busy = false;
    for (size_t i = 0; i < sizeof circles / sizeof circles[0]; i++) {
        gather(balancer, &circles[i], pick, busy);
        struct upstream_server *server = lease_one(balancer, pick, busy);
        if (server != NULL || *busy) {
            return server;
        }
    }
    return NULL;
}
