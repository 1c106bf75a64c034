/* The cookie that binds a client to a server: the server's id, which its address gives, and an HMAC
 * over that and the upstream's name, so that nobody picks a server of his own choice, or takes the
 * cookie of one upstream to another with the same secret. Called by the proxy and, for the key,
 * when the configuration is loaded. There is no secret in it but the signature: an id is no
 * address, but who knows the addresses can tell which it is. */
#include "upstream/sticky.h"

#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "upstream/upstream.h"

enum {
    ID_CHARS = 16,
    SIGNATURE_BYTES = 16, /* of the 32: RFC 2104, section 5 allows half */
    SIGNATURE_CHARS = 2 * SIGNATURE_BYTES,
    VALUE_CHARS = ID_CHARS + 1 + SIGNATURE_CHARS
};

enum weir_err sticky_cookie_key(const char *secret, uint8_t key[32])
{
    uint8_t digest[CRYPTO_DIGEST_MAX];
    if (crypto_digest(CRYPTO_SHA256, span_of(secret), digest) == 0) {
        return WEIR_EINVAL;
    }
    memcpy(key, digest, 32);
    return WEIR_OK;
}

/* Writes the whole value, terminated. False: memory is out. */
static bool make_value(const struct upstream_group *group, uint64_t id, char out[VALUE_CHARS + 1])
{
    uint8_t full[CRYPTO_DIGEST_MAX];
    struct span key = {group->cookie_key, sizeof group->cookie_key};
    struct buffer signed_text = {0};
    enum weir_err err =
        buffer_printf(&signed_text, "%016llx.%s", (unsigned long long)id, group->config->name);
    bool made = err == WEIR_OK &&
                crypto_hmac(CRYPTO_SHA256, key, buffer_span(&signed_text), full) > SIGNATURE_BYTES;
    buffer_free(&signed_text);
    if (!made) {
        return false;
    }
    snprintf(out, VALUE_CHARS + 1, "%016llx.", (unsigned long long)id);
    for (size_t i = 0; i < SIGNATURE_BYTES; i++) {
        snprintf(out + ID_CHARS + 1 + 2 * i, 3, "%02x", full[i]);
    }
    return true;
}

static bool read_id(struct span text, uint64_t *id)
{
    *id = 0;
    for (size_t i = 0; i < ID_CHARS; i++) {
        uint8_t c = text.data[i];
        if (c >= '0' && c <= '9') {
            *id = *id << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            *id = *id << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return false;
        }
    }
    return true;
}

uint64_t sticky_cookie_read(const struct upstream *upstream, struct span value)
{
    char expected[VALUE_CHARS + 1];
    uint64_t id = 0;
    if (value.size != VALUE_CHARS || !read_id(value, &id) ||
        !make_value(upstream->group, id, expected)) {
        return 0;
    }
    /* In constant time, or a client could find the signature byte by byte. */
    return crypto_equal(span_of(expected), value) ? id : 0;
}

enum weir_err sticky_cookie_write(const struct upstream *upstream,
                                  const struct upstream_server *server, bool secure,
                                  struct buffer *out)
{
    static const char *const same_site[] = {
        [CONFIG_SAME_SITE_LAX] = "Lax",
        [CONFIG_SAME_SITE_STRICT] = "Strict",
        [CONFIG_SAME_SITE_NONE] = "None",
    };
    const struct config_sticky *config = upstream->group->config->sticky;
    char value[VALUE_CHARS + 1];
    char max_age[40] = "";
    if (!make_value(upstream->group, server->id, value)) {
        return WEIR_ENOMEM;
    }
    if (config->max_age_ms > 0) {
        /* Whole seconds, and at least one: 0 would delete the cookie (RFC 6265, section 5.2.2). */
        uint64_t seconds = config->max_age_ms < 1000 ? 1 : config->max_age_ms / 1000;
        snprintf(max_age, sizeof max_age, "; Max-Age=%llu", (unsigned long long)seconds);
    }
    return buffer_printf(out, "%s=%s; Path=/; HttpOnly; SameSite=%s%s%s", config->cookie, value,
                         same_site[config->same_site], max_age, secure ? "; Secure" : "");
}
