/* Tokens: their form, their header, their dates and claims. Signatures as such are
 * crypto/test_signature.c's. */
#include "handlers/jwt/jwt_fixture.h"

#include "crypto/jws_vectors.h"
#include "handlers/jwt/settings.h"
#include "handlers/jwt/token.h"

/* What the claims of the tests have as exp. */
#define EXP 2000000000
#define EXP_MS (EXP * UINT64_C(1000))

/* Settings with that secret; `more` is the rest of the JSON object, after a comma. */
static struct jwt_settings *settings_with(const char *more)
{
    char json[1000];
    char error[300] = "";
    struct jwt_settings *settings = NULL;
    snprintf(json, sizeof json, "{\"secret\":\"%s\"%s}", JWT_TEST_SECRET, more);
    if (jwt_settings_read("secret", json, error, sizeof error, &settings) != WEIR_OK) {
        fail_msg("%s: %s", json, error);
    }
    return settings;
}

struct verdict {
    enum jwt_outcome outcome;
    const char *why;
    uint64_t expires_ms;
    char subject[40];
};

static struct verdict check_bytes(const char *more, struct span token, uint64_t now_ms)
{
    struct jwt_settings *settings = settings_with(more);
    struct verdict verdict = {.why = ""};
    struct buffer subject = {0};
    verdict.outcome =
        jwt_token_check(settings, token, now_ms, &verdict.expires_ms, &subject, &verdict.why);
    snprintf(verdict.subject, sizeof verdict.subject, "%.*s", SPAN_ARGS(buffer_span(&subject)));
    buffer_free(&subject);
    jwt_settings_free(&settings);
    return verdict;
}

static struct verdict check(const char *more, const char *header, const char *claims,
                            uint64_t now_ms)
{
    struct buffer token = token_of(header, claims);
    struct verdict verdict = check_bytes(more, buffer_span(&token), now_ms);
    buffer_free(&token);
    return verdict;
}

static void expect_valid(const char *more, const char *claims, uint64_t now_ms)
{
    struct verdict verdict = check(more, JWT_TEST_HEADER, claims, now_ms);
    if (verdict.outcome != JWT_VALID) {
        fail_msg("%s was refused: %s", claims, verdict.why);
    }
}

static void expect_refused(const char *more, const char *header, const char *claims,
                           uint64_t now_ms, const char *why)
{
    struct verdict verdict = check(more, header, claims, now_ms);
    if (verdict.outcome != JWT_INVALID || strcmp(verdict.why, why) != 0) {
        fail_msg("%s %s: outcome %d, %s", header, claims, verdict.outcome, verdict.why);
    }
}

static void expect_malformed(struct span token)
{
    struct verdict verdict = check_bytes("", token, 1000);
    if (verdict.outcome != JWT_INVALID || strcmp(verdict.why, "the token is malformed") != 0) {
        fail_msg("%.*s: outcome %d, %s", SPAN_ARGS(token), verdict.outcome, verdict.why);
    }
}

static void test_takes_the_example_of_rfc_7515(void **state)
{
    (void)state;
    char error[200];
    struct jwt_settings *settings = settings_with("");
    uint64_t expires_ms = 0;
    const char *why = "";
    struct buffer subject = {0};
    struct span set = SPAN("{\"keys\":[{\"kty\":\"oct\",\"k\":\"" JWS_HS256_K "\"},"
                           "{\"kty\":\"RSA\",\"n\":\"" JWS_RS256_N "\",\"e\":\"AQAB\"},"
                           "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" JWS_ES256_X
                           "\",\"y\":\"" JWS_ES256_Y "\"}]}");
    static const char *const tokens[] = {JWS_HS256_TEXT "." JWS_HS256_SIGNATURE,
                                         JWS_RS256_TEXT "." JWS_RS256_SIGNATURE,
                                         JWS_ES256_TEXT "." JWS_ES256_SIGNATURE};
    jwt_keys_free(&settings->keys);
    assert_int_equal(jwt_keys_read(set, error, sizeof error, &settings->keys), WEIR_OK);
    for (size_t i = 0; i < 3; i++) {
        enum jwt_outcome outcome = jwt_token_check(settings, span_of(tokens[i]), 1300819379999,
                                                   &expires_ms, &subject, &why);
        assert_int_equal(outcome, JWT_VALID);
        assert_int_equal(expires_ms, 1300819390000); /* with the leeway of 10 s */
        assert_int_equal(subject.size, 0);
    }
    jwt_settings_free(&settings);
}

