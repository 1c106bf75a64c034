/* The PROXY protocol, versions 1 and 2: who the client behind a load balancer is. */
#ifndef WEIR_PROTO_PROXY_PROTOCOL_H
#define WEIR_PROTO_PROXY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "proto/ip_address.h"

enum {
    PROXY_V1_BYTES_MAX = 107,   /* with CR LF (section 2.1) */
    PROXY_V2_HEAD_BYTES = 16,   /* before the addresses (section 2.2) */
    PROXY_V2_LENGTH_MAX = 2048, /* addresses and TLVs; our limit, the wire allows 65535 */
    PROXY_BYTES_MAX = PROXY_V2_HEAD_BYTES + PROXY_V2_LENGTH_MAX
};

struct proxy_header {
    struct ip_address source; /* IP_NONE for unix sockets, and when `is_local` */
    struct ip_address destination;
    bool is_local;   /* LOCAL, UNKNOWN or UNSPEC: the balancer speaks for itself or does not know */
    uint8_t version; /* 1 or 2 */
};

/* Parses the header at the start of a connection. WEIR_OK: `*header` and `*consumed` hold.
 * WEIR_AGAIN: so far it is the start of one; never for PROXY_BYTES_MAX bytes or more. WEIR_EPROTO
 * (it is none, or malformed) or WEIR_ELIMIT (over PROXY_V2_LENGTH_MAX): `*why` holds static words;
 * the connection must close without an answer. TLVs are skipped. Source: haproxy's
 * doc/proxy-protocol.txt. Any thread. */
WEIR_MUST enum weir_err proxy_protocol_parse(struct span bytes, struct proxy_header *header,
                                             size_t *consumed, const char **why);

#endif
