/* The topics of one worker and who has subscribed to them: a table by name, and in each topic a
 * dense array, which is what publishing walks. For the broker. One thread. */
#ifndef WEIR_PUBSUB_TOPICS_H
#define WEIR_PUBSUB_TOPICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

/* One session's interest in one topic. */
struct subscription {
    struct topic *topic;
    struct subscription *next; /* of the same session */
    uint32_t subscriber;       /* the broker's number for the session */
    uint32_t place;            /* in the topic's array */
    uint16_t seat;
};

/* Lives as long as it has subscriptions, or is walked. */
struct topic {
    struct topic *next; /* in its bucket */
    uint64_t hash;
    struct subscription **subscriptions; /* NULL: one that went while the topic was walked */
    uint32_t size;                       /* of the array in use, holes too */
    uint32_t capacity;
    uint32_t count; /* without holes */
    bool walked;
    uint16_t name_size;
    uint8_t name[];
};

/* All zero is a valid empty table. */
struct topics {
    struct topic **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
};

/* The topic of that name, whose hash is `hash`; NULL where nobody has subscribed. */
struct topic *topics_find(const struct topics *topics, uint64_t hash, struct span name);

/* The same, made where there is none; it needs a subscription, or topics_leave. WEIR_ENOMEM. */
WEIR_MUST enum weir_err topics_make(struct topics *topics, uint64_t hash, struct span name,
                                    struct topic **out);

/* Puts a subscription into its topic. WEIR_ENOMEM. */
WEIR_MUST enum weir_err topics_join(struct topic *topic, struct subscription *subscription);

/* Takes it out; the caller frees it. */
void topics_leave(struct subscription *subscription);

/* Frees the topic if nobody has subscribed and nobody walks it. True: it did. */
bool topics_drop_unused(struct topics *topics, struct topic *topic);

/* Between the two, subscriptions keep their places, and new ones come last. */
void topics_walk_begin(struct topic *topic);
void topics_walk_end(struct topic *topic);

/* Frees the table; no topic may be left. */
void topics_free(struct topics *topics);

#endif
