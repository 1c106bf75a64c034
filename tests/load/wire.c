/* Frames as RFC 6455, section 5 has them, from the client's side. Two ideas keep the generator
 * cheaper than what it measures: frames are masked once and only their stamps change, and what
 * comes back is compared where it lies in the read buffer. session.c and the modes call it. It
 * never touches a socket, and it is strict: a server that breaks the framing ends the run. */
#include "wire.h"

#include <stdlib.h>
#include <string.h>

#include "fail.h"

/* A server may not guess masks, but a generator need not surprise it: a constant is enough to make
 * the server do the work (RFC 6455, section 5.3 is about scripts in browsers). */
static const uint8_t wire_mask[4] = {0x9d, 0x3b, 0x61, 0xc7};

enum {
    WIRE_BATCH_BYTES = 1024 * 1024
};

/* RFC 6455, section 5.2: FIN, opcode, MASK and the shortest form of the length. */
static size_t wire_head(uint8_t out[WIRE_CLIENT_HEAD_MAX], uint8_t opcode, uint64_t size)
{
    size_t at = 2;
    unsigned extra = 0;
    out[0] = (uint8_t)(0x80 | opcode);
    if (size <= 125) {
        out[1] = (uint8_t)(0x80 | size);
    } else if (size <= UINT16_MAX) {
        out[1] = 0x80 | 126;
        extra = 2;
    } else {
        out[1] = 0x80 | 127;
        extra = 8;
    }
    while (extra > 0) {
        extra--;
        out[at++] = (uint8_t)(size >> (8 * extra));
    }
    memcpy(out + at, wire_mask, sizeof(wire_mask));
    return at + sizeof(wire_mask);
}

void wire_image_make(struct wire_image *image, size_t size, uint32_t depth, bool text)
{
    uint8_t head[WIRE_CLIENT_HEAD_MAX];
    *image =
        (struct wire_image){.size = size, .opcode = text ? WIRE_OPCODE_TEXT : WIRE_OPCODE_BINARY};
    image->head_size = wire_head(head, image->opcode, size);
    image->frame_size = image->head_size + size;
    image->stamp_size = size < WIRE_STAMP_BYTES ? size : WIRE_STAMP_BYTES;
    size_t fit = WIRE_BATCH_BYTES / image->frame_size;
    image->count = fit < 1 ? 1 : fit < depth ? (uint32_t)fit : depth;
    image->plain = malloc(size + 1);
    image->bytes = malloc(image->frame_size * image->count);
    if (image->plain == NULL || image->bytes == NULL) {
        fail("no memory for messages of %zu bytes", size);
    }
    for (size_t i = 0; i < size; i++) {
        /* Not periodic in any power of two, so that a piece put in the wrong place shows. */
        image->plain[i] = (uint8_t)('!' + (i + i / 91 + i / 8192) % 91);
    }
    memcpy(image->bytes, head, image->head_size);
    for (size_t i = 0; i < size; i++) {
        image->bytes[image->head_size + i] = image->plain[i] ^ wire_mask[i % 4];
    }
    for (uint32_t i = 1; i < image->count; i++) {
        memcpy(image->bytes + i * image->frame_size, image->bytes, image->frame_size);
    }
}

void wire_image_free(struct wire_image *image)
{
    free(image->bytes);
    free(image->plain);
    *image = (struct wire_image){0};
}

/* Hexadecimal digits, the fast-moving ones first, so that even a payload of one byte changes. */
static void wire_stamp(uint8_t out[WIRE_STAMP_BYTES], uint32_t session, uint64_t sequence)
{
    uint64_t value = (sequence & UINT32_MAX) | (uint64_t)session << 32;
    for (unsigned i = 0; i < WIRE_STAMP_BYTES; i++) {
        out[i] = (uint8_t) "0123456789abcdef"[(value >> (4 * i)) & 15];
    }
}

static void wire_stamp_masked(uint8_t out[WIRE_STAMP_BYTES], uint32_t session, uint64_t sequence)
{
    wire_stamp(out, session, sequence);
    for (unsigned i = 0; i < WIRE_STAMP_BYTES; i++) {
        out[i] ^= wire_mask[i % 4];
    }
}

void wire_image_stamp(struct wire_image *image, uint32_t count, uint32_t session, uint64_t sequence)
{
    uint8_t stamp[WIRE_STAMP_BYTES];
    for (uint32_t i = 0; i < count; i++) {
        wire_stamp_masked(stamp, session, sequence + i);
        memcpy(image->bytes + i * image->frame_size + image->head_size, stamp, image->stamp_size);
    }
}

