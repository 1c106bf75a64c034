/* The host that a request names decides its route, so it is checked before anyone compares it.
 * Called by the head parser and by route lookup. It never folds case and never resolves. */
#include "proto/http_host.h"

#include "proto/http_chars.h"
#include "proto/ip_address.h"

static bool port_is_valid(struct span text, uint16_t *port)
{
    uint64_t value = 0;
    /* RFC 3986, section 3.2.3: port is *DIGIT, so "host:" is legal and means the default. */
    if (text.size > 5 || (text.size > 0 && !span_to_u64(text, &value)) || value > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

/* The size of the name at the start of `text`, or 0 where there is no valid one. */
static size_t name_size(struct span text)
{
    if (text.size == 0 || text.data[0] != '[') {
        return http_chars_run(text.data, text.data + text.size, HTTP_CHAR_HOST);
    }
    struct ip_address address;
    size_t size = span_find(text, ']') + 1;
    if (size > text.size) {
        return 0;
    }
    return ip_address_parse((struct span){text.data, size}, &address) == WEIR_OK ? size : 0;
}

bool http_host_split(struct span text, struct span *name, uint16_t *port)
{
    if (text.size == 0) {
        return false;
    }
    size_t size = name_size(text);
    uint16_t parsed = 0;
    if (size == 0) {
        return false;
    }
    if (size < text.size &&
        (text.data[size] != ':' || !port_is_valid(span_from(text, size + 1), &parsed))) {
        return false;
    }
    *name = (struct span){text.data, size};
    *port = parsed;
    return true;
}

bool http_host_is_valid(struct span text)
{
    struct span name;
    uint16_t port;
    return http_host_split(text, &name, &port);
}
