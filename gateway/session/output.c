/* The cork and its bypass. Called by replies and by the WebSocket peer. It never waits: what the
 * kernel does not take is the stream's to queue, and the connection's to slow down. */
#include "session/output.h"

#include <string.h>
#include <sys/uio.h>

#include "session/connection.h"

enum {
    LARGE_BYTES = 16 * 1024
};

static enum weir_err send_now(struct connection *connection, const struct iovec *pieces, int count)
{
    enum weir_err err = stream_write(&connection->stream, pieces, count);
    if (err != WEIR_OK) {
        connection_close(connection,
                         err == WEIR_ENOMEM ? WEIR_CLOSE_OUT_OF_MEMORY : WEIR_CLOSE_RESET);
        return WEIR_ECLOSED;
    }
    if (stream_queued(&connection->stream) > 0) {
        connection_output_grew(connection, false);
    }
    return WEIR_OK;
}

void output_uncork(struct cork *cork)
{
    struct connection *owner = cork->owner;
    size_t size = cork->size;
    cork->owner = NULL;
    cork->size = 0;
    if (owner != NULL && size > 0 && stream_is_open(&owner->stream)) {
        struct iovec piece = {cork->data, size};
        /* A failure has closed the connection, which is all there is to do. */
        enum weir_err ignored = send_now(owner, &piece, 1);
        (void)ignored;
    }
}

enum weir_err output_write(struct connection *connection, struct span head, struct span payload)
{
    struct cork *cork = &connection->worker->cork;
    if (connection->state == CONNECTION_DEAD) {
        return WEIR_ECLOSED; /* it is freed soon, and must not own the cork then */
    }
    if (cork->owner != connection) {
        output_uncork(cork);
        cork->owner = connection;
    }
    /* A large payload that nothing will follow is sent from where it lies: the copy costs more than
     * a call. One that more may follow is copied, since a call for each costs more than the copy.
     */
    bool bypasses = payload.size >= LARGE_BYTES && !cork->more_to_come;
    if (!bypasses && head.size + payload.size <= CORK_BYTES - cork->size) {
        memcpy(cork->data + cork->size, head.data, head.size);
        cork->size += head.size;
        if (payload.size > 0) {
            memcpy(cork->data + cork->size, payload.data, payload.size);
            cork->size += payload.size;
        }
        return WEIR_OK;
    }
    struct iovec pieces[3] = {
        {cork->data, cork->size},
        {(void *)(uintptr_t)head.data, head.size},
        {(void *)(uintptr_t)payload.data, payload.size},
    };
    bool corked = cork->size > 0;
    cork->size = 0;
    return send_now(connection, corked ? pieces : pieces + 1, corked ? 3 : 2);
}

size_t output_waiting(const struct connection *connection)
{
    const struct cork *cork = &connection->worker->cork;
    return stream_queued(&connection->stream) + (cork->owner == connection ? cork->size : 0);
}
