/* What addresses are made of, judged by their letters alone: no name is looked up here.
 *
 * Called by format.c and format_upstream.c. */
#include "config/address.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "base/span.h"

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool address_has_only(const char *text, size_t size, const char *others)
{
    for (size_t i = 0; i < size; i++) {
        if (!is_letter_or_digit(text[i]) && strchr(others, text[i]) == NULL) {
            return false;
        }
    }
    return true;
}

bool address_is_ip(int family, const char *text, size_t size)
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char bytes[sizeof(struct in6_addr)];
    if (size >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    return inet_pton(family, copy, bytes) == 1;
}

/* RFC 1035, section 2.3.4; the underscore is not in it, but container networks use it. */
bool address_is_host_name(const char *text, size_t size)
{
    if (size == 0 || size > 253 || !address_has_only(text, size, "-._")) {
        return false;
    }
    for (size_t label = 0; label <= size;) {
        size_t dot = span_find((struct span){(const uint8_t *)text + label, size - label}, '.');
        if (dot == 0 || dot > 63 || text[label] == '-' || text[label + dot - 1] == '-') {
            return false;
        }
        label += dot + 1;
    }
    return true;
}

bool address_has_no_letters(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '.' && (text[i] < '0' || text[i] > '9')) {
            return false;
        }
    }
    return true;
}

bool address_is_host(const char *text, size_t size)
{
    if (size > 2 && text[0] == '[' && text[size - 1] == ']') {
        return address_is_ip(AF_INET6, text + 1, size - 2);
    }
    return address_has_no_letters(text, size) ? address_is_ip(AF_INET, text, size)
                                              : address_is_host_name(text, size);
}

bool address_is_port(const char *text)
{
    uint64_t port = 0;
    return span_to_u64(span_of(text), &port) && port >= 1 && port <= 65535;
}
