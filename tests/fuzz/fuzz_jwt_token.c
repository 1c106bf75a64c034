/* Tokens from anyone: checking ends, gives a verdict with words that a header may carry, and lets
 * nothing in that the secret has not signed. The first byte says what the rest is: a whole token,
 * or a header and claims with a NUL between them, which are signed first. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/check.h"
#include "crypto/crypto.h"
#include "handlers/jwt/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "0123456789abcdef0123456789abcdef"
#define NOW_MS UINT64_C(1800000000000)

static struct jwt_settings *settings_of(const char *json)
{
    char error[200];
    struct jwt_settings *settings = NULL;
    WEIR_CHECK(jwt_settings_read("secret", json, error, sizeof error, &settings) == WEIR_OK);
    return settings;
}

/* Those that ask nothing of claims, and those that ask for everything. */
static const struct jwt_settings *easy(void)
{
    static struct jwt_settings *settings;
    if (settings == NULL) {
        settings = settings_of("{\"secret\":\"" SECRET "\",\"max_token_size\":4096}");
    }
    return settings;
}

static const struct jwt_settings *strict(void)
{
    static struct jwt_settings *settings;
    if (settings == NULL) {
        settings = settings_of("{\"secret\":\"" SECRET "\",\"max_token_size\":4096,\"leeway\":0,"
                               "\"issuer\":\"us\",\"audience\":[\"a\",\"b\"],"
                               "\"require\":[\"exp\",\"sub\"],\"claims\":{\"role\":\"m\"}}");
    }
    return settings;
}

/* From memory of exactly its size. */
static enum jwt_outcome check(const struct jwt_settings *settings, struct span token)
{
    uint64_t expires_ms = 0;
    const char *why = NULL;
    struct buffer subject = {0};
    uint8_t *copy = malloc(token.size > 0 ? token.size : 1);
    WEIR_CHECK(copy != NULL);
    if (token.size > 0) {
        memcpy(copy, token.data, token.size);
    }
    enum jwt_outcome outcome = jwt_token_check(settings, (struct span){copy, token.size}, NOW_MS,
                                               &expires_ms, &subject, &why);
    free(copy);
    WEIR_CHECK(outcome == JWT_VALID || subject.size == 0);
    buffer_free(&subject);
    WEIR_CHECK(outcome == JWT_VALID ? expires_ms > NOW_MS : why != NULL && strlen(why) > 0);
    WEIR_CHECK(outcome != JWT_NO_MEMORY);
    for (size_t i = 0; why != NULL && why[i] != '\0'; i++) {
        WEIR_CHECK(why[i] >= ' ' && why[i] < 0x7f && why[i] != '"' && why[i] != '\\');
    }
    return outcome;
}

static void append_signed(struct buffer *token, struct span header, struct span claims)
{
    uint8_t digest[CRYPTO_DIGEST_MAX];
    WEIR_CHECK(crypto_base64_encode(header, true, token) == WEIR_OK);
    WEIR_CHECK(buffer_append(token, SPAN(".")) == WEIR_OK);
    WEIR_CHECK(crypto_base64_encode(claims, true, token) == WEIR_OK);
    size_t size = crypto_hmac(CRYPTO_SHA256, SPAN(SECRET), buffer_span(token), digest);
    WEIR_CHECK(size > 0 && buffer_append(token, SPAN(".")) == WEIR_OK);
    WEIR_CHECK(crypto_base64_encode((struct span){digest, size}, true, token) == WEIR_OK);
}

/* Whether the last part is what the secret makes of the first two. */
static bool is_signed(struct span token)
{
    struct buffer again = {0};
    uint8_t digest[CRYPTO_DIGEST_MAX];
    size_t dot = token.size;
    while (dot > 0 && token.data[dot - 1] != '.') {
        dot--;
    }
    WEIR_CHECK(dot > 0);
    struct span text = {token.data, dot - 1};
    size_t size = crypto_hmac(CRYPTO_SHA256, SPAN(SECRET), text, digest);
    WEIR_CHECK(crypto_base64_encode((struct span){digest, size}, true, &again) == WEIR_OK);
    bool same = span_equal(buffer_span(&again), span_from(token, dot));
    buffer_free(&again);
    return same;
}

static void check_token(struct span token)
{
    enum jwt_outcome lenient = check(easy(), token);
    enum jwt_outcome harsh = check(strict(), token);
    WEIR_CHECK(lenient != JWT_INSUFFICIENT);
    WEIR_CHECK(lenient == JWT_VALID || harsh == JWT_INVALID);
    if (lenient == JWT_VALID) {
        WEIR_CHECK(is_signed(token) && token.size <= 4096 &&
                   jwt_token_has_shape(token) == span_starts_with(token, SPAN("ey")));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct span rest = {data + 1, size - 1};
    if (data[0] % 2 == 0) {
        check_token(rest);
        return 0;
    }
    struct buffer token = {0};
    size_t end = span_find(rest, 0);
    append_signed(&token, (struct span){rest.data, end}, span_from(rest, end + 1));
    check_token(buffer_span(&token));
    buffer_free(&token);
    return 0;
}
