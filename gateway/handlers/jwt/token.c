/* Checks one token: its form, its algorithm against the keys, its signature, and only then what it
 * claims. The token's header chooses among the keys, and never how they are used: a key knows its
 * algorithm (RFC 8725, section 3.1), so `none` has no key and a public key is no secret. Called by
 * jwt.c for each request. It keeps nothing of a token, and follows none of its links (`jku`,
 * `x5u`). */
#include "handlers/jwt/token.h"

#include <string.h>

#include <jansson.h>

#include "base/buffer.h"
#include "crypto/crypto.h"

static const double MAX_SECONDS = 1e12; /* of a NumericDate: later than that is never */

/* The parts of a token, decoded; `text` is what was signed. */
struct parts {
    struct span text;
    struct buffer header;
    struct buffer claims;
    struct buffer signature;
};

static enum jwt_outcome refuse(const char **why, const char *words)
{
    *why = words;
    return JWT_INVALID;
}

/* --- the form --- */

static bool is_base64url(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

bool jwt_token_has_shape(struct span text)
{
    size_t dots = 0;
    for (size_t i = 0; i < text.size; i++) {
        dots += text.data[i] == '.' ? 1 : 0;
        if (text.data[i] != '.' && !is_base64url(text.data[i])) {
            return false;
        }
    }
    return dots == 2 && span_starts_with(text, SPAN("ey")); /* `{"` or `{ ` in base64 */
}

/* Takes the next part off, up to a dot or, for the `last`, to the end. */
static enum weir_err take_part(struct span *rest, bool last, struct buffer *out)
{
    size_t dot = span_find(*rest, '.');
    struct span part = {rest->data, dot};
    /* RFC 7515, section 2: base64url without padding. */
    if ((dot == rest->size) != last || span_find(part, '=') != part.size) {
        return WEIR_EPROTO;
    }
    *rest = span_from(*rest, dot + 1);
    return crypto_base64_decode(part, true, out);
}

static enum weir_err split(struct span token, struct parts *out)
{
    struct span rest = token;
    enum weir_err err = take_part(&rest, false, &out->header);
    if (err == WEIR_OK) {
        err = take_part(&rest, false, &out->claims);
    }
    if (err == WEIR_OK) {
        out->text = (struct span){token.data, token.size - rest.size - 1};
        err = take_part(&rest, true, &out->signature);
    }
    return err;
}

/* RFC 7515, section 4, and RFC 7519, section 4: names must be unique, else parsers differ. NULL:
 * no JSON object. */
static json_t *parse_object(const struct buffer *bytes)
{
    json_t *object =
        json_loadb((const char *)bytes->data, bytes->size, JSON_REJECT_DUPLICATES, NULL);
    if (object != NULL && !json_is_object(object)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* --- the signature --- */

/* A key without an id serves tokens of any id, and a token without one is tried with all keys. */
static bool is_meant(const struct jwt_key *key, const char *id)
{
    return id == NULL || key->id == NULL || strcmp(key->id, id) == 0;
}

static enum jwt_outcome find_signer(const struct jwt_settings *settings, const struct parts *parts,
                                    enum signature_algorithm algorithm, const char *id,
                                    const char **why)
{
    bool tried = false;
    for (size_t i = 0; i < settings->keys.count; i++) {
        const struct jwt_key *key = &settings->keys.items[i];
        if (signature_key_algorithm(key->key) != algorithm || !is_meant(key, id)) {
            continue;
        }
        tried = true;
        if (signature_is_valid(key->key, parts->text, buffer_span(&parts->signature))) {
            return JWT_VALID;
        }
    }
    return refuse(why, tried ? "the signature is wrong" : "there is no key for this token");
}

static enum jwt_outcome check_header(const struct jwt_settings *settings, const struct parts *parts,
                                     const json_t *header, const char **why)
{
    enum signature_algorithm algorithm = SIGNATURE_HS256;
    const json_t *alg = json_object_get(header, "alg");
    const json_t *kid = json_object_get(header, "kid");
    /* RFC 7515, section 4.1.11: an extension that we do not know, and we know none. */
    if (json_object_get(header, "crit") != NULL) {
        return refuse(why, "the token has a critical extension");
    }
    if (!json_is_string(alg) || (kid != NULL && !json_is_string(kid))) {
        return refuse(why, "the header is malformed");
    }
    struct span name = {(const uint8_t *)json_string_value(alg), json_string_length(alg)};
    if (!jwt_keys_algorithm(name, &algorithm)) {
        return refuse(why, "the algorithm is not accepted");
    }
    return find_signer(settings, parts, algorithm, json_string_value(kid), why);
}

/* --- the claims --- */

/* Reads a NumericDate (RFC 7519, section 2) in milliseconds; `fallback` where there is none. */
static bool read_date(const json_t *claims, const char *name, uint64_t fallback, uint64_t *out_ms)
{
    const json_t *value = json_object_get(claims, name);
    *out_ms = fallback;
    if (value == NULL) {
        return true;
    }
    double seconds = json_number_value(value);
    if (seconds <= 0) {
        *out_ms = 0;
    } else {
        *out_ms = seconds < MAX_SECONDS ? (uint64_t)(seconds * 1000) : UINT64_MAX;
    }
    return json_is_number(value);
}

static enum jwt_outcome check_dates(const struct jwt_settings *settings, const json_t *claims,
                                    uint64_t now_ms, uint64_t *expires_ms, const char **why)
{
    uint64_t expires = 0;
    uint64_t begins = 0;
    if (!read_date(claims, "exp", UINT64_MAX, &expires) || !read_date(claims, "nbf", 0, &begins)) {
        return refuse(why, "a date is malformed");
    }
    if (expires < UINT64_MAX - settings->leeway_ms) {
        expires += settings->leeway_ms;
    }
    /* RFC 7519, section 4.1.4: on or after that date it is not accepted. */
    if (now_ms >= expires) {
        return refuse(why, "the token has expired");
    }
    /* RFC 7519, section 4.1.5. */
    if (begins > now_ms && begins - now_ms > settings->leeway_ms) {
        return refuse(why, "the token is not valid yet");
    }
    *expires_ms = expires;
    return JWT_VALID;
}

static bool is_text(const json_t *value, const char *text)
{
    size_t size = strlen(text);
    return json_is_string(value) && json_string_length(value) == size &&
           memcmp(json_string_value(value), text, size) == 0;
}

/* Whether a claim is that text, or a list that has it. */
static bool holds(const json_t *value, const char *text)
{
    if (!json_is_array(value)) {
        return is_text(value, text);
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (is_text(json_array_get(value, i), text)) {
            return true;
        }
    }
    return false;
}

static bool is_for_us(const struct jwt_settings *settings, const json_t *claims)
{
    const json_t *audience = json_object_get(claims, "aud");
    for (size_t i = 0; i < settings->audience_count; i++) {
        if (holds(audience, settings->audiences[i])) {
            return true;
        }
    }
    return settings->audience_count == 0;
}

static enum jwt_outcome check_claims(const struct jwt_settings *settings, const json_t *claims,
                                     const char **why)
{
    if (settings->issuer != NULL && !is_text(json_object_get(claims, "iss"), settings->issuer)) {
        return refuse(why, "the issuer is another");
    }
    if (!is_for_us(settings, claims)) {
        return refuse(why, "the token is for another audience");
    }
    for (size_t i = 0; i < settings->required_count; i++) {
        if (json_object_get(claims, settings->required[i]) == NULL) {
            return refuse(why, "a required claim is missing");
        }
    }
    for (size_t i = 0; i < settings->claim_count; i++) {
        const struct settings_pair *claim = &settings->claims[i];
        if (!holds(json_object_get(claims, claim->name), claim->text)) {
            *why = "a claim is not what it must be";
            return JWT_INSUFFICIENT;
        }
    }
    return JWT_VALID;
}

/* RFC 7519, section 4.1.2: a text. What is none names nobody. */
static enum jwt_outcome read_subject(const json_t *claims, struct buffer *subject)
{
    const json_t *value = json_object_get(claims, "sub");
    struct span text = {(const uint8_t *)json_string_value(value), json_string_length(value)};
    return text.size == 0 || buffer_append(subject, text) == WEIR_OK ? JWT_VALID : JWT_NO_MEMORY;
}

/* --- the whole --- */

static enum jwt_outcome check_parts(const struct jwt_settings *settings, const struct parts *parts,
                                    uint64_t now_ms, uint64_t *expires_ms, struct buffer *subject,
                                    const char **why)
{
    json_t *header = parse_object(&parts->header);
    if (header == NULL) {
        return refuse(why, "the header is malformed");
    }
    enum jwt_outcome outcome = check_header(settings, parts, header, why);
    json_decref(header);
    if (outcome != JWT_VALID) {
        return outcome;
    }
    json_t *claims = parse_object(&parts->claims);
    if (claims == NULL) {
        return refuse(why, "the claims are malformed");
    }
    outcome = check_dates(settings, claims, now_ms, expires_ms, why);
    if (outcome == JWT_VALID) {
        outcome = check_claims(settings, claims, why);
    }
    if (outcome == JWT_VALID) {
        outcome = read_subject(claims, subject);
    }
    json_decref(claims);
    return outcome;
}

enum jwt_outcome jwt_token_check(const struct jwt_settings *settings, struct span token,
                                 uint64_t now_ms, uint64_t *expires_ms, struct buffer *subject,
                                 const char **why)
{
    struct parts parts = {0};
    if (token.size > settings->max_token_size) {
        return refuse(why, "the token is too long");
    }
    enum weir_err err = split(token, &parts);
    enum jwt_outcome outcome = JWT_NO_MEMORY;
    if (err == WEIR_OK) {
        outcome = check_parts(settings, &parts, now_ms, expires_ms, subject, why);
    } else if (err != WEIR_ENOMEM) {
        outcome = refuse(why, "the token is malformed");
    }
    buffer_free(&parts.header);
    buffer_free(&parts.claims);
    buffer_free(&parts.signature);
    return outcome;
}
