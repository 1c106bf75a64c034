/* How heads of both directions are delimited, and the fields that delimit bodies (RFC 9112,
 * section 6). For the parsers of heads; others read their results. */
#ifndef WEIR_PROTO_HTTP_FRAMING_H
#define WEIR_PROTO_HTTP_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "proto/http_fields.h"

/* How often the framing fields occur, and the last value of each. All zero is the start. */
struct http_framing {
    unsigned lengths;
    unsigned codings;
    struct span length;
    struct span coding;
};

/* Finds the empty line that ends a head whose first line starts at `start`, which is at most the
 * size. WEIR_OK: `*end` is behind the empty line. WEIR_AGAIN: not there yet; `*scanned`, 0 for a
 * new head, remembers how far the search went. WEIR_EPROTO: a line feed without carriage return, or
 * an empty first line. Any thread. */
WEIR_MUST enum weir_err http_framing_find_end(struct span bytes, size_t start, size_t *scanned,
                                              size_t *end, struct http_refusal *refusal);

/* Whether a program that takes "_" for "-", as CGI made usual, reads `name` as `real`, without
 * regard to case. Any thread. */
bool http_framing_reads_as(struct span name, struct span real);

/* Notes a Content-Length or Transfer-Encoding; other fields are passed over. WEIR_EPROTO where the
 * name is one of these with an underscore for its hyphen: it would frame a message elsewhere and
 * not here. Any thread. */
WEIR_MUST enum weir_err http_framing_note(struct http_framing *framing,
                                          const struct http_field *field,
                                          struct http_refusal *refusal);

/* The value of the one Content-Length, 0 without any. WEIR_EPROTO: more than one, or no number of
 * at most 63 bits. Any thread. */
WEIR_MUST enum weir_err http_framing_length(const struct http_framing *framing, uint64_t *length,
                                            struct http_refusal *refusal);

/* Whether the connection persists, by HTTP/1.`minor` and Connection. Any thread. */
bool http_framing_keeps_alive(const struct http_field *fields, size_t count, uint8_t minor);

#endif
