/* The client's half of the WebSocket wire: messages prepared as masked frames, and the server's
 * frames read piece by piece. Bytes only. */
#ifndef WEIR_LOAD_WIRE_H
#define WEIR_LOAD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_OPCODE_TEXT = 1,
    WIRE_OPCODE_BINARY = 2,
    WIRE_OPCODE_CLOSE = 8,
    WIRE_OPCODE_PING = 9,
    WIRE_OPCODE_PONG = 10,

    WIRE_STAMP_BYTES = 16,
    WIRE_CONTROL_MAX = 125,   /* RFC 6455, section 5.5 */
    WIRE_CLIENT_HEAD_MAX = 14 /* RFC 6455, section 5.2 */
};

/* One message as it goes over the wire, `count` times in a row, so that a batch leaves in one write
 * and only its stamps have to be put in. The stamp, at the start of each payload, tells session and
 * sequence number; what follows is the same in every message. All payload bytes are ASCII. */
struct wire_image {
    uint8_t *bytes; /* `count` masked frames, one behind the other */
    uint8_t *plain; /* the payload before masking; its stamp is never filled */
    size_t head_size;
    size_t size;       /* payload bytes */
    size_t frame_size; /* head_size + size */
    size_t stamp_size; /* WIRE_STAMP_BYTES, or the whole of a shorter payload */
    uint32_t count;
    uint8_t opcode;
};

/* Prepares up to `depth` frames of `size` payload bytes. Free with wire_image_free. */
void wire_image_make(struct wire_image *image, size_t size, uint32_t depth, bool text);
void wire_image_free(struct wire_image *image);

/* Puts the stamps of messages `sequence`, `sequence + 1`, … into the first `count` frames. */
void wire_image_stamp(struct wire_image *image, uint32_t count, uint32_t session,
                      uint64_t sequence);

/* Whether `bytes` are what stands at `offset` of the message's payload (or, `raw`, of its whole
 * masked frame). `offset + size` lies within it. */
bool wire_image_matches(const struct wire_image *image, bool raw, uint32_t session,
                        uint64_t sequence, size_t offset, const uint8_t *bytes, size_t size);

/* Writes a masked control frame with up to WIRE_CONTROL_MAX bytes; returns its size. */
size_t wire_control(uint8_t out[WIRE_CLIENT_HEAD_MAX + WIRE_CONTROL_MAX], uint8_t opcode,
                    const uint8_t *payload, size_t size);

/* Where the reader stands in the server's frames. Starts as all zero bytes. */
struct wire_reader {
    uint64_t left; /* payload bytes of this frame still to come */
    uint8_t head[10];
    uint8_t head_have;
    uint8_t message_opcode; /* 0 between messages */
    uint8_t control_have;
    bool in_payload;
    uint8_t control[WIRE_CONTROL_MAX];
};

/* A part of a message, or a whole control frame. Borrowed until the next call. */
struct wire_piece {
    const uint8_t *bytes;
    size_t size;
    uint8_t opcode; /* of the message, not of a continuation frame */
    bool ends;      /* the last piece of its message */
};

/* Takes the next piece from `*cursor` on and moves it; false when there is none before `end`. Fails
 * the program when the server breaks the framing. */
bool wire_reader_next(struct wire_reader *reader, const uint8_t **cursor, const uint8_t *end,
                      struct wire_piece *piece);

#endif
