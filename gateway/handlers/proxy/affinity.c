/* Where a request may say which server it belongs to: the thing that is hashed, the cookie that we
 * have set, or an id that we have seen in an answer. Called by exchanges before they dial and with
 * the response; affinity_reader.c reads the ids. It decides nothing: a wish that cannot be met is
 * dial.c's to replace. Where memory is out, a request goes without its wish. */
#include "handlers/proxy/affinity.h"

#include "handlers/proxy/affinity_internal.h"
#include "handlers/proxy/client_fields.h"
#include "proto/http_cookie.h"
#include "proto/uri.h"
#include "session/request.h"
#include "upstream/sticky.h"

static const struct span nothing = {NULL, 0};

/* The parameter's first value, decoded, at the end of `scratch` (which may move); data NULL where
 * there is none. */
struct span affinity_query(const struct weir_request *request, struct span name,
                           struct buffer *scratch)
{
    struct span rest = request_query(request);
    struct span raw_name;
    struct span raw_value;
    /* Decoding never makes more of it, so that there is room for any name or value. */
    if (rest.size == 0 || buffer_reserve(scratch, rest.size) != WEIR_OK) {
        return nothing;
    }
    uint8_t *room = scratch->data + scratch->size;
    while (uri_query_next(&rest, &raw_name, &raw_value)) {
        struct span decoded = {room, uri_decode_query(raw_name, room)};
        if (span_equal(decoded, name)) {
            struct span value = {room, uri_decode_query(raw_value, room)};
            scratch->size += value.size;
            return value;
        }
    }
    return nothing;
}

static struct span find_cookie(const struct weir_request *request, struct span name)
{
    for (size_t i = 0; i < request_header_count(request); i++) {
        if (!span_equal_nocase(request_header_name(request, i), SPAN("Cookie"))) {
            continue;
        }
        struct span value = http_cookie_find(request_header_value(request, i), name);
        if (value.data != NULL) {
            return value;
        }
    }
    return nothing;
}

static struct span hash_key(const struct config_hash *hash, const struct weir_request *request,
                            struct buffer *scratch)
{
    switch (hash->by) {
    case CONFIG_HASH_ADDRESS:
        return span_of(request_remote(request));
    case CONFIG_HASH_HEADER:
        return request_header(request, span_of(hash->name));
    case CONFIG_HASH_COOKIE:
        return find_cookie(request, span_of(hash->name));
    case CONFIG_HASH_QUERY:
        return affinity_query(request, span_of(hash->name), scratch);
    case CONFIG_HASH_PATH:
        return request_path(request);
    }
    return nothing;
}

struct span affinity_parameter(enum config_learn learn)
{
    return learn == CONFIG_LEARN_SIGNALR ? SPAN("id") : SPAN("sid");
}

static uint64_t sticky_server(const struct proxy *proxy, const struct weir_request *request,
                              const struct config_sticky *sticky, struct buffer *scratch)
{
    if (sticky->cookie != NULL) {
        struct span value = find_cookie(request, span_of(sticky->cookie));
        return value.data != NULL ? sticky_cookie_read(proxy->upstream, value) : 0;
    }
    struct span token = affinity_query(request, affinity_parameter(sticky->learn), scratch);
    return sticky_recall(proxy->upstream, token);
}

void affinity_of_request(const struct proxy *proxy, const struct weir_request *request,
                         struct buffer *scratch, struct dial_wish *wish)
{
    const struct config_upstream *config = upstream_config(proxy->upstream);
    wish->hash_key = nothing;
    wish->server_id = 0;
    if (config->hash != NULL) {
        wish->hash_key = hash_key(config->hash, request, scratch);
    }
    if (config->sticky != NULL) {
        wish->server_id = sticky_server(proxy, request, config->sticky, scratch);
    }
}

void affinity_cookie(const struct proxy *proxy, const struct weir_request *request,
                     const struct upstream_server *server, struct buffer *out)
{
    const struct config_sticky *sticky = upstream_config(proxy->upstream)->sticky;
    if (sticky == NULL || sticky->cookie == NULL) {
        return;
    }
    struct span value = find_cookie(request, span_of(sticky->cookie));
    if (value.data != NULL && sticky_cookie_read(proxy->upstream, value) == server->id) {
        return;
    }
    bool secure = client_fields_secure(request);
    size_t before = out->size;
    if (sticky_cookie_write(proxy->upstream, server, secure, out) != WEIR_OK) {
        out->size = before; /* without the cookie the client is served none the less */
    }
}
