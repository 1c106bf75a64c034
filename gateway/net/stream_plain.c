/* A stream on a socket without TLS: recv and sendmsg, and errno put into our words. */
#include <errno.h>
#include <sys/socket.h>

#include "net/stream.h"

static enum weir_err from_errno(void)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        return WEIR_AGAIN;
    }
    return errno == EPIPE || errno == ECONNRESET ? WEIR_ECLOSED : WEIR_EIO;
}

static enum weir_err receive(int fd, void *bytes, size_t size, int flags, size_t *got)
{
    ssize_t n = recv(fd, bytes, size, flags);
    if (n > 0) {
        *got = (size_t)n;
        return WEIR_OK;
    }
    if (n == 0) {
        return WEIR_ECLOSED;
    }
    enum weir_err err = from_errno();
    return err == WEIR_AGAIN ? err : WEIR_EIO;
}

static enum weir_err plain_read(struct stream *stream, void *bytes, size_t size, size_t *got)
{
    return receive(stream->fd, bytes, size, 0, got);
}

enum weir_err stream_peek(struct stream *stream, void *bytes, size_t size, size_t *got)
{
    return receive(stream->fd, bytes, size, MSG_PEEK, got);
}

static enum weir_err plain_write(struct stream *stream, const struct iovec *pieces, int count,
                                 size_t *took)
{
    ssize_t n;
    if (count == 1) {
        n = send(stream->fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
    } else {
        struct msghdr message = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = (size_t)count};
        n = sendmsg(stream->fd, &message, MSG_NOSIGNAL);
    }
    if (n < 0) {
        return from_errno();
    }
    *took = (size_t)n;
    return WEIR_OK;
}

static bool plain_has_pending(const struct stream *stream)
{
    (void)stream;
    return false;
}

static enum weir_err plain_handshake(struct stream *stream, char *why, size_t why_size)
{
    (void)stream;
    (void)why;
    (void)why_size;
    return WEIR_OK;
}

static enum weir_err plain_look(struct stream *stream)
{
    char byte;
    size_t got;
    return receive(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT, &got);
}

static void plain_shutdown(struct stream *stream)
{
    shutdown(stream->fd, SHUT_WR);
}

static void plain_close(struct stream *stream)
{
    (void)stream;
}

const struct stream_ops stream_plain_ops = {
    .read = plain_read,
    .write = plain_write,
    .has_pending = plain_has_pending,
    .handshake = plain_handshake,
    .look = plain_look,
    .shutdown = plain_shutdown,
    .close = plain_close,
};
