/* Keys that know their one algorithm, and the check of a signature by them. What a token says of
 * its algorithm plays no part here: a key that was made for RS256 checks RS256 (RFC 8725, section
 * 3.1). Called by handlers/jwt, which makes keys when a configuration is loaded and checks on every
 * worker. It never signs, never keeps a private key, and leaves OpenSSL's queue of errors empty,
 * since TLS on the same thread reads that. */
#include "crypto/signature.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/check.h"
#include "crypto/crypto.h"

enum {
    SECRET_LEAST = 32, /* bytes: RFC 7518, section 3.2 */
    RSA_LEAST = 2048,  /* bits: RFC 7518, section 3.3 */
    RSA_MOST = 16384,  /* bits; OpenSSL verifies no longer ones */
    P256_BYTES = 32,   /* of a coordinate, and of r and s: RFC 7518, sections 3.4 and 6.2.1.2 */
    P256_POINT = 1 + 2 * P256_BYTES
};

struct signature_key {
    enum signature_algorithm algorithm;
    EVP_PKEY *public_key; /* NULL for a secret */
    size_t secret_size;
    uint8_t secret[];
};

static enum weir_err refuse(char *why, size_t why_size, const char *words)
{
    snprintf(why, why_size, "%s", words);
    return WEIR_EINVAL;
}

static enum weir_err no_memory(char *why, size_t why_size)
{
    snprintf(why, why_size, "out of memory");
    return WEIR_ENOMEM;
}

enum weir_err signature_key_secret(struct span secret, char *why, size_t why_size,
                                   struct signature_key **out)
{
    /* RFC 8725, section 2.1: a public key that is taken for a secret lets everybody sign. */
    if (span_starts_with(secret, SPAN("-----BEGIN "))) {
        return refuse(why, why_size, "is PEM, which is no shared secret");
    }
    if (secret.size < SECRET_LEAST) {
        return refuse(why, why_size, "is shorter than 32 bytes");
    }
    struct signature_key *key = calloc(1, sizeof(*key) + secret.size);
    if (key == NULL) {
        return no_memory(why, why_size);
    }
    key->algorithm = SIGNATURE_HS256;
    key->secret_size = secret.size;
    memcpy(key->secret, secret.data, secret.size);
    *out = key;
    return WEIR_OK;
}

static bool is_p256(const EVP_PKEY *public_key)
{
    char name[32];
    size_t size = 0;
    return EVP_PKEY_get_group_name(public_key, name, sizeof name, &size) == 1 &&
           strcmp(name, SN_X9_62_prime256v1) == 0;
}

/* Which algorithm a public key is for; words for one that is for none. */
static const char *find_algorithm(const EVP_PKEY *public_key, enum signature_algorithm *algorithm)
{
    switch (EVP_PKEY_get_base_id(public_key)) {
    case EVP_PKEY_RSA:
        *algorithm = SIGNATURE_RS256;
        if (EVP_PKEY_get_bits(public_key) < RSA_LEAST) {
            return "is an RSA key of less than 2048 bits";
        }
        return EVP_PKEY_get_bits(public_key) > RSA_MOST ? "is an RSA key of more than 16384 bits"
                                                        : NULL;
    case EVP_PKEY_EC:
        *algorithm = SIGNATURE_ES256;
        return is_p256(public_key) ? NULL : "is on another curve than P-256";
    default:
        return "is neither an RSA nor an elliptic curve key";
    }
}

/* Whether the numbers are a key at all, e.g. a point of the curve. */
static bool is_sound(EVP_PKEY *public_key)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, public_key, NULL);
    bool sound = context != NULL && EVP_PKEY_public_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    return sound;
}

/* Takes `public_key`. */
static enum weir_err take_public(EVP_PKEY *public_key, char *why, size_t why_size,
                                 struct signature_key **out)
{
    enum signature_algorithm algorithm = SIGNATURE_RS256;
    const char *words = find_algorithm(public_key, &algorithm);
    if (words == NULL && !is_sound(public_key)) {
        words = "is no sound public key";
    }
    struct signature_key *key = words == NULL ? calloc(1, sizeof(*key)) : NULL;
    ERR_clear_error();
    if (key == NULL) {
        EVP_PKEY_free(public_key);
        return words != NULL ? refuse(why, why_size, words) : no_memory(why, why_size);
    }
    key->algorithm = algorithm;
    key->public_key = public_key;
    *out = key;
    return WEIR_OK;
}

static EVP_PKEY *read_certificate(BIO *bio)
{
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    EVP_PKEY *public_key = certificate != NULL ? X509_get_pubkey(certificate) : NULL;
    X509_free(certificate);
    return public_key;
}

static bool holds(struct span text, struct span part)
{
    return memmem(text.data, text.size, part.data, part.size) != NULL;
}

