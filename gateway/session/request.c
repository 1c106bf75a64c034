/* A request's life: made from a head, walked along the chain, unwound at its end. Called by
 * http_input for new heads. What plugins may look at is in request_look.c, answers are in reply.c
 * and reply_forward.c, bodies in request_body.c. */
#include "session/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "proto/ws_handshake.h"
#include "session/request_internal.h"

/* --- making --- */

static size_t packed_size(const struct http_head *head, struct span path, size_t remote_size)
{
    size_t size = head->method.size + head->target.size + path.size + remote_size;
    for (size_t i = 0; i < head->field_count; i++) {
        size += REQUEST_FIELD_SIZES + head->fields[i].name.size + head->fields[i].value.size;
    }
    return size;
}

static struct text_part put(uint8_t *text, uint16_t *at, struct span bytes)
{
    struct text_part where = {*at, (uint16_t)bytes.size};
    if (bytes.size > 0) {
        memcpy(text + *at, bytes.data, bytes.size);
    }
    *at = (uint16_t)(*at + bytes.size);
    return where;
}

/* Where `inner` has come to lie, when it is a part of `outer` in the head and `outer` was put at
 * `where`. */
static bool find_inside(struct span inner, struct span outer, struct text_part where,
                        struct text_part *out)
{
    if (inner.size == 0 || inner.data < outer.data ||
        inner.data + inner.size > outer.data + outer.size) {
        return false;
    }
    *out =
        (struct text_part){(uint16_t)(where.at + (inner.data - outer.data)), (uint16_t)inner.size};
    return true;
}

static void put_fields(struct weir_request *request, uint16_t *at, const struct http_head *head)
{
    uint8_t *text = request_text(request);
    request->fields_at = *at;
    request->field_count = (uint16_t)head->field_count;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        uint16_t sizes[2] = {(uint16_t)field->name.size, (uint16_t)field->value.size};
        put(text, at, (struct span){(const uint8_t *)sizes, sizeof sizes});
        put(text, at, field->name);
        struct text_part value = put(text, at, field->value);
        find_inside(head->host, field->value, value, &request->host);
    }
}

/* What is a part of something else is not put again: the query and an absolute target's host are
 * parts of the target, the path too unless normalising has changed it, and else the host is the
 * Host field's value. */
static void pack(struct weir_request *request, const struct http_head *head, struct span path,
                 struct span remote)
{
    uint8_t *text = request_text(request);
    uint16_t at = 0;
    request->method = put(text, &at, head->method);
    request->target = put(text, &at, head->target);
    find_inside(head->query, head->target, request->target, &request->query);
    find_inside(head->host, head->target, request->target, &request->host);
    if (!span_equal(path, head->path) ||
        !find_inside(head->path, head->target, request->target, &request->path)) {
        request->path = put(text, &at, path);
    }
    request->remote_at = at;
    put(text, &at, remote);
    put_fields(request, &at, head);
}

static void prepare_body(struct weir_request *request, const struct http_head *head)
{
    request->body_kind = (uint8_t)head->body;
    request->body_done = head->body == HTTP_BODY_NONE;
    if (head->body == HTTP_BODY_LENGTH) {
        request->body.left = head->content_length;
        request->body_done = head->content_length == 0;
    }
}

enum weir_err request_new(struct connection *connection, const struct route *route,
                          const struct http_head *head, struct span path,
                          const struct ip_address *remote, struct weir_request **out)
{
    char text[IP_ADDRESS_TEXT_BYTES];
    size_t remote_size = ip_address_format(remote, false, text) + 1;
    size_t size = packed_size(head, path, remote_size);
    if (size > UINT16_MAX) {
        return WEIR_ELIMIT;
    }
    struct weir_request *request =
        malloc(sizeof *request + route->chain_count * sizeof(void *) + size);
    if (request == NULL) {
        return WEIR_ENOMEM;
    }
    memset(request, 0, sizeof *request + route->chain_count * sizeof(void *));
    request->connection = connection;
    request->route = route;
    request->started_us = clock_monotonic_us();
    request->remote_port = remote->port;
    request->minor = head->minor;
    request->keep_alive = head->keep_alive;
    request->expects_continue = head->expects_continue;
    request->wants_session = route->config->websocket != NULL && ws_handshake_is_wanted(head);
    request->client_subject = stream_client_subject(&connection->stream);
    pack(request, head, path, (struct span){(const uint8_t *)text, remote_size});
    prepare_body(request, head);
    traffic_add(connection->worker->traffic, TRAFFIC_REQUESTS, 1);
    *out = request;
    return WEIR_OK;
}

