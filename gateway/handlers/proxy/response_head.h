/* What of a backend's response head the client gets. */
#ifndef WEIR_HANDLERS_PROXY_RESPONSE_HEAD_H
#define WEIR_HANDLERS_PROXY_RESPONSE_HEAD_H

#include <stddef.h>

#include "base/err.h"
#include "base/span.h"
#include "handlers/proxy/settings.h"
#include "proto/http_response.h"
#include "session/request.h"

/* The fields that pass on, in their order; `fields` is owned, and what it points to is borrowed
 * from the response, the settings and the cookie. */
struct response_head {
    struct reply_field *fields;
    size_t count;
};

/* What the head is for. */
enum response_use {
    RESPONSE_FINAL,
    RESPONSE_INTERIM, /* 1xx: the settings change nothing */
    RESPONSE_SWITCH,  /* 101 of a tunnel, with Upgrade and Connection */
    RESPONSE_SESSION  /* 101 of a session: what the client's own 101 may say beside its handshake */
};

/* Makes the list; `cookie` is the value of a Set-Cookie field, empty for none. On WEIR_OK free it
 * with response_head_free. WEIR_ENOMEM. Any thread. */
WEIR_MUST enum weir_err response_head_make(const struct proxy_settings *settings,
                                           const struct http_response *response,
                                           enum response_use use, struct span cookie,
                                           struct response_head *out);
void response_head_free(struct response_head *head);

/* The length that the client is told, as reply_head has it. Any thread. */
uint64_t response_head_length(const struct http_response *response);

#endif
