/* A path is read by many programs: the router, the static handler, the backend. Each that reads it
 * differently is a way around an access rule, so it is put into one form here, and what has no safe
 * form is refused.
 * Called by session/ when it looks for a route, by handlers/static, and for conn.request.query. It
 * never touches a file system and never allocates. */
#include "proto/uri.h"

#include <string.h>

#include "proto/http_chars.h"

/* The byte that the escape at `at` stands for, or -1. */
static int escape_at(struct span raw, size_t at)
{
    if (raw.size - at < 3) {
        return -1;
    }
    int high = http_chars_hex(raw.data[at + 1]);
    int low = http_chars_hex(raw.data[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

enum weir_err uri_decode(struct span raw, uint8_t *out, size_t *size)
{
    size_t used = 0;
    for (size_t at = 0; at < raw.size; at++) {
        uint8_t byte = raw.data[at];
        if (byte == '%') {
            int decoded = escape_at(raw, at);
            if (decoded < 0) {
                return WEIR_EPROTO;
            }
            byte = (uint8_t)decoded;
            at += 2;
        }
        out[used++] = byte;
    }
    *size = used;
    return WEIR_OK;
}

static enum weir_err refuse(const char **why, const char *words)
{
    *why = words;
    return WEIR_EPROTO;
}

/* Decodes one segment to `out`. */
static enum weir_err decode_segment(struct span raw, uint8_t *out, size_t *size, const char **why)
{
    if (uri_decode(raw, out, size) != WEIR_OK) {
        return refuse(why, "an invalid percent escape in the path");
    }
    struct span decoded = {out, *size};
    if (span_find(decoded, '\0') < *size) {
        return refuse(why, "a NUL in the path");
    }
    if (span_find(decoded, '/') < *size) {
        return refuse(why, "an encoded slash in the path");
    }
    return WEIR_OK;
}

/* Cuts the last segment off a path that ends with "/"; false at the root. */
static bool climb(const uint8_t *out, size_t *used)
{
    if (*used <= 1) {
        return false;
    }
    do {
        *used -= 1;
    } while (out[*used - 1] != '/');
    return true;
}

/* Puts one raw segment behind out[0..*used), which ends with "/". `is_last`: no "/" comes behind.
 * RFC 3986, section 5.2.4, except that climbing above the root is refused, not ignored. */
static enum weir_err put_segment(struct span raw, bool is_last, uint8_t *out, size_t *used,
                                 const char **why)
{
    size_t size = 0;
    enum weir_err err = decode_segment(raw, out + *used, &size, why);
    if (err != WEIR_OK) {
        return err;
    }
    struct span segment = {out + *used, size};
    if (size == 0 || span_equal(segment, SPAN("."))) {
        return WEIR_OK;
    }
    if (span_equal(segment, SPAN(".."))) {
        return climb(out, used) ? WEIR_OK : refuse(why, "a path that climbs above the root");
    }
    *used += size;
    if (!is_last) {
        out[(*used)++] = '/';
    }
    return WEIR_OK;
}

enum weir_err uri_normalize_path(struct span raw, uint8_t *out, size_t *size, const char **why)
{
    if (raw.size == 0 || raw.data[0] != '/') {
        return refuse(why, "a path that does not start with /");
    }
    struct span rest = span_from(raw, 1);
    size_t used = 1;
    out[0] = '/';
    while (rest.size > 0) {
        size_t end = span_find(rest, '/');
        bool is_last = end == rest.size;
        enum weir_err err = put_segment((struct span){rest.data, end}, is_last, out, &used, why);
        if (err != WEIR_OK) {
            return err;
        }
        rest = span_from(rest, end + 1);
    }
    *size = used;
    return WEIR_OK;
}

bool uri_query_next(struct span *rest, struct span *name, struct span *value)
{
    while (rest->size > 0) {
        size_t end = span_find(*rest, '&');
        struct span piece = {rest->data, end};
        *rest = span_from(*rest, end + 1);
        if (piece.size > 0) {
            size_t equals = span_find(piece, '=');
            *name = (struct span){piece.data, equals};
            *value = span_from(piece, equals + 1);
            return true;
        }
    }
    return false;
}

size_t uri_decode_query(struct span raw, uint8_t *out)
{
    size_t used = 0;
    for (size_t at = 0; at < raw.size; at++) {
        uint8_t byte = raw.data[at];
        int decoded = byte == '%' ? escape_at(raw, at) : -1;
        if (decoded >= 0) {
            byte = (uint8_t)decoded;
            at += 2;
        } else if (byte == '+') {
            byte = ' ';
        }
        out[used++] = byte;
    }
    return used;
}
