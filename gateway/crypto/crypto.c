/* Digests, HMACs, random bytes and a comparison that tells nothing by its time, each in one call.
 * Called by handshakes, sticky cookies, plugins and weir.crypto. It keeps nothing between calls,
 * and leaves OpenSSL's queue of errors empty: TLS on the same thread reads that queue, and would
 * take a left-over for its own. */
#include "crypto/crypto.h"

#include <limits.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/check.h"

static const EVP_MD *digest_of(enum crypto_digest kind)
{
    switch (kind) {
    case CRYPTO_SHA1:
        return EVP_sha1();
    case CRYPTO_SHA256:
        return EVP_sha256();
    case CRYPTO_SHA384:
        return EVP_sha384();
    case CRYPTO_SHA512:
        return EVP_sha512();
    }
    WEIR_CHECK(false);
    return NULL;
}

size_t crypto_digest(enum crypto_digest kind, struct span bytes, uint8_t out[CRYPTO_DIGEST_MAX])
{
    unsigned size = 0;
    bool made = EVP_Digest(bytes.data, bytes.size, out, &size, digest_of(kind), NULL) == 1;
    if (!made) {
        ERR_clear_error();
    }
    return made ? size : 0;
}

size_t crypto_hmac(enum crypto_digest kind, struct span key, struct span bytes,
                   uint8_t out[CRYPTO_DIGEST_MAX])
{
    unsigned size = 0;
    if (key.size > INT_MAX) {
        return 0;
    }
    /* To OpenSSL a NULL key is none at all, and an empty one a key. */
    const void *secret = key.size > 0 ? (const void *)key.data : "";
    bool made =
        HMAC(digest_of(kind), secret, (int)key.size, bytes.data, bytes.size, out, &size) != NULL;
    if (!made) {
        ERR_clear_error();
    }
    return made ? size : 0;
}

bool crypto_random(uint8_t *out, size_t size)
{
    bool made = size <= INT_MAX && RAND_bytes(out, (int)size) == 1;
    if (!made) {
        ERR_clear_error();
    }
    return made;
}

bool crypto_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || CRYPTO_memcmp(a.data, b.data, a.size) == 0);
}
