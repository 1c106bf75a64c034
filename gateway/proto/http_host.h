/* host[:port], as Host fields and absolute targets carry it (RFC 9110, section 7.2). */
#ifndef WEIR_PROTO_HTTP_HOST_H
#define WEIR_PROTO_HTTP_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* Splits a valid `host[:port]`. False where it is not valid: a name of letters, digits and "-._~",
 * an IPv4 address, or an IPv6 address in brackets; then at most a port of 0..65535. Sub-delimiters
 * and percent escapes, which RFC 3986 allows in a name but no DNS name has, are refused. An empty
 * name is not valid. `*name` borrows `text`, with brackets; `*port` is 0 where there is none. Any
 * thread. */
bool http_host_split(struct span text, struct span *name, uint16_t *port);

/* Whether http_host_split takes it. Any thread. */
bool http_host_is_valid(struct span text);

#endif
