/* Reads key files when a configuration is loaded. A set may hold keys for other uses and of other
 * kinds, as those of identity providers do: they are passed over (RFC 7517, section 5). A key that
 * is meant for here and is broken is an error, since whoever signs with it would be refused. Called
 * by settings.c. It never asks a server for keys. */
#include "handlers/jwt/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/buffer.h"
#include "crypto/crypto.h"

static const char *const names[] = {
    [SIGNATURE_HS256] = "HS256",
    [SIGNATURE_RS256] = "RS256",
    [SIGNATURE_ES256] = "ES256",
};

bool jwt_keys_algorithm(struct span name, enum signature_algorithm *out)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (span_equal(name, span_of(names[i]))) {
            *out = (enum signature_algorithm)i;
            return true;
        }
    }
    return false;
}

void jwt_keys_free(struct jwt_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        signature_key_free(&keys->items[i].key);
        free(keys->items[i].id);
    }
    free(keys->items);
    *keys = (struct jwt_keys){NULL, 0};
}

void jwt_keys_keep(struct jwt_keys *keys, const bool wanted[SIGNATURE_ES256 + 1])
{
    size_t kept = 0;
    for (size_t i = 0; i < keys->count; i++) {
        struct jwt_key *key = &keys->items[i];
        if (wanted[signature_key_algorithm(key->key)]) {
            keys->items[kept++] = *key;
        } else {
            signature_key_free(&key->key);
            free(key->id);
        }
    }
    keys->count = kept;
}

/* Takes `key`, copies `id` (NULL: none). */
static enum weir_err add(struct jwt_keys *keys, struct signature_key *key, const char *id,
                         char *error, size_t error_size)
{
    struct jwt_key *items = realloc(keys->items, (keys->count + 1) * sizeof(*items));
    char *copy = id != NULL ? strdup(id) : NULL;
    if (items != NULL) {
        keys->items = items;
    }
    if (items == NULL || (id != NULL && copy == NULL)) {
        snprintf(error, error_size, "out of memory");
        free(copy);
        signature_key_free(&key);
        return WEIR_ENOMEM;
    }
    items[keys->count++] = (struct jwt_key){key, copy};
    return WEIR_OK;
}

enum weir_err jwt_keys_secret(const char *secret, char *error, size_t error_size,
                              struct jwt_keys *out)
{
    char why[100] = "";
    struct signature_key *key = NULL;
    enum weir_err err = signature_key_secret(span_of(secret), why, sizeof why, &key);
    if (err != WEIR_OK) {
        snprintf(error, error_size, "`secret` %s", why);
        return err;
    }
    return add(out, key, NULL, error, error_size);
}

/* --- one key of a set --- */

static bool member_is(const json_t *jwk, const char *name, const char *text)
{
    const char *value = json_string_value(json_object_get(jwk, name));
    return value != NULL && strcmp(value, text) == 0;
}

/* RFC 7517, sections 4.2 to 4.4: what a key says of its use, where it says anything. */
static bool is_for_us(const json_t *jwk, const char *algorithm)
{
    const json_t *operations = json_object_get(jwk, "key_ops");
    size_t index = 0;
    const json_t *operation = NULL;
    bool verifies = operations == NULL;
    json_array_foreach((json_t *)operations, index, operation)
    {
        const char *name = json_string_value(operation);
        verifies = verifies || (name != NULL && strcmp(name, "verify") == 0);
    }
    return verifies && (json_object_get(jwk, "use") == NULL || member_is(jwk, "use", "sig")) &&
           (json_object_get(jwk, "alg") == NULL || member_is(jwk, "alg", algorithm));
}

/* Appends what a member in base64url holds. */
static enum weir_err decode_member(const json_t *jwk, const char *name, char *why, size_t why_size,
                                   struct buffer *out)
{
    const json_t *value = json_object_get(jwk, name);
    struct span text = {(const uint8_t *)json_string_value(value), json_string_length(value)};
    enum weir_err err = text.data == NULL ? WEIR_EPROTO : crypto_base64_decode(text, true, out);
    if (err == WEIR_EPROTO) {
        snprintf(why, why_size, "has no `%s` in base64url", name);
        return WEIR_EINVAL;
    }
    return err;
}

static enum weir_err make_secret(const json_t *jwk, char *why, size_t why_size,
                                 struct signature_key **out)
{
    struct buffer k = {0};
    enum weir_err err = decode_member(jwk, "k", why, why_size, &k);
    if (err == WEIR_OK) {
        err = signature_key_secret(buffer_span(&k), why, why_size, out);
    }
    buffer_free(&k);
    return err;
}

typedef enum weir_err (*make_pair_fn)(struct span first, struct span second, char *why,
                                      size_t why_size, struct signature_key **out);

static enum weir_err make_pair(const json_t *jwk, const char *first, const char *second,
                               make_pair_fn make, char *why, size_t why_size,
                               struct signature_key **out)
{
    struct buffer a = {0};
    struct buffer b = {0};
    if (json_object_get(jwk, "d") != NULL) {
        snprintf(why, why_size, "is a private key; only the public one is needed");
        return WEIR_EINVAL;
    }
    enum weir_err err = decode_member(jwk, first, why, why_size, &a);
    if (err == WEIR_OK) {
        err = decode_member(jwk, second, why, why_size, &b);
    }
    if (err == WEIR_OK) {
        err = make(buffer_span(&a), buffer_span(&b), why, why_size, out);
    }
    buffer_free(&a);
    buffer_free(&b);
    return err;
}

