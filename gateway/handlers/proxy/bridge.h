/* A session of a client joined to a session with a backend: pieces of messages both ways, each side
 * with its own checks, limits, pings, compression and close handshake. Made by a session's exchange
 * for its handshake; from on_open on it lives in the session's seat, and after on_close until the
 * backend's side has closed. One thread: its worker's. */
#ifndef WEIR_HANDLERS_PROXY_BRIDGE_H
#define WEIR_HANDLERS_PROXY_BRIDGE_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "handlers/proxy/proxy.h"
#include "proto/http_response.h"
#include "upstream/backend.h"

struct bridge;

/* Makes the nonce and decides what will be offered: the client's subprotocols that the route
 * allows, compression by the settings. Given; NULL when memory is out. */
struct bridge *bridge_new(struct proxy *proxy, struct weir_request *request, unsigned seat);

/* Ends a bridge whose session never came: it is freed, or where the backend has accepted already,
 * closes that with 1001 first, by itself. NULL inside is fine. */
void bridge_free(struct bridge **bridge);

/* Appends the fields of the opening handshake: Upgrade, Connection, Sec-WebSocket-*. The exchange
 * writes the request line and all other fields. */
WEIR_MUST enum weir_err bridge_write_fields(const struct bridge *bridge, struct buffer *head);

/* The backend has answered 101: checks that, and prepares the client's 101
 * (request_prepare_accept). On WEIR_OK `backend` and what of its bytes came behind the head are
 * taken (`early` is copied), and the exchange resumes the request with WEIR_ACCEPT. WEIR_EPROTO:
 * `*why` is static words, answer 502; WEIR_ENOMEM. Nothing is taken then. `fields` are what of the
 * response passes on to the client. */
struct reply_field;
WEIR_MUST enum weir_err bridge_connected(struct bridge *bridge,
                                         const struct http_response *response,
                                         const struct reply_field *fields, size_t field_count,
                                         struct backend *backend, struct span early,
                                         const char **why);

/* The session's callbacks. */
enum weir_verdict bridge_open(struct bridge *bridge, struct weir_session *session);
enum weir_verdict bridge_piece(struct bridge *bridge, const struct weir_piece *piece);
enum weir_verdict bridge_message(struct bridge *bridge, const struct weir_message *message);
void bridge_drained(struct bridge *bridge);
void bridge_closed(struct bridge *bridge, const struct weir_ending *ending);

#endif
