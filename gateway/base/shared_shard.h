/* One shard of a shared dictionary: a chained hash table, and a ring in the order of last use. It
 * has no lock of its own: whoever calls holds the shard's. For shared_dict.c. */
#ifndef WEIR_BASE_SHARED_SHARD_H
#define WEIR_BASE_SHARED_SHARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/shared_dict.h"
#include "base/span.h"

/* Beside the kinds of shared_dict.h: a token bucket; `number` is what is in it. */
#define SHARED_BUCKET ((enum shared_kind)(SHARED_BYTES + 1))

struct shared_entry {
    struct list_node use;      /* in the shard's ring, the latest used last */
    struct shared_entry *next; /* in its slot */
    uint64_t hash;
    uint64_t expires_ms; /* 0: never */
    uint64_t filled_ms;  /* of a bucket: when `number` was true */
    double number;
    size_t value_size;
    uint16_t key_size;
    uint8_t boolean;
    uint8_t kind;    /* enum shared_kind */
    uint8_t bytes[]; /* the key, then the value */
};

struct shared_shard {
    struct shared_entry **slots;
    size_t slot_mask; /* their count, a power of two, less one */
    size_t size_max;  /* bytes of all entries with what they cost */
    size_t size;
    struct list_node uses;
};

/* Prepares it for `size_max` bytes. WEIR_ENOMEM. */
WEIR_MUST enum weir_err shared_shard_init(struct shared_shard *shard, size_t size_max);

/* Frees all entries. Harmless on one that is all zero. */
void shared_shard_destroy(struct shared_shard *shard);

/* The entry at `key`, now the latest used; NULL where there is none. One that has expired is freed
 * here. */
struct shared_entry *shared_shard_find(struct shared_shard *shard, uint64_t hash, struct span key,
                                       uint64_t now_ms);

/* Makes the entry at `key` one with room for `value_size` bytes of value, in place of `old` (that
 * shared_shard_find gave for that key, or NULL), and frees what has not been used for longest until
 * it fits. Kind, value and expiry are the caller's to fill. WEIR_ELIMIT: it can never fit;
 * WEIR_ENOMEM: both leave `old` as it was. */
WEIR_MUST enum weir_err shared_shard_put(struct shared_shard *shard, uint64_t hash, struct span key,
                                         size_t value_size, struct shared_entry *old,
                                         struct shared_entry **out);

/* Frees one entry. */
void shared_shard_remove(struct shared_shard *shard, struct shared_entry *entry);

/* Whether it is over at `now_ms`. */
static inline int shared_entry_expired(const struct shared_entry *entry, uint64_t now_ms)
{
    return entry->expires_ms != 0 && entry->expires_ms <= now_ms;
}

static inline struct span shared_entry_key(const struct shared_entry *entry)
{
    return (struct span){entry->bytes, entry->key_size};
}

static inline struct span shared_entry_value(const struct shared_entry *entry)
{
    return (struct span){entry->bytes + entry->key_size, entry->value_size};
}

#endif
