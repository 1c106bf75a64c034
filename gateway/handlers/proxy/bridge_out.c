/* From the backend to the client: reads into the worker's buffer, decodes, and passes pieces on as
 * they come; whole messages where a plugin or compression needs them. Called when the backend's
 * stream is ready, and when the client has caught up.
 * Idea: between two reads nothing is kept but the beginning of a frame. A client that is behind
 * stops the reading, so what waits for it is bounded by its own queue and one buffer. */
#include <string.h>

#include "base/check.h"
#include "handlers/proxy/bridge_internal.h"
#include "net/cork.h"
#include "proto/utf8.h"
#include "proto/ws_frame.h"

enum {
    READ_ROUNDS = 8, /* reads of one backend in one turn; the others wait meanwhile */
    NOT_UTF8_CODE = 1007,
    TOO_BIG_CODE = 1009,
    OUT_OF_MEMORY_CODE = 1011
};

static void out_of_memory(struct bridge *bridge)
{
    bridge_fail(bridge, OUT_OF_MEMORY_CODE, WEIR_CLOSE_OUT_OF_MEMORY, "out of memory");
}

static void stop_reading(struct bridge *bridge)
{
    bridge->behind = true;
    bridge_update_reading(bridge);
}

/* The client's queue is full: keeps this one message, and reads no more. */
static void park(struct bridge *bridge, enum weir_kind kind, struct span payload)
{
    if (blob_append(&bridge->message, payload) != WEIR_OK) {
        out_of_memory(bridge);
        return;
    }
    bridge->parked = true;
    bridge->parked_kind = (uint8_t)kind;
    stop_reading(bridge);
}

static void pass_whole(struct bridge *bridge, enum weir_kind kind, struct span payload)
{
    enum weir_err err;
    if (bridge->whole) {
        err = session_send(bridge->session, bridge->seat, kind, payload);
    } else {
        err = session_send_piece(bridge->session, kind, payload, true, true);
    }
    if (err == WEIR_ELIMIT) {
        park(bridge, kind, payload);
    }
    /* Else it is sent, or the session is closing and on_close comes. */
}

static enum weir_kind kind_of(uint8_t opcode)
{
    return opcode == WS_TEXT ? WEIR_TEXT : WEIR_BINARY;
}

static void inflate(struct bridge *bridge, enum weir_kind kind, struct span wire)
{
    struct span payload;
    enum weir_err err = compression_inflate(bridge->compression, worker_compression(bridge->worker),
                                            wire, bridge->settings->max_message_size, &payload);
    if (err == WEIR_ELIMIT) {
        bridge_fail(bridge, TOO_BIG_CODE, WEIR_CLOSE_BACKEND_PROTOCOL,
                    "a message of the backend inflates to more than max_message_size");
    } else if (err == WEIR_ENOMEM) {
        out_of_memory(bridge);
    } else if (err != WEIR_OK) {
        bridge_fail(bridge, NOT_UTF8_CODE, WEIR_CLOSE_BACKEND_PROTOCOL,
                    "the backend sent invalid deflate data");
    } else if (kind == WEIR_TEXT && !utf8_is_valid(payload.data, payload.size)) {
        bridge_fail(bridge, NOT_UTF8_CODE, WEIR_CLOSE_BACKEND_PROTOCOL,
                    "the backend sent text that is not UTF-8");
    } else {
        pass_whole(bridge, kind, payload);
    }
}

static void message_complete(struct bridge *bridge, const struct ws_event *event,
                             struct span payload)
{
    if (event->compressed) {
        inflate(bridge, kind_of(event->opcode), payload);
    } else {
        pass_whole(bridge, kind_of(event->opcode), payload);
    }
}

/* A message that the client cannot be given in pieces. */
static void assemble(struct bridge *bridge, const struct ws_event *event)
{
    struct span piece = {event->payload, event->payload_size};
    if (event->message_start && event->message_end) {
        message_complete(bridge, event, piece);
        return;
    }
    /* frame_left is within max_message_size: the decoder has refused more. Reserving is not
     * touching, so a backend that announces much and sends little costs little. */
    if (blob_reserve(&bridge->message, piece.size + (size_t)event->frame_left) != WEIR_OK ||
        blob_append(&bridge->message, piece) != WEIR_OK) {
        out_of_memory(bridge);
        return;
    }
    if (event->message_end) {
        struct blob *message = bridge->message;
        bridge->message = NULL;
        message_complete(bridge, event, blob_span(message));
        blob_free(&message);
    }
}

static void take_data(struct bridge *bridge, const struct ws_event *event)
{
    if (bridge->session == NULL) {
        return; /* nobody is left to read it */
    }
    if (event->compressed || bridge->whole) {
        assemble(bridge, event);
        return;
    }
    enum weir_err err = session_send_piece(bridge->session, kind_of(event->opcode),
                                           (struct span){event->payload, event->payload_size},
                                           event->message_start, event->message_end);
    (void)err; /* the session is closing, and on_close comes */
}

