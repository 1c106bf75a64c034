/* Where a request has its token. A worker's thread. */
#ifndef WEIR_HANDLERS_JWT_SOURCE_H
#define WEIR_HANDLERS_JWT_SOURCE_H

#include <weir/plugin.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "handlers/jwt/settings.h"

struct jwt_found {
    struct span token; /* data NULL: the request has none */
    enum jwt_place place;
};

/* Looks in the places that the settings name, in their order, and takes the first token. It is
 * borrowed from the request or from `scratch`, which the caller frees. WEIR_EPROTO: one place has
 * more than one (RFC 6750, section 3.1); WEIR_ENOMEM. */
WEIR_MUST enum weir_err jwt_source_find(const struct jwt_settings *settings,
                                        const struct weir_request *request, struct buffer *scratch,
                                        struct jwt_found *out);

/* A client that offers its token as a subprotocol wants one of its offers agreed, or it gives up
 * (browsers do); the token should not be that one. Where the route's own list does not choose,
 * prepares the answer: the first offer that is no token, or the token where there is no other. */
WEIR_MUST enum weir_err jwt_source_agree(struct weir_request *request, struct span token);

#endif
