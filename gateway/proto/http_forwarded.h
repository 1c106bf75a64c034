/* Who the client is behind proxies that we trust, by X-Forwarded-For. */
#ifndef WEIR_PROTO_HTTP_FORWARDED_H
#define WEIR_PROTO_HTTP_FORWARDED_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "proto/http_head.h"
#include "proto/ip_address.h"

/* Walks one X-Forwarded-For value from the right, past addresses in `trusted`, and gives the first
 * that is not, or the leftmost where all are. `peer` is who connected to us: where it is not
 * trusted, or the value's last item is no address, it is the client. An item that is no address
 * ends the walk at what vouched for it, since nothing left of it can be believed. `trusted` is
 * borrowed. Any thread. */
struct ip_address http_forwarded_client(struct span value, const struct ip_block *trusted,
                                        size_t count, struct ip_address peer);

/* The same over all X-Forwarded-For fields of a head, the last one first: several fields are one
 * list (RFC 9110, section 5.3), and its left end is what the client may have forged. Any thread. */
struct ip_address http_forwarded_head_client(const struct http_head *head,
                                             const struct ip_block *trusted, size_t count,
                                             struct ip_address peer);

/* Appends one element of a Forwarded field's value: `for=…;host=…;proto=…`, quoted where it must be
 * (RFC 7239, sections 4 and 6). `client` is an address as ip_address_format writes it, an
 * obfuscated name, or empty for "unknown". `host` and `proto` may be empty: they are left out.
 * WEIR_ENOMEM, and WEIR_EINVAL for a control character in any of them, leave `out` as it was. Any
 * thread. */
WEIR_MUST enum weir_err http_forwarded_write(struct buffer *out, struct span client,
                                             struct span host, struct span proto);

#endif
