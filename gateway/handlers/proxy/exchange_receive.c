/* The response's body on its way back: read into the worker's buffer, unframed, and given to the
 * session from there, so that an idle exchange owns no buffer and nothing is copied here. When the
 * client is behind ("full"), the backend is not read, until on_reply_drain. Called by exchange.c
 * when the backend can be read, and by exchange_head.c for what came behind a head. */
#include "handlers/proxy/exchange_internal.h"
#include "handlers/proxy/trailers.h"
#include "session/worker_access.h"

/* --- the end of a response --- */

static void end_reply(struct exchange *exchange)
{
    struct buffer lines = {0};
    if (exchange->trailers.size > 0 &&
        trailers_filter(buffer_span(&exchange->trailers), &lines) == WEIR_OK) {
        request_reply_end_trailers(exchange->request, buffer_span(&lines));
    } else {
        request_reply_end(exchange->request);
    }
    buffer_free(&lines);
}

/* RFC 9112, section 9.3: the connection serves again only where both messages are whole, and
 * nothing that was not asked for has come. */
void exchange_complete(struct exchange *exchange, bool extra)
{
    exchange_flush(exchange);
    bool is_sent =
        exchange->sending == SENDING_DONE && stream_queued(&exchange->backend->stream) == 0;
    if (exchange->keep_alive && is_sent && !extra) {
        backend_keep(&exchange->backend);
    }
    exchange_over(exchange);
    end_reply(exchange);
}

/* --- pieces --- */

/* Passes a piece on; false when the exchange is over with it. */
static bool pass(struct exchange *exchange, struct span piece)
{
    bool full = false;
    if (exchange->reader != NULL && affinity_reader_feed(exchange->reader, piece)) {
        affinity_reader_free(&exchange->reader);
    }
    enum weir_err err = request_reply_body(exchange->request, piece, &full);
    if (err == WEIR_OK) {
        exchange->full |= full;
        return true;
    }
    if (err == WEIR_ECLOSED) {
        exchange_over(exchange); /* the client has gone; on_done comes */
    } else {
        exchange_abort(exchange, WEIR_CLOSE_OUT_OF_MEMORY);
    }
    return false;
}

static void take_length(struct exchange *exchange, struct span bytes)
{
    struct span piece = bytes;
    if (piece.size > exchange->body_left) {
        piece.size = (size_t)exchange->body_left;
    }
    exchange->body_left -= piece.size;
    if (pass(exchange, piece) && exchange->body_left == 0) {
        exchange_complete(exchange, bytes.size > piece.size);
    }
}

static void take_chunks(struct exchange *exchange, struct span bytes)
{
    while (exchange->state == EXCHANGE_BODY) {
        struct span data = {NULL, 0};
        size_t consumed = 0;
        const char *why = "";
        enum weir_err err =
            http_chunked_next(&exchange->chunked, bytes.data, bytes.size, &consumed, &data, &why);
        if (err == WEIR_AGAIN) {
            return;
        }
        if (err != WEIR_OK) {
            exchange_abort(exchange, WEIR_CLOSE_BACKEND_BODY);
            return;
        }
        bytes = span_from(bytes, consumed);
        if (data.size == 0) {
            exchange_complete(exchange, bytes.size > 0);
        } else if (!exchange->chunked.is_trailer) {
            pass(exchange, data);
        } else if (buffer_append(&exchange->trailers, data) != WEIR_OK) {
            exchange_abort(exchange, WEIR_CLOSE_OUT_OF_MEMORY);
        }
    }
}

void exchange_take_body(struct exchange *exchange, struct span bytes)
{
    switch (exchange->body) {
    case HTTP_RESPONSE_NONE:
        exchange_complete(exchange, bytes.size > 0);
        break;
    case HTTP_RESPONSE_LENGTH:
        if (bytes.size > 0) {
            take_length(exchange, bytes);
        }
        break;
    case HTTP_RESPONSE_CHUNKED:
        if (bytes.size > 0) {
            take_chunks(exchange, bytes);
        }
        break;
    case HTTP_RESPONSE_CLOSE:
        if (bytes.size > 0) {
            pass(exchange, bytes);
        }
        break;
    }
}

/* --- reading --- */

/* Whether the end of the connection is the end of a body that has no other. A reset may look like
 * an end once it was told of otherwise; but one that met our own writing says nothing of what the
 * backend had sent before. */
static bool is_end_of_body(const struct exchange *exchange, enum weir_err err)
{
    bool is_reset = err != WEIR_ECLOSED || (stream_is_broken(&exchange->backend->stream) &&
                                            exchange->sending != SENDING_REFUSED);
    return exchange->body == HTTP_RESPONSE_CLOSE && !is_reset;
}

/* The backend has ended its direction, or the connection is broken. */
static void ended(struct exchange *exchange, enum weir_err err)
{
    if (exchange->state == EXCHANGE_HEAD) {
        exchange_lost(exchange);
    } else if (is_end_of_body(exchange, err)) {
        exchange->keep_alive = false;
        exchange_complete(exchange, false);
    } else {
        exchange_abort(exchange, WEIR_CLOSE_BACKEND_LOST);
    }
}

/* One read; whether another may find more. */
static bool read_once(struct exchange *exchange)
{
    size_t room = 0;
    size_t got = 0;
    uint8_t *bytes = worker_read_buffer(exchange->proxy->worker, &room);
    enum weir_err err = stream_read(&exchange->backend->stream, bytes, room, &got);
    if (err == WEIR_AGAIN) {
        return false;
    }
    if (err != WEIR_OK) {
        ended(exchange, err);
        return false;
    }
    exchange->bytes_received += got;
    exchange->moved_ms = exchange_now_ms(exchange);
    if (exchange->state == EXCHANGE_HEAD) {
        exchange_take_head(exchange, (struct span){bytes, got});
    } else {
        exchange_take_body(exchange, (struct span){bytes, got});
    }
    return got == room;
}

void exchange_receive(struct exchange *exchange)
{
    for (int round = 0; round < EXCHANGE_READ_ROUNDS; round++) {
        if (!read_once(exchange) || exchange->backend == NULL || exchange->full) {
            return;
        }
    }
}
