/* Both versions start with bytes that no other protocol starts with, so the first byte decides
 * which one it is, and a mismatch is refused as soon as it shows. Called by session/ before TLS or
 * HTTP sees a byte, on listeners that ask for it and for peers that are trusted. It never guesses:
 * a connection without a valid header is refused. Section numbers are those of haproxy's
 * doc/proxy-protocol.txt. */
#include "proto/proxy_protocol.h"

#include <string.h>

enum {
    V2_IPV4_BYTES = 12,
    V2_IPV6_BYTES = 36,
    V2_UNIX_BYTES = 216
};

static const uint8_t V2_SIGNATURE[12] = {'\r', '\n', '\r', '\n', 0,   '\r',
                                         '\n', 'Q',  'U',  'I',  'T', '\n'};

static enum weir_err refuse(const char **why, const char *words)
{
    *why = words;
    return WEIR_EPROTO;
}

/* Whether what has come of `bytes` agrees with `expected`. */
static bool may_become(struct span bytes, struct span expected)
{
    size_t size = bytes.size < expected.size ? bytes.size : expected.size;
    return span_equal((struct span){bytes.data, size}, (struct span){expected.data, size});
}

/* --- version 1 --- */

/* Takes the bytes up to the next space off `*rest`. A missing word comes out empty, and is then no
 * address and no port. */
static struct span next_word(struct span *rest)
{
    size_t end = span_find(*rest, ' ');
    struct span word = {rest->data, end};
    *rest = span_from(*rest, end + 1);
    return word;
}

/* Section 2.1: an address of exactly the announced family, without port or brackets. */
static bool parse_v1_address(struct span word, uint8_t family, struct ip_address *out)
{
    struct ip_address parsed;
    bool has_colon = span_find(word, ':') < word.size;
    bool has_bracket = word.size > 0 && word.data[0] == '[';
    if (has_bracket || has_colon != (family == IP_V6) ||
        ip_address_parse(word, &parsed) != WEIR_OK || parsed.family != family) {
        return false;
    }
    *out = parsed;
    return true;
}

