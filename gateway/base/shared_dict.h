/* Dictionaries that all workers share: text keys, values that are numbers, booleans or bytes, each
 * maybe with a time to live; bounded, the least recently used goes. A mutex per shard; no call
 * waits for anything else. Any thread. */
#ifndef WEIR_BASE_SHARED_DICT_H
#define WEIR_BASE_SHARED_DICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"

enum {
    SHARED_DICT_KEY_MAX = 1024 /* bytes */
};

enum shared_kind {
    SHARED_NONE,
    SHARED_BOOLEAN,
    SHARED_NUMBER,
    SHARED_BYTES
};

struct shared_value {
    enum shared_kind kind;
    bool boolean;
    double number;
    struct span bytes; /* in: borrowed; out: in the caller's buffer */
};

struct shared_dict;

/* Given; NULL when memory is out. `size_bytes` bounds all entries with what they cost beside their
 * bytes. */
struct shared_dict *shared_dict_new(size_t size_bytes);
void shared_dict_free(struct shared_dict **dict);

/* The value at `key`; SHARED_NONE where there is none or it has expired. Bytes are appended to
 * `out`. Counts as a use. WEIR_ENOMEM. */
WEIR_MUST enum weir_err shared_dict_get(struct shared_dict *dict, struct span key, uint64_t now_ms,
                                        struct shared_value *value, struct buffer *out);

/* Stores; `ttl_ms` 0: for ever. `only_new`: WEIR_AGAIN where there is one already. WEIR_ELIMIT: key
 * or value is too large for the dictionary; WEIR_ENOMEM. SHARED_NONE deletes. */
WEIR_MUST enum weir_err shared_dict_set(struct shared_dict *dict, struct span key,
                                        const struct shared_value *value, uint64_t ttl_ms,
                                        bool only_new, uint64_t now_ms);

/* Adds `by` to the number at `key` and gives the sum; where there is none, `*initial` is taken
 * first (with `ttl_ms`), or WEIR_AGAIN given where that is NULL. WEIR_EINVAL: what is there is no
 * number; WEIR_ELIMIT and WEIR_ENOMEM as shared_dict_set. */
WEIR_MUST enum weir_err shared_dict_increase(struct shared_dict *dict, struct span key, double by,
                                             const double *initial, uint64_t ttl_ms,
                                             uint64_t now_ms, double *sum);

/* Milliseconds to live: *ttl_ms 0 for ever; false where there is no such key. */
bool shared_dict_ttl(struct shared_dict *dict, struct span key, uint64_t now_ms, uint64_t *ttl_ms);
bool shared_dict_expire(struct shared_dict *dict, struct span key, uint64_t ttl_ms,
                        uint64_t now_ms);

/* Calls `fn` for up to `most` keys (0: all) that have not expired; on a copy, so that it may do
 * anything. */
typedef void (*shared_dict_key_fn)(void *context, struct span key);
WEIR_MUST enum weir_err shared_dict_keys(struct shared_dict *dict, size_t most, uint64_t now_ms,
                                         shared_dict_key_fn fn, void *context);

/* A token bucket at `key`: `rate` tokens a second, at most `burst`; takes `count` if there are so
 * many. Atomic, for rate limits over all workers. False: too few; `*wait_ms` tells when there will
 * be enough (0: never). What else is at `key` is replaced; where no memory is left, it is true. */
bool shared_dict_take(struct shared_dict *dict, struct span key, double rate, double burst,
                      double count, uint64_t now_ms, uint64_t *wait_ms);

#endif
