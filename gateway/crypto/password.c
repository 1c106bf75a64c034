/* Passwords against their hashes, by the system's libcrypt. Called by weir.crypto. It never makes
 * hashes: people have htpasswd, mkpasswd and openssl for that. */
#include "crypto/password.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "crypto/crypto.h"

static bool is_hash(const char *hash)
{
    int verdict = hash[0] == '$' ? crypt_checksalt(hash) : CRYPT_SALT_INVALID;
    return verdict != CRYPT_SALT_INVALID && verdict != CRYPT_SALT_METHOD_DISABLED;
}

static bool is_candidate(struct span password)
{
    return password.size < CRYPT_MAX_PASSPHRASE_SIZE &&
           (password.size == 0 || memchr(password.data, 0, password.size) == NULL);
}

enum weir_err password_check(struct span password, const char *hash, bool *matches)
{
    char text[CRYPT_MAX_PASSPHRASE_SIZE] = {0};
    *matches = false;
    if (!is_hash(hash)) {
        return WEIR_EINVAL;
    }
    if (!is_candidate(password)) {
        return WEIR_OK;
    }
    struct crypt_data *work = calloc(1, sizeof *work); /* 32 KiB */
    if (work == NULL) {
        return WEIR_ENOMEM;
    }
    if (password.size > 0) {
        memcpy(text, password.data, password.size);
    }
    const char *made = crypt_r(text, hash, work);
    bool is_made = made != NULL && made[0] != '*'; /* crypt(3): "*0" and "*1" are failures */
    *matches = is_made && crypto_equal(span_of(made), span_of(hash));
    OPENSSL_cleanse(text, sizeof text);
    OPENSSL_cleanse(work, sizeof *work);
    free(work);
    return is_made ? WEIR_OK : WEIR_EINVAL; /* else its cost or salt is none */
}
