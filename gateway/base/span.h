/* A borrowed run of bytes: who holds a span never frees it. */
#ifndef WEIR_BASE_SPAN_H
#define WEIR_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
    const uint8_t *data;
    size_t size; /* bytes */
};

/* A span over a string literal, without its terminator. */
#define SPAN(literal) ((struct span){(const uint8_t *)("" literal), sizeof(literal) - 1})

/* printf arguments for "%.*s". */
#define SPAN_ARGS(s) (int)(s).size, (const char *)(s).data

/* A span over a terminated string; borrows `text`. */
struct span span_of(const char *text);

/* The part of `s` that starts at `from`; empty when `from` is past the end. */
struct span span_from(struct span s, size_t from);

/* Byte equality. */
bool span_equal(struct span a, struct span b);

/* Equality that folds ASCII case only, as field names need (RFC 9110, section 5.1). */
bool span_equal_nocase(struct span a, struct span b);

bool span_starts_with(struct span s, struct span prefix);

/* The first position of `byte`, or s.size where there is none. */
size_t span_find(struct span s, uint8_t byte);

/* `s` without spaces and tabs at both ends. */
struct span span_trim(struct span s);

/* Takes the next item of a comma-separated list (RFC 9110, section 5.6.1) off the front of `*rest`,
 * trimmed; empty items are passed over. Commas inside quoted strings do not separate. False at the
 * end. */
bool span_list_next(struct span *rest, struct span *item);

/* Parses 1..19 decimal digits and nothing else; false where it is not that or does not fit. */
bool span_to_u64(struct span s, uint64_t *out);

#endif
