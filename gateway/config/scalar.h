/* The values of single keys: switches, counts, sizes, durations, and what plain YAML means. */
#ifndef WEIR_CONFIG_SCALAR_H
#define WEIR_CONFIG_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SCALAR_BYTES = 32 /* of a value written by scalar_write_* */
};

/* What an unquoted YAML scalar is: the core schema of YAML 1.2 (section 10.3.2), with `on` and
 * `off` as booleans too. */
enum scalar_kind {
    SCALAR_NULL,
    SCALAR_SWITCH,
    SCALAR_INTEGER,
    SCALAR_FLOAT,
    SCALAR_TEXT
};

/* The kind of unquoted `text`. Any thread, as all of these. */
enum scalar_kind scalar_kind_of(const char *text);

/* Reads on, off, true or false. */
bool scalar_read_switch(const char *text, bool *out);

/* Each reads `text` and returns NULL, or says what is wrong in static words that follow "`TEXT` ".
 * A count is decimal digits; a size is digits with B, KiB, MiB, GiB or nothing for bytes; a
 * duration is digits with ms, s, m or h, or plain 0, and is given in milliseconds. */
const char *scalar_read_count(const char *text, uint64_t *out);
const char *scalar_read_size(const char *text, uint64_t *out_bytes);
const char *scalar_read_duration(const char *text, uint64_t *out_ms);

/* Write a value in its largest whole unit, e.g. "64KiB", "10s"; terminated. */
void scalar_write_size(uint64_t bytes, char out[SCALAR_BYTES]);
void scalar_write_duration(uint64_t ms, char out[SCALAR_BYTES]);

#endif
