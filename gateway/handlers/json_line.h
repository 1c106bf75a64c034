/* A JSON object of bounded size, written member by member into one array. Any thread. */
#ifndef WEIR_HANDLERS_JSON_LINE_H
#define WEIR_HANDLERS_JSON_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum {
    JSON_LINE_BYTES = 4096 /* PIPE_BUF of Linux: a write of so much never mixes with another */
};

/* Members are strings or unsigned numbers. Who calls keeps the sum of what it puts below the size;
 * a member that does not fit is left out whole. */
struct json_line {
    char bytes[JSON_LINE_BYTES];
    size_t used;
    bool has_members;
};

/* Starts an object. */
void json_line_begin(struct json_line *line);

/* Adds `value`, escaped, with at most `limit` bytes (escapes count in full; a character or an
 * escape is never cut). Bytes that are not UTF-8 become U+FFFD each. */
void json_line_text(struct json_line *line, const char *name, struct span value, size_t limit);

void json_line_number(struct json_line *line, const char *name, uint64_t value);

/* Adds microseconds as milliseconds with three decimals. */
void json_line_milliseconds(struct json_line *line, const char *name, uint64_t value_us);

/* Closes the object and ends the line; the bytes are borrowed from `line`. */
struct span json_line_end(struct json_line *line);

#endif