/* `*out` stays NULL for a key that is none of ours. */
static enum weir_err make_key(const json_t *jwk, char *why, size_t why_size,
                              struct signature_key **out)
{
    if (member_is(jwk, "kty", "oct") && is_for_us(jwk, "HS256")) {
        return make_secret(jwk, why, why_size, out);
    }
    if (member_is(jwk, "kty", "RSA") && is_for_us(jwk, "RS256")) {
        return make_pair(jwk, "n", "e", signature_key_rsa, why, why_size, out);
    }
    if (member_is(jwk, "kty", "EC") && member_is(jwk, "crv", "P-256") && is_for_us(jwk, "ES256")) {
        return make_pair(jwk, "x", "y", signature_key_p256, why, why_size, out);
    }
    return WEIR_OK;
}

static enum weir_err add_jwk(const json_t *jwk, size_t index, char *error, size_t error_size,
                             struct jwt_keys *out)
{
    char why[100] = "out of memory";
    struct signature_key *key = NULL;
    const json_t *id = json_object_get(jwk, "kid");
    enum weir_err err = make_key(jwk, why, sizeof why, &key);
    if (err == WEIR_OK && key != NULL && id != NULL && !json_is_string(id)) {
        signature_key_free(&key);
        snprintf(why, sizeof why, "has a `kid` that is no text");
        err = WEIR_EINVAL;
    }
    if (err != WEIR_OK) {
        snprintf(error, error_size, "key %zu %s", index + 1, why);
        return err;
    }
    return key != NULL ? add(out, key, json_string_value(id), error, error_size) : WEIR_OK;
}

/* --- files --- */

static enum weir_err read_set(const json_t *set, char *error, size_t error_size,
                              struct jwt_keys *out)
{
    const json_t *list = json_object_get(set, "keys");
    if (list == NULL) {
        return add_jwk(set, 0, error, error_size, out);
    }
    if (!json_is_array(list) || json_array_size(list) > JWT_KEYS_MAX) {
        snprintf(error, error_size, "its `keys` are not a list of up to %d", JWT_KEYS_MAX);
        return WEIR_EINVAL;
    }
    enum weir_err err = WEIR_OK;
    for (size_t i = 0; i < json_array_size(list) && err == WEIR_OK; i++) {
        err = add_jwk(json_array_get(list, i), i, error, error_size, out);
    }
    return err;
}

static enum weir_err read_json(struct span bytes, char *error, size_t error_size,
                               struct jwt_keys *out)
{
    json_error_t problem;
    json_t *set =
        json_loadb((const char *)bytes.data, bytes.size, JSON_REJECT_DUPLICATES, &problem);
    if (set == NULL) {
        snprintf(error, error_size, "it is no JSON: line %d: %s", problem.line, problem.text);
        return WEIR_EINVAL;
    }
    enum weir_err err = read_set(set, error, error_size, out);
    json_decref(set);
    if (err == WEIR_OK && out->count == 0) {
        snprintf(error, error_size, "it has no key for HS256, RS256 or ES256");
        err = WEIR_EINVAL;
    }
    return err;
}

enum weir_err jwt_keys_read(struct span bytes, char *error, size_t error_size, struct jwt_keys *out)
{
    char why[100] = "";
    struct signature_key *key = NULL;
    size_t start = 0;
    while (start < bytes.size && strchr(" \t\r\n", bytes.data[start]) != NULL &&
           bytes.data[start] != '\0') {
        start++;
    }
    if (start < bytes.size && bytes.data[start] == '{') {
        return read_json(bytes, error, error_size, out);
    }
    enum weir_err err = signature_key_pem(bytes, why, sizeof why, &key);
    if (err != WEIR_OK) {
        snprintf(error, error_size, "it %s", why);
        return err;
    }
    return add(out, key, NULL, error, error_size);
}

/* One byte more than is allowed tells that a file is too large. */
static enum weir_err read_file(const char *path, struct buffer *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t got = 1;
    enum weir_err err = fd >= 0 ? buffer_reserve(out, JWT_KEYS_FILE_BYTES + 1) : WEIR_EIO;
    while (err == WEIR_OK && got > 0 && out->size <= JWT_KEYS_FILE_BYTES) {
        got = read(fd, out->data + out->size, JWT_KEYS_FILE_BYTES + 1 - out->size);
        out->size += got > 0 ? (size_t)got : 0;
    }
    if (fd >= 0) {
        int error = errno;
        close(fd);
        errno = error;
    }
    return got < 0 ? WEIR_EIO : err;
}

enum weir_err jwt_keys_load(const char *path, char *error, size_t error_size, struct jwt_keys *out)
{
    struct buffer bytes = {0};
    char why[200] = "out of memory";
    enum weir_err err = read_file(path, &bytes);
    if (err == WEIR_EIO) {
        snprintf(why, sizeof why, "%s", strerror(errno));
    } else if (err == WEIR_OK && bytes.size > JWT_KEYS_FILE_BYTES) {
        snprintf(why, sizeof why, "it is larger than %d KiB", JWT_KEYS_FILE_BYTES / 1024);
        err = WEIR_EINVAL;
    } else if (err == WEIR_OK) {
        err = jwt_keys_read(buffer_span(&bytes), why, sizeof why, out);
    }
    buffer_free(&bytes);
    if (err != WEIR_OK) {
        snprintf(error, error_size, "cannot use the key file `%s`: %s", path, why);
    }
    return err;
}
