/* Reads a plugin's own settings, which the configuration gives as the text of a JSON object. */
#ifndef WEIR_BASE_SETTINGS_H
#define WEIR_BASE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct settings;

/* One text of an object of texts, borrowed until settings_close. */
struct settings_pair {
    const char *name;
    const char *text;
};

/* Parses `json`, a terminated JSON object; `*settings` is given. WEIR_EINVAL: it is no JSON object,
 * and `error` (room for `error_size` bytes) says what is wrong, terminated. WEIR_ENOMEM. Any
 * thread. */
WEIR_MUST enum weir_err settings_open(const char *json, char *error, size_t error_size,
                                      struct settings **settings);

/* Frees and nulls it, and with it every text that it has lent. Any thread. */
void settings_close(struct settings **settings);

/* The text at `key`, borrowed until settings_close, or `fallback` where there is none. WEIR_EINVAL:
 * it is not a text, or holds a NUL; `error` says so. Any thread. */
WEIR_MUST enum weir_err settings_text(const struct settings *settings, const char *key,
                                      const char *fallback, char *error, size_t error_size,
                                      const char **text);

/* The boolean at `key`; as settings_text. */
WEIR_MUST enum weir_err settings_switch(const struct settings *settings, const char *key,
                                        bool fallback, char *error, size_t error_size, bool *value);

/* The whole number at `key`, at least 0; as settings_text. */
WEIR_MUST enum weir_err settings_number(const struct settings *settings, const char *key,
                                        uint64_t fallback, char *error, size_t error_size,
                                        uint64_t *number);

/* The texts of the list at `key`, in its order: `*texts` is given, to be freed with free(); the
 * texts themselves are borrowed until settings_close. No list, and an empty one: count 0 and NULL.
 * WEIR_EINVAL: it is not a list of texts; WEIR_ENOMEM. Any thread. */
WEIR_MUST enum weir_err settings_texts(const struct settings *settings, const char *key,
                                       char *error, size_t error_size, const char ***texts,
                                       size_t *count);

/* The names and texts of the object at `key`, in the order in which they were written; as
 * settings_texts. */
WEIR_MUST enum weir_err settings_pairs(const struct settings *settings, const char *key,
                                       char *error, size_t error_size, struct settings_pair **pairs,
                                       size_t *count);

/* Opens the object at `key`, or an empty one where there is none. `*inside` is given and does not
 * need `settings` any more. WEIR_EINVAL: it is not an object; WEIR_ENOMEM. Any thread. */
WEIR_MUST enum weir_err settings_inside(const struct settings *settings, const char *key,
                                        char *error, size_t error_size, struct settings **inside);

/* Checks that the object has no keys but `keys`, an array of `count` terminated names. WEIR_EINVAL:
 * it has; `error` names one. Any thread. */
WEIR_MUST enum weir_err settings_allow(const struct settings *settings, const char *const *keys,
                                       size_t count, char *error, size_t error_size);

#endif
