/* The body of a request on its way in: framed by length or chunks, limited, and handed to the
 * plugin that wants it, or thrown away. Called by the connection while a request is under way. */
#include "base/check.h"
#include "base/log.h"
#include "session/output.h"
#include "session/request_internal.h"

void request_take_body(struct weir_request *request, unsigned seat)
{
    if (request->ended) {
        return;
    }
    WEIR_CHECK(seat < request->walk);
    request->body_wanted = true;
    request->body_seat = (uint16_t)seat;
    connection_hold_input(request->connection, false);
}

void request_want_body(struct weir_request *request, unsigned seat)
{
    request_take_body(request, seat);
    if (!request->ended && request_awaits_continue(request)) {
        /* RFC 9110, section 10.1.1 */
        request->expects_continue = false;
        enum weir_err err = output_write(request->connection, SPAN("HTTP/1.1 100 Continue\r\n\r\n"),
                                         (struct span){0});
        (void)err; /* the connection has been closed */
    }
}

void request_pause_body(struct weir_request *request, bool on)
{
    bool is_read = !request->body_done && (!request->reply_done || request->switched);
    if (!request->ended && (is_read || !on)) {
        connection_pause_input(request->connection, on);
    }
}

enum request_framing request_framing(const struct weir_request *request, uint64_t *length)
{
    if (request->body_kind == HTTP_BODY_CHUNKED) {
        return REQUEST_CHUNKED;
    }
    if (request->body_kind != HTTP_BODY_LENGTH) {
        return REQUEST_NO_BODY;
    }
    *length = request->bytes_in + request->body.left;
    return *length > 0 ? REQUEST_LENGTH : REQUEST_NO_BODY;
}

bool request_awaits_continue(const struct weir_request *request)
{
    return request->expects_continue && !request->body_done && request_is_unanswered(request);
}

void request_watch_client(struct weir_request *request)
{
    if (request->ended || request->switched) {
        return;
    }
    request->watched = true;
    if (request->connection->peer_ended) {
        connection_close(request->connection, WEIR_CLOSE_ABORTED);
    }
}

static void deliver(struct weir_request *request, struct span piece)
{
    const struct chain_link *link = &request->route->chain[request->body_seat];
    if (request->body_wanted && link->ops->on_body != NULL) {
        struct weir_bytes bytes = {piece.data, piece.size};
        link->ops->on_body(link->self, request, request->body_seat, bytes, request->body_done);
    }
}

static void refuse(struct weir_request *request, unsigned status, const char *why)
{
    if (request_is_unanswered(request)) {
        request->keep_alive = false;
        enum weir_err err = request_reply_error(request, status, why);
        (void)err; /* the connection has been closed */
        return;
    }
    if (request->reply_done) {
        /* A whole answer has been given before the body went wrong; it may still be on its way. */
        connection_finish(request->connection, WEIR_CLOSE_HTTP_BAD);
    } else {
        connection_close(request->connection, WEIR_CLOSE_HTTP_BAD);
    }
}

static size_t take_length(struct weir_request *request, const uint8_t *bytes, size_t size)
{
    size_t mine = size < request->body.left ? size : (size_t)request->body.left;
    request->body.left -= mine;
    request->body_done = request->body.left == 0;
    request->bytes_in += mine;
    deliver(request, (struct span){bytes, mine});
    return mine;
}

/* Kept for who forwards them; nobody else may see them (RFC 9110, section 6.5.1). */
static bool keep_trailer(struct weir_request *request, struct span piece)
{
    struct request_extra *extra = request->body_wanted ? request_extra(request) : NULL;
    if (!request->body_wanted) {
        return true;
    }
    return extra != NULL && blob_append(&extra->trailers, piece) == WEIR_OK;
}

static size_t take_chunks(struct weir_request *request, const uint8_t *bytes, size_t size)
{
    size_t consumed = 0;
    struct span data;
    const char *why = "";
    enum weir_err err =
        http_chunked_next(&request->body.chunked, bytes, size, &consumed, &data, &why);
    if (err == WEIR_AGAIN) {
        return consumed;
    }
    if (err != WEIR_OK) {
        refuse(request, 400, why);
        return size;
    }
    if (request->body.chunked.is_trailer && data.size > 0) {
        if (!keep_trailer(request, data)) {
            connection_close(request->connection, WEIR_CLOSE_OUT_OF_MEMORY);
        }
        return consumed;
    }
    request->bytes_in += data.size;
    if (request->bytes_in > request->route->config->max_body_size) {
        refuse(request, 413, "the body is over max_body_size");
        return size;
    }
    request->body_done = request->body.chunked.done;
    deliver(request, data);
    return consumed;
}

/* The client's direction of a pipe. */
static size_t take_bytes(struct weir_request *request, const uint8_t *bytes, size_t size)
{
    request->bytes_in += size;
    deliver(request, (struct span){bytes, size});
    return size;
}

void request_pipe_ended(struct weir_request *request)
{
    request->body_done = true;
    request->client_ended_first = !request->reply_done;
    deliver(request, (struct span){0});
    connection_sweep_later(request->connection);
}

void request_input(struct weir_request *request, const uint8_t *bytes, size_t size,
                   size_t *consumed)
{
    request->expects_continue = false; /* it does not wait any more */
    if (request->switched) {
        *consumed = take_bytes(request, bytes, size);
    } else if (request->body_kind == HTTP_BODY_LENGTH) {
        *consumed = take_length(request, bytes, size);
    } else {
        *consumed = take_chunks(request, bytes, size);
    }
}
