/* Shards, each a chained hash table and a ring in the order of last use, behind a mutex of its own:
 * the shard is chosen by the hash, so workers seldom meet (docs/decisions/009-learned-ids.md). A
 * token is kept as 128 bits of keyed hash, not as text: entries have one size, whatever a server
 * calls its sessions, and a peer cannot aim at one chain. Called by sticky.c, made and freed by
 * group.c. It never waits but for a shard's lock. */
#include "upstream/learned.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/check.h"
#include "base/list.h"
#include "base/siphash.h"

enum {
    SHARDS = 16,
    SHARDED_FROM = 4096, /* ids; below it one shard, so that the limit is exact */
    FIRST_BUCKETS = 64
};

struct digest {
    uint64_t place; /* chooses shard and bucket */
    uint64_t check;
};

struct entry {
    struct list_node use; /* in the shard's ring, the latest used last */
    struct entry *next;   /* in its bucket */
    struct digest digest;
    uint64_t server_id;
    uint64_t used_ms;
};

struct shard {
    pthread_mutex_t lock;
    struct entry **buckets; /* bucket_count, a power of two */
    size_t bucket_count;
    size_t count;
    struct list_node uses;
};

struct learned_ids {
    uint64_t ttl_ms;
    uint64_t max_in_shard;
    struct siphash_key place_key;
    struct siphash_key check_key;
    size_t shard_count; /* those that could be prepared, while it is made */
    struct shard shards[SHARDS];
};

static bool random_bytes(void *out, size_t size)
{
    ssize_t got;
    do {
        got = getrandom(out, size, 0);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)size;
}

static bool shard_init(struct shard *shard)
{
    shard->buckets = calloc(FIRST_BUCKETS, sizeof *shard->buckets);
    if (shard->buckets == NULL) {
        return false;
    }
    shard->bucket_count = FIRST_BUCKETS;
    list_init(&shard->uses);
    if (pthread_mutex_init(&shard->lock, NULL) != 0) {
        free(shard->buckets);
        return false;
    }
    return true;
}

static void shard_destroy(struct shard *shard)
{
    while (!list_is_empty(&shard->uses)) {
        struct entry *entry = list_item(shard->uses.next, struct entry, use);
        list_remove(&entry->use);
        free(entry);
    }
    free(shard->buckets);
    pthread_mutex_destroy(&shard->lock);
}

struct learned_ids *learned_ids_new(uint64_t ttl_ms, uint64_t max_ids)
{
    struct learned_ids *ids = calloc(1, sizeof *ids);
    size_t shards = max_ids < SHARDED_FROM ? 1 : SHARDS;
    WEIR_CHECK(max_ids > 0);
    if (ids == NULL || !random_bytes(&ids->place_key, sizeof ids->place_key) ||
        !random_bytes(&ids->check_key, sizeof ids->check_key)) {
        learned_ids_free(&ids);
        return NULL;
    }
    ids->ttl_ms = ttl_ms;
    ids->max_in_shard = max_ids / shards;
    while (ids->shard_count < shards && shard_init(&ids->shards[ids->shard_count])) {
        ids->shard_count++;
    }
    if (ids->shard_count < shards) {
        learned_ids_free(&ids);
    }
    return ids;
}

void learned_ids_free(struct learned_ids **ids)
{
    if (*ids == NULL) {
        return;
    }
    for (size_t i = 0; i < (*ids)->shard_count; i++) {
        shard_destroy(&(*ids)->shards[i]);
    }
    free(*ids);
    *ids = NULL;
}

static struct digest digest_of(const struct learned_ids *ids, struct span token)
{
    return (struct digest){siphash(&ids->place_key, token), siphash(&ids->check_key, token)};
}

/* The high bits, since the low ones choose the bucket. Locked until unlock. */
static struct shard *lock_shard(struct learned_ids *ids, struct digest digest)
{
    struct shard *shard = &ids->shards[(digest.place >> 56) % ids->shard_count];
    pthread_mutex_lock(&shard->lock);
    return shard;
}

static void unlock(struct shard *shard)
{
    pthread_mutex_unlock(&shard->lock);
}

static struct entry **bucket_of(const struct shard *shard, struct digest digest)
{
    return &shard->buckets[digest.place & (shard->bucket_count - 1)];
}

