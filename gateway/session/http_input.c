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
static bool chunks_are_sound(struct connection *connection, struct span body)
{
    uint64_t most = connection->generation->config->http.max_body_size;
    struct http_chunked chunked = {0};
    struct span data = {0};
    const char *why = "";
    uint64_t total = 0;
    size_t consumed = 0;
    enum weir_err err = WEIR_OK;
    while (err == WEIR_OK && !chunked.done && total <= most) {
        err = http_chunked_next(&chunked, body.data, body.size, &consumed, &data, &why);
        body = span_from(body, consumed);
        if (chunked.is_trailer) {
            continue;
        }
        total += data.size;
    }
    if (err != WEIR_OK && err != WEIR_AGAIN) {
        refuse(connection, 400, why);
    } else if (total > most) {
        refuse(connection, 413, "the body is over max_body_size");
    }
    return connection->state == CONNECTION_HEAD;
}

static void route_request(struct connection *connection)
{
    const struct http_head *head = &connection->worker->head;
    const char *why = "";
    if (head->body == HTTP_BODY_LENGTH &&
        head->content_length > connection->generation->config->http.max_body_size) {
        refuse(connection, 413, "the body is over max_body_size");
        return;
    }
    if (span_equal(head->path, SPAN("*"))) {
        start_request(connection, connection->generation->nowhere, head->path);
        return;
    }
    uint8_t *normal = malloc(head->path.size + 1);
    size_t size = 0;
    bool encoded_slash = false;
    if (normal == NULL) {
        connection_close(connection, WEIR_CLOSE_OUT_OF_MEMORY);
        return;
    }
    if (uri_normalize_path(head->path, normal, &size, &encoded_slash, &why) != WEIR_OK) {
        refuse(connection, 400, why);
    } else if (encoded_slash) {
        refuse(connection, 400, "an encoded slash in the path");
    } else {
        struct span path = {normal, size};
        const struct route *route = generation_route(connection->generation, head->host, path);
        start_request(connection, route != NULL ? route : connection->generation->nowhere, path);
    }
    free(normal);
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
    struct span behind = span_from((struct span){bytes, size}, consumed);
    if (worker->head.body != HTTP_BODY_CHUNKED || chunks_are_sound(connection, behind)) {
        route_request(connection);
    }
    return consumed;
}
