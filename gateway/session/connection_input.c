/* From the socket to whoever the connection's state says: heads, bodies, frames. Reads go to the
 * worker's buffer, or straight to the message under way; the connection keeps bytes of its own only
 * while they cannot be used. */
#include <string.h>

#include "base/check.h"
#include "session/connection_internal.h"
#include "session/http_input.h"
#include "session/request_internal.h"
#include "session/session_internal.h"

enum {
    READ_ROUNDS = 8 /* reads of one connection in one turn; the others wait meanwhile */
};

static size_t take(struct connection *connection, uint8_t *bytes, size_t size)
{
    size_t used = 0;
    switch ((enum connection_state)connection->state) {
    case CONNECTION_HEAD:
        if (!connection->choked) {
            used = http_input_head(connection, bytes, size);
        }
        break;
    case CONNECTION_REQUEST:
        if (!connection->request->body_done && !connection->hold_input && !connection->paused) {
            request_input(connection->request, bytes, size, &used);
            connection->since_ms = connection_now_ms(connection);
        }
        break;
    case CONNECTION_SESSION:
    case CONNECTION_CLOSING:
        used = peer_input(connection->session, bytes, size);
        break;
    case CONNECTION_PROXY_HEADER: /* read apart, before TLS */
    case CONNECTION_LINGER:
    case CONNECTION_DEAD:
        used = size;
        break;
    }
    connection_settle(connection);
    return used;
}

/* Uses up what it can of `bytes`; returns how many. */
static size_t consume(struct connection *connection, uint8_t *bytes, size_t size)
{
    size_t used = 0;
    while (used < size) {
        size_t took = take(connection, bytes + used, size - used);
        if (took == 0) {
            break;
        }
        used += took;
    }
    return used;
}

/* `is_new`: none of it had been kept before. */
static void keep(struct connection *connection, const uint8_t *bytes, size_t size, bool is_new)
{
    if (size == 0 || connection->state == CONNECTION_DEAD) {
        return;
    }
    if (blob_append(&connection->kept, (struct span){bytes, size}) != WEIR_OK) {
        connection_close(connection, WEIR_CLOSE_OUT_OF_MEMORY);
    } else if (connection->state == CONNECTION_HEAD && connection->served && is_new) {
        /* The next head has begun: header_timeout counts from its first byte. What drips in behind
         * it leaves the timer alone, for one that is due would move on by a tick each time. */
        connection->since_ms = connection_now_ms(connection);
        connection_schedule(connection);
    }
}

/* Goes on with what was kept, after whatever held it up. */
void connection_input_kept(struct connection *connection)
{
    struct blob *kept = connection->kept;
    if (kept == NULL) {
        return;
    }
    connection->kept = NULL;
    size_t used = consume(connection, kept->bytes, kept->size);
    keep(connection, kept->bytes + used, kept->size - used, false);
    if (connection->state == CONNECTION_HEAD && connection->kept != NULL) {
        connection_schedule(connection); /* by header_timeout, no longer by idle_timeout */
    }
    blob_free(&kept);
}

void connection_input_ended(struct connection *connection, enum weir_err err)
{
    connection->peer_ended = true;
    switch ((enum connection_state)connection->state) {
    case CONNECTION_HEAD:
        if (!stream_is_established(&connection->stream)) {
            connection_close(connection, WEIR_CLOSE_TLS_FAILED);
        } else if (err == WEIR_ECLOSED && connection->kept == NULL) {
            /* A client that says no more may still read the answers that are on their way. */
            connection_finish(connection, WEIR_CLOSE_CLIENT);
        } else {
            connection_close(connection, WEIR_CLOSE_RESET);
        }
        break;
    case CONNECTION_CLOSING:
        connection_close(connection, (enum close_reason)connection->reason);
        break;
    case CONNECTION_LINGER:
        /* While the last words are still on their way, they may. */
        if (err != WEIR_ECLOSED || !connection_is_queued(connection)) {
            connection_close(connection, (enum close_reason)connection->reason);
        }
        break;
    case CONNECTION_REQUEST:
        if (connection->request->switched && err == WEIR_ECLOSED) {
            request_pipe_ended(connection->request);
        } else {
            connection_close(connection, request_lost_reason(connection->request));
        }
        break;
    default:
        connection_close(connection, WEIR_CLOSE_RESET);
        break;
    }
}

/* One read into the message under way, where that is possible. */
static bool read_direct(struct connection *connection, bool *more)
{
    size_t room = 0;
    size_t got = 0;
    if ((connection->state != CONNECTION_SESSION) || connection->kept != NULL) {
        return false;
    }
    uint8_t *space = peer_input_space(connection->session, &room);
    if (space == NULL) {
        return false;
    }
    enum weir_err err = stream_read(&connection->stream, space, room, &got);
    if (err == WEIR_OK) {
        peer_input_direct(connection->session, got);
        *more = got == room;
    } else {
        *more = false;
        if (err != WEIR_AGAIN) {
            connection_input_ended(connection, err);
        }
    }
    return true;
}

/* Lets the handler of a pipe read the client by its own means, where it does. */
static bool read_pulled(struct connection *connection)
{
    enum weir_err err = WEIR_OK;
    if (connection->state != CONNECTION_REQUEST || connection->kept != NULL ||
        !request_pulls(connection->request, &err)) {
        return false;
    }
    if (err != WEIR_OK && err != WEIR_AGAIN) {
        connection_input_ended(connection, err);
    }
    return true;
}

static size_t read_size(const struct connection *connection)
{
    if (connection->session != NULL) {
        uint64_t wanted = connection->request->route->config->websocket->receive_buffer_size;
        return wanted < WORKER_READ_BYTES ? (size_t)wanted : WORKER_READ_BYTES;
    }
    return WORKER_READ_BYTES;
}

/* One read into the worker's buffer, behind what was kept. */
static bool read_buffered(struct connection *connection)
{
    uint8_t *bytes = connection->worker->read_buffer;
    size_t before = blob_size(connection->kept);
    size_t room = read_size(connection);
    size_t got = 0;
    /* Only an incomplete head or frame is kept while reading goes on, and both are small. */
    WEIR_CHECK(before < WORKER_READ_BYTES);
    if (room > WORKER_READ_BYTES - before) {
        room = WORKER_READ_BYTES - before;
    }
    enum weir_err err = stream_read(&connection->stream, bytes + before, room, &got);
    if (err != WEIR_OK) {
        if (err != WEIR_AGAIN) {
            connection_input_ended(connection, err);
        }
        return false;
    }
    if (before > 0) {
        memcpy(bytes, connection->kept->bytes, before);
        blob_free(&connection->kept);
    }
    size_t size = before + got;
    size_t used = consume(connection, bytes, size);
    keep(connection, bytes + used, size - used, used >= before);
    return got == room;
}

void connection_input_read(struct connection *connection)
{
    bool more = true;
    for (int round = 0; round < READ_ROUNDS && more && connection_wants_reading(connection);
         round++) {
        if (connection->state == CONNECTION_PROXY_HEADER) {
            connection_read_proxy_header(connection);
        } else if (read_pulled(connection)) {
            more = false;
        } else if (!read_direct(connection, &more)) {
            more = read_buffered(connection);
        }
    }
}
