/* From bytes to a request on a route. Called by the connection when it waits for a head; what is
 * wrong with a head is answered here and ends the connection, since nobody can tell where the next
 * request would start. */
#include "session/http_input.h"

#include <stdlib.h>

#include "base/log.h"
#include "proto/http_chunked.h"
#include "proto/http_forwarded.h"
#include "proto/uri.h"
#include "session/connection.h"
#include "session/request_internal.h"

static void refuse(struct connection *connection, unsigned status, const char *why)
{
    log_debug("http", "connection %llu: %u %s", (unsigned long long)connection->id, status, why);
    reply_refuse(connection, status, why);
}

static void start_request(struct connection *connection, const struct route *route,
                          struct span path)
{
    const struct http_head *head = &connection->worker->head;
    const struct generation *generation = connection->generation;
    struct weir_request *request = NULL;
    struct ip_address client = http_forwarded_head_client(
        head, generation->trusted_proxies, generation->trusted_proxy_count, connection->remote);
    enum weir_err err = request_new(connection, route, head, path, &client, &request);
    if (err == WEIR_ELIMIT) {
        refuse(connection, 431, "the request head is too large");
    } else if (err != WEIR_OK) {
        connection_close(connection, WEIR_CLOSE_OUT_OF_MEMORY);
    } else {
        connection_request_started(connection, request);
        request_walk(request);
    }
}

/* What of a chunked body has come with its head is checked before anybody answers, so that a
 * malformed one gets its 400 instead of the answer to a request that should not have been believed.
 * The real decoder reads it again. */
static bool chunks_are_sound(struct connection *connection, const struct route *route,
                             struct span body)
{
    uint64_t most = route->config->max_body_size;
    struct http_chunked chunked = {0};
    struct span data = {0};
    const char *why = "";
    uint64_t total = 0;
    size_t consumed = 0;
    enum weir_err err = WEIR_OK;
    while (err == WEIR_OK && !chunked.done && total <= most) {
        err = http_chunked_next(&chunked, body.data, body.size, &consumed, &data, &why);
        body = span_from(body, consumed);
        total += chunked.is_trailer || err != WEIR_OK ? 0 : data.size;
    }
    if (err != WEIR_OK && err != WEIR_AGAIN) {
        refuse(connection, 400, why);
    } else if (total > most) {
        refuse(connection, 413, "the body is over max_body_size");
    }
    return connection->state == CONNECTION_HEAD;
}

/* Whether the route takes the body, as far as that can be told. */
static bool body_is_accepted(struct connection *connection, const struct route *route,
                             struct span behind)
{
    const struct http_head *head = &connection->worker->head;
    if (head->body == HTTP_BODY_CHUNKED) {
        return chunks_are_sound(connection, route, behind);
    }
    if (head->body == HTTP_BODY_LENGTH && head->content_length > route->config->max_body_size) {
        refuse(connection, 413, "the body is over max_body_size");
        return false;
    }
    return true;
}

/* Whether a backend that takes an encoded slash for a separator reads a path of the same route:
 * else
 * `/admin%2Fx` would be a way around the plugins of `/admin` (decision 007). Runs of slashes may be
 * one to it. */
static bool slashes_keep_route(const struct connection *connection, const struct route *route,
                               struct span path)
{
    const struct generation *generation = connection->generation;
    uint8_t *decoded = malloc(path.size);
    size_t size = 0;
    if (decoded == NULL) {
        return false;
    }
    for (size_t i = 0; i < path.size; i++) {
        bool is_encoded = span_starts_with(span_from(path, i), SPAN("%2F"));
        uint8_t byte = is_encoded ? '/' : path.data[i];
        if (byte != '/' || size == 0 || decoded[size - 1] != '/') {
            decoded[size++] = byte;
        }
        i += is_encoded ? 2 : 0;
    }
    const struct route *other =
        generation_route(generation, connection->worker->head.host, (struct span){decoded, size});
    free(decoded);
    return (other != NULL ? other : generation->nowhere) == route;
}

/* Finds the route of a head and starts the request; `behind` is what has come of its body. `path`
 * has room for the normalised path. */
static void route_request(struct connection *connection, struct span behind, uint8_t *path)
{
    const struct http_head *head = &connection->worker->head;
    const struct generation *generation = connection->generation;
    const struct route *route = NULL;
    bool encoded_slash = false;
    struct span normal = {path, 0};
    const char *why = "";
    if (span_equal(head->path, SPAN("*"))) {
        normal = head->path;
    } else if (uri_normalize_path(head->path, path, &normal.size, &encoded_slash, &why) !=
               WEIR_OK) {
        refuse(connection, 400, why);
        return;
    } else {
        route = generation_route(generation, head->host, normal);
    }
    route = route != NULL ? route : generation->nowhere;
    if (encoded_slash && route->config->handler.kind != CONFIG_PLUGIN_PROXY) {
        /* A backend may have names with a slash in them; here nobody has. */
        refuse(connection, 400, "an encoded slash in the path");
    } else if (encoded_slash && !slashes_keep_route(connection, route, normal)) {
        refuse(connection, 400, "an encoded slash that would lead around a route");
    } else if (body_is_accepted(connection, route, behind)) {
        start_request(connection, route, normal);
    }
}

size_t http_input_head(struct connection *connection, const uint8_t *bytes, size_t size)
{
    struct weir_worker *worker = connection->worker;
    const struct config_http *config = &connection->generation->config->http;
    struct http_head_limits limits = {config->max_line_size, config->max_header_size,
                                      config->max_headers};
    size_t scanned = connection->head_scanned;
    size_t consumed = 0;
    unsigned status = 0;
    const char *why = "";
    enum weir_err err = http_head_parse((struct span){bytes, size}, &limits, &scanned,
                                        &worker->head, &consumed, &status, &why);
    if (err == WEIR_AGAIN) {
        connection->head_scanned = (uint32_t)scanned;
        return 0;
    }
    connection->head_scanned = 0;
    if (err != WEIR_OK) {
        refuse(connection, status, why);
        return size;
    }
    uint8_t *path = malloc(worker->head.path.size + 1);
    if (path == NULL) {
        connection_close(connection, WEIR_CLOSE_OUT_OF_MEMORY);
        return consumed;
    }
    route_request(connection, span_from((struct span){bytes, size}, consumed), path);
    free(path);
    return consumed;
}
