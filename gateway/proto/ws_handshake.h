/* The server's half of the opening handshake (RFC 6455, sections 4.2 and 11.3), as checks on a
 * parsed head. */
#ifndef WEIR_PROTO_WS_HANDSHAKE_H
#define WEIR_PROTO_WS_HANDSHAKE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"
#include "proto/http_head.h"

enum {
    WS_ACCEPT_BYTES = 29
};

/* Whether the client asks for WebSocket: `Upgrade` lists websocket. A request that does but is
 * otherwise wrong is for ws_handshake_check to refuse. */
bool ws_handshake_is_wanted(const struct http_head *head);

/* Checks the whole handshake request: GET, HTTP/1.1, Connection lists upgrade, one
 * Sec-WebSocket-Key of 16 bytes in canonical base64, one Sec-WebSocket-Version that is 13, no body.
 * WEIR_EPROTO: `*status` is 400, 405 or 426 (which must be answered with `Sec-WebSocket-Version:
 * 13`), `*why` static words. */
WEIR_MUST enum weir_err ws_handshake_check(const struct http_head *head, unsigned *status,
                                           const char **why);

/* The Sec-WebSocket-Accept for a key, terminated (section 4.2.2, item 5.4). False when OpenSSL
 * fails. */
bool ws_handshake_accept(struct span key, char out[WS_ACCEPT_BYTES]);

/* Picks the client's first wish that we have (section 4.2.2). `ours` are terminated strings. NULL
 * for none. */
const char *ws_handshake_subprotocol(const struct http_head *head, char *const *ours, size_t count);

/* Whether an Origin field's value is allowed: an exact match without regard to case of scheme and
 * host, or a pattern `https://*.example.com`. A missing Origin (not a browser) is allowed.
 * `allowed` empty: all are. */
bool ws_handshake_origin_allowed(const struct http_head *head, char *const *allowed, size_t count);

#endif
