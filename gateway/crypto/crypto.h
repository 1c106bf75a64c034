/* The cryptography that plugins and the gateway's own parts ask for, by OpenSSL. Pure functions.
 * Any thread. */
#ifndef WEIR_CRYPTO_CRYPTO_H
#define WEIR_CRYPTO_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"

enum {
    CRYPTO_DIGEST_MAX = 64 /* bytes of the longest digest */
};

/* The most characters that `size` bytes are in base64, without a terminator. */
#define CRYPTO_BASE64_CHARS(size) (((size) + 2) / 3 * 4)

/* Room enough for what `size` characters of base64 decode to. */
#define CRYPTO_BASE64_BYTES(size) ((size) / 4 * 3 + 3)

enum crypto_digest {
    CRYPTO_SHA1,
    CRYPTO_SHA256,
    CRYPTO_SHA384,
    CRYPTO_SHA512
};

/* Writes the digest of `bytes` and returns its size; 0 when OpenSSL fails. */
size_t crypto_digest(enum crypto_digest kind, struct span bytes, uint8_t out[CRYPTO_DIGEST_MAX]);

/* The same for an HMAC (RFC 2104). */
size_t crypto_hmac(enum crypto_digest kind, struct span key, struct span bytes,
                   uint8_t out[CRYPTO_DIGEST_MAX]);

/* Fills with bytes that nobody can guess. False when the system has none. */
bool crypto_random(uint8_t *out, size_t size);

/* Equality in a time that depends on the sizes alone. */
bool crypto_equal(struct span a, struct span b);

/* Base64 (RFC 4648, section 4, with padding) and base64url (section 5, without). Encoding appends.
 * Decoding appends, and is strict: WEIR_EPROTO for anything that encoding would not have written,
 * except that base64url may have its padding. WEIR_ENOMEM leaves `out` as it was. */
WEIR_MUST enum weir_err crypto_base64_encode(struct span bytes, bool url, struct buffer *out);
WEIR_MUST enum weir_err crypto_base64_decode(struct span text, bool url, struct buffer *out);

/* As encoding, to `out`, which has room for CRYPTO_BASE64_CHARS(bytes.size). Returns how many
 * characters it has written; no terminator. */
size_t crypto_base64_write(struct span bytes, bool url, char *out);

/* As decoding, to `out`, which has room for CRYPTO_BASE64_BYTES(text.size); `*size` is how many
 * bytes it holds. */
WEIR_MUST enum weir_err crypto_base64_read(struct span text, bool url, uint8_t *out, size_t *size);

#endif
