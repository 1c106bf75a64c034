/* From a request to a session: the opening handshake of RFC 6455, section 4.2, once the chain has
 * accepted. Called by the request's walk. A refusal is an ordinary response. */
#include <stdlib.h>
#include <string.h>

#include "proto/http_write.h"
#include "proto/ws_handshake.h"
#include "session/output.h"
#include "session/request_internal.h"
#include "session/session_internal.h"

enum {
    OFFERS_BYTES = 1024
};

/* The checks are pure functions over a head, and the request keeps the head packed: unpack it for
 * them. */
static void unpack(const struct weir_request *request, struct http_head *head)
{
    head->method = request_method(request);
    head->minor = request->minor;
    head->body = (enum http_body)request->body_kind;
    head->content_length = request->body_kind == HTTP_BODY_LENGTH ? request->body.left : 0;
    head->field_count = request_header_count(request);
    for (size_t i = 0; i < head->field_count; i++) {
        head->fields[i].name = request_header_name(request, i);
        head->fields[i].value = request_header_value(request, i);
    }
}

static void refuse(struct weir_request *request, unsigned status, const char *why)
{
    struct reply_field fields[4] = {
        {SPAN("Content-Type"), SPAN("text/plain; charset=utf-8")},
    };
    size_t count = 1;
    if (status == 405) {
        fields[count++] = (struct reply_field){SPAN("Allow"), SPAN("GET")}; /* RFC 9110, 15.5.6 */
    } else if (status == 426) {
        /* RFC 6455, section 4.4; RFC 9110, sections 15.5.22 and 7.8. */
        fields[count++] = (struct reply_field){SPAN("Sec-WebSocket-Version"), SPAN("13")};
        fields[count++] = (struct reply_field){SPAN("Upgrade"), SPAN("websocket")};
        fields[count++] = (struct reply_field){SPAN("Connection"), SPAN("Upgrade")};
    }
    request->keep_alive = false; /* what follows may be frames of a client that did not wait */
    enum weir_err err = request_reply(request, status, fields, count, span_of(why));
    (void)err; /* the connection has been closed */
}

/* All Sec-WebSocket-Extensions fields as one list (RFC 6455, section 9.1). False: too long to be
 * honest. */
static bool join_offers(const struct http_head *head, uint8_t out[OFFERS_BYTES],
                        struct span *joined)
{
    size_t size = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        struct span value = head->fields[i].value;
        if (!span_equal_nocase(head->fields[i].name, SPAN("Sec-WebSocket-Extensions"))) {
            continue;
        }
        if (size + value.size + 1 > OFFERS_BYTES) {
            return false;
        }
        if (size > 0) {
            out[size++] = ',';
        }
        memcpy(out + size, value.data, value.size);
        size += value.size;
    }
    *joined = (struct span){out, size};
    return true;
}

static enum weir_err negotiate(const struct weir_request *request, const struct http_head *head,
                               char response[WS_DEFLATE_RESPONSE_BYTES],
                               struct compression **compression)
{
    const struct config_compression *config = &request->route->config->websocket->compression;
    struct ws_deflate_params agreed;
    uint8_t text[OFFERS_BYTES];
    struct span offers;
    *compression = NULL;
    if (!config->enabled || !join_offers(head, text, &offers) ||
        !ws_deflate_negotiate(offers, &request->route->deflate, &agreed, response)) {
        return WEIR_OK;
    }
    *compression = compression_new(&agreed, (uint8_t)config->level);
    return *compression != NULL ? WEIR_OK : WEIR_ENOMEM;
}

