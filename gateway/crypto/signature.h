/* Keys and the signatures of JSON Web Tokens (RFC 7518, section 3). Any thread. */
#ifndef WEIR_CRYPTO_SIGNATURE_H
#define WEIR_CRYPTO_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

enum signature_algorithm {
    SIGNATURE_HS256,
    SIGNATURE_RS256,
    SIGNATURE_ES256
};

struct signature_key; /* one key, for one algorithm; immutable, usable by all threads at once */

/* A shared secret; at least 32 bytes (RFC 7518, section 3.2), else WEIR_EINVAL with words in `why`.
 * Given. */
WEIR_MUST enum weir_err signature_key_secret(struct span secret, char *why, size_t why_size,
                                             struct signature_key **out);

/* A public key (or certificate) in PEM, RSA of 2048 bits at least or P-256. Given. */
WEIR_MUST enum weir_err signature_key_pem(struct span pem, char *why, size_t why_size,
                                          struct signature_key **out);

/* A JWK by its members, as decoded bytes: RSA by modulus and exponent, P-256 by x and y. Given. */
WEIR_MUST enum weir_err signature_key_rsa(struct span n, struct span e, char *why, size_t why_size,
                                          struct signature_key **out);
WEIR_MUST enum weir_err signature_key_p256(struct span x, struct span y, char *why, size_t why_size,
                                           struct signature_key **out);
void signature_key_free(struct signature_key **key);

enum signature_algorithm signature_key_algorithm(const struct signature_key *key);

/* Whether `signature` (as JWS has it: ES256 is r and s, 64 bytes) is of `text` by that key. */
bool signature_is_valid(const struct signature_key *key, struct span text, struct span signature);

#endif
