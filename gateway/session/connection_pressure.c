/* Back-pressure: a client that does not read what it is sent is not read from either, until it has
 * caught up. Called by the output when the kernel takes no more, and by the stream when it has. */
#include "session/connection_internal.h"
#include "session/output.h"
#include "session/request_internal.h"
#include "session/session_internal.h"

enum {
    HIGH_WATERMARK_PART = 2, /* of the queue's limit: reading pauses */
    LOW_WATERMARK_PART = 8,  /* of the queue's limit: reading goes on */
    HTTP_QUEUE_BYTES = 512 * 1024
};

bool connection_is_queued(const struct connection *connection)
{
    return stream_queued(&connection->stream) > 0;
}

static uint64_t queue_limit(const struct connection *connection)
{
    return connection->session != NULL
               ? connection->request->route->config->websocket->max_queue_size
               : HTTP_QUEUE_BYTES;
}

static bool is_above_high(const struct connection *connection, size_t bytes)
{
    return bytes >= queue_limit(connection) / HIGH_WATERMARK_PART;
}

bool connection_keeps_up(struct connection *connection)
{
    if (!connection->choked && is_above_high(connection, output_waiting(connection))) {
        cork_flush(&connection->worker->cork); /* what the kernel takes has not to wait */
    }
    return !connection->choked && connection->state != CONNECTION_DEAD;
}

void connection_output_grew(struct connection *connection, bool full)
{
    if (connection->state == CONNECTION_DEAD) {
        return;
    }
    if (!connection->was_queued) {
        connection->was_queued = true;
        connection->since_ms = connection_now_ms(connection);
        connection_schedule(connection);
    }
    connection->was_full |= full;
    if (!connection->choked && connection->state <= CONNECTION_SESSION &&
        is_above_high(connection, stream_queued(&connection->stream))) {
        connection->choked = true;
        connection_update_reading(connection);
    }
}

void connection_output_moved(struct connection *connection)
{
    size_t queued = stream_queued(&connection->stream);
    connection->since_ms = connection_now_ms(connection);
    connection->was_queued = queued > 0;
    if (connection->state == CONNECTION_LINGER && queued == 0 && connection->peer_ended) {
        connection_close(connection, (enum close_reason)connection->reason);
    }
    if ((!connection->choked && !connection->was_full) ||
        queued > queue_limit(connection) / LOW_WATERMARK_PART) {
        return;
    }
    bool told = connection->was_full;
    if (connection->session != NULL && connection->choked) {
        /* The pong may have come while it was not read; who takes bytes is alive. */
        connection->session->pinged_ms = 0;
    }
    connection->choked = false;
    connection->was_full = false;
    if (told && connection->session != NULL) {
        session_drained(connection->session);
    } else if (told && connection->request != NULL && !connection->request->ended) {
        request_drained(connection->request);
    }
    connection_sweep_later(connection);
}