static enum weir_err write_switching(struct weir_request *request, const struct http_head *http,
                                     const char *extensions)
{
    char accept[WS_ACCEPT_BYTES];
    struct buffer *out = NULL;
    struct reply_field fields[5] = {
        {SPAN("Upgrade"), SPAN("websocket")},
        {SPAN("Connection"), SPAN("Upgrade")},
    };
    size_t count = 2;
    const struct http_field *key = http_head_find(http, SPAN("Sec-WebSocket-Key"));
    if (key == NULL || !ws_handshake_accept(key->value, accept)) {
        return WEIR_EINVAL;
    }
    fields[count++] = (struct reply_field){SPAN("Sec-WebSocket-Accept"), span_of(accept)};
    if (request->subprotocol != 0) {
        fields[count++] =
            (struct reply_field){SPAN("Sec-WebSocket-Protocol"), request_subprotocol(request)};
    }
    if (extensions != NULL) {
        fields[count++] =
            (struct reply_field){SPAN("Sec-WebSocket-Extensions"), span_of(extensions)};
    }
    enum weir_err err = reply_begin(request, 101, fields, count, &out);
    if (err == WEIR_OK && request->extra != NULL) {
        err = request_write_reply_lines(request, out, blob_span(request->extra->accept_fields));
        blob_free(&request->extra->accept_fields);
    }
    if (err == WEIR_OK) {
        err = request_write_reply_changes(request, out);
    }
    if (err == WEIR_OK) {
        err = http_write_end(out);
    }
    return err == WEIR_OK ? output_write(request->connection, buffer_span(out), (struct span){0})
                          : err;
}

static void open_session(struct weir_request *request, const struct http_head *head)
{
    char extensions[WS_DEFLATE_RESPONSE_BYTES];
    struct compression *compression = NULL;
    struct weir_session *session = NULL;
    enum weir_err err = negotiate(request, head, extensions, &compression);
    if (err == WEIR_OK) {
        bool compressed = compression != NULL;
        session = session_new(request, compression);
        err = session != NULL ? write_switching(request, head, compressed ? extensions : NULL)
                              : WEIR_ENOMEM;
    }
    if (err != WEIR_OK) {
        connection_close(request->connection, WEIR_CLOSE_OUT_OF_MEMORY);
        if (session != NULL) {
            compression_free(&session->compression);
            free(session);
        }
        return;
    }
    request->status = 101;
    request->became_session = true;
    connection_became_session(request->connection, session);
    session_opened(session);
}

static void choose_subprotocol(struct weir_request *request, const struct http_head *head)
{
    const struct config_strings *ours = &request->route->config->websocket->subprotocols;
    const struct request_extra *extra = request->extra;
    if (extra != NULL && extra->accept_prepared) {
        request->subprotocol = extra->subprotocol.size > 0 ? REQUEST_SUBPROTOCOL_CHOSEN : 0;
        return;
    }
    const char *chosen = ws_handshake_subprotocol(head, ours->items, ours->count);
    for (size_t i = 0; chosen != NULL && i < ours->count; i++) {
        if (ours->items[i] == chosen) {
            request->subprotocol = (uint16_t)(i + 1);
        }
    }
}

/* Whether the request may become a session; else it has been refused. Leaves its head unpacked. */
static bool is_acceptable(struct weir_request *request)
{
    struct http_head *head = &request->connection->worker->head;
    const struct config_websocket *config = request->route->config->websocket;
    unsigned status = 0;
    const char *why = "";
    if (config == NULL || !request->wants_session) {
        refuse(request, 426, "this needs a WebSocket upgrade");
        return false;
    }
    if (request->connection->worker->draining) {
        /* A plugin took its time; a session that begins now would miss the 1001 of the others. */
        refuse(request, 503, "the gateway is stopping");
        return false;
    }
    unpack(request, head);
    if (ws_handshake_check(head, &status, &why) != WEIR_OK) {
        refuse(request, status, why);
        return false;
    }
    if (!ws_handshake_origin_allowed(head, config->allowed_origins.items,
                                     config->allowed_origins.count)) {
        refuse(request, 403, "this Origin is not allowed");
        return false;
    }
    return true;
}

bool request_check_upgrade(struct weir_request *request)
{
    return reply_is_possible(request) == WEIR_OK && is_acceptable(request);
}

void upgrade_accept(struct weir_request *request)
{
    if (reply_is_possible(request) == WEIR_OK && is_acceptable(request)) {
        choose_subprotocol(request, &request->connection->worker->head);
        open_session(request, &request->connection->worker->head);
    }
}
