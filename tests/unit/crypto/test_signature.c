/* Signatures by the examples of RFC 7515, and the keys that are refused. Keys that no RFC shows
 * are made by OpenSSL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "crypto/crypto.h"
#include "crypto/jws_vectors.h"
#include "crypto/signature.h"

static struct buffer decoded(const char *text)
{
    struct buffer out = {0};
    assert_int_equal(crypto_base64_decode(span_of(text), true, &out), WEIR_OK);
    return out;
}

/* Whether the key takes the signature, and refuses it with any byte changed, cut or longer. */
static void expect_valid(const struct signature_key *key, const char *text, const char *signature)
{
    struct buffer bytes = decoded(signature);
    struct span given = buffer_span(&bytes);
    assert_true(signature_is_valid(key, span_of(text), given));
    assert_false(signature_is_valid(key, SPAN("other"), given));
    for (size_t i = 0; i < bytes.size; i++) {
        bytes.data[i] ^= 0x40;
        assert_false(signature_is_valid(key, span_of(text), given));
        bytes.data[i] ^= 0x40;
    }
    assert_false(signature_is_valid(key, span_of(text), (struct span){given.data, given.size - 1}));
    assert_false(signature_is_valid(key, span_of(text), span_from(given, 1)));
    assert_false(signature_is_valid(key, span_of(text), SPAN("")));
    assert_int_equal(buffer_append(&bytes, SPAN("\0")), WEIR_OK);
    assert_false(signature_is_valid(key, span_of(text), buffer_span(&bytes)));
    assert_int_equal(ERR_peek_error(), 0);
    buffer_free(&bytes);
}

static struct signature_key *rsa_key(const char *n, const char *e)
{
    struct signature_key *key = NULL;
    char why[100] = "";
    struct buffer modulus = decoded(n);
    struct buffer exponent = decoded(e);
    enum weir_err err =
        signature_key_rsa(buffer_span(&modulus), buffer_span(&exponent), why, sizeof why, &key);
    buffer_free(&modulus);
    buffer_free(&exponent);
    assert_true((err == WEIR_OK) == (key != NULL && why[0] == '\0'));
    assert_int_equal(ERR_peek_error(), 0);
    return key;
}

static struct signature_key *p256_key(const char *x, const char *y)
{
    struct signature_key *key = NULL;
    char why[100] = "";
    struct buffer first = decoded(x);
    struct buffer second = decoded(y);
    enum weir_err err =
        signature_key_p256(buffer_span(&first), buffer_span(&second), why, sizeof why, &key);
    buffer_free(&first);
    buffer_free(&second);
    assert_true((err == WEIR_OK) == (key != NULL && why[0] == '\0'));
    assert_int_equal(ERR_peek_error(), 0);
    return key;
}

static void test_hs256_as_rfc_7515_a1(void **state)
{
    (void)state;
    struct buffer secret = decoded(JWS_HS256_K);
    struct signature_key *key = NULL;
    char why[100];
    assert_int_equal(signature_key_secret(buffer_span(&secret), why, sizeof why, &key), WEIR_OK);
    assert_int_equal(signature_key_algorithm(key), SIGNATURE_HS256);
    expect_valid(key, JWS_HS256_TEXT, JWS_HS256_SIGNATURE);
    signature_key_free(&key);
    buffer_free(&secret);
}

static void test_rs256_as_rfc_7515_a2(void **state)
{
    (void)state;
    struct signature_key *key = rsa_key(JWS_RS256_N, JWS_RS256_E);
    assert_int_equal(signature_key_algorithm(key), SIGNATURE_RS256);
    expect_valid(key, JWS_RS256_TEXT, JWS_RS256_SIGNATURE);
    signature_key_free(&key);
}

static void test_es256_as_rfc_7515_a3(void **state)
{
    (void)state;
    struct signature_key *key = p256_key(JWS_ES256_X, JWS_ES256_Y);
    assert_int_equal(signature_key_algorithm(key), SIGNATURE_ES256);
    expect_valid(key, JWS_ES256_TEXT, JWS_ES256_SIGNATURE);
    signature_key_free(&key);
}

/* r or s of 0 would make some verifiers take any text. */
static void test_es256_refuses_zeros(void **state)
{
    (void)state;
    struct signature_key *key = p256_key(JWS_ES256_X, JWS_ES256_Y);
    uint8_t zeros[64] = {0};
    assert_false(signature_is_valid(key, SPAN(JWS_ES256_TEXT), (struct span){zeros, 64}));
    signature_key_free(&key);
}

static void test_a_secret_has_32_bytes_at_least(void **state)
{
    (void)state;
    const char *secret = "0123456789abcdef0123456789abcdef";
    struct signature_key *key = NULL;
    char why[100];
    assert_int_equal(
        signature_key_secret((struct span){(const uint8_t *)secret, 31}, why, sizeof why, &key),
        WEIR_EINVAL);
    assert_string_equal(why, "is shorter than 32 bytes");
    assert_null(key);
    assert_int_equal(
        signature_key_secret((struct span){(const uint8_t *)secret, 32}, why, sizeof why, &key),
        WEIR_OK);
    signature_key_free(&key);
    assert_null(key);
    signature_key_free(&key);
}

/* --- PEM --- */

/* A new key as PEM, given; `secret` writes its private part. */
static char *new_pem(EVP_PKEY *pkey, bool secret)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_non_null(pkey);
    if (secret) {
        assert_int_equal(PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL), 1);
    } else {
        assert_int_equal(PEM_write_bio_PUBKEY(bio, pkey), 1);
    }
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    char *text = strndup(data, (size_t)size);
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    return text;
}

