/* Masking of payloads (RFC 6455, section 5.3). */
#ifndef WEIR_PROTO_WS_MASK_H
#define WEIR_PROTO_WS_MASK_H

#include <stddef.h>
#include <stdint.h>

/* XORs `size` bytes in place with the key, starting with mask[0], and rotates `mask` so that the
 * next call goes on where this one stopped. */
void ws_mask_apply(uint8_t mask[4], uint8_t *bytes, size_t size);

#endif
