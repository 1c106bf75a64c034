/* Tokens for the tests of jwt: HS256 with one known secret. One test program includes it once. */
#ifndef WEIR_TESTS_JWT_FIXTURE_H
#define WEIR_TESTS_JWT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "crypto/crypto.h"

#define JWT_TEST_SECRET "0123456789abcdef0123456789abcdef"
#define JWT_TEST_HEADER "{\"alg\":\"HS256\"}"

static void append_part(struct buffer *token, struct span bytes)
{
    assert_int_equal(crypto_base64_encode(bytes, true, token), WEIR_OK);
}

/* A token of that header and those claims, signed with the secret; the caller frees it. */
static struct buffer token_of(const char *header, const char *claims)
{
    struct buffer token = {0};
    uint8_t digest[CRYPTO_DIGEST_MAX];
    append_part(&token, span_of(header));
    assert_int_equal(buffer_append(&token, SPAN(".")), WEIR_OK);
    append_part(&token, span_of(claims));
    size_t size = crypto_hmac(CRYPTO_SHA256, SPAN(JWT_TEST_SECRET), buffer_span(&token), digest);
    assert_int_equal(buffer_append(&token, SPAN(".")), WEIR_OK);
    append_part(&token, (struct span){digest, size});
    return token;
}

#endif
