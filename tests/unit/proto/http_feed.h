/* Feeds a request head to the parser in every way that a socket may deliver it. */
#ifndef WEIR_TESTS_HTTP_FEED_H
#define WEIR_TESTS_HTTP_FEED_H

#include <stdlib.h>
#include <string.h>

#include "proto/http_head.h"

/* A span in a static table. */
#define BYTES(literal)                                                                             \
    {                                                                                              \
        (const uint8_t *)("" literal), sizeof(literal) - 1                                         \
    }

struct http_feed {
    struct http_head_limits limits;
    struct http_head head; /* its spans borrow `bytes` of the last call */
    uint8_t *copy;         /* exactly as long as what was fed, so that ASan sees each overread */
    size_t scanned;
    size_t consumed;
    unsigned status;
    const char *why;
};

#define HTTP_FEED_INIT                                                                             \
    {                                                                                              \
        .limits = {8192, 65536, 100}, .why = ""                                                    \
    }

/* One call with the first `size` bytes, from memory of exactly that size. */
static inline enum weir_err http_feed_prefix(struct http_feed *feed, struct span bytes, size_t size)
{
    free(feed->copy);
    feed->copy = malloc(size > 0 ? size : 1);
    if (feed->copy == NULL) {
        abort();
    }
    memcpy(feed->copy, bytes.data, size);
    feed->status = 0;
    return http_head_parse((struct span){feed->copy, size}, &feed->limits, &feed->scanned,
                           &feed->head, &feed->consumed, &feed->status, &feed->why);
}

static inline enum weir_err http_feed_whole(struct http_feed *feed, struct span bytes)
{
    feed->scanned = 0;
    return http_feed_prefix(feed, bytes, bytes.size);
}

static inline void http_feed_free(struct http_feed *feed)
{
    free(feed->copy);
    feed->copy = NULL;
}

#endif
