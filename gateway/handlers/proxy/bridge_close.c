/* How the session with a backend ends, whoever begins: its close handshake, its loss, its silence,
 * and its mistakes, and what the client is told of each (docs/decisions/010-close-codes-across.md).
 * Called by bridge_out.c for what comes, and by the timer. */
#include "base/log.h"
#include "handlers/proxy/bridge_internal.h"
#include "net/cork.h"
#include "proto/ws_close.h"
#include "proto/ws_frame.h"

enum {
    GOING_AWAY_CODE = 1001,
    TOO_BIG_CODE = 1009
};

void bridge_send_close(struct bridge *bridge, uint16_t code, struct span reason)
{
    uint8_t payload[WS_CONTROL_MAX];
    uint64_t patience = bridge->settings->close_timeout_ms;
    size_t size = ws_close_write(payload, code, reason);
    if (!bridge->unwritable) {
        bridge_send_frame(bridge, WS_FIN | WS_CLOSE, payload, size);
    }
    bridge->close_sent = true;
    backend_set_timeout(bridge->backend, patience > 0 ? patience : 1);
    bridge_unpause(bridge); /* what the client still sends is read away */
}

/* Ends the client's session; one that is closing already goes on with that. */
static void close_session(struct bridge *bridge, enum close_reason reason, uint16_t code,
                          struct span words)
{
    if (bridge->session != NULL) {
        enum weir_err err = session_close_as(bridge->session, reason, code, words);
        (void)err;
    }
}

void bridge_take_close(struct bridge *bridge, struct span payload)
{
    uint16_t code = 0;
    uint16_t error_code = 0;
    struct span reason;
    if (ws_close_parse(payload, &code, &reason, &error_code) != WEIR_OK) {
        bridge_fail(bridge, error_code, WEIR_CLOSE_BACKEND_PROTOCOL,
                    "the close frame is malformed");
        return;
    }
    bridge->close_heard = true;
    if (!bridge->close_sent) {
        bridge_send_close(bridge, code, reason);
        close_session(bridge, WEIR_CLOSE_BACKEND, code, reason);
    }
    /* The server ends the connection first (RFC 6455, section 7.1.1). */
}

void bridge_backend_ended(struct bridge *bridge)
{
    bool handshake = bridge->close_sent || bridge->close_heard;
    bridge_drop_backend(bridge);
    if (!handshake && bridge->session != NULL) {
        close_session(bridge, WEIR_CLOSE_BACKEND_LOST, bridge->settings->lost_code,
                      span_of(close_reason_words(WEIR_CLOSE_BACKEND_LOST)));
    }
}

/* What the client is told when the backend is at fault: never a code that blames the client. Only
 * our own want of memory is ours. */
static void tell_client(struct bridge *bridge, uint16_t code, enum close_reason reason)
{
    if (reason == WEIR_CLOSE_OUT_OF_MEMORY) {
        close_session(bridge, reason, close_reason_code(reason), (struct span){0});
    } else if (code == TOO_BIG_CODE) {
        close_session(bridge, reason, bridge->settings->lost_code,
                      SPAN("a message of the backend is too large"));
    } else {
        close_session(bridge, reason, bridge->settings->lost_code,
                      span_of(close_reason_words(reason)));
    }
}