static void take_control(struct bridge *bridge, const struct ws_event *event)
{
    if (event->opcode == WS_CLOSE) {
        bridge_take_close(bridge, (struct span){event->payload, event->payload_size});
    } else if (event->opcode == WS_PING && bridge_takes_data(bridge) &&
               stream_queued(&bridge->backend->stream) <= BRIDGE_QUEUE_HIGH) {
        /* Whoever floods pings without reading gets no pong for some of them (RFC 6455, section
         * 5.5.3 allows that), and no memory. */
        bridge_send_frame(bridge, WS_FIN | WS_PONG, event->payload, event->payload_size);
    }
    /* A pong, asked for or not, has done its work by being heard. */
}

/* Decodes what it can; returns how many bytes are done with. */
static size_t consume(struct bridge *bridge, uint8_t *bytes, size_t size)
{
    struct cork *cork = worker_cork(bridge->worker);
    struct ws_decoder_rules rules = {
        .expects_mask = false,
        .max_message_size =
            bridge->settings != NULL ? bridge->settings->max_message_size : UINT64_MAX,
    };
    size_t used = 0;
    while (used < size && !bridge->parked && !bridge->close_heard) {
        struct ws_event event;
        size_t consumed = 0;
        uint16_t code = 0;
        const char *why = "";
        enum weir_err err = ws_decoder_next(&bridge->decoder, &rules, bytes + used, size - used,
                                            &consumed, &event, &code, &why);
        if (err == WEIR_AGAIN) {
            break;
        }
        if (err != WEIR_OK) {
            bridge_fail(bridge, code, WEIR_CLOSE_BACKEND_PROTOCOL, why);
            break;
        }
        used += consumed;
        cork->more_to_come = used < size;
        if (event.type == WS_EVENT_DATA) {
            take_data(bridge, &event);
        } else {
            take_control(bridge, &event);
        }
    }
    cork->more_to_come = false;
    return bridge->close_heard ? size : used;
}

/* Uses `bytes`, and keeps what is left of them. */
static void take(struct bridge *bridge, uint8_t *bytes, size_t size)
{
    size_t used = consume(bridge, bytes, size);
    bridge->held = bridge->parked && used < size;
    if (used < size &&
        blob_append(&bridge->kept, (struct span){bytes + used, size - used}) != WEIR_OK) {
        out_of_memory(bridge);
    }
    if (bridge->session != NULL && !bridge->behind && session_is_behind(bridge->session)) {
        stop_reading(bridge);
    }
}

static void take_kept(struct bridge *bridge)
{
    struct blob *kept = bridge->kept;
    bridge->kept = NULL;
    bridge->held = false;
    take(bridge, kept->bytes, kept->size);
    blob_free(&kept);
}

/* One read behind what was kept. False: no more for now, and `*ended` tells if ever. */
static bool read_once(struct bridge *bridge, bool *ended)
{
    size_t room = 0;
    size_t got = 0;
    uint8_t *bytes = worker_read_buffer(bridge->worker, &room);
    size_t before = blob_size(bridge->kept);
    /* Only the beginning of a frame is kept while reading goes on, and that is small. */
    WEIR_CHECK(before < room);
    room -= before;
    enum weir_err err = stream_read(&bridge->backend->stream, bytes + before, room, &got);
    if (err != WEIR_OK) {
        /* A connection that takes nothing more is over when it has no more to give. */
        *ended = err != WEIR_AGAIN || bridge->unwritable;
        return false;
    }
    bridge->bytes_received += got;
    if (before > 0) {
        memcpy(bytes, bridge->kept->bytes, before);
        blob_free(&bridge->kept);
    }
    take(bridge, bytes, before + got);
    return got == room;
}

static bool wants_more(const struct bridge *bridge)
{
    return bridge->backend != NULL && !bridge->behind;
}

void bridge_out_read(struct bridge *bridge)
{
    struct cork *cork = worker_cork(bridge->worker);
    bool more = true;
    bool ended = false;
    bridge->heard_ms = loop_now_ms(worker_loop(bridge->worker));
    bridge->pinged_ms = 0;
    if (bridge->held && wants_more(bridge)) {
        take_kept(bridge);
    }
    for (int round = 0; round < READ_ROUNDS && more && wants_more(bridge); round++) {
        more = read_once(bridge, &ended);
    }
    cork_flush(cork);
    if (ended) {
        bridge_backend_ended(bridge);
    } else {
        bridge_update_reading(bridge);
    }
}

void bridge_drained(struct bridge *bridge)
{
    if (!bridge->behind || bridge->session == NULL) {
        return;
    }
    if (bridge->parked) {
        struct blob *message = bridge->message;
        bridge->message = NULL;
        bridge->parked = false;
        pass_whole(bridge, (enum weir_kind)bridge->parked_kind, blob_span(message));
        blob_free(&message);
    }
    bridge->behind = bridge->parked || session_is_behind(bridge->session);
    bridge_update_reading(bridge);
}
