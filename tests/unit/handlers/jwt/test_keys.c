/* Key files: which are read, which are passed over, which are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "crypto/jws_vectors.h"
#include "handlers/jwt/keys.h"

#define RSA_MEMBERS "\"kty\":\"RSA\",\"n\":\"" JWS_RS256_N "\",\"e\":\"AQAB\""
#define EC_MEMBERS                                                                                 \
    "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" JWS_ES256_X "\",\"y\":\"" JWS_ES256_Y "\""
#define OCT_MEMBERS "\"kty\":\"oct\",\"k\":\"" JWS_HS256_K "\""

static struct jwt_keys read_keys(const char *text)
{
    struct jwt_keys keys = {0};
    char error[200] = "";
    if (jwt_keys_read(span_of(text), error, sizeof error, &keys) != WEIR_OK) {
        fail_msg("%s: %s", text, error);
    }
    return keys;
}

static void expect_refused(const char *text, const char *words)
{
    struct jwt_keys keys = {0};
    char error[200] = "";
    assert_int_equal(jwt_keys_read(span_of(text), error, sizeof error, &keys), WEIR_EINVAL);
    jwt_keys_free(&keys);
    if (strstr(error, words) == NULL) {
        fail_msg("%s: %s", text, error);
    }
}

static void test_a_set_keeps_kinds_and_ids(void **state)
{
    (void)state;
    struct jwt_keys keys = read_keys("{\"keys\":[{" RSA_MEMBERS ",\"kid\":\"a\"},{" EC_MEMBERS
                                     "},{" OCT_MEMBERS ",\"kid\":\"c\"}]}");
    assert_int_equal(keys.count, 3);
    assert_int_equal(signature_key_algorithm(keys.items[0].key), SIGNATURE_RS256);
    assert_int_equal(signature_key_algorithm(keys.items[1].key), SIGNATURE_ES256);
    assert_int_equal(signature_key_algorithm(keys.items[2].key), SIGNATURE_HS256);
    assert_string_equal(keys.items[0].id, "a");
    assert_null(keys.items[1].id);
    assert_string_equal(keys.items[2].id, "c");
    jwt_keys_free(&keys);
    assert_int_equal(keys.count, 0);
}

static void test_a_single_key_may_stand_alone(void **state)
{
    (void)state;
    struct jwt_keys keys = read_keys(" \n{" EC_MEMBERS "}");
    assert_int_equal(keys.count, 1);
    jwt_keys_free(&keys);
}

static void test_keys_for_other_uses_are_passed_over(void **state)
{
    (void)state;
    static const char *const others[] = {
        "{" RSA_MEMBERS ",\"use\":\"enc\"}",
        "{" RSA_MEMBERS ",\"alg\":\"RS512\"}",
        "{" RSA_MEMBERS ",\"alg\":\"HS256\"}",
        "{" EC_MEMBERS ",\"key_ops\":[\"sign\"]}",
        "{" EC_MEMBERS ",\"key_ops\":[]}",
        "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"\",\"y\":\"\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"\"}",
        "{\"kty\":\"rsa\"}",
        "{}",
        "1",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char text[4000];
        snprintf(text, sizeof text, "{\"keys\":[%s,{" OCT_MEMBERS "}]}", others[i]);
        struct jwt_keys keys = read_keys(text);
        assert_int_equal(keys.count, 1);
        assert_int_equal(signature_key_algorithm(keys.items[0].key), SIGNATURE_HS256);
        jwt_keys_free(&keys);
    }
}

static void test_keys_that_say_they_are_for_us_are_taken(void **state)
{
    (void)state;
    struct jwt_keys keys =
        read_keys("{\"keys\":[{" RSA_MEMBERS ",\"use\":\"sig\",\"alg\":\"RS256\"},{" EC_MEMBERS
                  ",\"key_ops\":[\"sign\",\"verify\"]}]}");
    assert_int_equal(keys.count, 2);
    jwt_keys_free(&keys);
}

static void test_a_broken_key_is_an_error_that_says_which(void **state)
{
    (void)state;
    expect_refused("{\"keys\":[{" EC_MEMBERS "},{\"kty\":\"RSA\",\"e\":\"AQAB\"}]}",
                   "key 2 has no `n` in base64url");
    expect_refused("{\"kty\":\"RSA\",\"n\":\"+/\",\"e\":\"AQAB\"}", "key 1 has no `n`");
    expect_refused("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", "less than 2048 bits");
    expect_refused("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}", "32 bytes");
    expect_refused("{\"kty\":\"oct\",\"k\":\"AAAA\"}", "shorter than 32 bytes");
    expect_refused("{\"kty\":\"oct\"}", "has no `k`");
    expect_refused("{" EC_MEMBERS ",\"kid\":5}", "`kid` that is no text");
    expect_refused("{" EC_MEMBERS ",\"d\":\"AA\"}", "is a private key");
}

static void test_a_set_needs_a_key(void **state)
{
    (void)state;
    expect_refused("{\"keys\":[]}", "no key for HS256, RS256 or ES256");
    expect_refused("{}", "no key for HS256, RS256 or ES256");
    expect_refused("{\"keys\":{}}", "not a list");
    expect_refused("{\"keys\":[]", "no JSON: line 1");
    expect_refused("{\"keys\":[],\"keys\":[]}", "no JSON");
    expect_refused("", "no public key or certificate in PEM");
    expect_refused("[]", "no public key or certificate in PEM");
}

/* `count` keys, of which none is for us. */
static struct buffer set_of(size_t count)
{
    struct buffer text = {0};
    assert_int_equal(buffer_append(&text, SPAN("{\"keys\":[{" OCT_MEMBERS "}")), WEIR_OK);
    for (size_t i = 1; i < count; i++) {
        assert_int_equal(buffer_append(&text, SPAN(",{}")), WEIR_OK);
    }
    assert_int_equal(buffer_append(&text, SPAN("]}")), WEIR_OK);
    return text;
}

