/* What may stand in a close frame (RFC 6455, sections 5.5.1 and 7.4). Called by session/ when a
 * close frame has come and when one is to be sent. It never decides whether to close. */
#include "proto/ws_close.h"

#include <string.h>

#include "proto/utf8.h"

bool ws_close_code_is_sendable(unsigned code)
{
    /* RFC 6455, section 7.4.1: 1004 is reserved, 1005, 1006 and 1015 never stand in a frame;
     * 1012..1014 were registered with IANA later (section 11.7). */
    if (code >= 1000 && code <= 1014) {
        return code <= 1003 || code >= 1007;
    }
    /* RFC 6455, section 7.4.2: libraries and applications. 1016..2999 is for future versions. */
    return code >= 3000 && code <= 4999;
}

static bool is_utf8(struct span text)
{
    struct utf8_state state = {0};
    return utf8_feed(&state, text.data, text.size) && utf8_is_complete(&state);
}

enum weir_err ws_close_parse(struct span payload, uint16_t *code, struct span *reason,
                             uint16_t *error_code)
{
    if (payload.size == 0) {
        *code = WS_CLOSE_NO_STATUS;
        *reason = payload;
        return WEIR_OK;
    }
    /* RFC 6455, section 5.5.1: where there is a body, it starts with a 2-byte code. */
    if (payload.size == 1) {
        *error_code = 1002;
        return WEIR_EPROTO;
    }
    unsigned sent = (unsigned)payload.data[0] << 8 | payload.data[1];
    if (!ws_close_code_is_sendable(sent)) {
        *error_code = 1002;
        return WEIR_EPROTO;
    }
    struct span text = span_from(payload, 2);
    /* RFC 6455, sections 5.5.1 and 8.1: the reason is UTF-8. */
    if (!is_utf8(text)) {
        *error_code = 1007;
        return WEIR_EPROTO;
    }
    *code = (uint16_t)sent;
    *reason = text;
    return WEIR_OK;
}

size_t ws_close_write(uint8_t out[125], uint16_t code, struct span reason)
{
    if (code == 0 || code == WS_CLOSE_NO_STATUS) {
        return 0;
    }
    size_t size = reason.size;
    if (size > WS_CLOSE_REASON_MAX) {
        size = WS_CLOSE_REASON_MAX;
        while (size > 0 && (reason.data[size] & 0xc0) == 0x80) {
            size--;
        }
    }
    /* RFC 6455, section 5.5.1: a peer must fail on a reason that is not UTF-8, so none is better.
     */
    if (!is_utf8((struct span){reason.data, size})) {
        size = 0;
    }
    out[0] = (uint8_t)(code >> 8);
    out[1] = (uint8_t)code;
    if (size > 0) {
        memcpy(out + 2, reason.data, size);
    }
    return 2 + size;
}
