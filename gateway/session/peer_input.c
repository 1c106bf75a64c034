/* The receiving half of the WebSocket peer: pieces from the decoder to whole messages for the
 * chain, and answers to control frames. A message that lies whole in one frame is handed on where
 * it is; only split ones are put together. Called by the connection; it never reads the socket
 * itself. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "proto/utf8.h"
#include "proto/ws_close.h"
#include "session/output.h"
#include "session/session_count.h"
#include "session/session_internal.h"

enum {
    DIRECT_BYTES = 16 * 1024, /* a frame with less to come is not worth a read of its own */
    NOT_UTF8_CODE = 1007,
    TOO_BIG_CODE = 1009
};

static enum close_reason reason_of(uint16_t code)
{
    switch (code) {
    case NOT_UTF8_CODE:
        return WEIR_CLOSE_NOT_UTF8;
    case TOO_BIG_CODE:
        return WEIR_CLOSE_TOO_BIG;
    default:
        return WEIR_CLOSE_PROTOCOL;
    }
}

/* RFC 6455, section 7.1.7: tell why, and hang up without waiting for an answer from somebody who
 * breaks rules. */
static void fail(struct weir_session *session, uint16_t code, const char *why)
{
    log_debug("peer", "session %llu: %u %s", (unsigned long long)session_id(session), code, why);
    peer_send_close(session, code, span_of(why));
    connection_finish(session->connection, reason_of(code));
}

static bool is_piecewise(const struct weir_session *session)
{
    const struct weir_request *request = session->request;
    /* Where a plugin before the handler has accepted, the handler is not part of the session. */
    return request->route->piecewise && request->walk == request->route->chain_count;
}

static void deliver_piece(struct weir_session *session, uint8_t kind, uint8_t *data, size_t size,
                          bool last)
{
    unsigned seat = session->request->route->chain_count - 1;
    const struct chain_link *link = &session->request->route->chain[seat];
    bool first = !session->piece_begun;
    if (size == 0 && !last) {
        return; /* an empty frame at the front or in the middle says nothing */
    }
    struct weir_piece piece = {
        kind == WS_TEXT ? WEIR_TEXT : WEIR_BINARY, data, size, first, last,
    };
    session->piece_begun = !last;
    session_count_in(session, last, size);
    if (link->ops->on_piece(link->self, session, seat, &piece) == WEIR_CLOSE &&
        session_is_open(session)) {
        enum weir_err err = session_close(session, 1000, (struct span){0});
        (void)err; /* it was open */
    }
}

static void deliver(struct weir_session *session, uint8_t kind, struct span payload)
{
    if (is_piecewise(session)) { /* inflated, in the worker's own scratch */
        deliver_piece(session, kind, (uint8_t *)(uintptr_t)payload.data, payload.size, true);
        return;
    }
    struct weir_message message = {
        kind == WS_TEXT ? WEIR_TEXT : WEIR_BINARY,
        {payload.data, payload.size},
    };
    session_count_in(session, 1, payload.size);
    session_deliver(session, session->request->route->first_reader, &message);
}

static void deliver_compressed(struct weir_session *session, uint8_t kind, struct span wire)
{
    struct span payload;
    enum weir_err err =
        compression_inflate(session->compression, &session->connection->worker->compression, wire,
                            session->request->route->rules.max_message_size, &payload);
    if (err == WEIR_ELIMIT) {
        fail(session, TOO_BIG_CODE, "inflates to more than max_message_size");
    } else if (err == WEIR_ENOMEM) {
        connection_close(session->connection, WEIR_CLOSE_OUT_OF_MEMORY);
    } else if (err != WEIR_OK) {
        /* RFC 7692, section 7.2.3 leaves the code open; 1007 says that the data is not what it
         * claims to be. */
        fail(session, NOT_UTF8_CODE, "not valid deflate data");
    } else if (kind == WS_TEXT && !utf8_is_valid(payload.data, payload.size)) {
        fail(session, NOT_UTF8_CODE, "text is not UTF-8");
    } else {
        deliver(session, kind, payload);
    }
}

static void message_complete(struct weir_session *session, const struct ws_event *event,
                             struct span wire)
{
    if (event->compressed) {
        deliver_compressed(session, event->opcode, wire);
    } else {
        deliver(session, event->opcode, wire);
    }
}

