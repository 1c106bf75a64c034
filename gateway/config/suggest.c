/* Edit distance with swapped neighbours counted once ("optimal string alignment"), since that is
 * how people mistype.
 *
 * Called by the loader for keys and words and by the plugin finder for file names. It never guesses
 * wildly: a third of the word may differ, and no more. */
#include "config/suggest.h"

#include <stdint.h>
#include <string.h>

enum {
    LONGEST = 64
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t suggest_distance(const char *a, const char *b)
{
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);
    if (a_size > LONGEST || b_size > LONGEST) {
        return SIZE_MAX;
    }
    size_t rows[3][LONGEST + 1]; /* the row before the last, the last, and this one */
    for (size_t j = 0; j <= b_size; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t *now = rows[i % 3];
        const size_t *last = rows[(i + 2) % 3];
        const size_t *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t change = last[j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0);
            now[j] = least(change, least(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                now[j] = least(now[j], before[j - 2] + 1);
            }
        }
    }
    return rows[a_size % 3][b_size];
}

void suggest_offer(struct suggestion *s, const char *candidate)
{
    size_t size = strlen(s->word);
    size_t allowed = size < 3 ? 1 : (size + 2) / 3;
    size_t distance = suggest_distance(s->word, candidate);
    if (distance > allowed || distance >= strlen(candidate)) {
        return;
    }
    if (s->nearest == NULL || distance < s->distance) {
        s->nearest = candidate;
        s->distance = distance;
    }
}
