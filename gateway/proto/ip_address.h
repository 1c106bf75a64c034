/* Addresses as values: parsing, text, blocks. struct sockaddr is net/'s business. */
#ifndef WEIR_PROTO_IP_ADDRESS_H
#define WEIR_PROTO_IP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum {
    IP_NONE = 0, /* a unix socket, or not known */
    IP_V4 = 4,
    IP_V6 = 6,
    IP_ADDRESS_TEXT_BYTES = 54 /* "[" 45 characters "]:65535" and the terminator */
};

/* All zero is "not known". */
struct ip_address {
    uint8_t family;    /* IP_NONE, IP_V4, IP_V6 */
    uint8_t bytes[16]; /* network order; the first four for IPv4, the others zero */
    uint16_t port;     /* host order; 0 where none was given */
};

/* A CIDR block (RFC 4632; RFC 4291, section 2.3). */
struct ip_block {
    uint8_t family; /* IP_V4 or IP_V6 */
    uint8_t bits;   /* 0..32 or 0..128 */
    uint8_t bytes[16];
};

/* Parses "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]" or "[2001:db8::1]:80", and
 * nothing around it. WEIR_EINVAL where it is none of these; zone identifiers are not taken. Any
 * thread. */
WEIR_MUST enum weir_err ip_address_parse(struct span text, struct ip_address *out);

/* Writes the shortest text, terminated, and returns its length. With a port: "192.0.2.1:80",
 * "[2001:db8::1]:80"; without: no brackets. IP_NONE gives "unknown". Any thread. */
size_t ip_address_format(const struct ip_address *address, bool with_port,
                         char out[IP_ADDRESS_TEXT_BYTES]);

/* The IPv4 address inside an IPv4-mapped IPv6 one (RFC 4291, section 2.5.5.2); any other as it is.
 * Any thread. */
struct ip_address ip_address_unmapped(struct ip_address address);

/* Same host, whatever the ports; mapped IPv4 equals IPv4. IP_NONE equals nothing. Any thread. */
bool ip_address_equal(const struct ip_address *a, const struct ip_address *b);

/* Parses "10.0.0.0/8", "2001:db8::/32", or a single address (a block of one). Bits behind the
 * prefix are cleared. A block inside ::ffff:0:0/96 becomes the IPv4 block that it means.
 * WEIR_EINVAL for anything else, ports and brackets too. Any thread. */
WEIR_MUST enum weir_err ip_block_parse(struct span text, struct ip_block *out);

/* Whether the address lies in the block; IPv4-mapped IPv6 addresses match IPv4 blocks. IP_NONE lies
 * in none. Any thread. */
bool ip_block_contains(const struct ip_block *block, const struct ip_address *address);

/* Whether any of `count` blocks contains the address. Any thread. */
bool ip_block_any_contains(const struct ip_block *blocks, size_t count,
                           const struct ip_address *address);

#endif
