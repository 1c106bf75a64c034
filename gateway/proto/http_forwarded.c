/* Each proxy appends who it spoke with, so the list is to be believed from its right end, and only
 * as far as the one who wrote an item is trusted. Called by session/ when a request's head is
 * whole. It never looks at the left end first, which is what clients forge. */
#include "proto/http_forwarded.h"

#include "proto/http_chars.h"

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

/* --- and on the way to a backend --- */

/* Appends a quoted string (RFC 9110, section 5.6.4). */
static enum weir_err write_quoted(struct buffer *out, struct span text)
{
    enum weir_err err = buffer_append(out, SPAN("\""));
    for (size_t i = 0; err == WEIR_OK && i < text.size; i++) {
        bool is_plain = (http_chars[text.data[i]] & HTTP_CHAR_QUOTED) != 0;
        err = is_plain ? WEIR_OK : buffer_append(out, SPAN("\\"));
        if (err == WEIR_OK) {
            err = buffer_append(out, (struct span){text.data + i, 1});
        }
    }
    return err == WEIR_OK ? buffer_append(out, SPAN("\"")) : err;
}

/* Appends `lead` and a value: a token as it is, anything else quoted (RFC 7239, section 4). */
static enum weir_err write_pair(struct buffer *out, struct span lead, struct span value)
{
    if (!http_chars_all(value, HTTP_CHAR_VALUE)) {
        return WEIR_EINVAL;
    }
    enum weir_err err = buffer_append(out, lead);
    if (err != WEIR_OK) {
        return err;
    }
    return http_chars_is_token(value) ? buffer_append(out, value) : write_quoted(out, value);
}

/* RFC 7239, section 6: an IPv6 address stands in brackets, within quotes. */
static enum weir_err write_client(struct buffer *out, struct span client)
{
    size_t colon = span_find(client, ':');
    bool is_bare_v6 = client.size > 0 && client.data[0] != '[' &&
                      span_find(span_from(client, colon + 1), ':') + colon + 1 < client.size;
    if (client.size == 0) {
        return buffer_append(out, SPAN("for=unknown"));
    }
    if (!is_bare_v6) {
        return write_pair(out, SPAN("for="), client);
    }
    struct ip_address address;
    if (ip_address_parse(client, &address) != WEIR_OK) {
        return write_pair(out, SPAN("for="), client);
    }
    return buffer_printf(out, "for=\"[%.*s]\"", SPAN_ARGS(client));
}

enum weir_err http_forwarded_write(struct buffer *out, struct span client, struct span host,
                                   struct span proto)
{
    size_t start = out->size;
    enum weir_err err = write_client(out, client);
    if (err == WEIR_OK && host.size > 0) {
        err = write_pair(out, SPAN(";host="), host);
    }
    if (err == WEIR_OK && proto.size > 0) {
        err = write_pair(out, SPAN(";proto="), proto);
    }
    if (err != WEIR_OK) {
        out->size = start;
    }
    return err;
}
