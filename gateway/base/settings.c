/* A thin cover over libjansson, so that handlers ask for a key, a type and a fallback, and every
 * wrong type is answered with the same words.
 * Called by handlers/ in their load callbacks; nothing reads settings while requests run. */
#include "base/settings.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    json_t *object;
};

static enum weir_err parse(const char *json, char *error, size_t error_size, json_t **object)
{
    json_error_t problem;
    json_t *value = json_loads(json, JSON_REJECT_DUPLICATES, &problem);
    if (value == NULL) {
        if (json_error_code(&problem) == json_error_out_of_memory) {
            return WEIR_ENOMEM;
        }
        snprintf(error, error_size, "the settings are not JSON: %s", problem.text);
        return WEIR_EINVAL;
    }
    if (!json_is_object(value)) {
        json_decref(value);
        snprintf(error, error_size, "the settings are not a JSON object");
        return WEIR_EINVAL;
    }
    *object = value;
    return WEIR_OK;
}

enum weir_err settings_open(const char *json, char *error, size_t error_size,
                            struct settings **settings)
{
    struct settings *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return WEIR_ENOMEM;
    }
    enum weir_err err = parse(json, error, error_size, &made->object);
    if (err != WEIR_OK) {
        free(made);
        return err;
    }
    *settings = made;
    return WEIR_OK;
}

void settings_close(struct settings **settings)
{
    if (*settings != NULL) {
        json_decref((*settings)->object);
        free(*settings);
        *settings = NULL;
    }
}

enum weir_err settings_text(const struct settings *settings, const char *key, const char *fallback,
                            char *error, size_t error_size, const char **text)
{
    const json_t *value = json_object_get(settings->object, key);
    if (value == NULL) {
        *text = fallback;
        return WEIR_OK;
    }
    /* jansson refuses \u0000 in texts unless asked not to, so this one is whole. */
    if (!json_is_string(value)) {
        snprintf(error, error_size, "`%s` is not a text", key);
        return WEIR_EINVAL;
    }
    *text = json_string_value(value);
    return WEIR_OK;
}

enum weir_err settings_switch(const struct settings *settings, const char *key, bool fallback,
                              char *error, size_t error_size, bool *value)
{
    const json_t *found = json_object_get(settings->object, key);
    if (found != NULL && !json_is_boolean(found)) {
        snprintf(error, error_size, "`%s` is not on or off", key);
        return WEIR_EINVAL;
    }
    *value = found == NULL ? fallback : json_is_true(found);
    return WEIR_OK;
}

enum weir_err settings_number(const struct settings *settings, const char *key, uint64_t fallback,
                              char *error, size_t error_size, uint64_t *number)
{
    const json_t *found = json_object_get(settings->object, key);
    if (found == NULL) {
        *number = fallback;
        return WEIR_OK;
    }
    if (!json_is_integer(found) || json_integer_value(found) < 0) {
        snprintf(error, error_size, "`%s` is not a whole number of at least 0", key);
        return WEIR_EINVAL;
    }
    *number = (uint64_t)json_integer_value(found);
    return WEIR_OK;
}

/* Room for `count` items of `size` bytes; none need any. */
static enum weir_err make_room(size_t count, size_t size, void **room)
{
    *room = count > 0 ? calloc(count, size) : NULL;
    return count > 0 && *room == NULL ? WEIR_ENOMEM : WEIR_OK;
}

enum weir_err settings_texts(const struct settings *settings, const char *key, char *error,
                             size_t error_size, const char ***texts, size_t *count)
{
    const json_t *list = json_object_get(settings->object, key);
    if (list != NULL && !json_is_array(list)) {
        snprintf(error, error_size, "`%s` is not a list", key);
        return WEIR_EINVAL;
    }
    size_t items = json_array_size(list);
    void *made = NULL;
    enum weir_err err = make_room(items, sizeof(**texts), &made);
    if (err != WEIR_OK) {
        return err;
    }
    const char **filled = made;
    for (size_t i = 0; i < items; i++) {
        filled[i] = json_string_value(json_array_get(list, i));
        if (filled[i] == NULL) {
            free(made);
            snprintf(error, error_size, "`%s` holds something that is not a text", key);
            return WEIR_EINVAL;
        }
    }
    *texts = filled;
    *count = items;
    return WEIR_OK;
}

enum weir_err settings_pairs(const struct settings *settings, const char *key, char *error,
                             size_t error_size, struct settings_pair **pairs, size_t *count)
{
    json_t *object = json_object_get(settings->object, key);
    if (object != NULL && !json_is_object(object)) {
        snprintf(error, error_size, "`%s` is not an object", key);
        return WEIR_EINVAL;
    }
    size_t items = json_object_size(object);
    void *made = NULL;
    enum weir_err err = make_room(items, sizeof(**pairs), &made);
    if (err != WEIR_OK) {
        return err;
    }
    struct settings_pair *filled = made;
    void *at = json_object_iter(object);
    for (size_t i = 0; i < items; i++, at = json_object_iter_next(object, at)) {
        filled[i].name = json_object_iter_key(at);
        filled[i].text = json_string_value(json_object_iter_value(at));
        if (filled[i].text == NULL) {
            snprintf(error, error_size, "`%s.%s` is not a text", key, filled[i].name);
            free(made);
            return WEIR_EINVAL;
        }
    }
    *pairs = filled;
    *count = items;
    return WEIR_OK;
}

enum weir_err settings_inside(const struct settings *settings, const char *key, char *error,
                              size_t error_size, struct settings **inside)
{
    json_t *object = json_object_get(settings->object, key);
    if (object != NULL && !json_is_object(object)) {
        snprintf(error, error_size, "`%s` is not an object", key);
        return WEIR_EINVAL;
    }
    struct settings *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return WEIR_ENOMEM;
    }
    made->object = object != NULL ? json_incref(object) : json_object();
    if (made->object == NULL) {
        free(made);
        return WEIR_ENOMEM;
    }
    *inside = made;
    return WEIR_OK;
}

static bool is_among(const char *name, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, keys[i]) == 0) {
            return true;
        }
    }
    return false;
}

enum weir_err settings_allow(const struct settings *settings, const char *const *keys, size_t count,
                             char *error, size_t error_size)
{
    for (void *at = json_object_iter(settings->object); at != NULL;
         at = json_object_iter_next(settings->object, at)) {
        const char *name = json_object_iter_key(at);
        if (!is_among(name, keys, count)) {
            snprintf(error, error_size, "unknown setting `%s`", name);
            return WEIR_EINVAL;
        }
    }
    return WEIR_OK;
}
