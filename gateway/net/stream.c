/* The part that plain and TLS share: the queue, and which readiness the loop is asked for. Called
 * by session/ for clients and by upstream/ for backends. It never reads ahead and never keeps
 * input. */
#include "net/stream.h"

#include <errno.h>
#include <event2/buffer.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "net/stream_internal.h"

enum {
    FLUSH_PIECES = 16
};

static const struct timeval at_once = {0, 0};

static void stream_event(evutil_socket_t fd, short what, void *context);

/* Keeps the errno of a call that has told of the connection's end. */
static enum weir_err noted(struct stream *stream, enum weir_err err)
{
    if (err == WEIR_EIO || (err == WEIR_ECLOSED && errno != 0)) {
        stream->error = (uint8_t)errno;
    }
    return err;
}

static short wanted_interest(struct stream *stream)
{
    bool queued = stream_queued(stream) > 0;
    short wanted = EV_PERSIST;
    if (stream->connecting) {
        return EV_PERSIST | EV_WRITE; /* tells of success and failure alike: connect(2) */
    }
    if (stream->reading || (queued && stream->write_wants_read)) {
        wanted |= EV_READ;
    }
    if ((queued && !stream->write_wants_read) || (stream->reading && stream->read_wants_write)) {
        wanted |= EV_WRITE;
    }
    if (wanted == EV_PERSIST) {
        /* Nobody wants to read, but a peer that has gone shall not be waited for: edges tell of its
         * end, and do not turn on what lies unread. */
        wanted |= EV_READ | EV_ET;
        stream->woken = false;
    }
    return wanted;
}

void stream_watch(struct stream *stream)
{
    short wanted = wanted_interest(stream);
    if (stream->watching && wanted == stream->interest) {
        return;
    }
    if (stream->watching) {
        event_del(&stream->event);
        stream->watching = false;
    }
    stream->interest = wanted;
    event_assign(&stream->event, loop_base(stream->loop), stream->fd, wanted, stream_event, stream);
    stream->watching = event_add(&stream->event, stream->woken ? &at_once : NULL) == 0;
}

void stream_open(struct stream *stream, struct loop *loop, int fd, stream_ready_fn ready)
{
    memset(stream, 0, sizeof *stream);
    stream->loop = loop;
    stream->fd = fd;
    stream->ready = ready;
    stream->ops = &stream_plain_ops;
    event_assign(&stream->event, loop_base(loop), fd, EV_READ | EV_PERSIST, stream_event, stream);
}

void stream_close(struct stream *stream)
{
    if (stream->fd < 0) {
        return;
    }
    event_del(&stream->event); /* also takes back a wake-up that is under way */
    stream->watching = false;
    stream->ops->close(stream);
    if (stream->queue != NULL) {
        evbuffer_free(stream->queue);
        stream->queue = NULL;
    }
    close(stream->fd);
    stream->fd = -1;
}

bool stream_is_open(const struct stream *stream)
{
    return stream->fd >= 0;
}

enum weir_err stream_read(struct stream *stream, void *bytes, size_t size, size_t *got)
{
    if (stream->connecting) {
        return WEIR_AGAIN;
    }
    stream->read_wants_write = false;
    errno = 0;
    enum weir_err err = noted(stream, stream->ops->read(stream, bytes, size, got));
    if (stream->read_wants_write) {
        stream_watch(stream);
    }
    return err;
}

enum weir_err stream_handshake(struct stream *stream, char *why, size_t why_size)
{
    stream->read_wants_write = false;
    errno = 0;
    enum weir_err err = noted(stream, stream->ops->handshake(stream, why, why_size));
    if (stream->read_wants_write) {
        stream_watch(stream);
    }
    return err;
}

bool stream_has_pending(const struct stream *stream)
{
    return stream->ops->has_pending(stream);
}

void stream_set_reading(struct stream *stream, bool on)
{
    if (stream->reading != on && stream_is_open(stream)) {
        stream->reading = on;
        stream_watch(stream);
        if (on && stream->unread) {
            stream_wake(stream); /* the socket may have nothing more to tell of */
        }
        stream->unread = stream->unread && !on;
    }
}

void stream_wake(struct stream *stream)
{
    /* Not event_active: that would come back within this turn, before any timer and any other
     * socket, and for a peer that always has more, again and again. */
    if (stream->watching && stream_is_open(stream) && !stream->woken && !stream->connecting) {
        stream->woken = event_add(&stream->event, &at_once) == 0;
    }
}

size_t stream_queued(const struct stream *stream)
{
    return stream->queue != NULL ? evbuffer_get_length(stream->queue) : 0;
}

static enum weir_err enqueue(struct stream *stream, const struct iovec *pieces, int count,
                             size_t skip)
{
    if (stream->queue == NULL) {
        stream->queue = evbuffer_new();
        if (stream->queue == NULL) {
            return WEIR_ENOMEM;
        }
    }
    for (int i = 0; i < count; i++) {
        size_t size = pieces[i].iov_len;
        size_t from = skip < size ? skip : size;
        skip -= from;
        /* Adding nothing would still make room, which the next bytes would then be split over. TLS
         * must be offered what it could not send in one piece, as before (SSL_write(3)). */
        if (from < size &&
            evbuffer_add(stream->queue, (const char *)pieces[i].iov_base + from, size - from) < 0) {
            return WEIR_ENOMEM;
        }
    }
    return WEIR_OK;
}

