/* From the client's target to the backend's. The session has checked the path by its decoded and
 * normalised form; this one works on the raw bytes, so that an escape that means something to the
 * backend (%2F, %3A) arrives as it was sent. Called by request_head.c. */
#include "handlers/proxy/request_target.h"

#include "proto/http_chars.h"

/* --- the parts of a target --- */

/* RFC 9112, section 3.2.2: of an absolute target only what is behind the authority is for the
 * backend. */
static struct span behind_authority(struct span target)
{
    size_t at = span_find(target, ':');
    struct span rest = span_from(target, at + 3);
    size_t size = 0;
    while (size < rest.size && rest.data[size] != '/' && rest.data[size] != '?') {
        size++;
    }
    return span_from(rest, size);
}

/* The byte that `path` says at `at`, and how many characters it takes. */
static uint8_t byte_at(struct span path, size_t at, size_t *size)
{
    *size = 1;
    if (path.data[at] == '%' && path.size - at >= 3) {
        int high = http_chars_hex(path.data[at + 1]);
        int low = http_chars_hex(path.data[at + 2]);
        if (high >= 0 && low >= 0) {
            *size = 3;
            return (uint8_t)(high * 16 + low);
        }
    }
    return path.data[at];
}

/* --- dot segments (RFC 3986, section 5.2.4) --- */

/* 1 for ".", 2 for "..", 0 for any other segment, escaped or not. */
static size_t dots_of(struct span segment)
{
    size_t dots = 0;
    size_t size = 0;
    for (size_t at = 0; at < segment.size; at += size) {
        if (byte_at(segment, at, &size) != '.' || ++dots > 2) {
            return 0;
        }
    }
    return dots;
}

/* Takes the next segment off the front; false at the end. A last "/" is followed by an empty one.
 */
static bool next_segment(struct span *rest, struct span *segment)
{
    if (rest->size == 0) {
        return false;
    }
    *rest = span_from(*rest, 1);
    size_t end = span_find(*rest, '/');
    *segment = (struct span){rest->data, end};
    *rest = span_from(*rest, end);
    return true;
}

static bool has_dots(struct span path)
{
    struct span segment;
    while (next_segment(&path, &segment)) {
        if (dots_of(segment) > 0) {
            return true;
        }
    }
    return false;
}

static void climb(struct buffer *path)
{
    if (path->size > 1) {
        path->size--;
        while (path->data[path->size - 1] != '/') {
            path->size--;
        }
    }
}

/* Writes `path` without dot segments, and without empty ones, as the router has read it. */
static enum weir_err resolve_dots(struct span path, struct buffer *out)
{
    struct span segment;
    enum weir_err err = buffer_append(out, SPAN("/"));
    while (err == WEIR_OK && next_segment(&path, &segment)) {
        size_t dots = dots_of(segment);
        if (dots == 2) {
            climb(out);
        } else if (dots == 0 && segment.size > 0) {
            err = buffer_append(out, segment);
            if (err == WEIR_OK && path.size > 0) {
                err = buffer_append(out, SPAN("/"));
            }
        }
    }
    return err;
}

/* --- prefixes --- */

static struct span without_last_slash(struct span text)
{
    while (text.size > 0 && text.data[text.size - 1] == '/') {
        text.size--;
    }
    return text;
}

/* Goes past a run of slashes, which is one to the router. */
static size_t past_slashes(struct span path, size_t at)
{
    while (at < path.size && path.data[at] == '/') {
        at++;
    }
    return at;
}

/* What of `path` is behind `prefix`: empty, or with one slash at its start; all of it where it does
 * not start so. */
static struct span strip_prefix(struct span path, struct span prefix)
{
    size_t at = 0;
    prefix = without_last_slash(prefix);
    for (size_t i = 0; i < prefix.size; i++) {
        size_t size = 0;
        if (at == path.size) {
            return path;
        }
        uint8_t byte = byte_at(path, at, &size);
        bool is_data = byte == '/' && size > 1; /* %2F separates nothing */
        if (byte != prefix.data[i] || is_data) {
            return path;
        }
        at = byte == '/' ? past_slashes(path, at) : at + size;
    }
    if (at < path.size && path.data[at] != '/') {
        return path;
    }
    size_t rest = past_slashes(path, at);
    return span_from(path, rest > at ? rest - 1 : at);
}

static enum weir_err write_changed(struct buffer *out, struct span path, struct span strip,
                                   struct span add)
{
    struct span rest = strip_prefix(path, strip);
    if (rest.size > 0 && rest.data[0] == '/') {
        add = without_last_slash(add);
    }
    enum weir_err err = buffer_append(out, add);
    if (err == WEIR_OK && add.size + rest.size == 0) {
        rest = SPAN("/");
    }
    return err == WEIR_OK ? buffer_append(out, rest) : err;
}

static enum weir_err write_path(struct buffer *out, struct span path, struct span strip,
                                struct span add)
{
    if (!has_dots(path)) {
        bool is_kept = strip.size == 0 && add.size == 0;
        return is_kept ? buffer_append(out, path) : write_changed(out, path, strip, add);
    }
    struct buffer resolved = {0};
    enum weir_err err = resolve_dots(path, &resolved);
    if (err == WEIR_OK) {
        err = write_changed(out, buffer_span(&resolved), strip, add);
    }
    buffer_free(&resolved);
    return err;
}

enum weir_err request_target_write(struct buffer *out, struct span target, struct span strip,
                                   struct span add)
{
    if (span_equal(target, SPAN("*"))) {
        return buffer_append(out, target);
    }
    if (target.size == 0 || target.data[0] != '/') {
        target = behind_authority(target);
    }
    size_t mark = span_find(target, '?');
    struct span path = {target.data, mark};
    enum weir_err err = write_path(out, path.size > 0 ? path : SPAN("/"), strip, add);
    return err == WEIR_OK ? buffer_append(out, span_from(target, mark)) : err;
}
