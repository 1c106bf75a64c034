/* The body of error responses, for people or for programs. */
#ifndef WEIR_PROTO_HTTP_ERROR_H
#define WEIR_PROTO_HTTP_ERROR_H

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"

/* Appends the body of an error response: HTML where `accept` (the value of the Accept field, empty
 * for none) prefers text/html to application/json, else JSON. `why` are words for people,
 * terminated; they are escaped. `*content_type` is static storage. WEIR_ENOMEM leaves `out` as it
 * was. Any thread. */
WEIR_MUST enum weir_err http_error_body(struct buffer *out, unsigned status, const char *why,
                                        struct span accept, const char **content_type);

#endif
