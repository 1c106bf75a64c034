/* What a request may name is decided on its segments, before the file system is asked: it cannot
 * tell whether ".git" is there, and no segment can mean anything but a name.
 * Called by handlers/static. It never touches the file system. */
#include "handlers/static_path.h"

#include <string.h>

/* The part of `path` below `route`, without the slash between; false where it is not below. */
static bool cut_route(struct span path, const char *route, struct span *rest)
{
    struct span prefix = span_of(route);
    while (prefix.size > 0 && prefix.data[prefix.size - 1] == '/') {
        prefix.size--;
    }
    if (!span_starts_with(path, prefix)) {
        return false;
    }
    *rest = span_from(path, prefix.size);
    if (rest->size > 0 && rest->data[0] != '/') {
        return false;
    }
    *rest = span_from(*rest, 1);
    return true;
}

/* Dot files are where secrets are kept by habit (.git, .env, .htpasswd); only the folder of
 * RFC 8615 is meant for the public. */
static bool is_public(struct span segment)
{
    return segment.size > 0 && (segment.data[0] != '.' || span_equal(segment, SPAN(".well-known")));
}

static bool are_public(struct span rest)
{
    while (rest.size > 0) {
        size_t end = span_find(rest, '/');
        if (!is_public((struct span){rest.data, end})) {
            return false;
        }
        rest = span_from(rest, end + 1);
    }
    return true;
}

static bool append(struct static_path *path, struct span text)
{
    if (text.size >= sizeof(path->text) - path->size) {
        return false;
    }
    memcpy(path->text + path->size, text.data, text.size);
    path->size += text.size;
    path->text[path->size] = '\0';
    return true;
}

bool static_path_make(struct span path, const char *route, struct static_path *out)
{
    struct span rest;
    if (path.size == 0 || span_find(path, '\0') < path.size || !cut_route(path, route, &rest) ||
        !are_public(rest)) {
        return false;
    }
    bool ends_with_slash = rest.size > 0 && rest.data[rest.size - 1] == '/';
    if (ends_with_slash) {
        rest.size--;
    }
    out->size = 0;
    out->is_folder = path.data[path.size - 1] == '/';
    return append(out, rest);
}

bool static_path_enter(struct static_path *path, const char *name)
{
    size_t size = path->size;
    if ((size == 0 || append(path, SPAN("/"))) && append(path, span_of(name))) {
        return true;
    }
    path->size = size;
    path->text[size] = '\0';
    return false;
}

bool static_path_extend(struct static_path *path, const char *suffix)
{
    return append(path, span_of(suffix));
}

/* Unreserved characters (RFC 3986, section 2.3) and the slash. All else is encoded, the backslash
 * too, which browsers take for a slash. */
static bool stays(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~' || c == '/';
}

static enum weir_err encode(struct span path, struct buffer *out)
{
    enum weir_err err = WEIR_OK;
    for (size_t i = 0; i < path.size && err == WEIR_OK; i++) {
        uint8_t c = path.data[i];
        err = stays(c) ? buffer_append(out, (struct span){&c, 1}) : buffer_printf(out, "%%%02X", c);
    }
    return err;
}

enum weir_err static_path_location(struct span path, struct span query, struct buffer *out)
{
    while (path.size > 0 && path.data[0] == '/') {
        path = span_from(path, 1);
    }
    enum weir_err err = buffer_append(out, SPAN("/"));
    if (err == WEIR_OK) {
        err = encode(path, out);
    }
    if (err == WEIR_OK) {
        err = buffer_append(out, query.size > 0 ? SPAN("/?") : SPAN("/"));
    }
    return err == WEIR_OK ? buffer_append(out, query) : err;
}
