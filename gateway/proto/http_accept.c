/* Only gzip, its old name x-gzip, identity and the wildcard matter to Weir; other codings are read
 * and forgotten.
 * Called by handlers/static for each request to a file that has a compressed twin. It never
 * allocates. */
#include "proto/http_accept.h"

#include "proto/http_chars.h"

enum {
    FULL_WEIGHT = 1000
};

bool http_accept_weight_parse(struct span text, unsigned *thousandths)
{
    if (text.size == 0 || text.size > 5 || (text.data[0] != '0' && text.data[0] != '1') ||
        (text.size > 1 && text.data[1] != '.')) {
        return false;
    }
    unsigned sum = text.data[0] == '1' ? FULL_WEIGHT : 0;
    unsigned step = 100;
    for (size_t i = 2; i < text.size; i++, step /= 10) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        sum += step * (unsigned)(text.data[i] - '0');
    }
    if (sum > FULL_WEIGHT) {
        return false;
    }
    *thousandths = sum;
    return true;
}

/* Splits `CODING [; q=WEIGHT]`. */
static bool read_item(struct span item, struct span *coding, unsigned *thousandths)
{
    size_t end = span_find(item, ';');
    *coding = span_trim((struct span){item.data, end});
    if (!http_chars_is_token(*coding)) {
        return false;
    }
    if (end == item.size) {
        *thousandths = FULL_WEIGHT;
        return true;
    }
    struct span weight = span_trim(span_from(item, end + 1));
    return weight.size > 2 && span_equal_nocase((struct span){weight.data, 2}, SPAN("q=")) &&
           http_accept_weight_parse(span_from(weight, 2), thousandths);
}

static struct http_accept_weight *weight_of(struct http_accept_encoding *accept, struct span coding)
{
    if (span_equal(coding, SPAN("*"))) {
        return &accept->any;
    }
    if (span_equal_nocase(coding, SPAN("identity"))) {
        return &accept->identity;
    }
    /* RFC 9110, section 8.4.1.3: x-gzip is the same coding. */
    if (span_equal_nocase(coding, SPAN("gzip")) || span_equal_nocase(coding, SPAN("x-gzip"))) {
        return &accept->gzip;
    }
    return NULL;
}

void http_accept_encoding_add(struct http_accept_encoding *accept, struct span value)
{
    struct span item;
    struct span coding;
    unsigned thousandths = 0;
    while (span_list_next(&value, &item)) {
        if (!read_item(item, &coding, &thousandths)) {
            continue;
        }
        struct http_accept_weight *weight = weight_of(accept, coding);
        if (weight != NULL) {
            *weight = (struct http_accept_weight){true, thousandths};
        }
    }
}

bool http_accept_encoding_prefers_gzip(const struct http_accept_encoding *accept)
{
    const struct http_accept_weight *gzip = accept->gzip.is_named ? &accept->gzip : &accept->any;
    /* Identity is acceptable unnamed, but nobody who names gzip means to ask for it first. */
    return gzip->thousandths > 0 &&
           (!accept->identity.is_named || gzip->thousandths >= accept->identity.thousandths);
}
