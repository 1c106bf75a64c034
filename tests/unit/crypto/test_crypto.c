/* Digests and HMACs by the vectors of RFC 4231 and FIPS 180-4; comparison and random bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "crypto/crypto.h"

static void expect_hex(const uint8_t *bytes, size_t size, const char *hex)
{
    char text[2 * CRYPTO_DIGEST_MAX + 1] = "";
    assert_int_equal(2 * size, strlen(hex));
    for (size_t i = 0; i < size; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
    assert_string_equal(text, hex);
}

static void expect_digest(enum crypto_digest kind, struct span bytes, const char *hex)
{
    uint8_t out[CRYPTO_DIGEST_MAX];
    size_t size = crypto_digest(kind, bytes, out);
    expect_hex(out, size, hex);
}

static void expect_hmac(enum crypto_digest kind, struct span key, struct span bytes,
                        const char *hex)
{
    uint8_t out[CRYPTO_DIGEST_MAX];
    size_t size = crypto_hmac(kind, key, bytes, out);
    expect_hex(out, size, hex);
}

static void test_digests_as_fips_180_has_them(void **state)
{
    (void)state;
    expect_digest(CRYPTO_SHA1, SPAN("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    expect_digest(CRYPTO_SHA256, SPAN("abc"),
                  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect_digest(CRYPTO_SHA384, SPAN("abc"),
                  "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                  "8086072ba1e7cc2358baeca134c825a7");
    expect_digest(CRYPTO_SHA512, SPAN("abc"),
                  "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                  "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

static void test_digests_nothing(void **state)
{
    (void)state;
    expect_digest(CRYPTO_SHA1, (struct span){NULL, 0}, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    expect_digest(CRYPTO_SHA256, SPAN(""),
                  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_signs_as_rfc_4231_case_1(void **state)
{
    (void)state;
    uint8_t key[20];
    memset(key, 0x0b, sizeof key);
    struct span secret = {key, sizeof key};
    expect_hmac(CRYPTO_SHA256, secret, SPAN("Hi There"),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    expect_hmac(CRYPTO_SHA384, secret, SPAN("Hi There"),
                "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
                "faea9ea9076ede7f4af152e8b2fa9cb6");
    expect_hmac(CRYPTO_SHA512, secret, SPAN("Hi There"),
                "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
                "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854");
}

static void test_signs_as_rfc_4231_case_2(void **state)
{
    (void)state;
    expect_hmac(CRYPTO_SHA256, SPAN("Jefe"), SPAN("what do ya want for nothing?"),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void test_signs_as_rfc_4231_case_3(void **state)
{
    (void)state;
    uint8_t key[20];
    uint8_t data[50];
    memset(key, 0xaa, sizeof key);
    memset(data, 0xdd, sizeof data);
    expect_hmac(CRYPTO_SHA256, (struct span){key, sizeof key}, (struct span){data, sizeof data},
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
}

/* A key that is longer than the digest's block is digested first. */
static void test_signs_as_rfc_4231_case_6(void **state)
{
    (void)state;
    uint8_t key[131];
    memset(key, 0xaa, sizeof key);
    expect_hmac(CRYPTO_SHA256, (struct span){key, sizeof key},
                SPAN("Test Using Larger Than Block-Size Key - Hash Key First"),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void test_an_empty_key_is_a_key(void **state)
{
    (void)state;
    const char *hex = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
    expect_hmac(CRYPTO_SHA256, SPAN(""), SPAN(""), hex);
    expect_hmac(CRYPTO_SHA256, (struct span){NULL, 0}, (struct span){NULL, 0}, hex);
}

static void test_compares_sizes_and_bytes(void **state)
{
    (void)state;
    assert_true(crypto_equal(SPAN("secret"), SPAN("secret")));
    assert_false(crypto_equal(SPAN("secret"), SPAN("secreT")));
    assert_false(crypto_equal(SPAN("secret"), SPAN("secre")));
    assert_false(crypto_equal(SPAN("secret"), SPAN("Secret")));
    assert_true(crypto_equal(SPAN(""), (struct span){NULL, 0}));
}

static void test_random_bytes_differ_each_time(void **state)
{
    (void)state;
    uint8_t a[32] = {0};
    uint8_t b[32] = {0};
    assert_true(crypto_random(a, sizeof a));
    assert_true(crypto_random(b, sizeof b));
    assert_memory_not_equal(a, b, sizeof a);
    assert_true(crypto_random(a, 0));
}

/* TLS on the same thread would take what is left there for its own. */
static void test_refused_randomness_leaves_no_error_for_tls(void **state)
{
    (void)state;
    uint8_t byte = 0;
    ERR_clear_error();
    assert_false(crypto_random(&byte, SIZE_MAX));
    assert_int_equal(ERR_peek_error(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digests_as_fips_180_has_them),
        cmocka_unit_test(test_digests_nothing),
        cmocka_unit_test(test_signs_as_rfc_4231_case_1),
        cmocka_unit_test(test_signs_as_rfc_4231_case_2),
        cmocka_unit_test(test_signs_as_rfc_4231_case_3),
        cmocka_unit_test(test_signs_as_rfc_4231_case_6),
        cmocka_unit_test(test_an_empty_key_is_a_key),
        cmocka_unit_test(test_compares_sizes_and_bytes),
        cmocka_unit_test(test_random_bytes_differ_each_time),
        cmocka_unit_test(test_refused_randomness_leaves_no_error_for_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
