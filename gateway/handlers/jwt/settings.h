/* What a route says of its tokens. */
#ifndef WEIR_HANDLERS_JWT_SETTINGS_H
#define WEIR_HANDLERS_JWT_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/settings.h"
#include "handlers/jwt/keys.h"

/* The word in place of a file that says that `secret` is the key. */
#define JWT_SECRET_WORD "secret"

enum jwt_place {
    JWT_IN_HEADER,     /* Authorization: Bearer TOKEN */
    JWT_IN_QUERY,      /* a parameter */
    JWT_IN_SUBPROTOCOL /* an item of Sec-WebSocket-Protocol */
};

struct jwt_source {
    enum jwt_place place;
    const char *name; /* of the parameter; else NULL */
};

/* Immutable once read, for all threads. */
struct jwt_settings {
    struct settings *kept; /* lends the texts below */
    struct jwt_keys keys;
    struct jwt_source *sources; /* asked in this order */
    size_t source_count;
    const char *issuer;     /* what `iss` must be; NULL: anything */
    const char **audiences; /* `aud` must name one of them; none: anything */
    size_t audience_count;
    const char **required; /* claims that must be there */
    size_t required_count;
    struct settings_pair *claims; /* what claims must be, or hold if they are lists */
    size_t claim_count;
    uint64_t leeway_ms;
    uint64_t max_token_size; /* bytes */
    uint16_t close_code;     /* of a session whose token has expired */
};

/* Reads them; `file` is the key file, or JWT_SECRET_WORD. WEIR_EINVAL, WEIR_EIO: `error` says why,
 * terminated; WEIR_ENOMEM. `*out` is given. Control thread. */
WEIR_MUST enum weir_err jwt_settings_read(const char *file, const char *json, char *error,
                                          size_t error_size, struct jwt_settings **out);

void jwt_settings_free(struct jwt_settings **settings);

#endif
