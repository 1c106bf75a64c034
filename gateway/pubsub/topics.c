/* The table of topics. Names come from clients as often as not, so the hash is keyed (the bus has
 * the key). A subscription that goes while its topic is walked leaves a hole, which the end of the
 * walk closes: callbacks within may subscribe and unsubscribe as they like. Called by the broker;
 * it knows no sessions. */
#include "pubsub/topics.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum {
    FIRST_BUCKETS = 64,
    FIRST_PLACES = 4
};

static struct topic **bucket_of(const struct topics *topics, uint64_t hash)
{
    return &topics->buckets[hash & (topics->bucket_count - 1)];
}

struct topic *topics_find(const struct topics *topics, uint64_t hash, struct span name)
{
    struct topic *topic = topics->bucket_count > 0 ? *bucket_of(topics, hash) : NULL;
    while (topic != NULL && (topic->hash != hash ||
                             !span_equal(name, (struct span){topic->name, topic->name_size}))) {
        topic = topic->next;
    }
    return topic;
}

/* As many buckets as topics, so that a chain has one on average. */
static enum weir_err grow(struct topics *topics)
{
    size_t count = topics->bucket_count > 0 ? topics->bucket_count * 2 : FIRST_BUCKETS;
    struct topics larger = {.buckets = calloc(count, sizeof(struct topic *)),
                            .bucket_count = count,
                            .count = topics->count};
    if (larger.buckets == NULL) {
        return topics->bucket_count > 0 ? WEIR_OK : WEIR_ENOMEM; /* slower is no failure */
    }
    for (size_t i = 0; i < topics->bucket_count; i++) {
        while (topics->buckets[i] != NULL) {
            struct topic *topic = topics->buckets[i];
            topics->buckets[i] = topic->next;
            topic->next = *bucket_of(&larger, topic->hash);
            *bucket_of(&larger, topic->hash) = topic;
        }
    }
    free(topics->buckets);
    *topics = larger;
    return WEIR_OK;
}

enum weir_err topics_make(struct topics *topics, uint64_t hash, struct span name,
                          struct topic **out)
{
    struct topic *topic = topics_find(topics, hash, name);
    if (topic != NULL) {
        *out = topic;
        return WEIR_OK;
    }
    if (topics->count == topics->bucket_count && grow(topics) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    topic = calloc(1, sizeof *topic + name.size);
    if (topic == NULL) {
        return WEIR_ENOMEM;
    }
    topic->hash = hash;
    topic->name_size = (uint16_t)name.size;
    memcpy(topic->name, name.data, name.size);
    topic->next = *bucket_of(topics, hash);
    *bucket_of(topics, hash) = topic;
    topics->count++;
    *out = topic;
    return WEIR_OK;
}

enum weir_err topics_join(struct topic *topic, struct subscription *subscription)
{
    if (topic->size == topic->capacity) {
        uint32_t capacity = topic->capacity > 0 ? topic->capacity * 2 : FIRST_PLACES;
        struct subscription **larger =
            realloc(topic->subscriptions, capacity * sizeof *topic->subscriptions);
        if (larger == NULL) {
            return WEIR_ENOMEM;
        }
        topic->subscriptions = larger;
        topic->capacity = capacity;
    }
    subscription->topic = topic;
    subscription->place = topic->size;
    topic->subscriptions[topic->size++] = subscription;
    topic->count++;
    return WEIR_OK;
}

static void put(struct topic *topic, uint32_t place, struct subscription *subscription)
{
    topic->subscriptions[place] = subscription;
    subscription->place = place;
}

void topics_leave(struct subscription *subscription)
{
    struct topic *topic = subscription->topic;
    WEIR_CHECK(topic->subscriptions[subscription->place] == subscription);
    topic->count--;
    if (topic->walked) {
        topic->subscriptions[subscription->place] = NULL;
        return;
    }
    topic->size--;
    if (subscription->place < topic->size) {
        put(topic, subscription->place, topic->subscriptions[topic->size]);
    }
}

bool topics_drop_unused(struct topics *topics, struct topic *topic)
{
    if (topic->count > 0 || topic->walked) {
        return false;
    }
    struct topic **link = bucket_of(topics, topic->hash);
    while (*link != topic) {
        link = &(*link)->next;
    }
    *link = topic->next;
    topics->count--;
    free(topic->subscriptions);
    free(topic);
    return true;
}

void topics_walk_begin(struct topic *topic)
{
    WEIR_CHECK(!topic->walked);
    topic->walked = true;
}

void topics_walk_end(struct topic *topic)
{
    topic->walked = false;
    if (topic->count == topic->size) {
        return;
    }
    uint32_t size = topic->size;
    topic->size = 0;
    for (uint32_t place = 0; place < size; place++) {
        if (topic->subscriptions[place] != NULL) {
            put(topic, topic->size++, topic->subscriptions[place]);
        }
    }
}

void topics_free(struct topics *topics)
{
    WEIR_CHECK(topics->count == 0);
    free(topics->buckets);
    *topics = (struct topics){0};
}
