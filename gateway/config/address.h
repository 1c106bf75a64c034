/* The pieces of addresses: IP addresses, host names, ports. Texts are borrowed and need no
 * terminator unless they come without a size. Any thread. */
#ifndef WEIR_CONFIG_ADDRESS_H
#define WEIR_CONFIG_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether all are ASCII letters, digits or one of `others`. */
bool address_has_only(const char *text, size_t size, const char *others);

/* Whether it is an address of that family (AF_INET, AF_INET6), without brackets. */
bool address_is_ip(int family, const char *text, size_t size);

/* Labels of letters, digits, hyphens and underscores, of at most 63 bytes; 253 in all. */
bool address_is_host_name(const char *text, size_t size);

/* Whether only digits and dots: then it must be an IPv4 address and not a name. */
bool address_has_no_letters(const char *text, size_t size);

/* A name, an IPv4 address, or an IPv6 address in brackets. */
bool address_is_host(const char *text, size_t size);

/* 1 to 65535, terminated. */
bool address_is_port(const char *text);

#endif
