/* Which fields end at this hop, and which of a body's trailers may go on (RFC 9110, sections 7.6.1
 * and 6.5.1). */
#ifndef WEIR_PROTO_HTTP_HOP_H
#define WEIR_PROTO_HTTP_HOP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "proto/http_fields.h"

/* Whether a field is for this hop only: Connection and what it lists (`fields` are all of the
 * head), Keep-Alive, Proxy-Connection, Proxy-Authenticate, Proxy-Authorization, TE,
 * Transfer-Encoding, Upgrade. Any thread. */
bool http_hop_is_local(const struct http_field *fields, size_t count, struct span name);

/* Whether a field may be passed on in a trailer section: none that is for one hop, or that frames,
 * routes, authenticates or controls the message. Any thread. */
bool http_hop_may_trail(struct span name);

#endif
