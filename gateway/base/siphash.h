/* SipHash-2-4 (Aumasson and Bernstein, 2012): a short keyed hash for tables whose keys peers
 * choose. Who does not know the key cannot make keys that collide. */
#ifndef WEIR_BASE_SIPHASH_H
#define WEIR_BASE_SIPHASH_H

#include <stdint.h>

#include "base/span.h"

/* A key, as two little-endian words. */
struct siphash_key {
    uint64_t low;
    uint64_t high;
};

/* The hash of `bytes` (borrowed). The same on every machine. Any thread. */
uint64_t siphash(const struct siphash_key *key, struct span bytes);

#endif
