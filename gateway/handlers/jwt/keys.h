/* The keys that tokens are checked with: a file of one public key, a set of keys (RFC 7517), or a
 * shared secret. Immutable once loaded, usable by all threads at once. */
#ifndef WEIR_HANDLERS_JWT_KEYS_H
#define WEIR_HANDLERS_JWT_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"
#include "crypto/signature.h"

enum {
    JWT_KEYS_MAX = 100,              /* of one set */
    JWT_KEYS_FILE_BYTES = 256 * 1024 /* of a file at most */
};

struct jwt_key {
    struct signature_key *key;
    char *id; /* its `kid`; NULL: it has none */
};

/* All zero is an empty set. */
struct jwt_keys {
    struct jwt_key *items;
    size_t count;
};

/* Reads a file: JSON is a set of keys or a single one, anything else a public key or certificate in
 * PEM. WEIR_EINVAL, WEIR_EIO: `error` says why, terminated; WEIR_ENOMEM. Fills an empty set.
 * Control thread. */
WEIR_MUST enum weir_err jwt_keys_load(const char *path, char *error, size_t error_size,
                                      struct jwt_keys *out);

/* The same for the bytes of such a file. */
WEIR_MUST enum weir_err jwt_keys_read(struct span bytes, char *error, size_t error_size,
                                      struct jwt_keys *out);

/* One shared secret. */
WEIR_MUST enum weir_err jwt_keys_secret(const char *secret, char *error, size_t error_size,
                                        struct jwt_keys *out);

/* Drops the keys of other algorithms than those. */
void jwt_keys_keep(struct jwt_keys *keys, const bool wanted[SIGNATURE_ES256 + 1]);

void jwt_keys_free(struct jwt_keys *keys);

/* "HS256", "RS256" or "ES256" (RFC 7518, section 3.1) to its number. False for any other, `none`
 * among them. */
bool jwt_keys_algorithm(struct span name, enum signature_algorithm *out);

#endif
