/* A bridge's life: made for a handshake, joined to a backend, then to a session, and freed when the
 * later of the two has gone. Called by the exchange, by the session's callbacks, and by the
 * backend's stream and timer, which it hands on to the other bridge_*.c. It looks at no frame. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "handlers/proxy/bridge_internal.h"
#include "net/cork.h"
#include "proto/ws_close.h"
#include "session/request.h"

static void free_all(struct bridge *bridge)
{
    bridge->magic = 0;
    bridge_offer_free(&bridge->offer);
    compression_free(&bridge->compression);
    blob_free(&bridge->kept);
    blob_free(&bridge->message);
    blob_free(&bridge->outgoing);
    free(bridge);
}

static void free_retired(struct loop_retired *retired)
{
    free_all((struct bridge *)(void *)((char *)retired - offsetof(struct bridge, retired)));
}

static void retire(struct bridge *bridge)
{
    loop_retire(worker_loop(bridge->worker), &bridge->retired, free_retired);
}

/* --- the backend's stream --- */

static struct bridge *bridge_of(const struct backend *backend)
{
    struct bridge *bridge = backend->owner;
    WEIR_CHECK(bridge->magic == BRIDGE_MAGIC && bridge->backend == backend);
    return bridge;
}

void bridge_update_reading(struct bridge *bridge)
{
    if (bridge->backend == NULL) {
        return;
    }
    struct stream *stream = &bridge->backend->stream;
    bool on = (bridge->session != NULL || bridge->ended) && !bridge->behind;
    stream_set_reading(stream, on);
    if (on && (bridge->held || bridge->unwritable || stream_has_pending(stream))) {
        stream_wake(stream);
    }
}

void bridge_unpause(struct bridge *bridge)
{
    if (bridge->paused && bridge->session != NULL) {
        bridge->paused = false;
        session_pause(bridge->session, false);
    }
}

/* The backend may have taken bytes, or has been found to be cut. */
static void output_moved(struct bridge *bridge)
{
    const struct stream *stream = &bridge->backend->stream;
    if (bridge_queue_moved(bridge)) {
        bridge->heard_ms = loop_now_ms(worker_loop(bridge->worker)); /* who takes bytes is alive */
        bridge->pinged_ms = 0;
    }
    if (stream_is_broken(stream)) {
        bridge->unwritable = true;
    }
    if (stream_queued(stream) < BRIDGE_QUEUE_LOW) {
        bridge_unpause(bridge);
    }
}

static void ready(struct backend *backend, bool readable, bool writable)
{
    struct bridge *bridge = bridge_of(backend);
    if (writable) {
        output_moved(bridge);
    }
    if (readable) {
        bridge_out_read(bridge);
    } else {
        /* One that has gone while we did not read is found out when we do, behind what it has sent
         * before. */
        bridge_update_reading(bridge);
    }
}

static void timed_out(struct backend *backend)
{
    struct bridge *bridge = bridge_of(backend);
    if (bridge->close_sent) {
        bridge_drop_backend(bridge);
        return;
    }
    uint64_t next = bridge_keep_alive(bridge);
    if (next > 0 && !bridge->close_sent) {
        backend_set_timeout(backend, next);
    }
}

/* The worker ends, and did not wait any longer for backends that close slowly. */
static void dropped(struct backend *backend)
{
    struct bridge *bridge = bridge_of(backend);
    bridge->backend = NULL;
    if (bridge->ended) {
        free_all(bridge);
    }
}

static const struct backend_ops ops = {
    .ready = ready,
    .timed_out = timed_out,
    .dropped = dropped,
};

void bridge_drop_backend(struct bridge *bridge)
{
    if (bridge->backend == NULL) {
        return;
    }
    bridge_unpause(bridge);
    cork_forget(worker_cork(bridge->worker), &bridge->backend->stream);
    backend_close(&bridge->backend);
    blob_free(&bridge->kept);
    bridge->held = false;
    if (bridge->ended) {
        retire(bridge);
    }
}

/* --- the handshake --- */

struct bridge *bridge_new(struct proxy *proxy, struct weir_request *request, unsigned seat)
{
    struct bridge *bridge = calloc(1, sizeof *bridge);
    if (bridge == NULL) {
        return NULL;
    }
    bridge->magic = BRIDGE_MAGIC;
    bridge->worker = proxy->worker;
    bridge->settings = proxy->settings;
    bridge->seat = seat;
    bridge->offer = bridge_offer_new(request, proxy->settings->compression);
    if (bridge->offer == NULL) {
        free_all(bridge);
        return NULL;
    }
    return bridge;
}

