/* How each way chooses among candidates that balancer.c has found fit. All compare servers by
 * effective weight, so that slow start holds for each; the ring alone goes by configured weights,
 * since keys shall not wander while a server warms up. No way looks at health, and none takes a
 * lease. */
#include "upstream/balancer_ways.h"

#include <stdlib.h>

#include "upstream/hash_ring.h"

enum {
    SPINS_MAX = 64
};

/* splitmix64 (Steele, Lea and Flood, 2014): any seed will do, 0 too. */
static uint64_t next_random(struct balancer *balancer)
{
    uint64_t z = balancer->random += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* Smooth weighted round robin: each turn every candidate earns its weight, the richest is chosen
 * and pays for all. Within one round of weights each is chosen exactly as often as it weighs, and
 * the heavy ones are spread over the round. */
static size_t choose_in_turn(struct balancer *balancer, const struct balancer_pick *pick)
{
    int64_t total = 0;
    size_t best = 0;
    (void)pick;
    for (size_t i = 0; i < balancer->candidate_count; i++) {
        const struct candidate *candidate = &balancer->candidates[i];
        int64_t *credit = &balancer->credit[candidate->index];
        *credit += (int64_t)candidate->weight;
        total += (int64_t)candidate->weight;
        if (*credit > balancer->credit[balancer->candidates[best].index]) {
            best = i;
        }
    }
    balancer->credit[balancer->candidates[best].index] -= total;
    return best;
}

/* Goes a few turns ahead by the seed, so that workers do not all begin with the same server.
 * Backups have no part in that: credit that they took from the others would stay with them. */
static bool prepare_turns(struct balancer *balancer)
{
    size_t count = balancer->roster->count;
    balancer->credit = calloc(count > 0 ? count : 1, sizeof *balancer->credit);
    if (balancer->credit == NULL) {
        return false;
    }
    uint64_t round = 0;
    size_t taking_turns = 0;
    for (size_t i = 0; i < count; i++) {
        const struct config_server *server = balancer->roster->servers[i]->config;
        if (!server->backup) {
            balancer->candidates[taking_turns++] =
                (struct candidate){.index = i, .weight = server->weight * 1000};
            round += server->weight;
        }
    }
    balancer->candidate_count = taking_turns;
    uint64_t spins = round > 0 ? balancer->random % round : 0;
    for (uint64_t i = 0; i < spins && i < SPINS_MAX; i++) {
        choose_in_turn(balancer, NULL);
    }
    return true;
}

/* Whether `a` would bear less than `b` with one connection more: (active + 1) / weight. Counting
 * the one to come makes weights matter among idle servers too, and lets slow start hold back a
 * server that has nothing yet. 2^32 connections and weights below 2^20 fit in 64 bits. */
static bool bears_less(const struct candidate *a, const struct candidate *b)
{
    return (a->active + 1) * b->weight < (b->active + 1) * a->weight;
}

static size_t choose_least(struct balancer *balancer, const struct balancer_pick *pick)
{
    size_t count = balancer->candidate_count;
    size_t best = balancer->turn++ % count;
    size_t first = best;
    (void)pick;
    for (size_t i = 1; i < count; i++) {
        size_t at = (first + i) % count;
        if (bears_less(&balancer->candidates[at], &balancer->candidates[best])) {
            best = at;
        }
    }
    return best;
}

/* A random position by weight, other than `but` (SIZE_MAX: any). */
static size_t draw(struct balancer *balancer, size_t but)
{
    uint64_t total = 0;
    for (size_t i = 0; i < balancer->candidate_count; i++) {
        total += i != but ? balancer->candidates[i].weight : 0;
    }
    uint64_t left = next_random(balancer) % total;
    for (size_t i = 0;; i++) {
        uint64_t weight = i != but ? balancer->candidates[i].weight : 0;
        if (left < weight) {
            return i;
        }
        left -= weight;
    }
}

/* The power of two choices: nearly as even as the least of all, and a figure that is late makes no
 * herd run to one server. */
static size_t choose_of_two(struct balancer *balancer, const struct balancer_pick *pick)
{
    (void)pick;
    if (balancer->candidate_count == 1) {
        return 0;
    }
    size_t first = draw(balancer, SIZE_MAX);
    size_t second = draw(balancer, first);
    return bears_less(&balancer->candidates[second], &balancer->candidates[first]) ? second : first;
}

static bool prepare_ring(struct balancer *balancer)
{
    balancer->ring = hash_ring_new(balancer->config, balancer->roster);
    return balancer->ring != NULL;
}

static size_t position_of(const struct balancer *balancer, size_t index)
{
    size_t i = 0;
    while (i < balancer->candidate_count && balancer->candidates[i].index != index) {
        i++;
    }
    return i;
}

static bool is_candidate(const void *context, size_t index)
{
    const struct balancer *balancer = context;
    return position_of(balancer, index) < balancer->candidate_count;
}

/* Requests without the header or cookie that is hashed would all meet at one server; they are
 * spread instead. */
static size_t choose_by_hash(struct balancer *balancer, const struct balancer_pick *pick)
{
    if (pick->hash_key.size == 0) {
        return choose_least(balancer, pick);
    }
    return position_of(balancer,
                       hash_ring_find(balancer->ring, pick->hash_key, is_candidate, balancer));
}

const struct balancer_way *balancer_way_of(enum config_balance balance)
{
    static const struct balancer_way ways[] = {
        [CONFIG_BALANCE_ROUND_ROBIN] = {prepare_turns, choose_in_turn},
        [CONFIG_BALANCE_LEAST_CONNECTIONS] = {NULL, choose_least},
        [CONFIG_BALANCE_RANDOM_TWO] = {NULL, choose_of_two},
        [CONFIG_BALANCE_HASH] = {prepare_ring, choose_by_hash},
        [CONFIG_BALANCE_STICKY] = {NULL, choose_least},
    };
    return &ways[balance];
}
