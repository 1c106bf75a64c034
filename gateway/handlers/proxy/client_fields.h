/* What a backend is told of the client: X-Forwarded-For, -Proto and -Host, and Forwarded (RFC
 * 7239). One thread: the worker's. */
#ifndef WEIR_HANDLERS_PROXY_CLIENT_FIELDS_H
#define WEIR_HANDLERS_PROXY_CLIENT_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "handlers/proxy/settings.h"
#include "proto/http_fields.h"

struct weir_request;

struct client_fields {
    const struct proxy_settings *settings;
    const struct weir_request *request;
    const struct http_field *fields; /* the request's */
    size_t field_count;
};

/* Whether a field of that name is not passed on as it came: it is written anew, or it comes from
 * somebody who is not believed. */
bool client_fields_own(const struct client_fields *client, struct span name);

/* Appends the fields that the settings ask for, but for those that they change themselves. What a
 * trusted proxy has said is kept, and the lists are continued with its address; what anybody else
 * has said is not passed on. */
WEIR_MUST enum weir_err client_fields_write(const struct client_fields *client, struct buffer *out);

/* Whether the client speaks TLS, to us or to a trusted proxy that says so. */
bool client_fields_secure(const struct weir_request *request);

#endif
