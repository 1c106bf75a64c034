/* The receiving half of a WebSocket: bytes in, pieces of messages and control frames out (RFC 6455,
 * section 5). It owns no memory: payload is unmasked in place and handed on as a borrowed span of
 * the caller's bytes. */
#ifndef WEIR_PROTO_WS_DECODER_H
#define WEIR_PROTO_WS_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "proto/utf8.h"

enum ws_opcode {
    WS_CONTINUATION = 0x0,
    WS_TEXT = 0x1,
    WS_BINARY = 0x2,
    WS_CLOSE = 0x8,
    WS_PING = 0x9,
    WS_PONG = 0xa,
};

enum {
    WS_CONTROL_MAX = 125,
    WS_HEAD_MAX = 14
};

/* What a decoder was made for; shared by all sessions of a route, so that each keeps only its
 * state. */
struct ws_decoder_rules {
    bool expects_mask;         /* we are the server (section 5.1) */
    uint64_t max_message_size; /* bytes on the wire, of a whole message; compressed ones may have
                                * an eighth and 64 more, for what deflating cannot make smaller */
};

/* State of one direction of one session. All zero is the start. Kept small: there is one for each
 * idle session. */
struct ws_decoder {
    uint64_t remaining;    /* payload bytes of the current data frame that have not come yet */
    uint64_t message_size; /* payload bytes of the current message, all its frames so far */
    uint8_t mask[4];       /* rotated to the next payload byte */
    struct utf8_state utf8;
    uint8_t kind; /* opcode of the message under way, 0 for none */
    bool in_frame;
    bool fin;
    bool compressed;         /* RSV1 of the message's first frame (RFC 7692, section 6) */
    bool allows_compression; /* permessage-deflate was negotiated; set by the owner */
};

enum ws_event_type {
    WS_EVENT_DATA,    /* a piece of a text or binary message */
    WS_EVENT_CONTROL, /* a whole ping, pong or close; `opcode` tells */
};

struct ws_event {
    enum ws_event_type type;
    uint8_t opcode;      /* WS_TEXT, WS_BINARY (also for continuations), or the control opcode */
    bool compressed;     /* data: the message is compressed; its text was not checked as UTF-8 */
    bool message_start;  /* data: the first piece of a message */
    bool message_end;    /* data: the last piece of a message */
    bool frame_start;    /* data: the first piece of a frame */
    uint64_t frame_left; /* data: payload bytes of this frame still to come after this piece */
    uint8_t *payload;    /* unmasked, borrowed from the caller's bytes */
    size_t payload_size;
};

/* Decodes the next event from `bytes`, unmasking in place. On WEIR_OK `*consumed` bytes are done
 * with and `*event` holds; call again with the rest. A data frame yields a piece as soon as any
 * payload (or an empty frame) is there; a control frame only when it is whole. WEIR_AGAIN: nothing
 * to do with what is there; the caller keeps the rest (`*consumed` is 0 and no byte was changed)
 * and calls again with more behind it: at most WS_HEAD_MAX + WS_CONTROL_MAX bytes ever wait.
 * WEIR_EPROTO: the peer broke a rule; `*close_code` is 1002, 1007 (text that cannot be UTF-8,
 * section 8.1) or 1009 (over max_message_size, before any of the payload is read), `*why` static
 * words. No call may follow an error. */
WEIR_MUST enum weir_err ws_decoder_next(struct ws_decoder *decoder,
                                        const struct ws_decoder_rules *rules, uint8_t *bytes,
                                        size_t size, size_t *consumed, struct ws_event *event,
                                        uint16_t *close_code, const char **why);

#endif
