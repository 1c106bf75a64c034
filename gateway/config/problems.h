/* What is wrong with a configuration: every problem with its place, not only the first. */
#ifndef WEIR_CONFIG_PROBLEMS_H
#define WEIR_CONFIG_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct buffer;
struct problem;

enum {
    PROBLEMS_MAX = 200,       /* listed; the rest are only counted */
    PROBLEMS_PATH_BYTES = 512 /* of a key path; a longer one is cut */
};

/* Start with `{.file = name}`; the name is borrowed. */
struct problems {
    const char *file;
    struct problem *items;
    size_t count; /* found, listed or not */
    size_t kept;
    bool exhausted;                 /* an allocation has failed */
    char path[PROBLEMS_PATH_BYTES]; /* of the key being read, e.g. `routes[0].path` */
    size_t path_size;
};

/* Goes into a key (borrowed) or a list item; the result goes to problems_leave. Control thread, as
 * all of these. */
size_t problems_enter_key(struct problems *p, const char *key);
size_t problems_enter_item(struct problems *p, size_t index);

/* Goes back to where the enter was called. */
void problems_leave(struct problems *p, size_t mark);

/* Notes a problem of the current path. Line and column count from 1. Control characters become
 * \xNN, so that a file cannot forge lines. */
void problems_add(struct problems *p, unsigned line, unsigned column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Appends one `FILE:LINE:COLUMN: PATH: words` line for each problem, by position. */
WEIR_MUST enum weir_err problems_print(struct problems *p, struct buffer *out);

/* Frees the list. */
void problems_free(struct problems *p);

#endif
