/* Heads of responses from backends (RFC 9112, section 4). Pure bytes. */
#ifndef WEIR_PROTO_HTTP_RESPONSE_H
#define WEIR_PROTO_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "proto/http_fields.h"

/* How long the body is (RFC 9112, section 6.3). */
enum http_response_body {
    HTTP_RESPONSE_NONE,   /* HEAD, 1xx, 204, 304, or Content-Length: 0 */
    HTTP_RESPONSE_LENGTH, /* content_length bytes, at least one */
    HTTP_RESPONSE_CHUNKED,
    HTTP_RESPONSE_CLOSE /* until the connection ends */
};

/* All spans borrow the bytes that were parsed. */
struct http_response {
    unsigned status;    /* 100..599 */
    uint8_t minor;      /* HTTP/1.0 or HTTP/1.1 */
    struct span reason; /* the reason phrase, maybe empty */
    bool keep_alive;    /* the connection can be used again after the body; never with _CLOSE */
    enum http_response_body body;
    bool has_length; /* there was a Content-Length, whatever the body is; 304 and HEAD have one */
    uint64_t content_length; /* of that field */
    size_t field_count;
    struct http_field fields[HTTP_FIELDS_MAX];
};

/* Parses one response head at the start of `bytes`. `is_head`: it answers a HEAD request.
 * `max_bytes` is the most that a head may have. `scanned` as http_head_parse. WEIR_OK: `*response`
 * is filled, `*consumed` is the head's size and `*scanned` 0. WEIR_AGAIN: incomplete, and could
 * still become a response. WEIR_EPROTO (malformed: an empty line before it, another version than
 * HTTP/1.0 and 1.1, more than one length, a length beside chunked, an unknown transfer coding,
 * folded lines, control characters; Transfer-Encoding in a 1xx, a 204 or in HTTP/1.0) or
 * WEIR_ELIMIT (also for more than HTTP_FIELDS_MAX fields): `*why` is static words. Any thread. */
WEIR_MUST enum weir_err http_response_parse(struct span bytes, bool is_head, size_t max_bytes,
                                            size_t *scanned, struct http_response *response,
                                            size_t *consumed, const char **why);

#endif
