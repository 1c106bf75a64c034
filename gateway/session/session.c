/* What plugins may do with a session, and its walk along the chain: open, messages inwards,
 * messages outwards, and the unwinding at its end. Frames are the peer's business (peer_*.c). */
#include "session/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
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
    session->opening = true;
    /* From here on the request's counters count messages' payload. */
    request->bytes_in = 0;
    request->bytes_out = 0;
    return session;
}

/* --- the walks
 * ------------------------------------------------------------------------------------------------------
 */

/* Keeps what the plugins behind `seat` have not seen yet; a copy only where there is one to see it.
 */
static bool park(struct weir_session *session, unsigned seat, const struct weir_message *message)
{
    const struct weir_request *request = session->request;
    session->waiting = true;
    session->seat = (uint8_t)seat;
    connection_hold_input(session->connection, true);
    for (unsigned next = seat + 1; message != NULL && next < request->walk; next++) {
        if (request->route->chain[next].ops->on_message != NULL) {
            session->parked = malloc(sizeof *session->parked + message->payload.size);
            if (session->parked == NULL) {
                return false;
            }
            session->parked->kind = message->kind;
            session->parked->size = message->payload.size;
            memcpy(session->parked->bytes, message->payload.data, message->payload.size);
            return true;
        }
    }
    return true;
}

/* Whether the walk goes on to the next seat. */
static bool take_verdict(struct weir_session *session, unsigned seat,
                         const struct weir_message *message, enum weir_verdict verdict)
{
    if (verdict == WEIR_NEXT) {
        return session_is_open(session);
    }
    if (verdict == WEIR_WAIT && !park(session, seat, message)) {
        session_fail(session);
    }
    if (verdict == WEIR_CLOSE && session_is_open(session)) {
        enum weir_err err = session_close(session, 1000, (struct span){0});
        (void)err; /* closing already is what was wanted */
    }
    return false;
}

static void walk_open(struct weir_session *session, unsigned seat)
{
    const struct weir_request *request = session->request;
    for (; seat < request->walk; seat++) {
        const struct chain_link *link = &request->route->chain[seat];
        if (link->ops->on_open != NULL &&
            !take_verdict(session, seat, NULL, link->ops->on_open(link->self, session, seat))) {
            return;
        }
    }
    session->opening = false;
}

void session_opened(struct weir_session *session)
{
    walk_open(session, 0);
}

void session_deliver(struct weir_session *session, unsigned seat,
                     const struct weir_message *message)
{
    const struct weir_request *request = session->request;
    for (; seat < request->walk; seat++) {
        const struct chain_link *link = &request->route->chain[seat];
        if (link->ops->on_message != NULL &&
            !take_verdict(session, seat, message,
                          link->ops->on_message(link->self, session, seat, message))) {
            return;
        }
    }
}

void session_pass(struct weir_session *session, unsigned seat, const struct weir_message *message)
{
    if (session_is_open(session)) {
        session_deliver(session, seat + 1, message);
    }
}

void session_resume(struct weir_session *session, unsigned seat, enum weir_verdict verdict)
{
    WEIR_CHECK(verdict != WEIR_WAIT);
    if (!session->waiting || session->seat != seat || session->ended) {
        return;
    }
    struct parked_message *parked = session->parked;
    session->parked = NULL;
    session->waiting = false;
    if (session->opening) {
        if (take_verdict(session, seat, NULL, verdict)) {
            walk_open(session, seat + 1);
        }
    } else if (take_verdict(session, seat, NULL, verdict) && parked != NULL) {
        struct weir_message message = {parked->kind, {parked->bytes, parked->size}};
        session_deliver(session, seat + 1, &message);
    }
    free(parked);
    connection_hold_input(session->connection, session->waiting);
}

void session_drained(struct weir_session *session)
{
    const struct weir_request *request = session->request;
    for (unsigned seat = request->walk; seat-- > 0 && session_is_open(session);) {
        const struct chain_link *link = &request->route->chain[seat];
        if (link->ops->on_drain != NULL) {
            link->ops->on_drain(link->self, session, seat);
        }
    }
}

/* The close code of RFC 6455, section 7.1.5: of the first close frame, whoever sent it; 1006
 * without any. */
static void fill_ending(const struct weir_session *session, enum close_reason reason,
                        struct weir_ending *ending)
{
    const struct weir_request *request = session->request;
    bool by_client = session->by_client || !close_reason_is_ours(reason);
    *ending = (struct weir_ending){
        .struct_size = sizeof *ending,
        .code = session->close_code != 0 ? session->close_code : WS_CLOSE_ABNORMAL,
        .reason = {(const uint8_t *)session->close_reason, session->close_reason_size},
        .status = request->status,
        .closed_by = by_client ? "client" : "gateway",
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
    compression_free(&ended->compression);
    blob_free(&ended->message);
    free(ended->parked);
    free(ended->close_reason);
    free(ended);
}

/* --- what plugins ask for
 * ---------------------------------------------------------------------------------------- */

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

static bool is_utf8(struct span text)
{
    struct utf8_state state = {0};
    return utf8_feed(&state, text.data, text.size) && utf8_is_complete(&state);
}

enum weir_err session_send(struct weir_session *session, unsigned seat, enum weir_kind kind,
                           struct span payload)
{
    const struct route *route = session->request->route;
    if (!session_is_open(session)) {
        return WEIR_ECLOSED;
    }
    if (session_buffered(session) >= settings(session)->max_queue_size) {
        connection_output_grew(session->connection, true);
        return WEIR_ELIMIT;
    }
    if (kind == WEIR_TEXT && !is_utf8(payload)) {
        return WEIR_EINVAL;
    }
    while (route->has_sender && seat-- > 0) {
        const struct chain_link *link = &route->chain[seat];
        struct weir_message message = {kind, {payload.data, payload.size}};
        if (link->ops->on_send != NULL &&
            link->ops->on_send(link->self, session, seat, &message) != WEIR_NEXT) {
            return WEIR_OK;
        }
    }
    return session_is_open(session) ? peer_send(session, kind, payload) : WEIR_ECLOSED;
}

enum weir_err session_ping(struct weir_session *session, struct span payload)
{
    if (payload.size > WS_CONTROL_MAX) {
        return WEIR_EINVAL;
    }
    if (!session_is_open(session)) {
        return WEIR_ECLOSED;
    }
    return peer_send_control(session, WS_PING, payload);
}

static void close_with(struct weir_session *session, uint16_t code, struct span why,
                       enum close_reason reason)
{
    peer_send_close(session, code, why);
    connection_session_closing(session->connection, reason);
}

enum weir_err session_close(struct weir_session *session, uint16_t code, struct span reason)
{
    if (!ws_close_code_is_sendable(code)) {
        return WEIR_EINVAL;
    }
    if (!session_is_open(session)) {
        return WEIR_ECLOSED;
    }
    close_with(session, code, reason, WEIR_CLOSE_HANDLER);
    return WEIR_OK;
}

void session_fail(struct weir_session *session)
{
    if (session_is_open(session)) {
        close_with(session, close_reason_code(WEIR_CLOSE_PLUGIN_ERROR), (struct span){0},
                   WEIR_CLOSE_PLUGIN_ERROR);
    }
}
