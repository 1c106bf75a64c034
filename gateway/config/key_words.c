/* The words for types and values in one place, so that an error message, the reference page and the
 * JSON Schema say the same. Called by load.c, plugin_json.c, reference.c and schema.c; it allocates
 * nothing. */
#include "config/key_words.h"

#include <stdio.h>
#include <string.h>

const char *key_words_wanted(enum config_key_type type)
{
    static const char *const words[] = {
        [KEY_SWITCH] = "`on` or `off`",
        [KEY_COUNT] = "a whole number",
        [KEY_SIZE] = "a size like `64KiB`",
        [KEY_DURATION] = "a duration like `30s`",
        [KEY_WORD] = "a word",
        [KEY_TEXT] = "a string",
        [KEY_RANGE] = "a number or a range like `200-399`",
        [KEY_TEXTS] = "a string or a list of strings",
        [KEY_PAIRS] = "a mapping of names to strings",
        [KEY_SECTION] = "a mapping",
        [KEY_SECTION_OPTIONAL] = "a mapping",
        [KEY_SECTIONS] = "a list of mappings",
        [KEY_SECTIONS_BY_NAME] = "a mapping of names to mappings",
        [KEY_PLUGIN] = "a mapping like `{lua: echo}`",
        [KEY_PLUGINS] = "a list of plugins",
        [KEY_FREE] = "a mapping",
    };
    return words[type];
}

const char *key_words_read(enum config_key_type type, const char *text, uint64_t *out)
{
    if (type == KEY_SIZE) {
        return scalar_read_size(text, out);
    }
    return type == KEY_DURATION ? scalar_read_duration(text, out) : scalar_read_count(text, out);
}

void key_words_write(enum config_key_type type, uint64_t value, char out[SCALAR_BYTES])
{
    if (type == KEY_SIZE) {
        scalar_write_size(value, out);
    } else if (type == KEY_DURATION) {
        scalar_write_duration(value, out);
    } else {
        snprintf(out, SCALAR_BYTES, "%llu", (unsigned long long)value);
    }
}

void key_words_list(const struct config_word *words, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (const struct config_word *word = words; word->name != NULL && used < size; word++) {
        const char *before = word == words ? "" : word[1].name == NULL ? " or " : ", ";
        int length = snprintf(out + used, size - used, "%s`%s`", before, word->name);
        used += length > 0 ? (size_t)length : 0;
    }
}

bool key_words_find(const struct config_word *words, const char *text, uint64_t *out)
{
    for (; words != NULL && words->name != NULL; words++) {
        if (strcmp(words->name, text) == 0) {
            *out = words->value;
            return true;
        }
    }
    return false;
}
