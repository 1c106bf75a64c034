/* From the configuration's JSON to a struct that on_request can look at without parsing. The
 * loader has checked types and ranges (config/keys_jwt.c has the defaults); what files hold is
 * checked here. Called when a plugin is loaded. */
#include "handlers/jwt/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const struct settings *from;
    char *error;
    size_t error_size;
    enum weir_err err;
};

static void read_texts(struct reader *r, const char *key, const char ***texts, size_t *count)
{
    if (r->err == WEIR_OK) {
        r->err = settings_texts(r->from, key, r->error, r->error_size, texts, count);
    }
}

static void read_number(struct reader *r, const char *key, uint64_t fallback, uint64_t *out)
{
    if (r->err == WEIR_OK) {
        r->err = settings_number(r->from, key, fallback, r->error, r->error_size, out);
    }
}

static const char *read_text(struct reader *r, const char *key)
{
    const char *text = NULL;
    if (r->err == WEIR_OK) {
        r->err = settings_text(r->from, key, NULL, r->error, r->error_size, &text);
    }
    return text;
}

static bool read_source(const char *text, struct jwt_source *out)
{
    if (strcmp(text, "header") == 0) {
        *out = (struct jwt_source){JWT_IN_HEADER, NULL};
    } else if (strcmp(text, "subprotocol") == 0) {
        *out = (struct jwt_source){JWT_IN_SUBPROTOCOL, NULL};
    } else if (strncmp(text, "query ", 6) == 0 && text[6] != '\0') {
        *out = (struct jwt_source){JWT_IN_QUERY, text + 6};
    } else {
        return false;
    }
    return true;
}

static void read_sources(struct reader *r, struct jwt_settings *settings)
{
    const char **texts = NULL;
    size_t count = 0;
    read_texts(r, "from", &texts, &count);
    settings->sources = r->err == WEIR_OK ? calloc(count + 1, sizeof(settings->sources[0])) : NULL;
    if (r->err == WEIR_OK && settings->sources == NULL) {
        r->err = WEIR_ENOMEM;
    }
    if (r->err == WEIR_OK && count == 0) {
        settings->source_count = 1; /* zero is the header */
    }
    for (size_t i = 0; i < count && r->err == WEIR_OK; i++) {
        if (!read_source(texts[i], &settings->sources[settings->source_count++])) {
            snprintf(r->error, r->error_size,
                     "`from`: expected `header`, `query NAME` or `subprotocol`");
            r->err = WEIR_EINVAL;
        }
    }
    free(texts);
}

static void load_keys(struct reader *r, const char *file, struct jwt_settings *settings)
{
    const char *secret = read_text(r, "secret");
    bool is_secret = strcmp(file, JWT_SECRET_WORD) == 0;
    if (r->err == WEIR_OK && is_secret != (secret != NULL)) {
        snprintf(r->error, r->error_size,
                 is_secret ? "`jwt: secret` needs `secret`" : "`secret` needs `jwt: secret`");
        r->err = WEIR_EINVAL;
    }
    if (r->err == WEIR_OK) {
        r->err = is_secret ? jwt_keys_secret(secret, r->error, r->error_size, &settings->keys)
                           : jwt_keys_load(file, r->error, r->error_size, &settings->keys);
    }
}

/* Only the algorithms that the configuration names, where it names any. */
static void keep_algorithms(struct reader *r, struct jwt_settings *settings)
{
    bool wanted[SIGNATURE_ES256 + 1] = {false};
    const char **texts = NULL;
    size_t count = 0;
    read_texts(r, "algorithms", &texts, &count);
    for (size_t i = 0; i < count && r->err == WEIR_OK; i++) {
        enum signature_algorithm algorithm = SIGNATURE_HS256;
        if (!jwt_keys_algorithm(span_of(texts[i]), &algorithm)) {
            snprintf(r->error, r->error_size, "`algorithms`: expected HS256, RS256 or ES256");
            r->err = WEIR_EINVAL;
        }
        wanted[algorithm] = true;
    }
    free(texts);
    if (r->err != WEIR_OK || count == 0) {
        return;
    }
    jwt_keys_keep(&settings->keys, wanted);
    if (settings->keys.count == 0) {
        snprintf(r->error, r->error_size, "there is no key for `algorithms`");
        r->err = WEIR_EINVAL;
    }
}

static void read_all(struct reader *r, const char *file, struct jwt_settings *settings)
{
    static const char *const KEYS[] = {"secret",         "algorithms", "issuer", "audience",
                                       "require",        "claims",     "leeway", "from",
                                       "max_token_size", "close_code"};
    uint64_t close_code = 0;
    r->err = settings_allow(r->from, KEYS, sizeof KEYS / sizeof KEYS[0], r->error, r->error_size);
    load_keys(r, file, settings);
    keep_algorithms(r, settings);
    read_sources(r, settings);
    settings->issuer = read_text(r, "issuer");
    read_texts(r, "audience", &settings->audiences, &settings->audience_count);
    read_texts(r, "require", &settings->required, &settings->required_count);
    if (r->err == WEIR_OK) {
        r->err = settings_pairs(r->from, "claims", r->error, r->error_size, &settings->claims,
                                &settings->claim_count);
    }
    read_number(r, "leeway", 10000, &settings->leeway_ms);
    read_number(r, "max_token_size", 8192, &settings->max_token_size);
    read_number(r, "close_code", 4001, &close_code);
    settings->close_code = (uint16_t)close_code;
}

enum weir_err jwt_settings_read(const char *file, const char *json, char *error, size_t error_size,
                                struct jwt_settings **out)
{
    struct jwt_settings *settings = calloc(1, sizeof(*settings));
    snprintf(error, error_size, "out of memory");
    if (settings == NULL) {
        return WEIR_ENOMEM;
    }
    struct reader r = {NULL, error, error_size, WEIR_OK};
    r.err = settings_open(json, error, error_size, &settings->kept);
    if (r.err == WEIR_OK) {
        r.from = settings->kept;
        read_all(&r, file, settings);
    }
    if (r.err == WEIR_OK) {
        *out = settings;
    } else {
        jwt_settings_free(&settings);
    }
    return r.err;
}

void jwt_settings_free(struct jwt_settings **settings)
{
    struct jwt_settings *s = *settings;
    *settings = NULL;
    if (s == NULL) {
        return;
    }
    jwt_keys_free(&s->keys);
    free(s->sources);
    free(s->audiences);
    free(s->required);
    free(s->claims);
    settings_close(&s->kept);
    free(s);
}
