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

/* The path so far; it ends with "/" until its last segment is there. */
struct path {
    uint8_t *out;
    size_t used;
    bool encoded_slash;
};

/* Whether what lies between encoded slashes would be "." or ".." for a program that decodes them.
 */
static bool is_dots(const uint8_t *from, const uint8_t *to)
{
    struct span piece = {from, (size_t)(to - from)};
    return span_equal(piece, SPAN(".")) || span_equal(piece, SPAN(".."));
}

/* Decodes one segment behind the path, an encoded slash to %2F. The pieces between those are looked
 * at as segments are: what would climb for a backend that decodes once more has no safe form. */
static enum weir_err decode_segment(struct span raw, struct path *path, size_t *size,
                                    const char **why)
{
    uint8_t *to = path->out + path->used;
    const uint8_t *piece = to;
    bool has_slash = false;
    bool has_dots = false;
    for (size_t at = 0; at < raw.size; at++) {
        int byte = raw.data[at] == '%' ? escape_at(raw, at) : raw.data[at];
        if (byte <= 0) {
            return refuse(why,
                          byte < 0 ? "an invalid percent escape in the path" : "a NUL in the path");
        }
        at += raw.data[at] == '%' ? 2 : 0;
        if (byte == '/') {
            has_slash = true;
            has_dots = has_dots || is_dots(piece, to);
            memcpy(to, "%2F", 3);
            to += 3;
            piece = to;
        } else {
            *to++ = (uint8_t)byte;
        }
    }
    if (has_slash && (has_dots || is_dots(piece, to))) {
        return refuse(why, "a dot segment beside an encoded slash in the path");
    }
    path->encoded_slash = path->encoded_slash || has_slash;
    *size = (size_t)(to - (path->out + path->used));
    return WEIR_OK;
}

/* Cuts the last segment off a path that ends with "/"; false at the root. */
static bool climb(struct path *path)
{
    if (path->used <= 1) {
        return false;
    }
    do {
        path->used -= 1;
    } while (path->out[path->used - 1] != '/');
    return true;
}

/* Puts one raw segment behind the path. `is_last`: no "/" comes behind. RFC 3986, section 5.2.4,
 * except that climbing above the root is refused, not ignored. */
static enum weir_err put_segment(struct span raw, bool is_last, struct path *path, const char **why)
{
    size_t size = 0;
    enum weir_err err = decode_segment(raw, path, &size, why);
    if (err != WEIR_OK) {
        return err;
    }
    struct span segment = {path->out + path->used, size};
    if (size == 0 || span_equal(segment, SPAN("."))) {
        return WEIR_OK;
    }
    if (span_equal(segment, SPAN(".."))) {
        return climb(path) ? WEIR_OK : refuse(why, "a path that climbs above the root");
    }
    path->used += size;
    if (!is_last) {
        path->out[path->used++] = '/';
    }
    return WEIR_OK;
}

enum weir_err uri_normalize_path(struct span raw, uint8_t *out, size_t *size, bool *encoded_slash,
                                 const char **why)
{
    if (raw.size == 0 || raw.data[0] != '/') {
        return refuse(why, "a path that does not start with /");
    }
    struct span rest = span_from(raw, 1);
    struct path path = {.out = out, .used = 1};
    out[0] = '/';
    while (rest.size > 0) {
        size_t end = span_find(rest, '/');
        bool is_last = end == rest.size;
        enum weir_err err = put_segment((struct span){rest.data, end}, is_last, &path, why);
        if (err != WEIR_OK) {
            return err;
        }
        rest = span_from(rest, end + 1);
    }
    *size = path.used;
    *encoded_slash = path.encoded_slash;
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
