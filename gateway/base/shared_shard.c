/* The table of one shard. Its slots are as many as its size bound can ever want, made once: pages
 * of them that stay empty cost nothing, and no call has to move entries into a larger table while
 * others wait for the lock. Called by shared_dict.c, with the shard's lock held; it never blocks.
 */
#include "base/shared_shard.h"

#include <stdlib.h>
#include <string.h>

enum {
    ENTRY_COST = sizeof(struct shared_entry) + 32, /* with its slots, and what malloc keeps */
    BYTES_IN_SLOT = 256,
    SLOTS_MIN = 16
};

enum weir_err shared_shard_init(struct shared_shard *shard, size_t size_max)
{
    size_t slots = SLOTS_MIN;
    while (slots < size_max / BYTES_IN_SLOT) {
        slots *= 2;
    }
    list_init(&shard->uses);
    shard->size = 0;
    shard->size_max = size_max;
    shard->slot_mask = slots - 1;
    shard->slots = calloc(slots, sizeof(shard->slots[0]));
    return shard->slots == NULL ? WEIR_ENOMEM : WEIR_OK;
}

void shared_shard_destroy(struct shared_shard *shard)
{
    while (shard->slots != NULL && !list_is_empty(&shard->uses)) {
        shared_shard_remove(shard, list_item(shard->uses.next, struct shared_entry, use));
    }
    free(shard->slots);
    shard->slots = NULL;
}

static size_t cost_of(size_t key_size, size_t value_size)
{
    return ENTRY_COST + key_size + value_size;
}

static struct shared_entry **slot_of(struct shared_shard *shard, uint64_t hash)
{
    return &shard->slots[hash & shard->slot_mask];
}

struct shared_entry *shared_shard_find(struct shared_shard *shard, uint64_t hash, struct span key,
                                       uint64_t now_ms)
{
    struct shared_entry *entry = *slot_of(shard, hash);
    while (entry != NULL && (entry->hash != hash || !span_equal(shared_entry_key(entry), key))) {
        entry = entry->next;
    }
    if (entry != NULL && shared_entry_expired(entry, now_ms)) {
        shared_shard_remove(shard, entry);
        return NULL;
    }
    if (entry != NULL) {
        list_remove(&entry->use);
        list_append(&shard->uses, &entry->use);
    }
    return entry;
}

enum weir_err shared_shard_put(struct shared_shard *shard, uint64_t hash, struct span key,
                               size_t value_size, struct shared_entry *old,
                               struct shared_entry **out)
{
    if (old != NULL && old->value_size == value_size) {
        *out = old;
        return WEIR_OK;
    }
    if (value_size > shard->size_max || cost_of(key.size, value_size) > shard->size_max) {
        return WEIR_ELIMIT;
    }
    size_t cost = cost_of(key.size, value_size);
    struct shared_entry *entry = malloc(sizeof *entry + key.size + value_size);
    if (entry == NULL) {
        return WEIR_ENOMEM;
    }
    if (old != NULL) {
        shared_shard_remove(shard, old);
    }
    while (shard->size + cost > shard->size_max) {
        shared_shard_remove(shard, list_item(shard->uses.next, struct shared_entry, use));
    }
    *entry = (struct shared_entry){
        .hash = hash, .value_size = value_size, .key_size = (uint16_t)key.size};
    if (key.size > 0) {
        memcpy(entry->bytes, key.data, key.size);
    }
    list_init(&entry->use);
    list_append(&shard->uses, &entry->use);
    entry->next = *slot_of(shard, hash);
    *slot_of(shard, hash) = entry;
    shard->size += cost;
    *out = entry;
    return WEIR_OK;
}

void shared_shard_remove(struct shared_shard *shard, struct shared_entry *entry)
{
    struct shared_entry **place = slot_of(shard, entry->hash);
    while (*place != entry) {
        place = &(*place)->next;
    }
    *place = entry->next;
    list_remove(&entry->use);
    shard->size -= cost_of(entry->key_size, entry->value_size);
    free(entry);
}
