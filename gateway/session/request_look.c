/* What plugins may look at of a request: its line, its client, its query; fields are in
 * request_fields.c. All of it was packed when the request was made (request.c); nothing here
 * allocates or changes anything. */
#include "base/check.h"
#include "proto/uri.h"
#include "session/request_internal.h"

struct span request_method(const struct weir_request *request)
{
    return request_part(request, request->method);
}

struct span request_target(const struct weir_request *request)
{
    return request_part(request, request->target);
}

struct span request_path(const struct weir_request *request)
{
    return request_part(request, request->path);
}

struct span request_query(const struct weir_request *request)
{
    return request_part(request, request->query);
}

struct span request_host(const struct weir_request *request)
{
    return request_part(request, request->host);
}

const char *request_scheme(const struct weir_request *request)
{
    bool secure = stream_is_tls(&request->connection->stream);
    if (request->became_session) {
        return secure ? "wss" : "ws";
    }
    return secure ? "https" : "http";
}

unsigned request_http_minor(const struct weir_request *request)
{
    return request->minor;
}

const char *request_remote(const struct weir_request *request)
{
    return (const char *)request_text(request) + request->remote_at;
}

unsigned request_remote_port(const struct weir_request *request)
{
    return request->remote_port;
}

const struct ip_address *request_peer(const struct weir_request *request)
{
    return &request->connection->remote;
}

bool request_is_trusted(const struct weir_request *request)
{
    const struct generation *generation = request->connection->generation;
    return ip_block_any_contains(generation->trusted_proxies, generation->trusted_proxy_count,
                                 &request->connection->remote);
}

const char *request_client_subject(const struct weir_request *request)
{
    return request->client_subject != NULL ? request->client_subject : "";
}

bool request_wants_session(const struct weir_request *request)
{
    return request->wants_session;
}

static bool lists_upgrade(struct span connection)
{
    struct span option;
    while (span_list_next(&connection, &option)) {
        if (span_equal_nocase(option, SPAN("upgrade"))) {
            return true;
        }
    }
    return false;
}

bool request_asks_upgrade(const struct weir_request *request)
{
    bool has_protocol = false;
    bool has_option = false;
    size_t count = request_header_count(request);
    for (size_t i = 0; i < count; i++) {
        struct span name = request_header_name(request, i);
        struct span value = request_header_value(request, i);
        has_protocol |= value.size > 0 && span_equal_nocase(name, SPAN("Upgrade"));
        has_option |= span_equal_nocase(name, SPAN("Connection")) && lists_upgrade(value);
    }
    /* RFC 9110, section 7.8: in HTTP/1.0 the field is ignored. */
    return has_protocol && has_option && request->minor > 0;
}

struct span request_subprotocol(const struct weir_request *request)
{
    if (request->subprotocol == 0) {
        return (struct span){0};
    }
    if (request->subprotocol == REQUEST_SUBPROTOCOL_CHOSEN) {
        return request_part(request, request->extra->subprotocol);
    }
    return span_of(request->route->config->websocket->subprotocols.items[request->subprotocol - 1]);
}

const char *request_route(const struct weir_request *request)
{
    return request->route->config->path;
}

const struct config_websocket *request_websocket(const struct weir_request *request)
{
    return request->route->config->websocket;
}

uint64_t request_id(const struct weir_request *request)
{
    return request->connection->id;
}

void **request_seat(struct weir_request *request, unsigned seat)
{
    WEIR_CHECK(seat < request->route->chain_count);
    return &request->seats[seat];
}

static bool append_decoded(struct buffer *out, struct span raw)
{
    if (buffer_reserve(out, raw.size + 1) != WEIR_OK) {
        return false;
    }
    out->size += uri_decode_query(raw, out->data + out->size);
    return true;
}

bool request_query_next(struct span *rest, struct buffer *name, struct buffer *value)
{
    struct span raw_name;
    struct span raw_value;
    return uri_query_next(rest, &raw_name, &raw_value) && append_decoded(name, raw_name) &&
           append_decoded(value, raw_value);
}