bool wire_image_matches(const struct wire_image *image, bool raw, uint32_t session,
                        uint64_t sequence, size_t offset, const uint8_t *bytes, size_t size)
{
    uint8_t stamp[WIRE_STAMP_BYTES];
    const uint8_t *expected = raw ? image->bytes : image->plain;
    size_t stamp_start = raw ? image->head_size : 0;
    size_t stamp_end = stamp_start + image->stamp_size;
    if (offset < stamp_start) {
        size_t part = stamp_start - offset < size ? stamp_start - offset : size;
        if (memcmp(bytes, expected + offset, part) != 0) {
            return false;
        }
        offset += part;
        bytes += part;
        size -= part;
    }
    if (size > 0 && offset < stamp_end) {
        size_t part = stamp_end - offset < size ? stamp_end - offset : size;
        raw ? wire_stamp_masked(stamp, session, sequence) : wire_stamp(stamp, session, sequence);
        if (memcmp(bytes, stamp + (offset - stamp_start), part) != 0) {
            return false;
        }
        offset += part;
        bytes += part;
        size -= part;
    }
    return memcmp(bytes, expected + offset, size) == 0;
}

size_t wire_control(uint8_t out[WIRE_CLIENT_HEAD_MAX + WIRE_CONTROL_MAX], uint8_t opcode,
                    const uint8_t *payload, size_t size)
{
    size_t at = wire_head(out, opcode, size);
    for (size_t i = 0; i < size; i++) {
        out[at + i] = payload[i] ^ wire_mask[i % 4];
    }
    return at + size;
}

static size_t wire_head_need(const struct wire_reader *reader)
{
    if (reader->head_have < 2) {
        return 2;
    }
    unsigned length = reader->head[1] & 0x7f;
    return length == 127 ? 10 : length == 126 ? 4 : 2;
}

/* The head is complete: checks it and starts the payload. */
static void wire_head_take(struct wire_reader *reader)
{
    uint8_t opcode = reader->head[0] & 0x0f;
    bool fin = (reader->head[0] & 0x80) != 0;
    bool is_control = opcode >= 8;
    if ((reader->head[0] & 0x70) != 0 || (reader->head[1] & 0x80) != 0) {
        fail("the server sent a frame with RSV bits or a mask (RFC 6455, sections 5.1 and 5.2)");
    }
    reader->left = reader->head[1];
    if (reader->head_have > 2) {
        reader->left = 0;
        for (unsigned i = 2; i < reader->head_have; i++) {
            reader->left = reader->left << 8 | reader->head[i];
        }
    }
    if (is_control && (!fin || reader->left > WIRE_CONTROL_MAX || opcode > WIRE_OPCODE_PONG)) {
        fail("the server sent a bad control frame (RFC 6455, section 5.5)");
    }
    if (!is_control && (opcode > 2 || (opcode == 0) != (reader->message_opcode != 0))) {
        fail("the server sent opcode %u out of turn (RFC 6455, section 5.4)", opcode);
    }
    if (!is_control && opcode != 0) {
        reader->message_opcode = opcode;
    }
    reader->control_have = 0;
    reader->in_payload = true;
}

static bool wire_control_take(struct wire_reader *reader, const uint8_t **cursor, size_t part,
                              struct wire_piece *piece)
{
    memcpy(reader->control + reader->control_have, *cursor, part);
    reader->control_have = (uint8_t)(reader->control_have + part);
    reader->left -= part;
    *cursor += part;
    if (reader->left > 0) {
        return false;
    }
    *piece =
        (struct wire_piece){reader->control, reader->control_have, reader->head[0] & 0x0f, true};
    reader->in_payload = false;
    reader->head_have = 0;
    return true;
}

static void wire_data_take(struct wire_reader *reader, const uint8_t **cursor, size_t part,
                           struct wire_piece *piece)
{
    reader->left -= part;
    bool frame_ends = reader->left == 0;
    *piece = (struct wire_piece){*cursor, part, reader->message_opcode,
                                 frame_ends && (reader->head[0] & 0x80) != 0};
    *cursor += part;
    if (frame_ends) {
        reader->in_payload = false;
        reader->head_have = 0;
    }
    if (piece->ends) {
        reader->message_opcode = 0;
    }
}

bool wire_reader_next(struct wire_reader *reader, const uint8_t **cursor, const uint8_t *end,
                      struct wire_piece *piece)
{
    while (!reader->in_payload && *cursor < end) {
        reader->head[reader->head_have++] = *(*cursor)++;
        if (reader->head_have >= 2 && reader->head_have == wire_head_need(reader)) {
            wire_head_take(reader);
        }
    }
    size_t available = (size_t)(end - *cursor);
    size_t part = reader->left < available ? (size_t)reader->left : available;
    if (!reader->in_payload || (part == 0 && reader->left > 0)) {
        return false;
    }
    if ((reader->head[0] & 0x0f) >= 8) {
        return wire_control_take(reader, cursor, part, piece);
    }
    wire_data_take(reader, cursor, part, piece);
    return true;
}
