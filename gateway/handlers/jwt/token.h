/* JSON Web Tokens (RFC 7519) in the compact form (RFC 7515, section 7.1). Pure functions. Any
 * thread. */
#ifndef WEIR_HANDLERS_JWT_TOKEN_H
#define WEIR_HANDLERS_JWT_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/span.h"
#include "handlers/jwt/settings.h"

enum jwt_outcome {
    JWT_VALID,
    JWT_INVALID,      /* 401: it is none, not ours, or not of this time */
    JWT_INSUFFICIENT, /* 403: it is good, but not for this */
    JWT_NO_MEMORY
};

/* Whether text looks like a token: three parts of base64url, the first of them a JSON object. What
 * a client offers as subprotocols is told apart by this. */
bool jwt_token_has_shape(struct span text);

/* Checks a token as the settings say. JWT_VALID: `*expires_ms` is the wall clock at which it ends,
 * leeway included, UINT64_MAX for never, and its subject is appended to `subject`. JWT_INVALID,
 * JWT_INSUFFICIENT: `*why` is static words that may stand in a header. */
enum jwt_outcome jwt_token_check(const struct jwt_settings *settings, struct span token,
                                 uint64_t now_ms, uint64_t *expires_ms, struct buffer *subject,
                                 const char **why);

#endif