static enum weir_err read_pem(char *pem, char *why, size_t why_size, struct signature_key **key)
{
    enum weir_err err = signature_key_pem(span_of(pem), why, why_size, key);
    assert_int_equal(ERR_peek_error(), 0);
    free(pem);
    return err;
}

static void expect_pem_refused(char *pem, const char *words)
{
    struct signature_key *key = NULL;
    char why[100] = "";
    assert_int_equal(read_pem(pem, why, sizeof why, &key), WEIR_EINVAL);
    assert_string_equal(why, words);
    assert_null(key);
}

static void test_reads_public_keys_in_pem(void **state)
{
    (void)state;
    struct signature_key *key = NULL;
    char why[100];
    char *pem = new_pem(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), false);
    assert_int_equal(read_pem(pem, why, sizeof why, &key), WEIR_OK);
    assert_int_equal(signature_key_algorithm(key), SIGNATURE_ES256);
    signature_key_free(&key);
    pem = new_pem(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048), false);
    assert_int_equal(read_pem(pem, why, sizeof why, &key), WEIR_OK);
    assert_int_equal(signature_key_algorithm(key), SIGNATURE_RS256);
    signature_key_free(&key);
}

/* The public key of RFC 7515, A.3, as PEM: what it has signed is valid. */
static void test_es256_by_a_key_in_pem(void **state)
{
    (void)state;
    const char *pem = "-----BEGIN PUBLIC KEY-----\n"
                      "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
                      "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
                      "-----END PUBLIC KEY-----\n";
    struct signature_key *key = NULL;
    char why[100];
    assert_int_equal(signature_key_pem(span_of(pem), why, sizeof why, &key), WEIR_OK);
    expect_valid(key, JWS_ES256_TEXT, JWS_ES256_SIGNATURE);
    signature_key_free(&key);
}

static void test_refuses_keys_that_are_too_weak_or_of_another_kind(void **state)
{
    (void)state;
    expect_pem_refused(new_pem(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2047), false),
                       "is an RSA key of less than 2048 bits");
    expect_pem_refused(new_pem(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"), false),
                       "is on another curve than P-256");
    expect_pem_refused(new_pem(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1"), false),
                       "is on another curve than P-256");
    expect_pem_refused(new_pem(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), false),
                       "is neither an RSA nor an elliptic curve key");
}

static void test_refuses_a_private_key(void **state)
{
    (void)state;
    expect_pem_refused(new_pem(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), true),
                       "is a private key; only the public one is needed");
}

static void test_refuses_what_is_no_pem(void **state)
{
    (void)state;
    const char *words = "is no public key or certificate in PEM";
    expect_pem_refused(strdup(""), words);
    expect_pem_refused(strdup("secret"), words);
    expect_pem_refused(strdup("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
                       words);
    expect_pem_refused(strdup("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
                       words);
}

/* RFC 8725, section 2.1: who has the public key could sign with it. */
static void test_pem_is_no_secret(void **state)
{
    (void)state;
    struct signature_key *key = NULL;
    char why[100];
    char *pem = new_pem(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), false);
    assert_int_equal(signature_key_secret(span_of(pem), why, sizeof why, &key), WEIR_EINVAL);
    assert_string_equal(why, "is PEM, which is no shared secret");
    free(pem);
}

/* --- parts of a JWK --- */

static void test_refuses_a_point_that_is_not_on_the_curve(void **state)
{
    (void)state;
    assert_null(p256_key(JWS_ES256_Y, JWS_ES256_X));
    assert_null(p256_key("AA", JWS_ES256_Y));
    assert_null(p256_key("", ""));
}

static void test_refuses_numbers_that_are_no_rsa_key(void **state)
{
    (void)state;
    assert_null(rsa_key("", JWS_RS256_E));
    assert_null(rsa_key(JWS_RS256_N, ""));
    assert_null(rsa_key(JWS_RS256_N, "AA"));
    assert_null(rsa_key(JWS_RS256_N, "AQ"));
    assert_null(rsa_key(JWS_ES256_X, JWS_RS256_E));
}

static void test_refuses_a_modulus_that_takes_too_long(void **state)
{
    (void)state;
    uint8_t n[16384 / 8 + 1];
    struct signature_key *key = NULL;
    char why[100];
    memset(n, 0xff, sizeof n);
    assert_int_equal(
        signature_key_rsa((struct span){n, sizeof n}, SPAN("\3"), why, sizeof why, &key),
        WEIR_EINVAL);
    assert_string_equal(why, "is an RSA key of more than 16384 bits");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hs256_as_rfc_7515_a1),
        cmocka_unit_test(test_rs256_as_rfc_7515_a2),
        cmocka_unit_test(test_es256_as_rfc_7515_a3),
        cmocka_unit_test(test_es256_refuses_zeros),
        cmocka_unit_test(test_a_secret_has_32_bytes_at_least),
        cmocka_unit_test(test_reads_public_keys_in_pem),
        cmocka_unit_test(test_es256_by_a_key_in_pem),
        cmocka_unit_test(test_refuses_keys_that_are_too_weak_or_of_another_kind),
        cmocka_unit_test(test_refuses_a_private_key),
        cmocka_unit_test(test_refuses_what_is_no_pem),
        cmocka_unit_test(test_pem_is_no_secret),
        cmocka_unit_test(test_refuses_a_point_that_is_not_on_the_curve),
        cmocka_unit_test(test_refuses_numbers_that_are_no_rsa_key),
        cmocka_unit_test(test_refuses_a_modulus_that_takes_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
