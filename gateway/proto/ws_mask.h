/* Masking of payloads (RFC 6455, section 5.3). */
#ifndef WEIR_PROTO_WS_MASK_H
#define WEIR_PROTO_WS_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* XORs `size` bytes in place with the key, starting with mask[0], and rotates `mask` so that the
 * next call goes on where this one stopped. */
void ws_mask_apply(uint8_t mask[4], uint8_t *bytes, size_t size);

/* The same, and says whether every byte is below 0x80 after: an all-ASCII text needs no second pass
 * to be known as UTF-8. */
bool ws_mask_apply_is_ascii(uint8_t mask[4], uint8_t *bytes, size_t size);

#endif
