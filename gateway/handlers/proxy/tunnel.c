/* The hottest path of all: what one side sends goes to the other from the buffer it was read into,
 * with one call of the kernel each. A direction that brings much at a time is moved within the
 * kernel, until it brings little again (decision 014). An idle tunnel owns no buffer; its timer is
 * looked at when it fires and not moved by traffic. Called by proxy.c for what the client sends,
 * and by the backend. It never looks at the bytes. */
#include "handlers/proxy/tunnel_internal.h"

#include <stdlib.h>

#include "base/check.h"
#include "net/loop.h"
#include "session/worker_access.h"

enum {
    QUEUE_HIGH = 256 * 1024, /* waiting for the backend: the client is not read */
    QUEUE_LOW = 64 * 1024,   /* it is again */
    READ_ROUNDS = 8          /* reads of one backend in one turn; the others wait meanwhile */
};

static void ready(struct backend *backend, bool readable, bool writable);
static void timed_out(struct backend *backend);
static void dropped(struct backend *backend);

static const struct backend_ops OPS = {.ready = ready, .timed_out = timed_out, .dropped = dropped};

uint64_t tunnel_now_ms(const struct tunnel *tunnel)
{
    return loop_now_ms(worker_loop(tunnel->proxy->worker));
}

/* --- beginning and end --- */

struct tunnel *tunnel_new(struct proxy *proxy, struct weir_request *request, unsigned seat)
{
    struct tunnel *tunnel = calloc(1, sizeof *tunnel);
    if (tunnel == NULL) {
        return NULL;
    }
    tunnel->magic = TUNNEL_MAGIC;
    tunnel->seat = seat & 0xffffff;
    tunnel->proxy = proxy;
    tunnel->request = request;
    *request_seat(request, seat) = tunnel;
    return tunnel;
}

void tunnel_cut(struct tunnel *tunnel, enum close_reason reason)
{
    backend_close(&tunnel->backend);
    request_reply_abort(tunnel->request, reason);
}

void tunnel_done(struct tunnel *tunnel)
{
    WEIR_CHECK(tunnel->magic == TUNNEL_MAGIC);
    struct request_upstream *record = request_upstream_record(tunnel->request);
    if (record != NULL) {
        record->bytes_sent += tunnel->bytes_sent;
        record->bytes_received += tunnel->bytes_received;
    }
    backend_close(&tunnel->backend);
    *request_seat(tunnel->request, tunnel->seat) = NULL;
    tunnel->magic = 0;
    free(tunnel); /* on_done comes from no callback of the backend's */
}

/* --- from the client --- */

void tunnel_pause_client(struct tunnel *tunnel, bool on)
{
    if (tunnel->paused != on) {
        tunnel->paused = on;
        request_pause_body(tunnel->request, on);
    }
}

/* Reading tells of the end behind the last words. */
void tunnel_unwritable(struct tunnel *tunnel)
{
    tunnel->unwritable = true;
    if (tunnel->backend_ended) {
        tunnel_cut(tunnel, WEIR_CLOSE_BACKEND_LOST);
    }
}

void tunnel_body(struct tunnel *tunnel, struct span piece, bool last)
{
    WEIR_CHECK(tunnel->magic == TUNNEL_MAGIC);
    if (tunnel->backend == NULL || tunnel->unwritable) {
        return;
    }
    struct stream *stream = &tunnel->backend->stream;
    if (piece.size > 0) {
        const struct iovec whole = {(void *)(uintptr_t)piece.data, piece.size};
        tunnel->moved_ms = tunnel_now_ms(tunnel);
        tunnel->bytes_sent += piece.size;
        if (stream_write(stream, &whole, 1) != WEIR_OK) {
            tunnel_unwritable(tunnel);
            return;
        }
    }
    if (last) {
        stream_shutdown(stream); /* behind what is queued */
    } else if (stream_queued(stream) > QUEUE_HIGH) {
        tunnel_pause_client(tunnel, true);
    } else if (piece.size >= TUNNEL_BULK_BYTES) {
        tunnel_bulk_out(tunnel, true);
    }
}

/* --- from the backend --- */

/* Passes bytes on; false when the tunnel is over with it. */
static bool pass(struct tunnel *tunnel, struct span bytes)
{
    bool full = false;
    tunnel->moved_ms = tunnel_now_ms(tunnel);
    tunnel->bytes_received += bytes.size;
    enum weir_err err = request_reply_body(tunnel->request, bytes, &full);
    if (err != WEIR_OK) {
        tunnel_cut(tunnel, err == WEIR_ENOMEM ? WEIR_CLOSE_OUT_OF_MEMORY : WEIR_CLOSE_RESET);
        return false;
    }
    tunnel->full |= full;
    return true;
}

