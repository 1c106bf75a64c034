/* A reader of JSON that may be cut off anywhere (RFC 8259): finds some texts among the members of
 * an object as soon as they have come. */
#ifndef WEIR_PROTO_JSON_READER_H
#define WEIR_PROTO_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

enum {
    JSON_WISH_MAX = 256,
    /* What stands for a byte where there is none. */
    JSON_CUT = -1, /* no more yet */
    JSON_BAD = -2  /* the text is wrong here */
};

/* Where in the bytes the reading is. A copy is a place to go back to. */
struct json_reader {
    struct span rest; /* borrowed */
    bool is_quoted;   /* the text is the content of a JSON string, whose opening quote is passed */
};

/* A member that is looked for. */
struct json_wish {
    struct span name; /* at most 32 bytes */
    char *out;        /* room for JSON_WISH_MAX bytes */
    size_t size;
    bool found;
};

/* Where bytes come from: one of the two below. */
typedef int json_source_fn(struct json_reader *r);

/* The next byte of the body, or JSON_CUT. Any thread. */
int json_reader_raw(struct json_reader *r);

/* The next byte of the text, or JSON_CUT, or JSON_BAD where the string around it ends or is wrong.
 * Any thread. */
int json_reader_next(struct json_reader *r);

/* The next byte of the text that is no whitespace; else as above. Any thread. */
int json_reader_past_blanks(struct json_reader *r);

/* What it means that `c` came and something else must have: WEIR_AGAIN for JSON_CUT, WEIR_EINVAL
 * for all others. Any thread. */
WEIR_MUST enum weir_err json_reader_stopped(int c);

/* Takes exactly `words`. WEIR_AGAIN where the bytes end inside, WEIR_EINVAL where others come. Any
 * thread. */
WEIR_MUST enum weir_err json_reader_words(struct json_reader *r, json_source_fn *source,
                                          const char *words);

/* Takes up to six decimal digits, maybe none, and what stands behind, which `*c` is then.
 * WEIR_AGAIN and WEIR_EINVAL as above. Any thread. */
WEIR_MUST enum weir_err json_reader_digits(struct json_reader *r, json_source_fn *source, int *c);

/* Reads an object behind its "{". WEIR_OK: the first wish has come, or the object is over; each
 * wish's `found` tells. Of two members with one name the first counts. WEIR_AGAIN: cut off.
 * WEIR_EINVAL: malformed, nested deeper than 16, or a wish that is no string of 1 to JSON_WISH_MAX
 * printable ASCII bytes without spaces. Any thread. */
WEIR_MUST enum weir_err json_reader_object(struct json_reader *r, struct json_wish *wishes,
                                           size_t count);

#endif
