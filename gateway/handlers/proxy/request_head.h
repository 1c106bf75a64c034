/* The head of a request as a backend gets it. */
#ifndef WEIR_HANDLERS_PROXY_REQUEST_HEAD_H
#define WEIR_HANDLERS_PROXY_REQUEST_HEAD_H

#include "base/buffer.h"
#include "base/err.h"
#include "handlers/proxy/exchange.h"
#include "handlers/proxy/settings.h"
#include "upstream/server.h"

/* Appends the whole head with its empty line: the target by the settings' prefixes, Host, the
 * client's end-to-end fields in their order, what tells who the client is, the settings' changes,
 * and the fields of this hop: framing, TE, and of an upgrade Upgrade and Connection as `kind` says.
 * `bridge` writes the handshake's own fields of a session; NULL for other kinds. All borrowed.
 * WEIR_EINVAL: a field or the target cannot be written; WEIR_ENOMEM. The request's worker. */
WEIR_MUST enum weir_err request_head_write(const struct proxy_settings *settings,
                                           const struct weir_request *request,
                                           const struct upstream_server *server,
                                           enum exchange_kind kind, const struct bridge *bridge,
                                           struct buffer *out);

/* Whether the backend sees the client's trailers, and the client wants the backend's: TE names
 * them. */
bool request_head_wants_trailers(const struct weir_request *request);

#endif
