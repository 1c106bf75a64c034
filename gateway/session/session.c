/* A session's beginning and end, and what plugins may do with it: send, ping, close. Messages walk
 * inwards in session_chain.c; frames are the peer's business (peer_*.c). */
#include "session/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/traffic.h"
#include "proto/utf8.h"
#include "proto/ws_close.h"
#include "session/output.h"
#include "session/session_internal.h"

static const struct config_websocket *settings(const struct weir_session *session)
{
    return session->request->route->config->websocket;
}

struct weir_session *session_new(struct weir_request *request, struct compression *compression)
{
    struct weir_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        compression_free(&compression);
        return NULL;
    }
    session->connection = request->connection;
    session->request = request;
    session->compression = compression;
    session->decoder.allows_compression = compression != NULL;
    /* From here on the request's counters count messages' payload. */
    request->bytes_in = 0;
    request->bytes_out = 0;
    traffic_add(session->connection->worker->traffic, TRAFFIC_SESSIONS_OPENED, 1);
    return session;
}

void session_keep_reason(struct weir_session *session, struct span reason)
{
    if (reason.size > 0) {
        session->close_reason = malloc(reason.size);
    }
    if (session->close_reason != NULL) {
        memcpy(session->close_reason, reason.data, reason.size);
        session->close_reason_size = (uint8_t)reason.size;
    }
}

/* The close code of RFC 6455, section 7.1.5: of the first close frame, whoever sent it; 1006
 * without any. */
static void fill_ending(const struct weir_session *session, enum close_reason reason,
                        struct weir_ending *ending)
{
    const struct weir_request *request = session->request;
    *ending = (struct weir_ending){
        .struct_size = sizeof *ending,
        .code = session->close_code != 0 ? session->close_code : WS_CLOSE_ABNORMAL,
        .reason = {(const uint8_t *)session->close_reason, session->close_reason_size},
        .status = request->status,
        .closed_by = session->by_client ? "client" : close_reason_closed_by(reason),
        .words = close_reason_words(reason),
        .duration_us = clock_monotonic_us() - request->started_us,
        .messages_in = session->messages_in,
        .messages_out = session->messages_out,
        .bytes_in = request->bytes_in,
        .bytes_out = request->bytes_out,
    };
}

void session_end(struct weir_session **session, enum close_reason reason)
{
    struct weir_session *ended = *session;
    struct weir_ending ending;
    fill_ending(ended, reason, &ending);
    for (unsigned seat = ended->request->walk; seat-- > 0;) {
        const struct chain_link *link = &ended->request->route->chain[seat];
        if (link->ops->on_close != NULL) {
            link->ops->on_close(link->self, ended, seat, &ending);
        }
    }
    *session = NULL;
    if (ended->tag != 0) {
        struct weir_worker *worker = ended->connection->worker;
        worker->session_ended(worker->broker, ended->tag);
    }
    directory_remove(ended->connection->worker, ended);
    traffic_add(ended->connection->worker->traffic, TRAFFIC_SESSIONS_CLOSED, 1);
    compression_free(&ended->compression);
    blob_free(&ended->message);
    session_forget_waits(ended);
    free(ended->close_reason);
    free(ended);
}

/* --- what plugins ask for --- */

struct weir_request *session_request(struct weir_session *session)
{
    return session->request;
}

uint64_t session_id(const struct weir_session *session)
{
    return session->connection->id;
}

void **session_seat(struct weir_session *session, unsigned seat)
{
    return request_seat(session->request, seat);
}

bool session_is_open(const struct weir_session *session)
{
    return !session->ended && !session->close_sent && !session->close_heard;
}

size_t session_buffered(const struct weir_session *session)
{
    return output_waiting(session->connection);
}

/* Whether the client is so far behind that nothing more is taken for it. What is only corked leaves
 * first: just a queue that has to wait for the client is followed by on_drain. */
