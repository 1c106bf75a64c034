/* Small questions about byte runs, asked by every parser. No allocation, no state. */
#include "base/span.h"

#include <string.h>
#include <strings.h>

struct span span_of(const char *text)
{
    return (struct span){(const uint8_t *)text, strlen(text)};
}

struct span span_from(struct span s, size_t from)
{
    if (from > s.size) {
        from = s.size;
    }
    return (struct span){s.data + from, s.size - from};
}

bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static uint8_t fold(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

bool span_equal_nocase(struct span a, struct span b)
{
    if (a.size != b.size) {
        return false;
    }
    for (size_t i = 0; i < a.size; i++) {
        if (fold(a.data[i]) != fold(b.data[i])) {
            return false;
        }
    }
    return true;
}

bool span_starts_with(struct span s, struct span prefix)
{
    return s.size >= prefix.size && span_equal((struct span){s.data, prefix.size}, prefix);
}

size_t span_find(struct span s, uint8_t byte)
{
    const uint8_t *at = s.size > 0 ? memchr(s.data, byte, s.size) : NULL;
    return at != NULL ? (size_t)(at - s.data) : s.size;
}

struct span span_trim(struct span s)
{
    while (s.size > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.size--;
    }
    while (s.size > 0 && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t')) {
        s.size--;
    }
    return s;
}

static size_t item_end(struct span s)
{
    bool quoted = false;
    for (size_t i = 0; i < s.size; i++) {
        if (quoted && s.data[i] == '\\') {
            i++;
        } else if (s.data[i] == '"') {
            quoted = !quoted;
        } else if (s.data[i] == ',' && !quoted) {
            return i;
        }
    }
    return s.size;
}

bool span_list_next(struct span *rest, struct span *item)
{
    while (rest->size > 0) {
        size_t end = item_end(*rest);
        *item = span_trim((struct span){rest->data, end});
        *rest = span_from(*rest, end + 1);
        if (item->size > 0) {
            return true;
        }
    }
    return false;
}

bool span_to_u64(struct span s, uint64_t *out)
{
    uint64_t value = 0;
    if (s.size == 0 || s.size > 19) {
        return false;
    }
    for (size_t i = 0; i < s.size; i++) {
        if (s.data[i] < '0' || s.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(s.data[i] - '0');
    }
    *out = value;
    return true;
}
