/* Heads and chunks on the way out, into a buffer (RFC 9112, sections 2 to 7). */
#ifndef WEIR_PROTO_HTTP_WRITE_H
#define WEIR_PROTO_HTTP_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"

/* The reason phrase of a status, or "" where we know none; static storage. Any thread. */
const char *http_write_reason(unsigned status);

/* All writers below append to `out` whole or not at all: WEIR_ENOMEM and WEIR_EINVAL leave it as it
 * was. Any thread. */

/* Appends "HTTP/1.1 STATUS REASON" and CR LF. WEIR_EINVAL outside 100..599. */
WEIR_MUST enum weir_err http_write_status(struct buffer *out, unsigned status);

/* The same with a reason phrase of the caller's; control characters in it give WEIR_EINVAL. */
WEIR_MUST enum weir_err http_write_status_reason(struct buffer *out, unsigned status,
                                                 struct span reason);

/* Appends "METHOD TARGET HTTP/1.1" and CR LF, for requests to backends. WEIR_EINVAL where the
 * method is no token or the target empty or with bytes that a target must not have. */
WEIR_MUST enum weir_err http_write_request(struct buffer *out, struct span method,
                                           struct span target);

/* Appends "NAME: VALUE" and CR LF. WEIR_EINVAL where the name is no token, or the value has CR, LF,
 * NUL or another control character than tab: nobody may smuggle a line into a head. */
WEIR_MUST enum weir_err http_write_field(struct buffer *out, struct span name, struct span value);

/* Appends a field with a decimal value, e.g. Content-Length. */
WEIR_MUST enum weir_err http_write_number(struct buffer *out, struct span name, uint64_t value);

/* Appends the empty line that ends a head. */
WEIR_MUST enum weir_err http_write_end(struct buffer *out);

/* Appends one chunk's size line. The caller sends `size` bytes behind it and then
 * http_write_chunk_end. WEIR_EINVAL for 0, which would end the body. */
WEIR_MUST enum weir_err http_write_chunk_head(struct buffer *out, uint64_t size);

/* Appends the CR LF behind a chunk's data. */
WEIR_MUST enum weir_err http_write_chunk_end(struct buffer *out);

/* Appends the last chunk, without trailers. */
WEIR_MUST enum weir_err http_write_last_chunk(struct buffer *out);

#endif
