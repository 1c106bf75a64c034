/* The field lines of an HTTP/1.x head, of requests and responses alike (RFC 9112, section 5). */
#ifndef WEIR_PROTO_HTTP_FIELDS_H
#define WEIR_PROTO_HTTP_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

enum {
    HTTP_FIELDS_MAX = 256
};

struct http_field {
    struct span name;
    struct span value; /* trimmed */
};

/* Why a head was refused: the status to answer with, and static words for it. */
struct http_refusal {
    unsigned status;
    const char *why;
};

/* Fills `*refusal` and returns WEIR_EPROTO, so that a check is one line. Any thread. */
WEIR_MUST enum weir_err http_refuse(struct http_refusal *refusal, unsigned status, const char *why);

/* Parses all of `lines`, which must be the whole field section with the empty line at its end: its
 * last two bytes are CR LF. Fills `fields` (room for `max`, borrowed from `lines`) and `*count`.
 * WEIR_EPROTO: malformed (400); WEIR_ELIMIT: more than `max` fields (431); `*refusal` holds then.
 * Any thread. */
WEIR_MUST enum weir_err http_fields_parse(struct span lines, size_t max, struct http_field *fields,
                                          size_t *count, struct http_refusal *refusal);

/* The first field of that name among `count`, or NULL. Names compare without regard to case. Any
 * thread. */
const struct http_field *http_fields_find(const struct http_field *fields, size_t count,
                                          struct span name);

/* Whether any field of that name has `token` in its comma-separated list, without regard to case.
 * Any thread. */
bool http_fields_have_token(const struct http_field *fields, size_t count, struct span name,
                            struct span token);

#endif
