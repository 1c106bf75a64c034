/* From the client to the backend. A piece of a message becomes a frame of its own, masked where it
 * lies in the read buffer and copied once, into the cork. Only where the backend has agreed on
 * compression are messages put together. Called by the session; it never reads or closes anything.
 */
#include "handlers/proxy/bridge_internal.h"
#include "proto/ws_frame.h"

enum {
    OUT_OF_MEMORY_CODE = 1011
};

static uint8_t opcode_of(enum weir_kind kind)
{
    return kind == WEIR_TEXT ? WS_TEXT : WS_BINARY;
}

static void out_of_memory(struct bridge *bridge)
{
    bridge_fail(bridge, OUT_OF_MEMORY_CODE, WEIR_CLOSE_OUT_OF_MEMORY, "out of memory");
}

/* Sends a whole message that is worth compressing. */
static void send_compressed(struct bridge *bridge, enum weir_kind kind, struct span payload)
{
    struct compression_scratch *scratch = worker_compression(bridge->worker);
    struct span wire;
    if (compression_deflate(bridge->compression, scratch, payload, &wire) != WEIR_OK) {
        out_of_memory(bridge);
        return;
    }
    /* `wire` is the scratch's own buffer, which the next message overwrites: masked in place. */
    bridge_send_frame(bridge, (uint8_t)(WS_FIN | WS_RSV1 | opcode_of(kind)), scratch->deflated.data,
                      wire.size);
}

static void send_whole(struct bridge *bridge, enum weir_kind kind, uint8_t *payload, size_t size)
{
    if (size >= bridge->min_compressed) {
        send_compressed(bridge, kind, (struct span){payload, size});
    } else {
        bridge_send_frame(bridge, (uint8_t)(WS_FIN | opcode_of(kind)), payload, size);
    }
}

/* Puts a message together; the session's max_message_size bounds it. */
static void assemble(struct bridge *bridge, const struct weir_piece *piece)
{
    if (piece->first && piece->last) {
        send_whole(bridge, piece->kind, piece->data, piece->size);
        return;
    }
    if (blob_append(&bridge->outgoing, (struct span){piece->data, piece->size}) != WEIR_OK) {
        out_of_memory(bridge);
        return;
    }
    if (piece->last) {
        struct blob *message = bridge->outgoing;
        bridge->outgoing = NULL;
        send_whole(bridge, piece->kind, message->bytes, message->size);
        blob_free(&message);
    }
}

enum weir_verdict bridge_piece(struct bridge *bridge, const struct weir_piece *piece)
{
    if (!bridge_takes_data(bridge)) {
        return WEIR_NEXT;
    }
    if (bridge->compression != NULL) {
        assemble(bridge, piece);
        return WEIR_NEXT;
    }
    uint8_t first_byte = piece->first ? opcode_of(piece->kind) : WS_CONTINUATION;
    if (piece->last) {
        first_byte |= WS_FIN;
    }
    bridge_send_frame(bridge, first_byte, piece->data, piece->size);
    return WEIR_NEXT;
}

enum weir_verdict bridge_message(struct bridge *bridge, const struct weir_message *message)
{
    struct span payload = {message->payload.data, message->payload.size};
    if (!bridge_takes_data(bridge)) {
        return WEIR_NEXT;
    }
    if (bridge->compression != NULL && payload.size >= bridge->min_compressed) {
        send_compressed(bridge, message->kind, payload);
    } else {
        bridge_send_copy(bridge, (uint8_t)(WS_FIN | opcode_of(message->kind)), payload);
    }
    return WEIR_NEXT;
}