/* Adds a piece to the message under way; in place when it was read straight to there. */
static bool append_piece(struct weir_session *session, const struct ws_event *event)
{
    struct blob *message = session->message;
    if (message != NULL && event->payload == message->bytes + message->size) {
        message->size += event->payload_size;
        return true;
    }
    /* frame_left is within max_message_size: the decoder has refused more (RFC 6455, section 10.4).
     * Reserving is not touching; a peer that announces much and sends little costs little. */
    enum weir_err err =
        blob_reserve(&session->message, event->payload_size + (size_t)event->frame_left);
    if (err == WEIR_OK) {
        err = blob_append(&session->message, (struct span){event->payload, event->payload_size});
    }
    return err == WEIR_OK;
}

static void take_data(struct weir_session *session, const struct ws_event *event)
{
    if (session->close_sent) {
        return; /* RFC 6455, section 1.4: after our close frame, data only has to be read away */
    }
    if (!event->compressed && is_piecewise(session)) {
        deliver_piece(session, event->opcode, event->payload, event->payload_size,
                      event->message_end);
        return;
    }
    if (event->message_start && event->message_end) {
        message_complete(session, event, (struct span){event->payload, event->payload_size});
        return;
    }
    if (!append_piece(session, event)) {
        connection_close(session->connection, WEIR_CLOSE_OUT_OF_MEMORY);
        return;
    }
    if (event->message_end) {
        /* Taken off the session first: the handler may be the last to see it. */
        struct blob *whole = session->message;
        session->message = NULL;
        message_complete(session, event, blob_span(whole));
        blob_free(&whole);
    }
}

static void answer_ping(struct weir_session *session, struct span payload)
{
    /* Whoever floods pings without reading gets no pong for some of them (section 5.5.3 allows
     * that), and no memory. */
    if (!session->close_sent &&
        session_buffered(session) < session->request->route->config->websocket->max_queue_size) {
        enum weir_err err = peer_send_control(session, WS_PONG, payload);
        (void)err; /* the connection has been closed */
    }
}

static void take_close(struct weir_session *session, struct span payload)
{
    uint16_t code = 0;
    uint16_t error_code = 0;
    struct span reason;
    if (ws_close_parse(payload, &code, &reason, &error_code) != WEIR_OK) {
        fail(session, error_code, "the close frame is malformed");
        return;
    }
    session->close_heard = true;
    if (!session->close_sent) {
        session->by_client = true;
        session->close_code = code;
        session_keep_reason(session, reason);
        /* Section 5.5.1: the code is echoed; so is the reason, which is what a page is shown. */
        peer_send_close(session, code, reason);
    }
    connection_finish(session->connection, session->by_client
                                               ? WEIR_CLOSE_CLIENT
                                               : (enum close_reason)session->connection->reason);
}

static void take_control(struct weir_session *session, const struct ws_event *event)
{
    struct span payload = {event->payload, event->payload_size};
    if (event->opcode == WS_PING) {
        answer_ping(session, payload);
    } else if (event->opcode == WS_CLOSE) {
        take_close(session, payload);
    }
    /* A pong, asked for or not, has done its work by being heard. */
}

static bool wants_input(const struct weir_session *session)
{
    if (session->ended || session->close_heard) {
        return false;
    }
    return session->close_sent || (session->waits == NULL && !session->connection->paused &&
                                   connection_keeps_up(session->connection));
}

size_t peer_input(struct weir_session *session, uint8_t *bytes, size_t size)
{
    const struct ws_decoder_rules *rules = &session->request->route->rules;
    struct cork *cork = &session->connection->worker->cork;
    size_t used = 0;
    session->heard_ms = loop_now_ms(session->connection->worker->loop);
    session->pinged_ms = 0;
    while (used < size && wants_input(session)) {
        struct ws_event event;
        size_t consumed = 0;
        uint16_t code = 0;
        const char *why = "";
        enum weir_err err = ws_decoder_next(&session->decoder, rules, bytes + used, size - used,
                                            &consumed, &event, &code, &why);
        if (err == WEIR_AGAIN) {
            break;
        }
        if (err != WEIR_OK) {
            fail(session, code, why);
            used = size;
            break;
        }
        used += consumed;
        cork->more_to_come = used < size;
        if (event.type == WS_EVENT_DATA) {
            take_data(session, &event);
        } else {
            take_control(session, &event);
        }
    }
    cork->more_to_come = false;
    return used;
}

uint8_t *peer_input_space(struct weir_session *session, size_t *room)
{
    struct blob *message = session->message;
    uint64_t left = session->decoder.remaining;
    if (!session->decoder.in_frame || left < DIRECT_BYTES || message == NULL ||
        session->close_sent || message->capacity - message->size < left) {
        return NULL;
    }
    *room = (size_t)left;
    return message->bytes + message->size;
}

void peer_input_direct(struct weir_session *session, size_t size)
{
    /* Exactly payload of the frame under way, so all of it is used. */
    peer_input(session, session->message->bytes + session->message->size, size);
}