static bool is_full(const struct weir_session *session)
{
    struct connection *connection = session->connection;
    uint64_t most = settings(session)->max_queue_size;
    if (output_waiting(connection) >= most && stream_queued(&connection->stream) < most) {
        cork_flush(&connection->worker->cork);
    }
    return stream_queued(&connection->stream) >= most;
}

/* Walks on_send from the plugin before `seat` outwards; whether the message goes on as it is. */
static bool walk_out(struct weir_session *session, unsigned seat,
                     const struct weir_message *message)
{
    const struct route *route = session->request->route;
    while (route->has_sender && seat-- > 0) {
        const struct chain_link *link = &route->chain[seat];
        if (link->ops->on_send != NULL &&
            link->ops->on_send(link->self, session, seat, message) != WEIR_NEXT) {
            return false;
        }
    }
    return true;
}

enum weir_err session_send(struct weir_session *session, unsigned seat, enum weir_kind kind,
                           struct span payload)
{
    if (!session_is_open(session)) {
        return WEIR_ECLOSED;
    }
    if (session->sends_pieces) {
        session->drain_due = true;
        return WEIR_ELIMIT;
    }
    if (is_full(session)) {
        connection_output_grew(session->connection, true);
        return WEIR_ELIMIT;
    }
    if (kind == WEIR_TEXT && !utf8_is_valid(payload.data, payload.size)) {
        return WEIR_EINVAL;
    }
    struct weir_message message = {kind, {payload.data, payload.size}};
    if (!walk_out(session, seat, &message)) {
        return WEIR_OK;
    }
    return session_is_open(session) ? peer_send(session, kind, payload) : WEIR_ECLOSED;
}

enum weir_err session_send_framed(struct weir_session *session, unsigned seat,
                                  const struct weir_message *message, struct span head)
{
    if (!session_is_open(session)) {
        return WEIR_ECLOSED;
    }
    if (session->sends_pieces || is_full(session)) {
        traffic_add(session->connection->worker->traffic, TRAFFIC_MESSAGES_MISSED, 1);
        return WEIR_ELIMIT;
    }
    if (!walk_out(session, seat, message)) {
        return WEIR_OK;
    }
    return session_is_open(session) ? peer_send_framed(session, message, head) : WEIR_ECLOSED;
}

uint32_t *session_tag(struct weir_session *session)
{
    return &session->tag;
}

enum weir_err session_ping(struct weir_session *session, struct span payload)
{
    if (payload.size > WS_CONTROL_MAX) {
        return WEIR_EINVAL;
    }
    if (!session_is_open(session)) {
        return WEIR_ECLOSED;
    }
    if (is_full(session)) {
        connection_output_grew(session->connection, true);
        return WEIR_ELIMIT;
    }
    return session_is_open(session) ? peer_send_control(session, WS_PING, payload) : WEIR_ECLOSED;
}

static void close_with(struct weir_session *session, uint16_t code, struct span why,
                       enum close_reason reason)
{
    peer_send_close(session, code, why);
    connection_session_closing(session->connection, reason);
}

enum weir_err session_close(struct weir_session *session, uint16_t code, struct span reason)
{
    return ws_close_code_is_sendable(code)
               ? session_close_as(session, WEIR_CLOSE_HANDLER, code, reason)
               : WEIR_EINVAL;
}

enum weir_err session_close_as(struct weir_session *session, enum close_reason why, uint16_t code,
                               struct span reason)
{
    if (code != WS_CLOSE_NO_STATUS && !ws_close_code_is_sendable(code)) {
        return WEIR_EINVAL;
    }
    if (!session_is_open(session)) {
        return WEIR_ECLOSED;
    }
    close_with(session, code, reason, why);
    return WEIR_OK;
}

void session_fail(struct weir_session *session)
{
    if (session_is_open(session)) {
        close_with(session, close_reason_code(WEIR_CLOSE_PLUGIN_ERROR), (struct span){0},
                   WEIR_CLOSE_PLUGIN_ERROR);
    }
}
