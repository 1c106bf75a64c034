/* Heads of outgoing frames, in the shortest length form (RFC 6455, section 5.2). Called by
 * session/ for each frame sent and by pubsub/ once for each publication. It never touches
 * payload. */
#include "proto/ws_frame.h"

#include <string.h>

enum {
    MASK_BIT = 0x80,
    LENGTH_16 = 126, /* two bytes of length follow */
    LENGTH_64 = 127  /* eight bytes of length follow */
};

static void put_big_endian(uint8_t *out, uint64_t value, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        out[i] = (uint8_t)(value >> (8 * (count - 1 - i)));
    }
}

size_t ws_frame_write_head(uint8_t out[WS_HEAD_MAX], uint8_t first_byte, uint64_t payload_size,
                           const uint8_t *mask)
{
    uint8_t mask_bit = mask != NULL ? MASK_BIT : 0;
    size_t size = 2;
    out[0] = first_byte;
    if (payload_size < LENGTH_16) {
        out[1] = (uint8_t)(mask_bit | payload_size);
    } else if (payload_size <= UINT16_MAX) {
        out[1] = mask_bit | LENGTH_16;
        put_big_endian(out + 2, payload_size, 2);
        size = 4;
    } else {
        out[1] = mask_bit | LENGTH_64;
        put_big_endian(out + 2, payload_size, 8);
        size = 10;
    }
    if (mask != NULL) {
        memcpy(out + size, mask, 4);
        size += 4;
    }
    return size;
}