void tunnel_ended(struct tunnel *tunnel, enum weir_err err)
{
    if (err != WEIR_ECLOSED || stream_is_broken(&tunnel->backend->stream)) {
        tunnel_cut(tunnel, WEIR_CLOSE_BACKEND_LOST);
        return;
    }
    tunnel->backend_ended = true;
    request_reply_end(tunnel->request); /* the client may still speak */
}

/* One read; whether another may find more. */
static bool read_once(struct tunnel *tunnel)
{
    if (tunnel->bulk_back) {
        return tunnel_bulk_back(tunnel);
    }
    size_t room = 0;
    size_t got = 0;
    uint8_t *bytes = worker_read_buffer(tunnel->proxy->worker, &room);
    enum weir_err err = stream_read(&tunnel->backend->stream, bytes, room, &got);
    if (err == WEIR_OK) {
        tunnel->bulk_back = got >= TUNNEL_BULK_BYTES && !tunnel->no_splice;
        return pass(tunnel, (struct span){bytes, got}) && got == room && !tunnel->full;
    }
    if (err != WEIR_AGAIN) {
        tunnel_ended(tunnel, err);
    }
    return false;
}

static void read_on(struct tunnel *tunnel)
{
    struct stream *stream = &tunnel->backend->stream;
    bool reading = !tunnel->full && !tunnel->backend_ended;
    stream_set_reading(stream, reading);
    if (reading && stream_has_pending(stream)) {
        stream_wake(stream);
    }
}

static void written(struct tunnel *tunnel)
{
    struct stream *stream = &tunnel->backend->stream;
    tunnel->moved_ms = tunnel_now_ms(tunnel);
    if (tunnel->paused && stream_queued(stream) <= (tunnel->bulk_out ? 0 : QUEUE_LOW)) {
        tunnel_pause_client(tunnel, false);
    }
}

static void ready(struct backend *backend, bool readable, bool writable)
{
    struct tunnel *tunnel = backend->owner;
    WEIR_CHECK(tunnel->magic == TUNNEL_MAGIC && tunnel->backend == backend);
    if (stream_is_broken(&backend->stream) && !readable && !tunnel->full) {
        tunnel_cut(tunnel, WEIR_CLOSE_BACKEND_LOST);
        return;
    }
    if (writable) {
        written(tunnel);
    }
    if (readable) {
        for (int round = 0; round < READ_ROUNDS && read_once(tunnel); round++) {
        }
    }
    if (tunnel->backend != NULL) {
        read_on(tunnel);
    }
}

void tunnel_drained(struct tunnel *tunnel)
{
    WEIR_CHECK(tunnel->magic == TUNNEL_MAGIC);
    tunnel->full = false;
    if (tunnel->backend != NULL) {
        tunnel->moved_ms = tunnel_now_ms(tunnel);
        read_on(tunnel);
    }
}

/* --- idling --- */

static void timed_out(struct backend *backend)
{
    struct tunnel *tunnel = backend->owner;
    WEIR_CHECK(tunnel->magic == TUNNEL_MAGIC && tunnel->backend == backend);
    uint64_t limit = tunnel->proxy->settings->idle_timeout_ms;
    uint64_t silent = tunnel_now_ms(tunnel) - tunnel->moved_ms;
    if (silent < limit) {
        backend_set_timeout(backend, limit - silent);
    } else {
        tunnel_cut(tunnel, WEIR_CLOSE_TUNNEL_IDLE);
    }
}

/* The worker stops; the request ends by itself. */
static void dropped(struct backend *backend)
{
    struct tunnel *tunnel = backend->owner;
    WEIR_CHECK(tunnel->magic == TUNNEL_MAGIC);
    tunnel->backend = NULL;
}

void tunnel_start(struct tunnel *tunnel, struct backend *backend, struct span early)
{
    tunnel->backend = backend;
    tunnel->moved_ms = tunnel_now_ms(tunnel);
    const struct stream *client = request_pipe_stream(tunnel->request);
    tunnel->no_splice = client == NULL || stream_is_tls(client) || stream_is_tls(&backend->stream);
    backend_own(backend, &OPS, tunnel);
    backend_set_timeout(backend, tunnel->proxy->settings->idle_timeout_ms);
    if (early.size == 0 || pass(tunnel, early)) {
        read_on(tunnel);
    }
}
