/* One request on its way to a backend and its response on the way back; it ends as that, or becomes
 * a tunnel or a bridge. It lives in the request's seat until on_done, or until the tunnel or the
 * bridge takes over. One thread: its worker's. */
#ifndef WEIR_HANDLERS_PROXY_EXCHANGE_H
#define WEIR_HANDLERS_PROXY_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "handlers/proxy/proxy.h"

struct bridge;
struct exchange;

/* At the start of what is in a seat. */
#define EXCHANGE_MAGIC 0x65786368U /* "exch" */

enum exchange_kind {
    EXCHANGE_HTTP,
    EXCHANGE_TUNNEL, /* asks for an upgrade that is the backend's */
    EXCHANGE_SESSION /* asks for WebSocket, on a route that accepts it */
};

/* Starts; fills the request's seat. The verdict is on_request's: WAIT, or REPLY after an error. */
enum weir_verdict exchange_start(struct proxy *proxy, struct weir_request *request, unsigned seat,
                                 enum exchange_kind kind);

/* on_body, on_reply_drain and on_done. The last frees, and empties the seat; it serves on_close too
 * where on_open never came. */
void exchange_body(struct exchange *exchange, struct span piece, bool last);
void exchange_drained(struct exchange *exchange);
void exchange_done(struct exchange *exchange);

/* on_open: the bridge of a session's exchange, which is freed. Given. */
struct bridge *exchange_take_bridge(struct exchange *exchange);

#endif
