/* Rows of the key table in words, for messages and for the reference page. */
#ifndef WEIR_CONFIG_KEY_WORDS_H
#define WEIR_CONFIG_KEY_WORDS_H

#include <stddef.h>

#include "config/keys.h"
#include "config/scalar.h"

/* What a value of that type has to be, e.g. "a duration like `30s`"; static storage. Any thread, as
 * all of these. */
const char *key_words_wanted(enum config_key_type type);

/* Reads a count, size or duration: NULL, or static words that say what is wrong. */
const char *key_words_read(enum config_key_type type, const char *text, uint64_t *out);

/* Writes a count, size or duration as a user would, terminated. */
void key_words_write(enum config_key_type type, uint64_t value, char out[SCALAR_BYTES]);

/* Writes "`a`, `b` or `c`", terminated and cut to `size`. */
void key_words_list(const struct config_word *words, char *out, size_t size);

/* Finds a word's value; false where `words` is NULL or has it not. */
bool key_words_find(const struct config_word *words, const char *name, uint64_t *out);

#endif
