/* The chunked transfer coding, decoded as it comes (RFC 9112, section 7.1). */
#ifndef WEIR_PROTO_HTTP_CHUNKED_H
#define WEIR_PROTO_HTTP_CHUNKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum {
    HTTP_CHUNK_EXTENSIONS_MAX = 1024, /* bytes of chunk extensions in one body */
    HTTP_CHUNK_TRAILERS_MAX = 8192    /* bytes of the trailer section */
};

/* State of one body. All zero is the start. */
struct http_chunked {
    uint64_t remaining; /* of the chunk under way; while its size line is read, the size so far */
    uint16_t extension_bytes;
    uint16_t trailer_bytes;
    uint8_t digits;  /* of the size line under way */
    uint8_t state;   /* private to http_chunked.c */
    bool done;       /* the last chunk and the trailer section have been read */
    bool is_trailer; /* what was given last is of the trailer section, not of the body */
};

/* Decodes from the `size` bytes at `bytes`. The decoder keeps all it needs, so that the caller may
 * drop what was consumed and never keeps a byte back.
 * WEIR_OK with `*data` not empty: a piece of the body or, where `is_trailer` is set, of the trailer
 * section, borrowed from `bytes`; call again with what is behind `*consumed`. WEIR_OK with `*data`
 * empty: `done` is set and the body is over; what is behind `*consumed` belongs to the next
 * message. WEIR_AGAIN: all was consumed (`*consumed` is `size`) and more is needed. WEIR_EPROTO
 * (malformed) or WEIR_ELIMIT (extensions or trailers over their limit): `*why` holds static words;
 * answer 400 and close, no call may follow. The body's own size is the caller's to limit.
 * Extensions are checked and dropped. Trailers are given as they come, each byte checked: together
 * the pieces are field lines, each with its CR LF, without the empty line, but a piece may end
 * anywhere in a line, and what follows it may be refused. Who does not forward them passes them
 * over, and nobody may merge them into the head (RFC 9110, section 6.5.1). Any thread. */
WEIR_MUST enum weir_err http_chunked_next(struct http_chunked *chunked, const uint8_t *bytes,
                                          size_t size, size_t *consumed, struct span *data,
                                          const char **why);

#endif