/* --- walking and unwinding --- */

/* The request fell through its chain. */
static enum weir_err answer_default(struct weir_request *request)
{
    if (span_equal(request_method(request), SPAN("OPTIONS")) &&
        span_equal(request_path(request), SPAN("*"))) {
        /* RFC 9110, section 9.3.7: a question to the server, not to a resource. */
        struct reply_field allow = {SPAN("Allow"), SPAN("GET, HEAD, OPTIONS")};
        return request_reply(request, 204, &allow, 1, (struct span){0});
    }
    if (request->route->config->websocket != NULL) {
        /* RFC 9110, sections 15.5.22 and 7.8: who sends Upgrade lists it in Connection. */
        struct reply_field upgrade[] = {
            {SPAN("Upgrade"), SPAN("websocket")},
            {SPAN("Connection"), SPAN("Upgrade")},
        };
        return request_reply(request, 426, upgrade, 2, SPAN("This is a WebSocket endpoint.\n"));
    }
    return request_reply_error(request, 404, "nothing answers at this path");
}

static void end_of_chain(struct weir_request *request)
{
    if (request->wants_session) {
        upgrade_accept(request);
        return;
    }
    enum weir_err err = answer_default(request);
    (void)err; /* the connection has been closed when it could not be sent */
}

static void take_verdict(struct weir_request *request, enum weir_verdict verdict)
{
    switch (verdict) {
    case WEIR_NEXT:
        request_walk(request);
        break;
    case WEIR_WAIT:
        request->waiting = true;
        connection_hold_input(request->connection, !request->body_wanted);
        break;
    case WEIR_ACCEPT:
        upgrade_accept(request);
        break;
    case WEIR_REPLY:
        break;
    case WEIR_DROP:
    case WEIR_CLOSE:
        connection_close(request->connection, WEIR_CLOSE_DROPPED);
        break;
    }
}

void request_walk(struct weir_request *request)
{
    const struct route *route = request->route;
    while (request->walk < route->chain_count) {
        unsigned seat = request->walk++;
        const struct chain_link *link = &route->chain[seat];
        if (link->ops->on_request != NULL) {
            take_verdict(request, link->ops->on_request(link->self, request, seat));
            return;
        }
    }
    end_of_chain(request);
}

void request_resume(struct weir_request *request, unsigned seat, enum weir_verdict verdict)
{
    WEIR_CHECK(verdict != WEIR_WAIT);
    if (!request->waiting || request->walk != seat + 1 || request->ended) {
        return;
    }
    request->waiting = false;
    take_verdict(request, verdict);
    if (!request->waiting && !request->became_session) {
        connection_hold_input(request->connection, false);
    }
}

static void unwind(struct weir_request *request, enum close_reason reason)
{
    struct weir_ending ending = {
        .struct_size = sizeof ending,
        .status = request->status,
        .closed_by = close_reason_closed_by(reason),
        .words = close_reason_words(reason),
        .duration_us = clock_monotonic_us() - request->started_us,
        .bytes_in = request->bytes_in,
        .bytes_out = request->bytes_out,
    };
    while (request->walk > 0) {
        unsigned seat = --request->walk;
        const struct chain_link *link = &request->route->chain[seat];
        if (link->ops->on_done != NULL) {
            link->ops->on_done(link->self, request, seat, &ending);
        }
    }
}

void request_end(struct weir_request **request, enum close_reason reason)
{
    struct weir_request *ended = *request;
    *request = NULL;
    ended->ended = true;
    if (!ended->became_session) {
        unwind(ended, reason);
    }
    request_extra_free(ended);
    free(ended->client_subject);
    free(ended);
}

enum close_reason request_done_reason(const struct weir_request *request)
{
    if (!request->switched) {
        return WEIR_CLOSE_HTTP_DONE;
    }
    return request->client_ended_first ? WEIR_CLOSE_CLIENT : WEIR_CLOSE_BACKEND;
}

bool request_needs_client(const struct weir_request *request)
{
    return request->watched && !request->reply_done;
}

enum close_reason request_lost_reason(const struct weir_request *request)
{
    return request_needs_client(request) ? WEIR_CLOSE_ABORTED : WEIR_CLOSE_RESET;
}

void request_drained(struct weir_request *request)
{
    for (unsigned seat = request->walk; seat-- > 0;) {
        const struct chain_link *link = &request->route->chain[seat];
        if (link->ops->on_reply_drain != NULL && !request->reply_done) {
            link->ops->on_reply_drain(link->self, request, seat);
        }
    }
}
