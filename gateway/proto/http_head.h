/* The head of an HTTP/1.x request: bytes in, spans out, no copy (RFC 9112). */
#ifndef WEIR_PROTO_HTTP_HEAD_H
#define WEIR_PROTO_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "proto/http_fields.h"

struct http_head_limits {
    size_t line_bytes; /* request line; 414 above */
    size_t head_bytes; /* everything up to and with the empty line; 431 above */
    size_t fields;     /* at most HTTP_FIELDS_MAX; 431 above */
};

enum http_body {
    HTTP_BODY_NONE,   /* no framing field, or Content-Length: 0 */
    HTTP_BODY_LENGTH, /* content_length bytes, at least one */
    HTTP_BODY_CHUNKED
};

/* All spans borrow the bytes that were parsed. */
struct http_head {
    struct span method;
    struct span target; /* as sent */
    struct span path;   /* of the target, raw; "*" for OPTIONS * */
    struct span query;  /* without "?"; empty where there is none */
    struct span host;   /* of an absolute target, else of the Host field; may be empty */
    uint8_t minor;      /* HTTP/1.0 or HTTP/1.1 */
    bool keep_alive;    /* by version and Connection (RFC 9112, section 9.3) */
    bool expects_continue;
    enum http_body body;
    uint64_t content_length;
    size_t field_count;
    struct http_field fields[HTTP_FIELDS_MAX];
};

/* Parses one request head at the start of `bytes`. `limits` is borrowed. `scanned` (bytes already
 * searched for the end of the head; start with 0, keep it between calls on the same head) makes
 * slow arrivals cost O(n). WEIR_OK: `*head` is filled, `*consumed` is the size of the head, and
 * `*scanned` is 0 again, for the next head. WEIR_AGAIN: incomplete and still within limits.
 * WEIR_EPROTO or WEIR_ELIMIT: `*status` is the HTTP status to answer (400, 414, 417, 431, 501,
 * 505), and `*why` static words for it; the connection must close after. A head that cannot become
 * valid may be refused before it is whole. Leading empty lines before the request line are skipped
 * (RFC 9112, section 2.2), a few of them. HTTP/1.0 and HTTP/1.1 only. With an absolute target
 * `head->host` and the Host field may differ; whoever forwards the request must write `head->host`
 * (section 3.2.2). Any thread. */
WEIR_MUST enum weir_err http_head_parse(struct span bytes, const struct http_head_limits *limits,
                                        size_t *scanned, struct http_head *head, size_t *consumed,
                                        unsigned *status, const char **why);

/* The first field of that name, or NULL. */
const struct http_field *http_head_find(const struct http_head *head, struct span name);

/* Whether any field of that name has `token` in its comma-separated list, without regard to case.
 */
bool http_head_has_token(const struct http_head *head, struct span name, struct span token);

#endif
