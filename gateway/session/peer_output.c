/* The sending half of the WebSocket peer: messages to frames, and the control frames. Called by
 * session.c for plugins and by peer_input.c for answers. */
#include <string.h>

#include "proto/ws_close.h"
#include "proto/ws_frame.h"
#include "session/output.h"
#include "session/session_count.h"
#include "session/session_internal.h"

enum {
    CODE_BYTES = 2 /* of a close frame's payload, before the reason */
};

static enum weir_err send_frame(struct weir_session *session, uint8_t first_byte,
                                struct span payload)
{
    uint8_t head[WS_HEAD_MAX];
    size_t size = ws_frame_write_head(head, first_byte, payload.size, NULL);
    return output_write(session->connection, (struct span){head, size}, payload);
}

static bool compresses(const struct weir_session *session, struct span payload)
{
    return session->compression != NULL &&
           payload.size >= session->request->route->config->websocket->compression.min_size;
}

enum weir_err peer_send(struct weir_session *session, enum weir_kind kind, struct span payload)
{
    uint8_t first_byte = (uint8_t)(WS_FIN | (kind == WEIR_TEXT ? WS_TEXT : WS_BINARY));
    struct span wire = payload;
    if (compresses(session, payload)) {
        enum weir_err err = compression_deflate(
            session->compression, &session->connection->worker->compression, payload, &wire);
        if (err != WEIR_OK) {
            return err;
        }
        first_byte |= WS_RSV1;
    }
    session_count_out(session, 1, payload.size);
    return send_frame(session, first_byte, wire);
}

enum weir_err peer_send_framed(struct weir_session *session, const struct weir_message *message,
                               struct span head)
{
    struct span payload = {message->payload.data, message->payload.size};
    if (compresses(session, payload)) {
        return peer_send(session, message->kind, payload);
    }
    session_count_out(session, 1, payload.size);
    return output_write(session->connection, head, payload);
}

enum weir_err peer_send_piece(struct weir_session *session, enum weir_kind kind, struct span bytes,
                              bool first, bool last)
{
    /* RFC 6455, section 5.4: the first frame has the kind, the last one FIN. */
    uint8_t opcode = kind == WEIR_TEXT ? WS_TEXT : WS_BINARY;
    uint8_t first_byte = (uint8_t)((last ? WS_FIN : 0) | (first ? opcode : WS_CONTINUATION));
    session_count_out(session, last, bytes.size);
    return send_frame(session, first_byte, bytes);
}

enum weir_err peer_send_control(struct weir_session *session, uint8_t opcode, struct span payload)
{
    return send_frame(session, (uint8_t)(WS_FIN | opcode), payload);
}

void peer_send_close(struct weir_session *session, uint16_t code, struct span reason)
{
    uint8_t payload[WS_CONTROL_MAX];
    if (session->close_sent) {
        return;
    }
    size_t size = 0;
    if (code != 0 && code != WS_CLOSE_NO_STATUS) {
        size = ws_close_write(payload, code, reason);
    }
    if (session->close_code == 0) {
        session->close_code = code;
        session_keep_reason(session, span_from((struct span){payload, size}, CODE_BYTES));
    }
    enum weir_err err = peer_send_control(session, WS_CLOSE, (struct span){payload, size});
    (void)err; /* the connection has been closed */
    session->close_sent = true;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t peer_keep_alive(struct weir_session *session)
{
    const struct config_websocket *config = session->request->route->config->websocket;
    uint64_t now = loop_now_ms(session->connection->worker->loop);
    uint64_t interval = config->keep_alive_interval_ms;
    uint64_t timeout = config->keep_alive_timeout_ms;
    if (interval == 0 || session->waits != NULL || session->connection->choked ||
        session->connection->paused) {
        /* While we do not read, silence proves nothing. */
        return interval;
    }
    if (session->pinged_ms != 0 && timeout != 0 && now >= session->pinged_ms + timeout) {
        peer_send_close(session, close_reason_code(WEIR_CLOSE_KEEP_ALIVE),
                        SPAN("keep-alive timeout"));
        connection_finish(session->connection, WEIR_CLOSE_KEEP_ALIVE);
        return 0;
    }
    if (session->pinged_ms != 0 && timeout != 0) {
        return sooner(session->pinged_ms + timeout - now, interval);
    }
    uint64_t due = session->heard_ms + interval;
    if (session->pinged_ms != 0) {
        due = session->pinged_ms + interval;
    }
    if (now < due) {
        return due - now;
    }
    enum weir_err err = peer_send_control(session, WS_PING, (struct span){0});
    (void)err; /* the connection has been closed */
    session->pinged_ms = now;
    /* An answer does not move the timer, so the look for it must not come after the next ping. */
    return timeout != 0 ? sooner(timeout, interval) : interval;
}