static void test_a_set_has_100_keys_at_most(void **state)
{
    (void)state;
    struct jwt_keys keys = {0};
    char error[200];
    struct buffer text = set_of(JWT_KEYS_MAX);
    assert_int_equal(jwt_keys_read(buffer_span(&text), error, sizeof error, &keys), WEIR_OK);
    jwt_keys_free(&keys);
    buffer_free(&text);
    text = set_of(JWT_KEYS_MAX + 1);
    assert_int_equal(jwt_keys_read(buffer_span(&text), error, sizeof error, &keys), WEIR_EINVAL);
    buffer_free(&text);
}

static void test_only_wanted_algorithms_are_kept(void **state)
{
    (void)state;
    struct jwt_keys keys = read_keys("{\"keys\":[{" RSA_MEMBERS ",\"kid\":\"a\"},{" EC_MEMBERS
                                     ",\"kid\":\"b\"},{" OCT_MEMBERS ",\"kid\":\"c\"}]}");
    const bool wanted[SIGNATURE_ES256 + 1] = {[SIGNATURE_ES256] = true};
    jwt_keys_keep(&keys, wanted);
    assert_int_equal(keys.count, 1);
    assert_string_equal(keys.items[0].id, "b");
    jwt_keys_free(&keys);
}

/* --- files --- */

static enum weir_err load_text(struct span text, size_t fill, char error[200],
                               struct jwt_keys *keys)
{
    char path[] = "/tmp/weir-test-keys-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.data, text.size), text.size);
    char *spaces = malloc(fill);
    assert_non_null(spaces);
    memset(spaces, ' ', fill);
    assert_int_equal(write(fd, spaces, fill), fill);
    free(spaces);
    close(fd);
    enum weir_err err = jwt_keys_load(path, error, 200, keys);
    unlink(path);
    return err;
}

static void test_reads_a_file_up_to_its_limit(void **state)
{
    (void)state;
    struct span text = SPAN("{" EC_MEMBERS "}");
    struct jwt_keys keys = {0};
    char error[200] = "";
    size_t most = JWT_KEYS_FILE_BYTES - text.size;
    assert_int_equal(load_text(text, most, error, &keys), WEIR_OK);
    jwt_keys_free(&keys);
    assert_int_equal(load_text(text, most + 1, error, &keys), WEIR_EINVAL);
    assert_non_null(strstr(error, "it is larger than 256 KiB"));
}

static void test_a_missing_file_is_named(void **state)
{
    (void)state;
    struct jwt_keys keys = {0};
    char error[200] = "";
    assert_int_equal(jwt_keys_load("/nowhere/keys.json", error, sizeof error, &keys), WEIR_EIO);
    assert_string_equal(error, "cannot use the key file `/nowhere/keys.json`: No such file or "
                               "directory");
    assert_int_equal(jwt_keys_load("/tmp", error, sizeof error, &keys), WEIR_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_set_keeps_kinds_and_ids),
        cmocka_unit_test(test_a_single_key_may_stand_alone),
        cmocka_unit_test(test_keys_for_other_uses_are_passed_over),
        cmocka_unit_test(test_keys_that_say_they_are_for_us_are_taken),
        cmocka_unit_test(test_a_broken_key_is_an_error_that_says_which),
        cmocka_unit_test(test_a_set_needs_a_key),
        cmocka_unit_test(test_a_set_has_100_keys_at_most),
        cmocka_unit_test(test_only_wanted_algorithms_are_kept),
        cmocka_unit_test(test_reads_a_file_up_to_its_limit),
        cmocka_unit_test(test_a_missing_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
