/* Heads of frames on the way out (RFC 6455, section 5.2). */
#ifndef WEIR_PROTO_WS_FRAME_H
#define WEIR_PROTO_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/ws_decoder.h"

enum {
    WS_FIN = 0x80,
    WS_RSV1 = 0x40
};

/* Writes a frame head for `payload_size` bytes and returns its size, 2..14. `first_byte` is the
 * opcode with WS_FIN and WS_RSV1 as wanted; `mask` is the key of a client's frame, NULL for a
 * server's. */
size_t ws_frame_write_head(uint8_t out[WS_HEAD_MAX], uint8_t first_byte, uint64_t payload_size,
                           const uint8_t *mask);

#endif
