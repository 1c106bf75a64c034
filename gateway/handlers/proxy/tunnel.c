/* The hottest path of all: what one side sends goes to the other from the buffer it was read into,
 * with one call of the kernel each. A direction that brings much at a time is moved within the
 * kernel, until it brings little again (decision 014). An idle tunnel owns no buffer; its timer is
 * looked at when it fires and not moved by traffic. Called by proxy.c for what the client sends,
 * and by the backend. It never looks at the bytes. */
#include "handlers/proxy/tunnel.h"

#include <stdlib.h>

#include "base/check.h"
#include "net/loop.h"
#include "net/splicer.h"
#include "session/request.h"
#include "session/worker_access.h"

enum {
    QUEUE_HIGH = 256 * 1024, /* waiting for the backend: the client is not read */
    QUEUE_LOW = 64 * 1024,   /* it is again */
    READ_ROUNDS = 8,         /* reads of one backend in one turn; the others wait meanwhile */
    BULK_BYTES = 32 * 1024   /* a read of so much is followed by moves within the kernel */
};

struct tunnel {
    uint32_t magic; /* first: what is in a seat is told by it */
    unsigned seat : 24;
    bool bulk_out : 1;      /* the client's bytes are moved within the kernel */
    bool bulk_back : 1;     /* the backend's are */
    bool no_splice : 1;     /* the system cannot do that here */
    bool paused : 1;        /* the client is not read */
    bool full : 1;          /* the client is behind; the backend is not read */
    bool backend_ended : 1; /* it has ended its direction */
    bool unwritable : 1; /* it takes nothing any more; its last words may still be on their way */
    struct proxy *proxy;
    struct weir_request *request;
    struct backend *backend; /* NULL once the tunnel is cut */
    uint64_t moved_ms;       /* when a byte last came, either way */
    uint64_t bytes_sent;     /* to the backend */
    uint64_t bytes_received;
};

static void ready(struct backend *backend, bool readable, bool writable);
static void timed_out(struct backend *backend);
static void dropped(struct backend *backend);

static const struct backend_ops OPS = {.ready = ready, .timed_out = timed_out, .dropped = dropped};

static uint64_t now_ms(const struct tunnel *tunnel)
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

static void cut(struct tunnel *tunnel, enum close_reason reason)
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

static void pause_client(struct tunnel *tunnel, bool on)
{
    if (tunnel->paused != on) {
        tunnel->paused = on;
        request_pause_body(tunnel->request, on);
    }
}

/* Reading tells of the end behind the last words. */
static void unwritable(struct tunnel *tunnel)
{
    tunnel->unwritable = true;
    if (tunnel->backend_ended) {
        cut(tunnel, WEIR_CLOSE_BACKEND_LOST);
    }
}

static void set_bulk_out(struct tunnel *tunnel, bool on);

/* Whether what a move has told is for a read to find out. Urgent data (RFC 9293, section 3.8.5)
 * stops every move, and a read passes over it; so nothing to move may not be taken for nothing to
 * read, nor for the end. */
static bool needs_read(struct tunnel *tunnel, enum weir_err err)
{
    tunnel->no_splice = tunnel->no_splice || err == WEIR_EINVAL;
    return err == WEIR_EINVAL || err == WEIR_AGAIN || err == WEIR_ECLOSED;
}

/* The client's bytes past the program; request_pull_fn. */
static enum weir_err pull(void *context, struct stream *client, size_t *got)
{
    struct tunnel *tunnel = context;
    WEIR_CHECK(tunnel->magic == TUNNEL_MAGIC);
    struct stream *stream = tunnel->backend != NULL ? &tunnel->backend->stream : NULL;
    if (stream == NULL || tunnel->unwritable || !splicer_can_move(client, stream)) {
        set_bulk_out(tunnel, false);
        return WEIR_AGAIN;
    }
    size_t room = 0;
    enum weir_err written = WEIR_OK;
    uint8_t *scratch = worker_read_buffer(tunnel->proxy->worker, &room);
    WEIR_CHECK(room >= SPLICER_BYTES);
    enum weir_err err =
        splicer_move(worker_splicer(tunnel->proxy->worker), client, stream, scratch, got, &written);
    if (needs_read(tunnel, err)) {
        set_bulk_out(tunnel, false);
        return WEIR_AGAIN;
    }
    if (err != WEIR_OK) {
        return err;
    }
    tunnel->moved_ms = now_ms(tunnel);
    tunnel->bytes_sent += *got;
    set_bulk_out(tunnel, *got >= BULK_BYTES);
    if (written != WEIR_OK) {
        unwritable(tunnel);
    } else if (stream_queued(stream) > 0) {
        pause_client(tunnel, true); /* what is moved next would overtake it */
    }
    return WEIR_OK;
}

static void set_bulk_out(struct tunnel *tunnel, bool on)
{
    if (tunnel->bulk_out != on && !(on && tunnel->no_splice)) {
        tunnel->bulk_out = on;
        request_pull(tunnel->request, on ? pull : NULL, tunnel);
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
        tunnel->moved_ms = now_ms(tunnel);
        tunnel->bytes_sent += piece.size;
        if (stream_write(stream, &whole, 1) != WEIR_OK) {
            unwritable(tunnel);
            return;
        }
    }
    if (last) {
        stream_shutdown(stream); /* behind what is queued */
    } else if (stream_queued(stream) > QUEUE_HIGH) {
        pause_client(tunnel, true);
    } else if (piece.size >= BULK_BYTES) {
        set_bulk_out(tunnel, true);
    }
}

