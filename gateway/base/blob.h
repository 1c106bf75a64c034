/* A growable run of bytes that costs its owner one pointer while it is empty: for what thousands of
 * idle connections could hold and do not. */
#ifndef WEIR_BASE_BLOB_H
#define WEIR_BASE_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

/* Owned through a pointer; NULL is a valid empty blob that owns nothing. */
struct blob {
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes owned */
    uint8_t bytes[];
};

/* Makes room for `extra` bytes after the ones in use, and for no more than it must: the first call
 * for a message of known size is the last. Later growth is by half at least, so that appending is
 * amortised O(1). WEIR_ENOMEM leaves the blob as it was. Any thread. */
WEIR_MUST enum weir_err blob_reserve(struct blob **blob, size_t extra);

/* Appends a copy of `bytes`. WEIR_ENOMEM leaves the blob as it was. Any thread. */
WEIR_MUST enum weir_err blob_append(struct blob **blob, struct span bytes);

/* The bytes in use, borrowed until the next change. Any thread. */
struct span blob_span(const struct blob *blob);

/* How many there are. Any thread. */
size_t blob_size(const struct blob *blob);

/* Frees and nulls it. Any thread. */
void blob_free(struct blob **blob);

#endif