static struct entry *find(const struct shard *shard, struct digest digest)
{
    struct entry *entry = *bucket_of(shard, digest);
    while (entry != NULL &&
           (entry->digest.place != digest.place || entry->digest.check != digest.check)) {
        entry = entry->next;
    }
    return entry;
}

static void forget(struct shard *shard, struct entry *entry)
{
    struct entry **link = bucket_of(shard, entry->digest);
    while (*link != entry) {
        link = &(*link)->next;
    }
    *link = entry->next;
    list_remove(&entry->use);
    shard->count--;
    free(entry);
}

/* Workers' clocks are read once a turn, so that `now_ms` may be behind another worker's use. */
static bool is_expired(const struct learned_ids *ids, const struct entry *entry, uint64_t now_ms)
{
    return now_ms > entry->used_ms && now_ms - entry->used_ms >= ids->ttl_ms;
}

static void use(struct shard *shard, struct entry *entry, uint64_t now_ms)
{
    if (now_ms > entry->used_ms) {
        entry->used_ms = now_ms;
    }
    list_remove(&entry->use);
    list_append(&shard->uses, &entry->use);
}

/* Doubles the buckets when chains get long; without memory they stay long. */
static void grow(struct shard *shard)
{
    struct entry **old = shard->buckets;
    size_t old_count = shard->bucket_count;
    struct entry **buckets = calloc(old_count * 2, sizeof(struct entry *));
    if (buckets == NULL) {
        return;
    }
    shard->buckets = buckets;
    shard->bucket_count = old_count * 2;
    for (size_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct entry *entry = old[i];
            old[i] = entry->next;
            struct entry **bucket = bucket_of(shard, entry->digest);
            entry->next = *bucket;
            *bucket = entry;
        }
    }
    free(old);
}

/* Makes room for one more: what has expired goes, and the least recently used one if that was not
 * enough. */
static void make_room(const struct learned_ids *ids, struct shard *shard, uint64_t now_ms)
{
    while (!list_is_empty(&shard->uses)) {
        struct entry *oldest = list_item(shard->uses.next, struct entry, use);
        if (shard->count < ids->max_in_shard && !is_expired(ids, oldest, now_ms)) {
            break;
        }
        forget(shard, oldest);
    }
    if (shard->count >= shard->bucket_count) {
        grow(shard);
    }
}

static void add(struct shard *shard, struct digest digest, uint64_t server_id, uint64_t now_ms)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        return;
    }
    struct entry **bucket = bucket_of(shard, digest);
    *entry = (struct entry){
        .digest = digest, .server_id = server_id, .used_ms = now_ms, .next = *bucket};
    *bucket = entry;
    list_append(&shard->uses, &entry->use);
    shard->count++;
}

void learned_ids_put(struct learned_ids *ids, struct span token, uint64_t server_id,
                     uint64_t now_ms)
{
    struct digest digest = digest_of(ids, token);
    struct shard *shard = lock_shard(ids, digest);
    struct entry *entry = find(shard, digest);
    if (entry != NULL) {
        entry->server_id = server_id;
        use(shard, entry, now_ms);
    } else {
        make_room(ids, shard, now_ms);
        add(shard, digest, server_id, now_ms);
    }
    unlock(shard);
}

uint64_t learned_ids_get(struct learned_ids *ids, struct span token, uint64_t now_ms)
{
    struct digest digest = digest_of(ids, token);
    uint64_t server_id = 0;
    struct shard *shard = lock_shard(ids, digest);
    struct entry *entry = find(shard, digest);
    if (entry != NULL && is_expired(ids, entry, now_ms)) {
        forget(shard, entry);
    } else if (entry != NULL) {
        use(shard, entry, now_ms);
        server_id = entry->server_id;
    }
    unlock(shard);
    return server_id;
}

size_t learned_ids_count(struct learned_ids *ids)
{
    size_t count = 0;
    for (size_t i = 0; i < ids->shard_count; i++) {
        pthread_mutex_lock(&ids->shards[i].lock);
        count += ids->shards[i].count;
        pthread_mutex_unlock(&ids->shards[i].lock);
    }
    return count;
}
