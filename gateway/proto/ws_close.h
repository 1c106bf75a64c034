/* Close codes and the body of close frames (RFC 6455, sections 5.5.1 and 7.4). */
#ifndef WEIR_PROTO_WS_CLOSE_H
#define WEIR_PROTO_WS_CLOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum {
    WS_CLOSE_NO_STATUS = 1005,
    WS_CLOSE_ABNORMAL = 1006,
    WS_CLOSE_REASON_MAX = 123
};

/* Whether the code may stand in a close frame: 1000-1003, 1007-1014, 3000-4999. */
bool ws_close_code_is_sendable(unsigned code);

/* Parses the payload of a close frame. Empty gives code 1005 and an empty reason. WEIR_EPROTO with
 * `*error_code` 1002 (one byte, or a code that may not be sent) or 1007 (reason not UTF-8).
 * `*reason` borrows `payload`. */
WEIR_MUST enum weir_err ws_close_parse(struct span payload, uint16_t *code, struct span *reason,
                                       uint16_t *error_code);

/* Writes a close payload and returns its size, 0..125. Code 0 or 1005 gives an empty payload. The
 * reason is cut to 123 bytes at a character's border, and left out where it is not UTF-8. */
size_t ws_close_write(uint8_t out[125], uint16_t code, struct span reason);

#endif
