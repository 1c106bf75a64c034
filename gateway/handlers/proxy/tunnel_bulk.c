/* A tunnel's directions that bring much at a time: bytes from one socket to the other without
 * coming into the program (decision 014). A move that brings little, or cannot be, gives the
 * direction back to reading and writing. Called by tunnel.c, and by the session where the client is
 * read. */
#include "base/check.h"
#include "handlers/proxy/tunnel_internal.h"
#include "net/splicer.h"
#include "session/worker_access.h"

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
        tunnel_bulk_out(tunnel, false);
        return WEIR_AGAIN;
    }
    size_t room = 0;
    enum weir_err written = WEIR_OK;
    uint8_t *scratch = worker_read_buffer(tunnel->proxy->worker, &room);
    WEIR_CHECK(room >= SPLICER_BYTES);
    enum weir_err err =
        splicer_move(worker_splicer(tunnel->proxy->worker), client, stream, scratch, got, &written);
    if (needs_read(tunnel, err)) {
        tunnel_bulk_out(tunnel, false);
        return WEIR_AGAIN;
    }
    if (err != WEIR_OK) {
        return err;
    }
    tunnel->moved_ms = tunnel_now_ms(tunnel);
    tunnel->bytes_sent += *got;
    tunnel_bulk_out(tunnel, *got >= TUNNEL_BULK_BYTES);
    if (written != WEIR_OK) {
        tunnel_unwritable(tunnel);
    } else if (stream_queued(stream) > 0) {
        tunnel_pause_client(tunnel, true); /* what is moved next would overtake it */
    }
    return WEIR_OK;
}

void tunnel_bulk_out(struct tunnel *tunnel, bool on)
{
    if (tunnel->bulk_out != on && !(on && tunnel->no_splice)) {
        tunnel->bulk_out = on;
        request_pull(tunnel->request, on ? pull : NULL, tunnel);
    }
}

/* --- from the backend --- */

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
        tunnel_ended(tunnel, err);
        return false;
    }
    bool full = false;
    tunnel->moved_ms = tunnel_now_ms(tunnel);
    tunnel->bytes_received += moved;
    tunnel->bulk_back = moved >= TUNNEL_BULK_BYTES;
    if (written != WEIR_OK) {
        tunnel_cut(tunnel, WEIR_CLOSE_RESET);
        return false;
    }
    request_pipe_moved(tunnel->request, moved, &full);
    tunnel->full = full;
    return !full && moved == SPLICER_BYTES;
}

/* While anything waits for the client, nothing may overtake it. */
bool tunnel_bulk_back(struct tunnel *tunnel)
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