void bridge_free(struct bridge **bridge)
{
    struct bridge *given = *bridge;
    *bridge = NULL;
    if (given == NULL) {
        return;
    }
    if (given->backend != NULL) {
        /* The backend has accepted, and then the client could not be. */
        bridge_outlive(given, 1001, SPAN("the client is gone"));
    } else {
        free_all(given);
    }
}

enum weir_err bridge_write_fields(const struct bridge *bridge, struct buffer *head)
{
    return bridge_offer_write(bridge->offer, head);
}

enum weir_err bridge_connected(struct bridge *bridge, const struct http_response *response,
                               const struct reply_field *fields, size_t field_count,
                               struct backend *backend, struct span early, const char **why)
{
    struct blob *kept = NULL;
    if (early.size > 0 && blob_append(&kept, early) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    enum weir_err err = bridge_offer_check(bridge->offer, response, fields, field_count,
                                           &bridge->compression, &bridge->min_compressed, why);
    if (err != WEIR_OK) {
        blob_free(&kept);
        return err;
    }
    bridge_offer_free(&bridge->offer);
    bridge->decoder.allows_compression = bridge->compression != NULL;
    bridge->kept = kept;
    bridge->held = kept != NULL;
    bridge->backend = backend;
    backend_own(backend, &ops, bridge);
    backend_set_timeout(backend, 0);
    return WEIR_OK;
}

/* --- the session --- */

enum weir_verdict bridge_open(struct bridge *bridge, struct weir_session *session)
{
    bridge->session = session;
    if (bridge->backend == NULL) {
        bridge_backend_ended(bridge);
        return WEIR_NEXT;
    }
    bridge->whole = session_sends_whole(session, bridge->seat);
    bridge->heard_ms = loop_now_ms(worker_loop(bridge->worker));
    if (bridge->settings->ping_interval_ms > 0) {
        backend_set_timeout(bridge->backend, bridge->settings->ping_interval_ms);
    }
    bridge_update_reading(bridge);
    return WEIR_NEXT;
}

void bridge_outlive(struct bridge *bridge, uint16_t code, struct span reason)
{
    bridge->session = NULL;
    bridge->ended = true;
    bridge->behind = false;
    bridge->parked = false;
    bridge->paused = false;
    blob_free(&bridge->message);
    blob_free(&bridge->outgoing);
    compression_free(&bridge->compression);
    if (bridge->backend == NULL) {
        retire(bridge);
    } else if (bridge->unwritable) {
        bridge_drop_backend(bridge);
    } else {
        if (!bridge->close_sent) {
            bridge_send_close(bridge, code, reason);
        }
        /* At the end of a turn nobody else may flush. */
        cork_flush(worker_cork(bridge->worker));
        bridge_update_reading(bridge);
    }
    bridge->settings = NULL;
}

/* What the backend is told when the client's session has ended. See
 * docs/decisions/010-close-codes-across.md. */
static uint16_t code_for_backend(const struct weir_ending *ending)
{
    bool by_client = strcmp(ending->closed_by, "client") == 0;
    switch (ending->code) {
    case WS_CLOSE_NO_STATUS:
        return WS_CLOSE_NO_STATUS;
    case 1002:
    case 1003:
    case 1007:
    case 1009:
    case 1010:
        /* From us they blame the client; a backend would take them for itself. */
        return by_client ? ending->code : 1001;
    default:
        /* 1006 among them, which never stands on the wire (RFC 6455, section 7.4.1). */
        return ws_close_code_is_sendable(ending->code) ? ending->code : 1001;
    }
}

/* What the exchange has counted was the handshake. */
static void settle_bytes(const struct bridge *bridge)
{
    struct request_upstream *record = request_upstream_record(session_request(bridge->session));
    if (record != NULL) {
        record->bytes_sent += bridge->bytes_sent;
        record->bytes_received += bridge->bytes_received;
    }
}

void bridge_closed(struct bridge *bridge, const struct weir_ending *ending)
{
    settle_bytes(bridge);
    uint16_t code = code_for_backend(ending);
    struct span reason = {ending->reason.data, ending->reason.size};
    bridge_outlive(bridge, code, code == ending->code ? reason : SPAN("the client is gone"));
}
