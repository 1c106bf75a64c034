/* What is written to streams within a turn is gathered and leaves with one system call. The cork
 * has one owner at a time; another stream that wants it makes it leave first. One thread: its
 * loop's. */
#ifndef WEIR_NET_CORK_H
#define WEIR_NET_CORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "net/stream.h"

enum {
    CORK_BYTES = 256 * 1024
};

/* What became of bytes that were handed to the stream: as stream_write. */
typedef void (*cork_sent_fn)(struct stream *stream, enum weir_err err);

struct cork {
    struct stream *owner; /* NULL while it is empty */
    cork_sent_fn sent;    /* the owner's */
    uint8_t *data;        /* CORK_BYTES */
    size_t size;
    bool more_to_come; /* the turn has more input, and so maybe more output, to share a call with */
};

/* Appends head and payload behind what was written to `stream` before. Both are borrowed: small
 * ones are copied, large ones go to the kernel at once. `sent` hears of every hand-over to the
 * stream, also from within this call. Bytes for a closed stream are dropped, and nobody hears. */
void cork_write(struct cork *cork, struct stream *stream, cork_sent_fn sent, struct span head,
                struct span payload);

/* Hands what is inside to its stream; drops it where that is closed. */
void cork_flush(struct cork *cork);

/* Throws away what is inside if `stream` owns it; for streams that are cut. */
void cork_forget(struct cork *cork, const struct stream *stream);

/* Bytes inside that belong to `stream`. */
size_t cork_waiting(const struct cork *cork, const struct stream *stream);

#endif
