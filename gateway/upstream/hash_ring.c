/* A sorted array of places on a circle of 2^32, each with its server. The number of places of a
 * server follows from the configuration alone and never from who else is there now, since a share
 * that is scaled by the others' weights would move everyone's keys when one goes. Keys and places
 * are hashed with a key that is the same for all: two gateways must agree. Called by the balancer.
 * Who can choose its key can choose its server; that is what balance: hash means. */
#include "upstream/hash_ring.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"

enum {
    NODES_OF_THE_LIGHTEST = 160, /* shares differ by some 8 % then */
    NODES_OF_THE_HEAVIEST = 4096 /* wide ranges of weights are scaled down to it */
};

struct node {
    uint32_t place;
    uint32_t index; /* in the roster */
};

struct hash_ring {
    size_t count;
    struct node nodes[];
};

static const struct siphash_key shared_key = {0x7765697220726f75, 0x74657320736f2121};

static uint32_t place_of(struct span bytes)
{
    return (uint32_t)(siphash(&shared_key, bytes) >> 32);
}

size_t hash_ring_nodes(const struct config_upstream *config, uint64_t weight)
{
    uint64_t least = weight;
    uint64_t most = weight;
    for (size_t i = 0; i < config->server_count; i++) {
        uint64_t other = config->servers[i].weight;
        least = other < least ? other : least;
        most = other > most ? other : most;
    }
    uint64_t nodes = weight * NODES_OF_THE_LIGHTEST / least;
    if (most * NODES_OF_THE_LIGHTEST / least > NODES_OF_THE_HEAVIEST) {
        nodes = weight * NODES_OF_THE_HEAVIEST / most;
    }
    return nodes > 0 ? (size_t)nodes : 1;
}

/* By place; where two servers share one, always in the same order. */
static int compare(const void *left, const void *right)
{
    const struct node *a = left;
    const struct node *b = right;
    if (a->place != b->place) {
        return a->place < b->place ? -1 : 1;
    }
    return (a->index > b->index) - (a->index < b->index);
}

static void add_server(struct hash_ring *ring, uint64_t id, size_t nodes, size_t index)
{
    uint64_t name[2] = {id, 0};
    for (size_t i = 0; i < nodes; i++) {
        name[1] = i;
        ring->nodes[ring->count++] = (struct node){
            place_of((struct span){(const uint8_t *)name, sizeof name}), (uint32_t)index};
    }
}

struct hash_ring *hash_ring_new(const struct config_upstream *config, const struct roster *roster)
{
    size_t total = 0;
    for (size_t i = 0; i < roster->count; i++) {
        total += hash_ring_nodes(config, roster->servers[i]->config->weight);
    }
    struct hash_ring *ring = malloc(sizeof *ring + total * sizeof ring->nodes[0]);
    if (ring == NULL) {
        return NULL;
    }
    ring->count = 0;
    for (size_t i = 0; i < roster->count; i++) {
        const struct upstream_server *server = roster->servers[i];
        add_server(ring, server->id, hash_ring_nodes(config, server->config->weight), i);
    }
    if (total > 0) {
        qsort(ring->nodes, ring->count, sizeof ring->nodes[0], compare);
    }
    return ring;
}

void hash_ring_free(struct hash_ring **ring)
{
    free(*ring);
    *ring = NULL;
}

/* The first node at or after `place`; past the end it is the first of all. */
static size_t first_from(const struct hash_ring *ring, uint32_t place)
{
    size_t low = 0;
    size_t high = ring->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ring->nodes[middle].place < place) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

size_t hash_ring_find(const struct hash_ring *ring, struct span key, hash_ring_may_fn may,
                      const void *context)
{
    size_t from = first_from(ring, place_of(key));
    for (size_t i = 0; i < ring->count; i++) {
        size_t index = ring->nodes[(from + i) % ring->count].index;
        if (may(context, index)) {
            return index;
        }
    }
    return SIZE_MAX;
}