/* Section 2.1: decimal, 0..65535, without leading zeros. */
static bool parse_v1_port(struct span word, uint16_t *port)
{
    uint64_t value;
    bool has_leading_zero = word.size > 1 && word.data[0] == '0';
    if (word.size > 5 || has_leading_zero || !span_to_u64(word, &value) || value > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

/* `rest` is what is between "PROXY " and CR LF. */
static enum weir_err parse_v1_words(struct span rest, struct proxy_header *header, const char **why)
{
    struct span protocol = next_word(&rest);
    if (span_equal(protocol, SPAN("UNKNOWN"))) {
        /* Section 2.1: what follows up to the line's end must be ignored. */
        header->is_local = true;
        return WEIR_OK;
    }
    uint8_t family = IP_NONE;
    if (span_equal(protocol, SPAN("TCP4"))) {
        family = IP_V4;
    } else if (span_equal(protocol, SPAN("TCP6"))) {
        family = IP_V6;
    }
    if (family == IP_NONE) {
        return refuse(why, "a malformed PROXY line");
    }
    if (!parse_v1_address(next_word(&rest), family, &header->source) ||
        !parse_v1_address(next_word(&rest), family, &header->destination)) {
        return refuse(why, "a malformed address in the PROXY line");
    }
    /* The last word is all that is left, so that a fifth one is no port. */
    if (!parse_v1_port(next_word(&rest), &header->source.port) ||
        !parse_v1_port(rest, &header->destination.port)) {
        return refuse(why, "a malformed port in the PROXY line");
    }
    return WEIR_OK;
}

static enum weir_err parse_v1(struct span bytes, struct proxy_header *header, size_t *consumed,
                              const char **why)
{
    const struct span prefix = SPAN("PROXY ");
    if (!may_become(bytes, prefix)) {
        return refuse(why, "no PROXY header");
    }
    struct span searched = bytes;
    if (searched.size > PROXY_V1_BYTES_MAX) {
        searched.size = PROXY_V1_BYTES_MAX;
    }
    size_t lf = span_find(searched, '\n');
    if (lf == searched.size) {
        return bytes.size < PROXY_V1_BYTES_MAX ? WEIR_AGAIN
                                               : refuse(why, "a PROXY line that is too long");
    }
    if (lf < prefix.size || bytes.data[lf - 1] != '\r') {
        return refuse(why, "a PROXY line that does not end with CR LF");
    }
    struct proxy_header parsed = {.version = 1};
    struct span rest = {bytes.data + prefix.size, lf - 1 - prefix.size};
    enum weir_err err = parse_v1_words(rest, &parsed, why);
    if (err == WEIR_OK) {
        *header = parsed;
        *consumed = lf + 1;
    }
    return err;
}

/* --- version 2 --- */

static uint16_t read_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static struct ip_address read_address(const uint8_t *at, size_t size, const uint8_t *port)
{
    struct ip_address address = {.family = size == 4 ? IP_V4 : IP_V6, .port = read_u16(port)};
    memcpy(address.bytes, at, size);
    return address;
}

/* Section 2.2: both addresses, then both ports. */
static void read_pair(const uint8_t *at, size_t address_size, struct proxy_header *header)
{
    const uint8_t *ports = at + 2 * address_size;
    header->source = read_address(at, address_size, ports);
    header->destination = read_address(at + address_size, address_size, ports + 2);
}

static enum weir_err parse_v2_addresses(uint8_t transport, struct span rest,
                                        struct proxy_header *header, const char **why)
{
    size_t needed;
    switch (transport) {
    case 0x00: /* UNSPEC: the sender does not know; the real connection's addresses hold */
        header->is_local = true;
        return WEIR_OK;
    case 0x11: /* TCP over IPv4 */
        needed = V2_IPV4_BYTES;
        break;
    case 0x21: /* TCP over IPv6 */
        needed = V2_IPV6_BYTES;
        break;
    case 0x31: /* unix stream */
        needed = V2_UNIX_BYTES;
        break;
    default: /* datagrams, which we do not accept, and values that have no meaning */
        return refuse(why, "an unknown transport in the PROXY header");
    }
    if (rest.size < needed) {
        return refuse(why, "a PROXY header too short for its addresses");
    }
    if (needed != V2_UNIX_BYTES) {
        read_pair(rest.data, needed == V2_IPV4_BYTES ? 4 : 16, header);
    }
    return WEIR_OK;
}

/* Section 2.2: the high half of byte 12 is the version, the low half the command. */
static enum weir_err parse_v2_body(uint8_t command, uint8_t transport, struct span rest,
                                   struct proxy_header *header, const char **why)
{
    if (command == 0x20) {
        /* LOCAL: the receiver must ignore the addresses, whatever the transport says. */
        header->is_local = true;
        return WEIR_OK;
    }
    return parse_v2_addresses(transport, rest, header, why);
}

static enum weir_err parse_v2(struct span bytes, struct proxy_header *header, size_t *consumed,
                              const char **why)
{
    if (!may_become(bytes, (struct span){V2_SIGNATURE, sizeof V2_SIGNATURE})) {
        return refuse(why, "no PROXY header");
    }
    if (bytes.size > 12 && bytes.data[12] != 0x20 && bytes.data[12] != 0x21) {
        return refuse(why, "an unknown version or command in the PROXY header");
    }
    if (bytes.size < PROXY_V2_HEAD_BYTES) {
        return WEIR_AGAIN;
    }
    size_t length = read_u16(bytes.data + 14);
    if (length > PROXY_V2_LENGTH_MAX) {
        *why = "a PROXY header that is too long";
        return WEIR_ELIMIT;
    }
    if (bytes.size < PROXY_V2_HEAD_BYTES + length) {
        return WEIR_AGAIN;
    }
    struct proxy_header parsed = {.version = 2};
    struct span rest = {bytes.data + PROXY_V2_HEAD_BYTES, length};
    enum weir_err err = parse_v2_body(bytes.data[12], bytes.data[13], rest, &parsed, why);
    if (err == WEIR_OK) {
        *header = parsed;
        *consumed = PROXY_V2_HEAD_BYTES + length;
    }
    return err;
}

enum weir_err proxy_protocol_parse(struct span bytes, struct proxy_header *header, size_t *consumed,
                                   const char **why)
{
    if (bytes.size == 0) {
        return WEIR_AGAIN;
    }
    return bytes.data[0] == V2_SIGNATURE[0] ? parse_v2(bytes, header, consumed, why)
                                            : parse_v1(bytes, header, consumed, why);
}
