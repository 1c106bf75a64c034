/* permessage-deflate (RFC 7692) on zlib: negotiation, and one message at a time either way. */
#ifndef WEIR_PROTO_WS_DEFLATE_H
#define WEIR_PROTO_WS_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"

/* What is configured, or in force. 8 stands on the wire only: an offer that limits our window to 8
 * bits is declined, and a client that limits its own to 8 is inflated with 9 (see .c). */
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
 * error. A client that does not offer client_max_window_bits cannot be limited: 15 is agreed then.
 * True: `*agreed` holds and `response` is the terminated value to answer with. Any thread. */
bool ws_deflate_negotiate(struct span offers, const struct ws_deflate_params *ours,
                          struct ws_deflate_params *agreed,
                          char response[WS_DEFLATE_RESPONSE_BYTES]);

/* Client side: appends the Sec-WebSocket-Extensions value that offers permessage-deflate like this.
 * Window bits of 15 are not mentioned, so that a server cannot limit our window unless we want
 * that. WEIR_ENOMEM leaves `out` as it was. Any thread. */
WEIR_MUST enum weir_err ws_deflate_offer(struct buffer *out, const struct ws_deflate_params *wish);

/* Client side: whether `answer`, the value of a Sec-WebSocket-Extensions field, is one that an
 * offer like `wish` allows (sections 5.1 and 7.1): permessage-deflate and nothing else, with
 * everything that was asked of the server, no parameter twice, unknown or malformed, no window for
 * us that is larger than ours or smaller than 9 bits, nor any where none was offered. True:
 * `*agreed` holds. Any thread. */
bool ws_deflate_accept(struct span answer, const struct ws_deflate_params *wish,
                       struct ws_deflate_params *agreed);

struct ws_deflater; /* opaque: a z_stream that compresses */
struct ws_inflater; /* opaque: a z_stream that inflates */

/* Given; NULL when memory is out. One serves one session with context takeover, or all sessions of
 * one worker and one window size without. `window_bits` 9..15 as agreed, or more for an inflater;
 * `level` 0..9, or -1 for zlib's default. For one thread at a time. */
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
 * that are not deflate, or do not end with a block; WEIR_ENOMEM. An error leaves `out` with what it
 * held before, and the window forgotten. An empty `in` is an empty message. */
WEIR_MUST enum weir_err ws_inflater_message(struct ws_inflater *inflater, struct span in,
                                            bool keep_context, uint64_t max_size,
                                            struct buffer *out);

#endif
