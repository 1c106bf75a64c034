/* Incremental UTF-8 validation, with vectors where the bytes are long enough (RFC 3629; RFC 6455,
 * section 8.1). */
#ifndef WEIR_PROTO_UTF8_H
#define WEIR_PROTO_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is pending of a character that was cut by the end of the last piece. All zero is the start.
 */
struct utf8_state {
    uint8_t need;  /* continuation bytes still to come */
    uint8_t lower; /* the next one must lie in lower..upper */
    uint8_t upper;
};

/* Feeds the next piece of a text. False at the first byte that cannot be part of UTF-8 (overlong,
 * surrogate, above U+10FFFF, stray or missing continuation); the state is then of no more use. */
bool utf8_feed(struct utf8_state *state, const uint8_t *bytes, size_t size);

/* Whether the text may end here: no character is cut. */
bool utf8_is_complete(const struct utf8_state *state);

/* Whether the bytes are a whole text in UTF-8. Any thread. */
bool utf8_is_valid(const uint8_t *bytes, size_t size);

#endif
