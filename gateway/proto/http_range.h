/* The Range field of a request, and the Content-Range of its answer (RFC 9110, section 14). */
#ifndef WEIR_PROTO_HTTP_RANGE_H
#define WEIR_PROTO_HTTP_RANGE_H

#include <stdint.h>

#include "base/span.h"

enum http_range_kind {
    HTTP_RANGE_WHOLE,        /* answer as if there were no Range field */
    HTTP_RANGE_PART,         /* 206 with the one range */
    HTTP_RANGE_UNSATISFIABLE /* 416 */
};

struct http_range {
    uint64_t first;  /* offset of the first byte */
    uint64_t length; /* bytes, at least one */
};

/* Reads the value of a Range field for a representation of `size` bytes. One range of bytes is a
 * PART, cut to the size; several ranges, other units and what breaks the grammar are WHOLE, as the
 * RFC allows. `*range` is filled for PART alone. Any thread. */
enum http_range_kind http_range_parse(struct span value, uint64_t size, struct http_range *range);

enum {
    HTTP_CONTENT_RANGE_BYTES = 72 /* "bytes 1-2/3" with three numbers of 20 digits */
};

/* Writes the value of Content-Range for a part of a representation of `size` bytes, or for a 416
 * where `range` is NULL; terminated. Any thread. */
void http_range_write(const struct http_range *range, uint64_t size,
                      char out[HTTP_CONTENT_RANGE_BYTES]);

#endif
