/* Paths: what comes out is in the one form that router and files share, and no longer than what
 * went in. Queries: every piece lies inside the query. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proto/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_segment(struct span segment, bool is_last)
{
    WEIR_CHECK(segment.size > 0 || is_last);
    WEIR_CHECK(!span_equal(segment, SPAN(".")) && !span_equal(segment, SPAN("..")));
}

static void check_normal(struct span path)
{
    WEIR_CHECK(path.size > 0 && path.data[0] == '/');
    WEIR_CHECK(span_find(path, '\0') == path.size);
    struct span rest = span_from(path, 1);
    for (bool is_last = false; !is_last;) {
        size_t end = span_find(rest, '/');
        is_last = end == rest.size;
        check_segment((struct span){rest.data, end}, is_last);
        rest = span_from(rest, end + 1);
    }
}

/* A backend that takes each kept %2F for a slash must not find dot segments there either. `path` is
 * changed in place. */
static void check_once_more(struct span path, uint8_t *out)
{
    size_t used = 0;
    for (size_t at = 0; at < path.size; at++) {
        bool is_slash = path.size - at >= 3 && memcmp(path.data + at, "%2F", 3) == 0;
        out[used++] = is_slash ? '/' : path.data[at];
        at += is_slash ? 2 : 0;
    }
    struct span rest = {out, used};
    while (rest.size > 0) {
        size_t end = span_find(rest, '/');
        check_segment((struct span){rest.data, end}, true);
        rest = span_from(rest, end + 1);
    }
}

static void check_path(struct span raw, uint8_t *out)
{
    size_t used = 0;
    const char *why = NULL;
    bool encoded_slash = false;
    enum weir_err err = uri_normalize_path(raw, out, &used, &encoded_slash, &why);
    WEIR_CHECK(err == WEIR_OK || (err == WEIR_EPROTO && why != NULL));
    if (err == WEIR_OK) {
        WEIR_CHECK(used <= raw.size);
        check_normal((struct span){out, used});
        /* An encoded "%" may make a %2F that is none. */
        if (encoded_slash && memmem(raw.data, raw.size, "%25", 3) == NULL) {
            check_once_more((struct span){out, used}, out);
        }
    }
}

static void check_query(struct span rest, uint8_t *out)
{
    struct span name;
    struct span value;
    size_t whole = rest.size;
    size_t seen = 0;
    while (uri_query_next(&rest, &name, &value)) {
        seen += name.size + value.size;
        WEIR_CHECK(uri_decode_query(name, out) <= name.size);
        WEIR_CHECK(uri_decode_query(value, out) <= value.size);
    }
    WEIR_CHECK(seen <= whole && rest.size == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t room = size > 0 ? size : 1;
    uint8_t *in = malloc(room);
    uint8_t *out = malloc(room);
    WEIR_CHECK(in != NULL && out != NULL);
    memcpy(in, data, size);
    check_path((struct span){in, size}, out);
    check_query((struct span){in, size}, out);
    free(in);
    free(out);
    return 0;
}
