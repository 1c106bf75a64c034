/* A Range field is a wish: RFC 9110, section 14.2, lets a server ignore it, so everything that is
 * not plainly one range of bytes is answered whole. Several ranges in one request were a way to
 * make servers send much more than the file (CVE-2011-3192), and browsers do not send them.
 * Called by handlers/static. It never allocates. */
#include "proto/http_range.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

/* Digits only, at least one. A number beyond 64 bits is a valid one: it becomes the largest. */
static bool to_position(struct span digits, uint64_t *value)
{
    uint64_t sum = 0;
    if (digits.size == 0) {
        return false;
    }
    for (size_t i = 0; i < digits.size; i++) {
        unsigned digit = (unsigned)digits.data[i] - '0';
        if (digit > 9) {
            return false;
        }
        sum = sum > (UINT64_MAX - digit) / 10 ? UINT64_MAX : sum * 10 + digit;
    }
    *value = sum;
    return true;
}

/* "-N": the last N bytes. */
static enum http_range_kind suffix(struct span digits, uint64_t size, struct http_range *range)
{
    uint64_t wanted = 0;
    if (!to_position(digits, &wanted)) {
        return HTTP_RANGE_WHOLE;
    }
    if (wanted == 0) {
        return HTTP_RANGE_UNSATISFIABLE;
    }
    if (size == 0) {
        /* Satisfiable by the letter, but Content-Range has no words for an empty range. */
        return HTTP_RANGE_WHOLE;
    }
    range->length = wanted < size ? wanted : size;
    range->first = size - range->length;
    return HTTP_RANGE_PART;
}

/* "FIRST-" or "FIRST-LAST". */
static enum http_range_kind positions(struct span first_digits, struct span last_digits,
                                      uint64_t size, struct http_range *range)
{
    uint64_t first = 0;
    uint64_t last = UINT64_MAX;
    if (!to_position(first_digits, &first)) {
        return HTTP_RANGE_WHOLE;
    }
    /* RFC 9110, section 14.1.1: a last position before the first makes the field invalid. */
    if (last_digits.size > 0 && (!to_position(last_digits, &last) || last < first)) {
        return HTTP_RANGE_WHOLE;
    }
    if (first >= size) {
        return HTTP_RANGE_UNSATISFIABLE;
    }
    uint64_t end = last < size ? last + 1 : size;
    range->first = first;
    range->length = end - first;
    return HTTP_RANGE_PART;
}

enum http_range_kind http_range_parse(struct span value, uint64_t size, struct http_range *range)
{
    size_t equals = span_find(value, '=');
    struct span unit = {value.data, equals};
    struct span rest = span_from(value, equals + 1);
    struct span item;
    struct span second;
    /* Units compare without regard to case (RFC 9110, section 14.1). */
    if (!span_equal_nocase(span_trim(unit), SPAN("bytes")) || !span_list_next(&rest, &item) ||
        span_list_next(&rest, &second)) {
        return HTTP_RANGE_WHOLE;
    }
    size_t dash = span_find(item, '-');
    if (dash == item.size) {
        return HTTP_RANGE_WHOLE;
    }
    struct span behind = span_from(item, dash + 1);
    if (dash == 0) {
        return suffix(behind, size, range);
    }
    return positions((struct span){item.data, dash}, behind, size, range);
}

void http_range_write(const struct http_range *range, uint64_t size,
                      char out[HTTP_CONTENT_RANGE_BYTES])
{
    if (range == NULL) {
        snprintf(out, HTTP_CONTENT_RANGE_BYTES, "bytes */%" PRIu64, size);
        return;
    }
    snprintf(out, HTTP_CONTENT_RANGE_BYTES, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range->first,
             range->first + range->length - 1, size);
}
