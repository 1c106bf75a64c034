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

/* Checks the whole handshake request: GET, HTTP/1.1, Upgrade lists websocket, Connection lists
 * upgrade, one Sec-WebSocket-Key of 16 bytes in canonical base64, one Sec-WebSocket-Version that is
 * 13, no body. WEIR_EPROTO: `*why` is static words, and `*status` is 400, or 405 (to be answered
 * with `Allow: GET`), or 426 (to be answered with `Upgrade: websocket` and `Sec-WebSocket-Version:
 * 13`). Any thread. */
WEIR_MUST enum weir_err ws_handshake_check(const struct http_head *head, unsigned *status,
                                           const char **why);

/* The Sec-WebSocket-Accept for a key that passed the check, terminated (section 4.2.2, item 5.4).
 * False when OpenSSL fails, or for a key that is not 24 characters long. Any thread. */
bool ws_handshake_accept(struct span key, char out[WS_ACCEPT_BYTES]);

/* Picks the client's first wish that we have (section 4.2.2), comparing byte by byte; what a client
 * may not send there is passed over. `ours` are terminated strings, borrowed; the result is one of
 * them, or NULL for none. Any thread. */
const char *ws_handshake_subprotocol(const struct http_head *head, char *const *ours, size_t count);

/* Whether an Origin field's value is allowed: the same scheme, host and port as one in `allowed`,
 * without regard to case and with http, https, ws and wss having their default ports. An allowed
 * host that starts with `*.` stands for every name below the rest of it, but not for that itself.
 * What has no host, e.g. `null`, must stand there as it comes. A missing Origin (not a browser) is
 * allowed, two never are. `allowed` are terminated strings, borrowed; empty: all are allowed. Any
 * thread. */
bool ws_handshake_origin_allowed(const struct http_head *head, char *const *allowed, size_t count);

#endif