void bridge_fail(struct bridge *bridge, uint16_t code, enum close_reason reason, const char *why)
{
    if (bridge->backend == NULL || bridge->close_heard) {
        return;
    }
    log_info("proxy", "%s: %s", bridge->backend->server->text, why);
    bridge->close_heard = true; /* RFC 6455, section 7.1.7: nothing more is processed */
    if (bridge->session == NULL) {
        bridge_drop_backend(bridge);
        return;
    }
    if (!bridge->close_sent) {
        bridge_send_close(bridge, code, span_of(why));
    }
    cork_flush(worker_cork(bridge->worker));
    stream_shutdown(&bridge->backend->stream);
    tell_client(bridge, code, reason);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t now_ms(const struct bridge *bridge)
{
    return loop_now_ms(worker_loop(bridge->worker));
}

/* Milliseconds from `now` to a time that may have passed, at least 1, since 0 is never. */
static uint64_t until(uint64_t time, uint64_t now)
{
    return time > now ? time - now : 1;
}

/* When to look at the backend next: for a ping that is due, or its pong, or a queue that does not
 * move; in milliseconds from `now`, 0 for never. */
static uint64_t next_look(const struct bridge *bridge, uint64_t now)
{
    const struct proxy_settings *settings = bridge->settings;
    uint64_t next = settings->ping_interval_ms;
    if (next > 0 && !bridge->behind) {
        bool waits = bridge->pinged_ms != 0;
        uint64_t since = waits ? bridge->pinged_ms : bridge->heard_ms;
        bool for_pong = waits && settings->ping_timeout_ms != 0;
        /* An answer does not move the timer, so the look for it must not come after the next ping.
         */
        next = for_pong ? sooner(until(since + settings->ping_timeout_ms, now), next)
                        : until(since + next, now);
    }
    if (bridge->moved_ms != 0) {
        uint64_t stuck = until(bridge->moved_ms + settings->read_timeout_ms, now);
        next = next > 0 ? sooner(next, stuck) : stuck;
    }
    return next;
}

static void look_after_pings(struct bridge *bridge, uint64_t now)
{
    const struct proxy_settings *settings = bridge->settings;
    uint64_t interval = settings->ping_interval_ms;
    uint64_t timeout = settings->ping_timeout_ms;
    if (interval == 0 || bridge->behind) {
        /* While we do not read, silence proves nothing. */
        bridge->heard_ms = now;
        bridge->pinged_ms = 0;
    } else if (bridge->pinged_ms != 0 && timeout != 0) {
        if (now >= bridge->pinged_ms + timeout) {
            bridge_fail(bridge, GOING_AWAY_CODE, WEIR_CLOSE_BACKEND_TIMEOUT, "no answer to a ping");
        }
    } else if (now >= (bridge->pinged_ms != 0 ? bridge->pinged_ms : bridge->heard_ms) + interval) {
        if (bridge_takes_data(bridge)) {
            bridge_send_frame(bridge, WS_FIN | WS_PING, NULL, 0);
        }
        bridge->pinged_ms = now;
    }
}

uint64_t bridge_keep_alive(struct bridge *bridge)
{
    uint64_t now = now_ms(bridge);
    if (bridge->moved_ms != 0 && now >= bridge->moved_ms + bridge->settings->read_timeout_ms) {
        bridge_fail(bridge, GOING_AWAY_CODE, WEIR_CLOSE_BACKEND_TIMEOUT,
                    "takes nothing of what is sent to it");
    } else {
        look_after_pings(bridge, now);
    }
    return bridge->close_sent || bridge->backend == NULL ? 0 : next_look(bridge, now);
}

void bridge_queue_grew(struct bridge *bridge)
{
    size_t queued = stream_queued(&bridge->backend->stream);
    bridge->queue_mark = queued;
    if (bridge->close_sent) {
        return; /* what is left has close_timeout */
    }
    if (bridge->moved_ms == 0) {
        uint64_t now = now_ms(bridge);
        bridge->moved_ms = now;
        backend_set_timeout(bridge->backend, next_look(bridge, now));
    }
    if (!bridge->paused && bridge->session != NULL && queued > BRIDGE_QUEUE_HIGH) {
        bridge->paused = true;
        session_pause(bridge->session, true);
    }
}

bool bridge_queue_moved(struct bridge *bridge)
{
    size_t queued = stream_queued(&bridge->backend->stream);
    bool moved = queued < bridge->queue_mark;
    bridge->queue_mark = queued;
    if (queued == 0) {
        bridge->moved_ms = 0;
    } else if (moved && bridge->moved_ms != 0) {
        bridge->moved_ms = now_ms(bridge);
    }
    return moved;
}