static void test_expires_on_the_millisecond(void **state)
{
    (void)state;
    const char *claims = "{\"exp\":2000000000}";
    const char *why = "the token has expired";
    expect_valid(",\"leeway\":0", claims, EXP_MS - 1);
    expect_refused(",\"leeway\":0", JWT_TEST_HEADER, claims, EXP_MS, why);
    expect_valid(",\"leeway\":5000", claims, EXP_MS + 4999);
    expect_refused(",\"leeway\":5000", JWT_TEST_HEADER, claims, EXP_MS + 5000, why);
    expect_refused(",\"leeway\":0", JWT_TEST_HEADER, "{\"exp\":2.5}", 2500, why);
    expect_valid(",\"leeway\":0", "{\"exp\":2.5}", 2499);
    expect_refused(",\"leeway\":0", JWT_TEST_HEADER, "{\"exp\":0}", 0, why);
    expect_refused(",\"leeway\":0", JWT_TEST_HEADER, "{\"exp\":-1e300}", 0, why);
}

static void test_tells_when_it_ends(void **state)
{
    (void)state;
    const char *leeway = ",\"leeway\":5000";
    assert_int_equal(check(leeway, JWT_TEST_HEADER, "{\"exp\":2000000000}", 1000).expires_ms,
                     EXP_MS + 5000);
    assert_true(check(leeway, JWT_TEST_HEADER, "{}", 1000).expires_ms == UINT64_MAX);
    assert_true(check(leeway, JWT_TEST_HEADER, "{\"exp\":1e300}", 1000).expires_ms == UINT64_MAX);
}

static void test_tells_the_subject_of_a_good_token_alone(void **state)
{
    (void)state;
    const char *more = ",\"claims\":{\"role\":\"m\"}";
    assert_string_equal(
        check(more, JWT_TEST_HEADER, "{\"sub\":\"ada\",\"role\":\"m\"}", 1000).subject, "ada");
    assert_string_equal(check(more, JWT_TEST_HEADER, "{\"sub\":5,\"role\":\"m\"}", 1000).subject,
                        "");
    assert_string_equal(check(more, JWT_TEST_HEADER, "{\"sub\":\"ada\"}", 1000).subject, "");
}

static void test_begins_on_the_millisecond(void **state)
{
    (void)state;
    const char *claims = "{\"nbf\":2000000000}";
    const char *why = "the token is not valid yet";
    expect_valid(",\"leeway\":0", claims, EXP_MS);
    expect_refused(",\"leeway\":0", JWT_TEST_HEADER, claims, EXP_MS - 1, why);
    expect_valid(",\"leeway\":5000", claims, EXP_MS - 5000);
    expect_refused(",\"leeway\":5000", JWT_TEST_HEADER, claims, EXP_MS - 5001, why);
    expect_refused(",\"leeway\":5000", JWT_TEST_HEADER, "{\"nbf\":1e300}", EXP_MS, why);
}

static void test_dates_are_numbers(void **state)
{
    (void)state;
    static const char *const claims[] = {"{\"exp\":\"2000000000\"}", "{\"exp\":null}",
                                         "{\"exp\":[2000000000]}", "{\"nbf\":\"1\"}",
                                         "{\"nbf\":true}"};
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        expect_refused("", JWT_TEST_HEADER, claims[i], 1000, "a date is malformed");
    }
}

