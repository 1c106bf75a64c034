/* permessage-deflate (RFC 7692) on zlib: negotiation, and one message at a time either way. */
#ifndef WEIR_PROTO_WS_DEFLATE_H
#define WEIR_PROTO_WS_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"

/* What is offered, accepted, or in force. Window bits 8..15 on the wire; 8 from a peer is answered
 * as zlib can (see .c). */
struct ws_deflate_params {
    bool server_no_context_takeover;
    bool client_no_context_takeover;
    uint8_t server_max_window_bits; /* 9..15 */
    uint8_t client_max_window_bits; /* 9..15 */
};

enum {
    WS_DEFLATE_RESPONSE_BYTES = 160
};

/* Server side: picks the first acceptable permessage-deflate offer from a Sec-WebSocket-Extensions
 * list value (section 5.1; several fields are joined with commas by the caller). `ours` is the
 * configured most: takeover flags that we set are always asked for, window bits are upper bounds.
 * An offer with an unknown, duplicate or malformed parameter is declined (passed over), never an
 * error. True: `*agreed` holds and `response` is the terminated value to answer with. */
bool ws_deflate_negotiate(struct span offers, const struct ws_deflate_params *ours,
                          struct ws_deflate_params *agreed,
                          char response[WS_DEFLATE_RESPONSE_BYTES]);

struct ws_deflater; /* opaque: a z_stream that compresses */
struct ws_inflater; /* opaque: a z_stream that inflates */

/* Given; NULL when memory is out. One serves one session with context takeover, or all sessions of
 * one worker and one window size without. */
struct ws_deflater *ws_deflater_new(int window_bits, int level);
struct ws_inflater *ws_inflater_new(int window_bits);
void ws_deflater_free(struct ws_deflater **deflater);
void ws_inflater_free(struct ws_inflater **inflater);

/* Appends the compressed form of one whole message, without the last four bytes 00 00 ff ff
 * (section 7.2.1). With `keep_context` false the window is forgotten after. WEIR_ENOMEM leaves
 * `out` as it was and the deflater forgotten. */
WEIR_MUST enum weir_err ws_deflater_message(struct ws_deflater *deflater, struct span in,
                                            bool keep_context, struct buffer *out);

/* Appends the inflated form of one whole compressed message (section 7.2.2). WEIR_ELIMIT as soon as
 * the output would pass `max_size` bytes, with no more inflated than that; WEIR_EPROTO for bytes
 * that are not deflate; WEIR_ENOMEM. */
WEIR_MUST enum weir_err ws_inflater_message(struct ws_inflater *inflater, struct span in,
                                            bool keep_context, uint64_t max_size,
                                            struct buffer *out);

#endif
