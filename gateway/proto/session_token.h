/* The names by which real-time servers know a client from its first answer on, read out of that
 * answer's body. */
#ifndef WEIR_PROTO_SESSION_TOKEN_H
#define WEIR_PROTO_SESSION_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

enum {
    SESSION_TOKEN_MAX = 256,       /* bytes of a token; a longer one is not believed */
    SESSION_TOKEN_BODY_MAX = 16384 /* bytes of a body that are worth looking at */
};

/* The `sid` of an Engine.IO open packet: `0{"sid":"…"` at the start of a polling answer (also as
 * JSONP, and with the length prefixes of Engine.IO 3). `body` may be cut off anywhere: WEIR_AGAIN
 * while the token may still come. WEIR_OK: `out` holds `*size` bytes. WEIR_EINVAL: there is none.
 * Any thread. */
WEIR_MUST enum weir_err session_token_engine_io(struct span body, char out[SESSION_TOKEN_MAX],
                                                size_t *size);

/* The `connectionToken` of a SignalR negotiate answer, or its `connectionId` where it has no token
 * (version 0); as above. */
WEIR_MUST enum weir_err session_token_signalr(struct span body, char out[SESSION_TOKEN_MAX],
                                              size_t *size);

#endif
