/* Addresses are small values that are copied, compared and printed without libc's sockaddr. The
 * text forms are left to inet_pton and inet_ntop, which are strict (no octal, no short forms).
 * Called for PROXY headers, X-Forwarded-For, trusted_proxies and logs. It never resolves a name. */
#include "proto/ip_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t MAPPED_PREFIX[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static enum weir_err parse_host(struct span text, int family, struct ip_address *out)
{
    char copy[INET6_ADDRSTRLEN];
    if (text.size == 0 || text.size >= sizeof copy || span_find(text, 0) < text.size) {
        return WEIR_EINVAL;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    struct ip_address parsed = {.family = family == AF_INET ? IP_V4 : IP_V6};
    if (inet_pton(family, copy, parsed.bytes) != 1) {
        return WEIR_EINVAL;
    }
    *out = parsed;
    return WEIR_OK;
}

static enum weir_err parse_port(struct span text, struct ip_address *out)
{
    uint64_t port;
    if (text.size > 5 || !span_to_u64(text, &port) || port > UINT16_MAX) {
        return WEIR_EINVAL;
    }
    out->port = (uint16_t)port;
    return WEIR_OK;
}

static enum weir_err parse_bracketed(struct span text, struct ip_address *out)
{
    size_t close = span_find(text, ']');
    if (close == text.size) {
        return WEIR_EINVAL;
    }
    struct ip_address parsed;
    enum weir_err err = parse_host((struct span){text.data + 1, close - 1}, AF_INET6, &parsed);
    struct span rest = span_from(text, close + 1);
    if (err == WEIR_OK && rest.size > 0) {
        err = rest.data[0] == ':' ? parse_port(span_from(rest, 1), &parsed) : WEIR_EINVAL;
    }
    if (err == WEIR_OK) {
        *out = parsed;
    }
    return err;
}

enum weir_err ip_address_parse(struct span text, struct ip_address *out)
{
    if (text.size == 0) {
        return WEIR_EINVAL;
    }
    if (text.data[0] == '[') {
        return parse_bracketed(text, out);
    }
    size_t colon = span_find(text, ':');
    if (colon == text.size) {
        return parse_host(text, AF_INET, out);
    }
    struct span rest = span_from(text, colon + 1);
    if (span_find(rest, ':') < rest.size) {
        return parse_host(text, AF_INET6,
                          out); /* two colons: IPv6, which has no port unbracketed */
    }
    struct ip_address parsed;
    enum weir_err err = parse_host((struct span){text.data, colon}, AF_INET, &parsed);
    if (err == WEIR_OK) {
        err = parse_port(rest, &parsed);
    }
    if (err == WEIR_OK) {
        *out = parsed;
    }
    return err;
}

size_t ip_address_format(const struct ip_address *address, bool with_port,
                         char out[IP_ADDRESS_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN];
    int length;
    if (address->family == IP_NONE) {
        length = snprintf(out, IP_ADDRESS_TEXT_BYTES, "unknown");
        return (size_t)length;
    }
    bool is_v6 = address->family == IP_V6;
    inet_ntop(is_v6 ? AF_INET6 : AF_INET, address->bytes, host, sizeof host);
    if (!with_port) {
        length = snprintf(out, IP_ADDRESS_TEXT_BYTES, "%s", host);
    } else {
        length = snprintf(out, IP_ADDRESS_TEXT_BYTES, is_v6 ? "[%s]:%u" : "%s:%u", host,
                          (unsigned)address->port);
    }
    return (size_t)length;
}

struct ip_address ip_address_unmapped(struct ip_address address)
{
    if (address.family != IP_V6 ||
        memcmp(address.bytes, MAPPED_PREFIX, sizeof MAPPED_PREFIX) != 0) {
        return address;
    }
    struct ip_address inner = {.family = IP_V4, .port = address.port};
    memcpy(inner.bytes, address.bytes + sizeof MAPPED_PREFIX, 4);
    return inner;
}

bool ip_address_equal(const struct ip_address *a, const struct ip_address *b)
{
    struct ip_address left = ip_address_unmapped(*a);
    struct ip_address right = ip_address_unmapped(*b);
    return left.family != IP_NONE && left.family == right.family &&
           memcmp(left.bytes, right.bytes, sizeof left.bytes) == 0;
}

static void clear_host_bits(uint8_t bytes[16], unsigned bits)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned kept = bits > i * 8 ? bits - i * 8 : 0;
        if (kept < 8) {
            bytes[i] = (uint8_t)(bytes[i] & ~(0xffu >> kept));
        }
    }
}

static bool parse_bits(struct span text, unsigned most, unsigned *bits)
{
    uint64_t value;
    bool has_leading_zero = text.size > 1 && text.data[0] == '0';
    if (has_leading_zero || text.size > 3 || !span_to_u64(text, &value) || value > most) {
        return false;
    }
    *bits = (unsigned)value;
    return true;
}

enum weir_err ip_block_parse(struct span text, struct ip_block *out)
{
    size_t slash = span_find(text, '/');
    struct span host = {text.data, slash};
    struct ip_address address;
    int family = span_find(host, ':') < host.size ? AF_INET6 : AF_INET;
    enum weir_err err = parse_host(host, family, &address);
    if (err != WEIR_OK) {
        return err;
    }
    unsigned bits = family == AF_INET6 ? 128 : 32;
    if (slash < text.size && !parse_bits(span_from(text, slash + 1), bits, &bits)) {
        return WEIR_EINVAL;
    }
    if (family == AF_INET6 && bits >= 96) {
        struct ip_address inner = ip_address_unmapped(address);
        bits = inner.family == IP_V4 ? bits - 96 : bits;
        address = inner;
    }
    clear_host_bits(address.bytes, bits);
    *out = (struct ip_block){.family = address.family, .bits = (uint8_t)bits};
    memcpy(out->bytes, address.bytes, sizeof out->bytes);
    return WEIR_OK;
}

bool ip_block_contains(const struct ip_block *block, const struct ip_address *address)
{
    struct ip_address inner = *address;
    if (block->family == IP_V4) {
        inner = ip_address_unmapped(inner);
    }
    if (inner.family != block->family || inner.family == IP_NONE) {
        return false;
    }
    clear_host_bits(inner.bytes, block->bits);
    return memcmp(inner.bytes, block->bytes, sizeof inner.bytes) == 0;
}

bool ip_block_any_contains(const struct ip_block *blocks, size_t count,
                           const struct ip_address *address)
{
    for (size_t i = 0; i < count; i++) {
        if (ip_block_contains(&blocks[i], address)) {
            return true;
        }
    }
    return false;
}