static void test_the_header_cannot_choose_how_it_is_checked(void **state)
{
    (void)state;
    const char *why = "the algorithm is not accepted";
    expect_refused("", "{\"alg\":\"none\"}", "{}", 1000, why);
    expect_refused("", "{\"alg\":\"None\"}", "{}", 1000, why);
    expect_refused("", "{\"alg\":\"hs256\"}", "{}", 1000, why);
    expect_refused("", "{\"alg\":\"HS512\"}", "{}", 1000, why);
    expect_refused("", "{\"alg\":\"\"}", "{}", 1000, why);
    expect_refused("", "{\"alg\":\"RS256\"}", "{}", 1000, "there is no key for this token");
    expect_refused("", "{\"alg\":\"HS256\",\"crit\":[]}", "{}", 1000,
                   "the token has a critical extension");
}

static void test_refuses_headers_that_parsers_read_in_two_ways(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "{}",
        "[]",
        "\"HS256\"",
        "{\"alg\":null}",
        "{\"alg\":[\"HS256\"]}",
        "{\"alg\":\"none\",\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"kid\":1}",
        "{\"alg\":\"HS256\"} x",
        "{\"alg\":\"HS256\"",
        "",
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        expect_refused("", headers[i], "{}", 1000, "the header is malformed");
    }
}

static void test_claims_are_one_object(void **state)
{
    (void)state;
    static const char *const claims[] = {"",
                                         "[]",
                                         "1",
                                         "{\"sub\":1,\"sub\":2}",
                                         "{} {}",
                                         "{",
                                         "{\"a\":\"\\u0000\"}",
                                         "{\"a\":\"\xff\"}"};
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        expect_refused("", JWT_TEST_HEADER, claims[i], 1000, "the claims are malformed");
    }
}

static void test_issuer_and_audience(void **state)
{
    (void)state;
    const char *more = ",\"issuer\":\"us\",\"audience\":[\"chat\",\"mail\"]";
    expect_valid(more, "{\"iss\":\"us\",\"aud\":\"mail\"}", 1000);
    expect_valid(more, "{\"iss\":\"us\",\"aud\":[\"x\",\"chat\"]}", 1000);
    expect_refused(more, JWT_TEST_HEADER, "{\"aud\":\"chat\"}", 1000, "the issuer is another");
    expect_refused(more, JWT_TEST_HEADER, "{\"iss\":\"US\",\"aud\":\"chat\"}", 1000,
                   "the issuer is another");
    expect_refused(more, JWT_TEST_HEADER, "{\"iss\":[\"us\"],\"aud\":\"chat\"}", 1000,
                   "the issuer is another");
    static const char *const others[] = {
        "{\"iss\":\"us\"}", "{\"iss\":\"us\",\"aud\":[]}", "{\"iss\":\"us\",\"aud\":\"chats\"}",
        "{\"iss\":\"us\",\"aud\":[[\"chat\"]]}", "{\"iss\":\"us\",\"aud\":{\"chat\":\"chat\"}}"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        expect_refused(more, JWT_TEST_HEADER, others[i], 1000, "the token is for another audience");
    }
}

static void test_required_claims_must_be_there(void **state)
{
    (void)state;
    const char *more = ",\"require\":[\"exp\",\"sub\"]";
    expect_valid(more, "{\"exp\":2000000000,\"sub\":\"\"}", 1000);
    expect_refused(more, JWT_TEST_HEADER, "{\"exp\":2000000000}", 1000,
                   "a required claim is missing");
    expect_refused(more, JWT_TEST_HEADER, "{\"sub\":\"ada\"}", 1000, "a required claim is missing");
}

static void test_another_claim_is_not_enough(void **state)
{
    (void)state;
    const char *more = ",\"claims\":{\"role\":\"member\"}";
    expect_valid(more, "{\"role\":\"member\"}", 1000);
    expect_valid(more, "{\"role\":[\"guest\",\"member\"]}", 1000);
    static const char *const others[] = {"{}", "{\"role\":\"guest\"}", "{\"role\":[]}",
                                         "{\"role\":\"members\"}", "{\"role\":true}"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct verdict verdict = check(more, JWT_TEST_HEADER, others[i], 1000);
        assert_int_equal(verdict.outcome, JWT_INSUFFICIENT);
        assert_string_equal(verdict.why, "a claim is not what it must be");
    }
}

