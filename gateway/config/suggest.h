/* The nearest of some valid words to a mistyped one. */
#ifndef WEIR_CONFIG_SUGGEST_H
#define WEIR_CONFIG_SUGGEST_H

#include <stddef.h>

/* The best candidate so far; start with `{.word = what the user wrote}`. */
struct suggestion {
    const char *word;    /* borrowed */
    const char *nearest; /* borrowed from a candidate; NULL: none is near enough */
    size_t distance;
};

/* Offers one candidate (borrowed until the suggestion is used). Any thread. */
void suggest_offer(struct suggestion *s, const char *candidate);

/* How many single-letter changes, with neighbours swapped as one, lead from `a` to `b`. Words over
 * 64 bytes are as far from anything as can be. */
size_t suggest_distance(const char *a, const char *b);

#endif
