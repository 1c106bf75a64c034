/* Shards behind a mutex each; a keyed hash chooses the shard and the slot, so peers who choose keys
 * cannot aim at either. Every call takes one lock for a few instructions and the copy of a value;
 * shared_dict_keys takes one after the other. Called by Lua's weir.shared, on all workers. It keeps
 * no clock: callers bring the time. */
#include "base/shared_dict.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/shared_shard.h"
#include "base/siphash.h"

enum {
    SHARDS_MAX = 16,
    SHARD_BYTES = 64 * 1024 /* a smaller dictionary has fewer shards: a value must fit in one */
};

/* Two shards on one cache line would slow down each other's locks. */
struct locked_shard {
    _Alignas(64) pthread_mutex_t lock;
    struct shared_shard shard;
};

struct shared_dict {
    struct siphash_key key;
    size_t shard_count; /* a power of two */
    size_t prepared;    /* shards with a lock */
    struct locked_shard shards[SHARDS_MAX];
};

/* Where a key lives. The table's slots take the low bits of the hash, so the shard takes high ones.
 */
struct place {
    struct locked_shard *locked;
    struct shared_shard *shard;
    uint64_t hash;
    struct span key;
};

static bool fill_key(struct siphash_key *key)
{
    ssize_t got;
    do {
        got = getrandom(key, sizeof *key, 0);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof *key;
}

static bool prepare(struct shared_dict *dict, size_t size_bytes)
{
    if (!fill_key(&dict->key)) {
        return false;
    }
    dict->shard_count = 1;
    while (dict->shard_count < SHARDS_MAX && size_bytes / dict->shard_count >= 2 * SHARD_BYTES) {
        dict->shard_count *= 2;
    }
    while (dict->prepared < dict->shard_count) {
        struct locked_shard *locked = &dict->shards[dict->prepared];
        if (pthread_mutex_init(&locked->lock, NULL) != 0) {
            return false;
        }
        dict->prepared++;
        if (shared_shard_init(&locked->shard, size_bytes / dict->shard_count) != WEIR_OK) {
            return false;
        }
    }
    return true;
}

struct shared_dict *shared_dict_new(size_t size_bytes)
{
    struct shared_dict *dict = aligned_alloc(_Alignof(struct shared_dict), sizeof *dict);
    if (dict == NULL) {
        return NULL;
    }
    memset(dict, 0, sizeof *dict);
    if (!prepare(dict, size_bytes)) {
        shared_dict_free(&dict);
    }
    return dict;
}

void shared_dict_free(struct shared_dict **dict)
{
    for (size_t i = 0; *dict != NULL && i < (*dict)->prepared; i++) {
        shared_shard_destroy(&(*dict)->shards[i].shard);
        pthread_mutex_destroy(&(*dict)->shards[i].lock);
    }
    free(*dict);
    *dict = NULL;
}

static struct place place_lock(struct shared_dict *dict, struct span key)
{
    uint64_t hash = siphash(&dict->key, key);
    struct locked_shard *locked = &dict->shards[(hash >> 56) & (dict->shard_count - 1)];
    pthread_mutex_lock(&locked->lock);
    return (struct place){locked, &locked->shard, hash, key};
}

static void place_unlock(const struct place *at)
{
    pthread_mutex_unlock(&at->locked->lock);
}

static struct shared_entry *find(const struct place *at, uint64_t now_ms)
{
    return at->key.size > SHARED_DICT_KEY_MAX
               ? NULL
               : shared_shard_find(at->shard, at->hash, at->key, now_ms);
}

static enum weir_err put(const struct place *at, size_t value_size, struct shared_entry *old,
                         struct shared_entry **out)
{
    if (at->key.size > SHARED_DICT_KEY_MAX) {
        return WEIR_ELIMIT;
    }
    return shared_shard_put(at->shard, at->hash, at->key, value_size, old, out);
}

/* Never 0, which means for ever; a time that no clock reaches is for ever. */
static uint64_t expiry(uint64_t ttl_ms, uint64_t now_ms)
{
    return ttl_ms == 0 || ttl_ms > UINT64_MAX - now_ms ? 0 : now_ms + ttl_ms;
}

/* --- values --- */

static enum weir_err read_entry(const struct shared_entry *entry, struct shared_value *value,
                                struct buffer *out)
{
    struct span bytes = shared_entry_value(entry);
    struct shared_value found = {.kind = (enum shared_kind)entry->kind,
                                 .boolean = entry->boolean != 0,
                                 .number = entry->number};
    if (found.kind == SHARED_BUCKET) {
        found.kind = SHARED_NUMBER;
    }
    if (found.kind == SHARED_BYTES) {
        size_t start = out->size;
        enum weir_err err = buffer_reserve(out, bytes.size + 1); /* so that it is never NULL */
        if (err == WEIR_OK) {
            err = buffer_append(out, bytes);
        }
        if (err != WEIR_OK) {
            return err;
        }
        found.bytes = span_from(buffer_span(out), start);
    }
    *value = found;
    return WEIR_OK;
}

enum weir_err shared_dict_get(struct shared_dict *dict, struct span key, uint64_t now_ms,
                              struct shared_value *value, struct buffer *out)
{
    struct place at = place_lock(dict, key);
    const struct shared_entry *entry = find(&at, now_ms);
    enum weir_err err = WEIR_OK;
    if (entry == NULL) {
        *value = (struct shared_value){.kind = SHARED_NONE};
    } else {
        err = read_entry(entry, value, out);
    }
    place_unlock(&at);
    return err;
}

static enum weir_err store(const struct place *at, const struct shared_value *value,
                           struct shared_entry *old, uint64_t expires_ms)
{
    size_t size = value->kind == SHARED_BYTES ? value->bytes.size : 0;
    struct shared_entry *entry = NULL;
    enum weir_err err = put(at, size, old, &entry);
    if (err != WEIR_OK) {
        return err;
    }
    entry->kind = (uint8_t)value->kind;
    entry->boolean = value->boolean;
    entry->number = value->number;
    entry->expires_ms = expires_ms;
    if (size > 0) {
        memcpy(entry->bytes + entry->key_size, value->bytes.data, size);
    }
    return WEIR_OK;
}

enum weir_err shared_dict_set(struct shared_dict *dict, struct span key,
                              const struct shared_value *value, uint64_t ttl_ms, bool only_new,
                              uint64_t now_ms)
{
    struct place at = place_lock(dict, key);
    struct shared_entry *old = find(&at, now_ms);
    enum weir_err err = WEIR_OK;
    if (old != NULL && only_new) {
        err = WEIR_AGAIN;
    } else if (value->kind != SHARED_NONE) {
        err = store(&at, value, old, expiry(ttl_ms, now_ms));
    } else if (old != NULL) {
        shared_shard_remove(at.shard, old);
    }
    place_unlock(&at);
    return err;
}

enum weir_err shared_dict_increase(struct shared_dict *dict, struct span key, double by,
                                   const double *initial, uint64_t ttl_ms, uint64_t now_ms,
                                   double *sum)
{
    struct place at = place_lock(dict, key);
    struct shared_entry *entry = find(&at, now_ms);
    enum weir_err err = WEIR_OK;
    if (entry == NULL && initial == NULL) {
        err = WEIR_AGAIN;
    } else if (entry == NULL) {
        struct shared_value value = {.kind = SHARED_NUMBER, .number = *initial + by};
        err = store(&at, &value, NULL, expiry(ttl_ms, now_ms));
        *sum = err == WEIR_OK ? value.number : *sum;
    } else if (entry->kind != SHARED_NUMBER) {
        err = WEIR_EINVAL;
    } else {
        entry->number += by;
        *sum = entry->number;
    }
    place_unlock(&at);
    return err;
}

/* --- time to live --- */

bool shared_dict_ttl(struct shared_dict *dict, struct span key, uint64_t now_ms, uint64_t *ttl_ms)
{
    struct place at = place_lock(dict, key);
    const struct shared_entry *entry = find(&at, now_ms);
    if (entry != NULL) {
        *ttl_ms = entry->expires_ms == 0 ? 0 : entry->expires_ms - now_ms;
    }
    place_unlock(&at);
    return entry != NULL;
}

bool shared_dict_expire(struct shared_dict *dict, struct span key, uint64_t ttl_ms, uint64_t now_ms)
{
    struct place at = place_lock(dict, key);
    struct shared_entry *entry = find(&at, now_ms);
    if (entry != NULL) {
        entry->expires_ms = expiry(ttl_ms, now_ms);
    }
    place_unlock(&at);
    return entry != NULL;
}

/* --- keys --- */

/* Appends the sizes and bytes of a shard's keys, at most `most` in `*count` of all shards. */
static enum weir_err copy_keys(struct shared_shard *shard, size_t most, uint64_t now_ms,
                               struct buffer *copy, size_t *count)
{
    for (struct list_node *node = shard->uses.next; node != &shard->uses; node = node->next) {
        const struct shared_entry *entry = list_item(node, struct shared_entry, use);
        struct span size = {(const uint8_t *)&entry->key_size, sizeof entry->key_size};
        if (*count == most && most != 0) {
            return WEIR_OK;
        }
        if (shared_entry_expired(entry, now_ms)) {
            continue;
        }
        if (buffer_append(copy, size) != WEIR_OK ||
            buffer_append(copy, shared_entry_key(entry)) != WEIR_OK) {
            return WEIR_ENOMEM;
        }
        (*count)++;
    }
    return WEIR_OK;
}

enum weir_err shared_dict_keys(struct shared_dict *dict, size_t most, uint64_t now_ms,
                               shared_dict_key_fn fn, void *context)
{
    struct buffer copy = {0};
    size_t count = 0;
    enum weir_err err = WEIR_OK;
    for (size_t i = 0; err == WEIR_OK && i < dict->shard_count; i++) {
        struct locked_shard *locked = &dict->shards[i];
        pthread_mutex_lock(&locked->lock);
        err = copy_keys(&locked->shard, most, now_ms, &copy, &count);
        pthread_mutex_unlock(&locked->lock);
    }
    struct span rest = buffer_span(&copy);
    while (err == WEIR_OK && rest.size > 0) {
        uint16_t size = 0;
        memcpy(&size, rest.data, sizeof size);
        rest = span_from(rest, sizeof size);
        fn(context, (struct span){rest.data, size});
        rest = span_from(rest, size);
    }
    buffer_free(&copy);
    return err;
}

/* --- token buckets --- */

static double filled(const struct shared_entry *entry, double rate, double burst, uint64_t now_ms)
{
    /* Callers bring their own time, so that one may be a little behind another. */
    uint64_t passed_ms = now_ms > entry->filled_ms ? now_ms - entry->filled_ms : 0;
    double tokens = entry->number + rate * (double)passed_ms / 1000;
    return tokens < burst ? tokens : burst;
}

/* Rounded up, and at least 1; 0 where no clock gets there. */
static uint64_t time_to_fill_ms(double missing, double rate)
{
    double exact_ms = missing / rate * 1000;
    if (!(exact_ms < 9e15)) {
        return 0;
    }
    uint64_t wait_ms = (uint64_t)exact_ms;
    return wait_ms == 0 || (double)wait_ms < exact_ms ? wait_ms + 1 : wait_ms;
}

static bool take(const struct place *at, double rate, double burst, double count, uint64_t now_ms,
                 uint64_t *wait_ms)
{
    struct shared_entry *entry = find(at, now_ms);
    bool is_bucket = entry != NULL && entry->kind == SHARED_BUCKET;
    double tokens = is_bucket ? filled(entry, rate, burst, now_ms) : burst;
    if (tokens < count) {
        *wait_ms = rate > 0 ? time_to_fill_ms(count - tokens, rate) : 0;
        return false;
    }
    if (!is_bucket && put(at, 0, entry, &entry) != WEIR_OK) {
        return true;
    }
    uint64_t filled_ms = is_bucket && entry->filled_ms > now_ms ? entry->filled_ms : now_ms;
    entry->kind = SHARED_BUCKET;
    entry->number = tokens - count;
    entry->filled_ms = filled_ms;
    /* A full bucket is as good as none. */
    entry->expires_ms =
        rate > 0 ? expiry(time_to_fill_ms(burst - entry->number, rate), filled_ms) : 0;
    return true;
}

bool shared_dict_take(struct shared_dict *dict, struct span key, double rate, double burst,
                      double count, uint64_t now_ms, uint64_t *wait_ms)
{
    *wait_ms = 0;
    if (!(rate >= 0) || !(count <= burst)) {
        return false;
    }
    if (!(count > 0)) {
        return true;
    }
    struct place at = place_lock(dict, key);
    bool taken = take(&at, rate, burst, count, now_ms, wait_ms);
    place_unlock(&at);
    return taken;
}