static void test_the_form(void **state)
{
    (void)state;
    static const char *const tokens[] = {"",           ".",          "..",        "...",
                                         "a",          "a.b",        "YQ.YQ",     "YQ.YQ.YQ.YQ",
                                         "YQ==.YQ.YQ", "YQ.YQ.YQ==", "Y Q.YQ.YQ", "YR.YQ.YQ",
                                         "YQ.YQ.Y",    "YQ.YQ.YQ\n", "+/.YQ.YQ"};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        if (strcmp(tokens[i], "..") != 0) {
            expect_malformed(span_of(tokens[i]));
        }
    }
    assert_string_equal(check_bytes("", SPAN(".."), 1000).why, "the header is malformed");
}

/* Whatever is changed, cut or added: it is not ours any more. */
static void test_every_changed_byte_is_noticed(void **state)
{
    (void)state;
    struct buffer token = token_of(JWT_TEST_HEADER, "{\"sub\":\"ada\"}");
    assert_int_equal(check_bytes("", buffer_span(&token), 1000).outcome, JWT_VALID);
    for (size_t i = 0; i < token.size; i++) {
        uint8_t kept = token.data[i];
        token.data[i] = kept == 'A' ? 'B' : 'A';
        assert_int_equal(check_bytes("", buffer_span(&token), 1000).outcome, JWT_INVALID);
        token.data[i] = kept;
        assert_int_equal(check_bytes("", (struct span){token.data, i}, 1000).outcome, JWT_INVALID);
    }
    assert_int_equal(buffer_append(&token, SPAN("A")), WEIR_OK);
    assert_int_equal(check_bytes("", buffer_span(&token), 1000).outcome, JWT_INVALID);
    buffer_free(&token);
}

static void test_the_size_limit_from_both_sides(void **state)
{
    (void)state;
    struct buffer token = token_of(JWT_TEST_HEADER, "{}");
    char more[60];
    snprintf(more, sizeof more, ",\"max_token_size\":%zu", token.size);
    assert_int_equal(check_bytes(more, buffer_span(&token), 1000).outcome, JWT_VALID);
    snprintf(more, sizeof more, ",\"max_token_size\":%zu", token.size - 1);
    struct verdict verdict = check_bytes(more, buffer_span(&token), 1000);
    assert_int_equal(verdict.outcome, JWT_INVALID);
    assert_string_equal(verdict.why, "the token is too long");
    buffer_free(&token);
}

static void test_the_shape_that_tells_tokens_from_subprotocols(void **state)
{
    (void)state;
    struct buffer token = token_of(JWT_TEST_HEADER, "{}");
    assert_true(jwt_token_has_shape(buffer_span(&token)));
    buffer_free(&token);
    assert_true(jwt_token_has_shape(SPAN("eyA.b.c")));
    assert_true(jwt_token_has_shape(SPAN("eyA..")));
    static const char *const others[] = {"",          "chat.v1",  "v1.chat.example", "eyA.b",
                                         "eyA.b.c.d", "eyA.b.c=", "eyA.b+.c",        "xyA.b.c"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_false(jwt_token_has_shape(span_of(others[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_the_example_of_rfc_7515),
        cmocka_unit_test(test_expires_on_the_millisecond),
        cmocka_unit_test(test_tells_when_it_ends),
        cmocka_unit_test(test_tells_the_subject_of_a_good_token_alone),
        cmocka_unit_test(test_begins_on_the_millisecond),
        cmocka_unit_test(test_dates_are_numbers),
        cmocka_unit_test(test_the_header_cannot_choose_how_it_is_checked),
        cmocka_unit_test(test_refuses_headers_that_parsers_read_in_two_ways),
        cmocka_unit_test(test_claims_are_one_object),
        cmocka_unit_test(test_issuer_and_audience),
        cmocka_unit_test(test_required_claims_must_be_there),
        cmocka_unit_test(test_another_claim_is_not_enough),
        cmocka_unit_test(test_the_form),
        cmocka_unit_test(test_every_changed_byte_is_noticed),
        cmocka_unit_test(test_the_size_limit_from_both_sides),
        cmocka_unit_test(test_the_shape_that_tells_tokens_from_subprotocols),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
