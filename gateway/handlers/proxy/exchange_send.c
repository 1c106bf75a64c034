/* The request on its way out: the head in one write, then the body piece by piece as the client
 * sends it, straight from the session's read buffer to the backend's socket; only small chunks are
 * gathered in the worker's cork, to leave together. What the kernel does not take queues in the
 * backend's stream, and when much of it does, the client is not read. Called
 * by exchange.c. A backend that takes no more may have answered already, so a failed write is no
 * failed request: what has come is still read. */
#include <stdio.h>

#include "base/check.h"
#include "handlers/proxy/exchange_internal.h"
#include "handlers/proxy/request_head.h"
#include "handlers/proxy/trailers.h"
#include "net/cork.h"
#include "session/worker_access.h"

enum {
    SMALL_BYTES = 4096,    /* chunks below are gathered: the copy costs less than a call */
    CHUNK_HEAD_BYTES = 20, /* 16 digits, CR LF and a terminator */
    PIECES_MAX = 3
};

void exchange_pause(struct exchange *exchange, bool on)
{
    if (exchange->paused != on) {
        exchange->paused = on;
        request_pause_body(exchange->request, on);
    }
}

void exchange_refuse_body(struct exchange *exchange)
{
    if (exchange->sending != SENDING_DONE) {
        exchange->sending = SENDING_REFUSED;
    }
    exchange_pause(exchange, false);
}

void exchange_flush(struct exchange *exchange)
{
    struct cork *cork = worker_cork(exchange->proxy->worker);
    if (cork_waiting(cork, &exchange->backend->stream) > 0) {
        cork_flush(cork);
    }
}

static enum weir_err write_pieces(struct exchange *exchange, const struct iovec *pieces, int count)
{
    exchange_flush(exchange);
    for (int i = 0; i < count; i++) {
        exchange->bytes_sent += pieces[i].iov_len;
    }
    exchange->moved_ms = exchange_now_ms(exchange);
    return stream_write(&exchange->backend->stream, pieces, count);
}

static struct iovec piece_of(struct span bytes)
{
    return (struct iovec){(void *)(uintptr_t)bytes.data, bytes.size};
}

/* --- the head --- */

enum weir_err exchange_send_head(struct exchange *exchange)
{
    struct buffer head = {0};
    enum weir_err err =
        request_head_write(exchange->proxy->settings, exchange->request, exchange->backend->server,
                           (enum exchange_kind)exchange->kind, exchange->bridge, &head);
    if (err == WEIR_OK) {
        struct iovec piece = piece_of(buffer_span(&head));
        err = write_pieces(exchange, &piece, 1);
        err = err == WEIR_OK || err == WEIR_ENOMEM ? err : WEIR_ECLOSED;
    }
    buffer_free(&head);
    if (err == WEIR_OK) {
        uint64_t length = 0;
        bool has_body = request_framing(exchange->request, &length) != REQUEST_NO_BODY;
        exchange->sending = has_body ? SENDING_BODY : SENDING_DONE;
        exchange_pause(exchange, false);
    }
    return err;
}

/* --- the body --- */

/* The cork's word on what became of small chunks. It may come from within a write to somebody
 * else's stream, so nothing is sent or closed here; the response tells what a backend that takes no
 * more makes of it. */
static void small_sent(struct stream *stream, enum weir_err err)
{
    struct exchange *exchange = ((struct backend *)(void *)stream)->owner;
    WEIR_CHECK(exchange->magic == EXCHANGE_MAGIC);
    if (err != WEIR_OK) {
        exchange->sending = SENDING_REFUSED;
        exchange_refuse_body(exchange);
    } else if (exchange->sending == SENDING_BODY && stream_queued(stream) > EXCHANGE_QUEUE_HIGH) {
        exchange_pause(exchange, true);
    }
}

/* A client may send thousands of chunks in what is one read here: a call for each would keep all
 * others of the worker waiting. */
static void gather(struct exchange *exchange, struct span head, struct span data)
{
    exchange->bytes_sent += head.size + data.size;
    exchange->moved_ms = exchange_now_ms(exchange);
    cork_write(worker_cork(exchange->proxy->worker), &exchange->backend->stream, small_sent, head,
               data);
}

/* One chunk (RFC 9112, section 7.1), in one write or a part of one. */
static enum weir_err write_chunk(struct exchange *exchange, struct span data)
{
    char head[CHUNK_HEAD_BYTES];
    int size = snprintf(head, sizeof head, "%zx\r\n", data.size);
    if (data.size < SMALL_BYTES) {
        gather(exchange, (struct span){(const uint8_t *)head, (size_t)size}, data);
        gather(exchange, SPAN("\r\n"), (struct span){0});
        return WEIR_OK;
    }
    const struct iovec pieces[PIECES_MAX] = {
        {head, (size_t)size}, piece_of(data), piece_of(SPAN("\r\n"))};
    return write_pieces(exchange, pieces, PIECES_MAX);
}

static enum weir_err write_last_chunk(struct exchange *exchange)
{
    struct buffer trailers = {0};
    enum weir_err err = trailers_filter(request_trailers(exchange->request), &trailers);
    if (err != WEIR_ENOMEM) { /* malformed ones are no part of the body; they are left out */
        gather(exchange, SPAN("0\r\n"), buffer_span(&trailers));
        gather(exchange, SPAN("\r\n"), (struct span){0});
        err = WEIR_OK;
    }
    buffer_free(&trailers);
    return err;
}

static enum weir_err write_body(struct exchange *exchange, struct span piece, bool last)
{
    enum weir_err err = WEIR_OK;
    if (!exchange->chunked_request) {
        const struct iovec whole = piece_of(piece);
        return piece.size > 0 ? write_pieces(exchange, &whole, 1) : WEIR_OK;
    }
    if (piece.size > 0) {
        err = write_chunk(exchange, piece);
    }
    return err == WEIR_OK && last ? write_last_chunk(exchange) : err;
}

void exchange_send_body(struct exchange *exchange, struct span piece, bool last)
{
    exchange->has_sent_body = true;
    exchange->expects = false;
    enum weir_err err = write_body(exchange, piece, last);
    if (err == WEIR_ENOMEM) {
        exchange_fail(exchange, 500, "out of memory");
        return;
    }
    if (err != WEIR_OK) {
        exchange_refuse_body(exchange);
        return;
    }
    if (exchange->sending != SENDING_BODY) {
        return; /* what was gathered could not be sent */
    }
    if (last) {
        exchange->sending = SENDING_DONE;
    } else if (stream_queued(&exchange->backend->stream) > EXCHANGE_QUEUE_HIGH) {
        exchange_pause(exchange, true);
    }
}

void exchange_sent(struct exchange *exchange)
{
    struct stream *stream = &exchange->backend->stream;
    exchange->moved_ms = exchange_now_ms(exchange);
    if (stream_is_broken(stream)) {
        exchange->sending = SENDING_REFUSED;
        exchange_refuse_body(exchange);
    } else if (exchange->paused && stream_queued(stream) <= EXCHANGE_QUEUE_LOW) {
        exchange_pause(exchange, false);
    }
}
