/* The client's half of the opening handshake, for sessions that Weir opens to backends (RFC 6455,
 * section 4.1). */
#ifndef WEIR_PROTO_WS_CLIENT_H
#define WEIR_PROTO_WS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "proto/http_response.h"
#include "proto/ws_deflate.h"

enum {
    WS_CLIENT_NONCE_BYTES = 16,
    WS_CLIENT_KEY_BYTES = 25
};

/* The Sec-WebSocket-Key for a nonce, terminated. Any thread. */
void ws_client_key(const uint8_t nonce[WS_CLIENT_NONCE_BYTES], char out[WS_CLIENT_KEY_BYTES]);

/* What was asked for, and so what an answer may say. */
struct ws_client_wish {
    const char *key;          /* as sent */
    struct span subprotocols; /* the offered list, as sent; empty for none */
    bool offers_deflate;
    struct ws_deflate_params deflate; /* as offered */
};

/* Checks a 101: its version, Upgrade, Connection, the accept key, a subprotocol only of those
 * offered, and no extension that was not. WEIR_OK: `*subprotocol` (borrowed, empty for none) and
 * `*deflates` hold, and where that is true `*agreed`. WEIR_EPROTO: `*why` is static words. Any
 * thread. */
WEIR_MUST enum weir_err ws_client_check(const struct http_response *response,
                                        const struct ws_client_wish *wish, struct span *subprotocol,
                                        bool *deflates, struct ws_deflate_params *agreed,
                                        const char **why);

/* Appends the Sec-WebSocket-Extensions value that offers permessage-deflate like this
 * (ws_deflate_offer). Any thread. */
WEIR_MUST enum weir_err ws_client_offer_deflate(struct buffer *out,
                                                const struct ws_deflate_params *wish);

#endif