enum weir_err signature_key_pem(struct span pem, char *why, size_t why_size,
                                struct signature_key **out)
{
    /* Whoever verifies needs no private key, and a file that many may read is no place for one. */
    if (pem.size > 0 && holds(pem, SPAN("PRIVATE KEY-----"))) {
        return refuse(why, why_size, "is a private key; only the public one is needed");
    }
    BIO *bio = pem.size <= INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.size) : NULL;
    EVP_PKEY *public_key = NULL;
    if (bio != NULL && pem.size > 0) {
        public_key = holds(pem, SPAN("-----BEGIN CERTIFICATE-----"))
                         ? read_certificate(bio)
                         : PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (public_key == NULL) {
        return refuse(why, why_size, "is no public key or certificate in PEM");
    }
    return take_public(public_key, why, why_size, out);
}

/* Makes a key of OpenSSL from its parts; NULL where they are none. */
static EVP_PKEY *from_parts(const char *type, OSSL_PARAM_BLD *parts)
{
    EVP_PKEY *public_key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(parts);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &public_key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        public_key = NULL;
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return public_key;
}

enum weir_err signature_key_rsa(struct span n, struct span e, char *why, size_t why_size,
                                struct signature_key **out)
{
    if (n.size > RSA_MOST / 8 || e.size > RSA_MOST / 8) {
        return refuse(why, why_size, "is an RSA key of more than 16384 bits");
    }
    EVP_PKEY *public_key = NULL;
    BIGNUM *modulus = BN_bin2bn(n.data, (int)n.size, NULL);
    BIGNUM *exponent = BN_bin2bn(e.data, (int)e.size, NULL);
    OSSL_PARAM_BLD *parts = OSSL_PARAM_BLD_new();
    if (modulus != NULL && exponent != NULL && parts != NULL &&
        OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_RSA_E, exponent) == 1) {
        public_key = from_parts("RSA", parts);
    }
    OSSL_PARAM_BLD_free(parts);
    BN_free(modulus);
    BN_free(exponent);
    ERR_clear_error();
    return public_key != NULL ? take_public(public_key, why, why_size, out)
                              : refuse(why, why_size, "is no RSA key");
}

enum weir_err signature_key_p256(struct span x, struct span y, char *why, size_t why_size,
                                 struct signature_key **out)
{
    if (x.size != P256_BYTES || y.size != P256_BYTES) {
        return refuse(why, why_size, "has coordinates of another size than 32 bytes");
    }
    uint8_t point[P256_POINT] = {POINT_CONVERSION_UNCOMPRESSED};
    EVP_PKEY *public_key = NULL;
    OSSL_PARAM_BLD *parts = OSSL_PARAM_BLD_new();
    memcpy(point + 1, x.data, P256_BYTES);
    memcpy(point + 1 + P256_BYTES, y.data, P256_BYTES);
    if (parts != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(parts, OSSL_PKEY_PARAM_GROUP_NAME, SN_X9_62_prime256v1,
                                        0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(parts, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) ==
            1) {
        public_key = from_parts("EC", parts);
    }
    OSSL_PARAM_BLD_free(parts);
    ERR_clear_error();
    return public_key != NULL ? take_public(public_key, why, why_size, out)
                              : refuse(why, why_size, "is no point of P-256");
}

void signature_key_free(struct signature_key **key)
{
    struct signature_key *k = *key;
    *key = NULL;
    if (k != NULL) {
        EVP_PKEY_free(k->public_key);
        OPENSSL_cleanse(k->secret, k->secret_size);
        free(k);
    }
}

enum signature_algorithm signature_key_algorithm(const struct signature_key *key)
{
    return key->algorithm;
}

static bool secret_has_signed(const struct signature_key *key, struct span text,
                              struct span signature)
{
    uint8_t digest[CRYPTO_DIGEST_MAX];
    struct span secret = {key->secret, key->secret_size};
    size_t size = crypto_hmac(CRYPTO_SHA256, secret, text, digest);
    return size > 0 && crypto_equal((struct span){digest, size}, signature);
}

static bool public_has_signed(const struct signature_key *key, struct span text,
                              struct span signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool valid =
        context != NULL &&
        EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key->public_key) == 1 &&
        EVP_DigestVerify(context, signature.data, signature.size, text.data, text.size) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return valid;
}

/* RFC 7518, section 3.4: JWS has r and s side by side, and OpenSSL wants a DER sequence of them. */
static bool point_has_signed(const struct signature_key *key, struct span text,
                             struct span signature)
{
    if (signature.size != 2 * P256_BYTES) {
        return false;
    }
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature.data, P256_BYTES, NULL);
    BIGNUM *s = BN_bin2bn(signature.data + P256_BYTES, P256_BYTES, NULL);
    if (pair == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(pair, r, s) != 1) {
        ECDSA_SIG_free(pair);
        BN_free(r);
        BN_free(s);
        return false;
    }
    uint8_t *der = NULL;
    int size = i2d_ECDSA_SIG(pair, &der);
    bool valid = size > 0 && public_has_signed(key, text, (struct span){der, (size_t)size});
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    return valid;
}

bool signature_is_valid(const struct signature_key *key, struct span text, struct span signature)
{
    switch (key->algorithm) {
    case SIGNATURE_HS256:
        return secret_has_signed(key, text, signature);
    case SIGNATURE_RS256:
        return public_has_signed(key, text, signature);
    case SIGNATURE_ES256:
        return point_has_signed(key, text, signature);
    }
    WEIR_CHECK(false);
    return false;
}