/* --- from the backend --- */

/* Passes bytes on; false when the tunnel is over with it. */
static bool pass(struct tunnel *tunnel, struct span bytes)
{
    bool full = false;
    tunnel->moved_ms = now_ms(tunnel);
    tunnel->bytes_received += bytes.size;
    enum weir_err err = request_reply_body(tunnel->request, bytes, &full);
    if (err != WEIR_OK) {
        cut(tunnel, err == WEIR_ENOMEM ? WEIR_CLOSE_OUT_OF_MEMORY : WEIR_CLOSE_RESET);
        return false;
    }
    tunnel->full |= full;
    return true;
}

static void ended(struct tunnel *tunnel, enum weir_err err)
{
    if (err != WEIR_ECLOSED || stream_is_broken(&tunnel->backend->stream)) {
        cut(tunnel, WEIR_CLOSE_BACKEND_LOST);
        return;
    }
    tunnel->backend_ended = true;
    request_reply_end(tunnel->request); /* the client may still speak */
}

/* The backend's bytes past the program; whether another move may find more. */
static bool move_back(struct tunnel *tunnel, struct stream *client)
{
    struct stream *stream = &tunnel->backend->stream;
    size_t room = 0;
    size_t moved = 0;
    enum weir_err written = WEIR_OK;
    uint8_t *scratch = worker_read_buffer(tunnel->proxy->worker, &room);
    WEIR_CHECK(room >= SPLICER_BYTES);
    enum weir_err err = splicer_move(worker_splicer(tunnel->proxy->worker), stream, client, scratch,
                                     &moved, &written);
    if (needs_read(tunnel, err)) {
        tunnel->bulk_back = false;
        return true;
    }
    if (err != WEIR_OK) {
        ended(tunnel, err);
        return false;
    }
    bool full = false;
    tunnel->moved_ms = now_ms(tunnel);
    tunnel->bytes_received += moved;
    tunnel->bulk_back = moved >= BULK_BYTES;
    if (written != WEIR_OK) {
        cut(tunnel, WEIR_CLOSE_RESET);
        return false;
    }
    request_pipe_moved(tunnel->request, moved, &full);
    tunnel->full = full;
    return !full && moved == SPLICER_BYTES;
}

/* While anything waits for the client, nothing may overtake it. */
static bool bulk_once(struct tunnel *tunnel)
{
    struct stream *client = request_pipe_stream(tunnel->request);
    if (client == NULL) {
        return false; /* it has gone; on_done comes */
    }
    if (splicer_can_move(&tunnel->backend->stream, client)) {
        return move_back(tunnel, client);
    }
    bool full = false;
    request_pipe_moved(tunnel->request, 0, &full);
    tunnel->full = full;
    tunnel->bulk_back = full;
    return !full;
}

/* One read; whether another may find more. */
static bool read_once(struct tunnel *tunnel)
{
    if (tunnel->bulk_back) {
        return bulk_once(tunnel);
    }
    size_t room = 0;
    size_t got = 0;
    uint8_t *bytes = worker_read_buffer(tunnel->proxy->worker, &room);
    enum weir_err err = stream_read(&tunnel->backend->stream, bytes, room, &got);
    if (err == WEIR_OK) {
        tunnel->bulk_back = got >= BULK_BYTES && !tunnel->no_splice;
        return pass(tunnel, (struct span){bytes, got}) && got == room && !tunnel->full;
    }
    if (err != WEIR_AGAIN) {
        ended(tunnel, err);
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
    tunnel->moved_ms = now_ms(tunnel);
    if (tunnel->paused && stream_queued(stream) <= (tunnel->bulk_out ? 0 : QUEUE_LOW)) {
        pause_client(tunnel, false);
    }
}

static void ready(struct backend *backend, bool readable, bool writable)
{
    struct tunnel *tunnel = backend->owner;
    WEIR_CHECK(tunnel->magic == TUNNEL_MAGIC && tunnel->backend == backend);
    if (stream_is_broken(&backend->stream) && !readable && !tunnel->full) {
        cut(tunnel, WEIR_CLOSE_BACKEND_LOST);
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
        tunnel->moved_ms = now_ms(tunnel);
        read_on(tunnel);
    }
}

/* --- idling --- */

static void timed_out(struct backend *backend)
{
    struct tunnel *tunnel = backend->owner;
    WEIR_CHECK(tunnel->magic == TUNNEL_MAGIC && tunnel->backend == backend);
    uint64_t limit = tunnel->proxy->settings->idle_timeout_ms;
    uint64_t silent = now_ms(tunnel) - tunnel->moved_ms;
    if (silent < limit) {
        backend_set_timeout(backend, limit - silent);
    } else {
        cut(tunnel, WEIR_CLOSE_TUNNEL_IDLE);
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
    tunnel->moved_ms = now_ms(tunnel);
    const struct stream *client = request_pipe_stream(tunnel->request);
    tunnel->no_splice = client == NULL || stream_is_tls(client) || stream_is_tls(&backend->stream);
    backend_own(backend, &OPS, tunnel);
    backend_set_timeout(backend, tunnel->proxy->settings->idle_timeout_ms);
    if (early.size == 0 || pass(tunnel, early)) {
        read_on(tunnel);
    }
}
