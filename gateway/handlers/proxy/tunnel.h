/* After a 101 that is the backend's own: bytes both ways between a client and a backend, until both
 * directions have ended. It lives in the request's seat until on_done. One thread: its worker's. */
#ifndef WEIR_HANDLERS_PROXY_TUNNEL_H
#define WEIR_HANDLERS_PROXY_TUNNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "handlers/proxy/proxy.h"
#include "upstream/backend.h"

struct tunnel;

/* At the start of what is in a seat. */
#define TUNNEL_MAGIC 0x74756e6eU /* "tunn" */

/* Makes a tunnel and puts it into the request's seat, before request_switch. NULL when memory is
 * out. */
struct tunnel *tunnel_new(struct proxy *proxy, struct weir_request *request, unsigned seat);

/* The client has been told of the switch: takes the backend over. `early` are bytes that came
 * behind the backend's 101; borrowed for the call. */
void tunnel_start(struct tunnel *tunnel, struct backend *backend, struct span early);

/* on_body, on_reply_drain and on_done; the last frees and empties the seat. */
void tunnel_body(struct tunnel *tunnel, struct span piece, bool last);
void tunnel_drained(struct tunnel *tunnel);
void tunnel_done(struct tunnel *tunnel);

#endif
