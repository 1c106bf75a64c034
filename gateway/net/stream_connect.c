/* How a stream begins that we have asked for: connect(2) without waiting, and what became of it.
 * Called by upstream/ for backends. Also a socket that is connected at once says so from the loop
 * only, so that the owner has one path. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "net/stream_internal.h"

static enum weir_err give_up(struct stream *stream, int fd)
{
    int error = errno;
    if (fd >= 0) {
        close(fd);
    }
    memset(stream, 0, sizeof *stream);
    stream->fd = -1;
    stream->ops = &stream_plain_ops;
    errno = error;
    return WEIR_EIO;
}

enum weir_err stream_connect(struct stream *stream, struct loop *loop,
                             const struct sockaddr *address, socklen_t size, stream_ready_fn ready)
{
    static const int on = 1;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return give_up(stream, fd);
    }
    if (address->sa_family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    /* EAGAIN is no promise to go on: a unix socket says so when its backlog is full, and nothing
     * would ever come of it (connect(2)). EINTR is one, as EINPROGRESS. */
    if (connect(fd, address, size) < 0 && errno != EINPROGRESS && errno != EINTR) {
        return give_up(stream, fd);
    }
    stream_open(stream, loop, fd, ready);
    stream->connecting = true;
    stream_watch(stream);
    if (!stream->watching) {
        errno = ENOMEM;
        return give_up(stream, fd);
    }
    return WEIR_OK;
}

bool stream_is_connecting(const struct stream *stream)
{
    return stream->connecting;
}

/* What was written meanwhile goes out, and our end behind it, if that was asked for too. */
static void send_queued(struct stream *stream)
{
    enum weir_err err = stream_flush(stream);
    if (err == WEIR_OK && stream->shut) {
        stream->ops->shutdown(stream);
    }
    if (err != WEIR_OK && err != WEIR_AGAIN) {
        stream_break(stream, stream->error);
    }
}

void stream_finish_connect(struct stream *stream)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
        error = errno;
    }
    stream->connecting = false;
    if (error == 0) {
        send_queued(stream);
    } else {
        stream_break(stream, error);
    }
    if (stream->broken) {
        event_del(&stream->event); /* once is enough: a dead socket is always ready */
        stream->watching = false;
        stream->ready(stream, false, false);
        return;
    }
    stream_watch(stream);
    stream->ready(stream, false, true);
}
