/* A connection's use of the cork. Called by replies and by the WebSocket peer. It never waits: what
 * the kernel does not take is the stream's to queue, and the connection's to slow down. */
#include "session/output.h"

#include "session/connection.h"

/* The cork has handed bytes to the stream. */
static void sent(struct stream *stream, enum weir_err err)
{
    struct connection *connection = (struct connection *)(void *)stream;
    if (err != WEIR_OK) {
        connection_close(connection,
                         err == WEIR_ENOMEM ? WEIR_CLOSE_OUT_OF_MEMORY : WEIR_CLOSE_RESET);
    } else if (stream_queued(stream) > 0) {
        connection_output_grew(connection, false);
    }
}

enum weir_err output_write(struct connection *connection, struct span head, struct span payload)
{
    if (connection->state == CONNECTION_DEAD) {
        return WEIR_ECLOSED; /* it is freed soon, and must not own the cork then */
    }
    cork_write(&connection->worker->cork, &connection->stream, sent, head, payload);
    return connection->state == CONNECTION_DEAD ? WEIR_ECLOSED : WEIR_OK;
}

size_t output_waiting(const struct connection *connection)
{
    return stream_queued(&connection->stream) +
           cork_waiting(&connection->worker->cork, &connection->stream);
}
