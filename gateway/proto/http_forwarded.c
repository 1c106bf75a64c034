/* Each proxy appends who it spoke with, so the list is to be believed from its right end, and only
 * as far as the one who wrote an item is trusted. Called by session/ when a request's head is
 * whole. It never looks at the left end first, which is what clients forge. */
#include "proto/http_forwarded.h"

struct walk {
    const struct ip_block *trusted;
    size_t count;
    struct ip_address client; /* the best believed so far */
    bool over;
};

/* Cuts the item behind the last comma off `*rest`. False when nothing was left. Quoted strings do
 * not occur in this field. */
static bool take_last(struct span *rest, struct span *item)
{
    if (rest->size == 0) {
        return false;
    }
    size_t start = rest->size;
    while (start > 0 && rest->data[start - 1] != ',') {
        start--;
    }
    *item = span_trim(span_from(*rest, start));
    rest->size = start > 0 ? start - 1 : 0;
    return true;
}

static void walk_value(struct walk *walk, struct span value)
{
    struct span item;
    while (!walk->over && take_last(&value, &item)) {
        struct ip_address address;
        if (!ip_block_any_contains(walk->trusted, walk->count, &walk->client)) {
            walk->over = true;
        } else if (item.size == 0) {
            continue; /* empty list items mean nothing (RFC 9110, section 5.6.1) */
        } else if (ip_address_parse(item, &address) != WEIR_OK) {
            walk->over = true;
        } else {
            walk->client = address;
        }
    }
}

struct ip_address http_forwarded_client(struct span value, const struct ip_block *trusted,
                                        size_t count, struct ip_address peer)
{
    struct walk walk = {.trusted = trusted, .count = count, .client = peer};
    walk_value(&walk, value);
    return walk.client;
}

struct ip_address http_forwarded_head_client(const struct http_head *head,
                                             const struct ip_block *trusted, size_t count,
                                             struct ip_address peer)
{
    struct walk walk = {.trusted = trusted, .count = count, .client = peer};
    for (size_t i = head->field_count; i > 0 && !walk.over; i--) {
        if (span_equal_nocase(head->fields[i - 1].name, SPAN("X-Forwarded-For"))) {
            walk_value(&walk, head->fields[i - 1].value);
        }
    }
    return walk.client;
}
