/* Two calls of the kernel for each move, as reading and writing have, but the bytes stay where they
 * are: for large reads that is much cheaper, for small ones a little dearer (docs/decisions, 014).
 * Called by tunnels that carry much. It never leaves a byte in the pipe, since the next move may be
 * of other streams. */
#include "net/splicer.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/check.h"

void splicer_close(struct splicer *splicer)
{
    if (splicer->out >= 0) {
        close(splicer->out);
        close(splicer->in);
    }
    splicer->out = -1;
    splicer->in = -1;
}

/* A smaller pipe than was asked for moves less at a time, which is no failure. */
static bool open_pipe(struct splicer *splicer)
{
    int ends[2];
    if (splicer->out >= 0) {
        return true;
    }
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) {
        return false;
    }
    splicer->out = ends[0];
    splicer->in = ends[1];
    (void)fcntl(splicer->in, F_SETPIPE_SZ, SPLICER_BYTES);
    return true;
}

bool splicer_can_move(const struct stream *from, const struct stream *to)
{
    return !stream_is_tls(from) && !stream_is_tls(to) && stream_is_open(from) &&
           stream_is_open(to) && !stream_is_connecting(to) && stream_queued(to) == 0 && !to->shut;
}

static enum weir_err from_errno(void)
{
    if (errno == EAGAIN || errno == EINTR) {
        return WEIR_AGAIN;
    }
    return errno == EINVAL || errno == ENOSYS ? WEIR_EINVAL : WEIR_EIO;
}

/* What `to` takes of the `left` bytes in the pipe. */
static size_t push(const struct splicer *splicer, const struct stream *to, size_t left)
{
    while (left > 0) {
        ssize_t sent =
            splice(splicer->out, NULL, to->fd, NULL, left, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (sent <= 0) {
            break;
        }
        left -= (size_t)sent;
    }
    return left;
}

/* Empties the pipe into the queue of `to`; its write tells when `to` takes nothing any more. */
static enum weir_err queue_rest(const struct splicer *splicer, struct stream *to, uint8_t *scratch,
                                size_t left)
{
    size_t have = 0;
    while (have < left) {
        ssize_t got = read(splicer->out, scratch + have, left - have);
        WEIR_CHECK(got > 0); /* we have put them there, and nobody else reads */
        have += (size_t)got;
    }
    const struct iovec rest = {scratch, left};
    return stream_write(to, &rest, 1);
}

enum weir_err splicer_move(struct splicer *splicer, struct stream *from, struct stream *to,
                           uint8_t *scratch, size_t *moved, enum weir_err *written)
{
    WEIR_CHECK(splicer_can_move(from, to));
    if (!open_pipe(splicer)) {
        return WEIR_EINVAL;
    }
    ssize_t got =
        splice(from->fd, NULL, splicer->in, NULL, SPLICER_BYTES, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (got < 0) {
        return from_errno();
    }
    if (got == 0) {
        return WEIR_ECLOSED;
    }
    size_t left = push(splicer, to, (size_t)got);
    *moved = (size_t)got;
    *written = left > 0 ? queue_rest(splicer, to, scratch, left) : WEIR_OK;
    return WEIR_OK;
}
