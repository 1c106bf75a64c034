/* A growable run of bytes with one owner. */
#ifndef WEIR_BASE_BUFFER_H
#define WEIR_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

/* All zero is a valid empty buffer that owns nothing. */
struct buffer {
    uint8_t *data;
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes owned */
};

/* Makes room for `extra` bytes after the ones in use; grows by at least half, so that appending is
 * amortised O(1). WEIR_ENOMEM leaves the buffer as it was. */
WEIR_MUST enum weir_err buffer_reserve(struct buffer *b, size_t extra);

/* Appends a copy of `bytes`. WEIR_ENOMEM leaves the buffer as it was. */
WEIR_MUST enum weir_err buffer_append(struct buffer *b, struct span bytes);

/* Appends printf output. WEIR_ENOMEM leaves the buffer as it was. */
WEIR_MUST enum weir_err buffer_printf(struct buffer *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Drops `count` bytes (at most size) from the front. */
void buffer_drop(struct buffer *b, size_t count);

/* The bytes in use, borrowed until the next change. */
struct span buffer_span(const struct buffer *b);

/* Frees what it owns and makes it empty. */
void buffer_free(struct buffer *b);

#endif
