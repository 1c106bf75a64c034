/* The ways of balancing, for balancer.c alone. */
#ifndef WEIR_UPSTREAM_BALANCER_WAYS_H
#define WEIR_UPSTREAM_BALANCER_WAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "upstream/balancer.h"

struct hash_ring;

/* A server that may be picked now. */
struct candidate {
    size_t index; /* in the roster */
    uint64_t active;
    uint64_t weight; /* effective */
};

struct balancer {
    const struct balancer_way *way;
    const struct config_upstream *config;
    struct roster *roster; /* shared */
    struct candidate *candidates;
    size_t candidate_count;
    uint64_t random; /* the generator's state */
    size_t turn;     /* ties go round */
    int64_t *credit; /* round_robin: of each server */
    struct hash_ring *ring;
};

struct balancer_way {
    /* Makes what the way needs of its own; false: memory is out. NULL: nothing. */
    bool (*prepare)(struct balancer *balancer);
    /* The position among the candidates, of which there is at least one. */
    size_t (*choose)(struct balancer *balancer, const struct balancer_pick *pick);
};

/* The way that is configured; static storage. */
const struct balancer_way *balancer_way_of(enum config_balance balance);

#endif