static void drop_empty_queue(struct stream *stream)
{
    if (stream->queue != NULL && evbuffer_get_length(stream->queue) == 0) {
        evbuffer_free(stream->queue);
        stream->queue = NULL;
    }
}

enum weir_err stream_flush(struct stream *stream)
{
    while (stream_queued(stream) > 0) {
        struct evbuffer_iovec pieces[FLUSH_PIECES];
        size_t took = 0;
        int count = evbuffer_peek(stream->queue, -1, NULL, pieces, FLUSH_PIECES);
        if (count > FLUSH_PIECES) {
            count = FLUSH_PIECES;
        }
        stream->write_wants_read = false;
        errno = 0;
        enum weir_err err = noted(stream, stream->ops->write(stream, pieces, count, &took));
        if (err != WEIR_OK) {
            return err;
        }
        evbuffer_drain(stream->queue, took);
    }
    drop_empty_queue(stream);
    return WEIR_OK;
}

static size_t size_of(const struct iovec *pieces, int count)
{
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        total += pieces[i].iov_len;
    }
    return total;
}

enum weir_err stream_write(struct stream *stream, const struct iovec *pieces, int count)
{
    size_t took = 0;
    if (!stream_is_open(stream) || stream->shut) {
        return WEIR_ECLOSED;
    }
    if (stream_queued(stream) == 0 && !stream->connecting) {
        stream->write_wants_read = false;
        errno = 0;
        enum weir_err err = noted(stream, stream->ops->write(stream, pieces, count, &took));
        if (err == WEIR_OK && took == size_of(pieces, count)) {
            return WEIR_OK;
        }
        if (err != WEIR_OK && err != WEIR_AGAIN) {
            return err;
        }
    }
    enum weir_err err = enqueue(stream, pieces, count, took);
    stream_watch(stream);
    return err;
}

void stream_shutdown(struct stream *stream)
{
    if (stream_is_open(stream) && !stream->shut) {
        stream->shut = true;
        if (stream_queued(stream) == 0 && !stream->connecting) {
            stream->ops->shutdown(stream);
        }
    }
}

void stream_reset_at_close(struct stream *stream)
{
    struct linger at_once_and_hard = {.l_onoff = 1, .l_linger = 0};
    if (stream_is_open(stream)) {
        /* Where it fails the peer sees an end: all that can be done. */
        (void)setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &at_once_and_hard,
                         sizeof at_once_and_hard);
    }
}

void stream_break(struct stream *stream, int error)
{
    if (stream->queue != NULL) {
        evbuffer_free(stream->queue);
        stream->queue = NULL;
    }
    stream->shut = true;
    stream->broken = true;
    stream->error = (uint8_t)error;
}

static bool flush_on_event(struct stream *stream)
{
    if (stream_queued(stream) == 0) {
        return false;
    }
    enum weir_err err = stream_flush(stream);
    if (err == WEIR_OK && stream->shut) {
        stream->ops->shutdown(stream);
    }
    if (err != WEIR_OK && err != WEIR_AGAIN) {
        stream_break(stream, stream->error);
    }
    stream_watch(stream);
    return true;
}

bool stream_peer_is_gone(struct stream *stream)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (!stream_is_open(stream) || stream->broken) {
        return true;
    }
    if (stream->connecting) {
        return false;
    }
    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0) {
        stream->broken = true;
        stream->error = (uint8_t)error;
        return true;
    }
    errno = 0;
    enum weir_err err = noted(stream, stream->ops->look(stream));
    if (err == WEIR_EIO || err == WEIR_EPROTO) {
        stream->broken = true;
    }
    return err != WEIR_OK && err != WEIR_AGAIN;
}

static void stream_event(evutil_socket_t fd, short what, void *context)
{
    struct stream *stream = context;
    (void)fd;
    WEIR_CHECK(stream_is_open(stream));
    if ((what & EV_TIMEOUT) != 0) {
        /* libevent has taken the whole event off, not only its time. */
        stream->woken = false;
        stream->watching = false;
        stream_watch(stream);
    }
    if (stream->connecting) {
        stream_finish_connect(stream);
        return;
    }
    bool writable = flush_on_event(stream);
    if (!stream->reading &&
        (stream->broken || ((what & EV_READ) != 0 && stream_peer_is_gone(stream)))) {
        stream->ready(stream, false, false);
        return;
    }
    bool readable =
        stream->reading && ((what & (EV_READ | EV_TIMEOUT)) != 0 || stream->read_wants_write);
    if (readable || writable) {
        stream->ready(stream, readable, writable);
    }
}

int stream_error(const struct stream *stream)
{
    return stream->error;
}

bool stream_is_broken(const struct stream *stream)
{
    return stream->broken;
}

bool stream_is_tls(const struct stream *stream)
{
    return stream->tls != NULL;
}
