/* Which bytes may stand where in HTTP/1.x: one table of classes for all parsers and writers. */
#ifndef WEIR_PROTO_HTTP_CHARS_H
#define WEIR_PROTO_HTTP_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum {
    HTTP_CHAR_TOKEN = 1,  /* tchar (RFC 9110, section 5.6.2) */
    HTTP_CHAR_VALUE = 2,  /* what a field value may hold: HTAB, SP, VCHAR, obs-text (5.5) */
    HTTP_CHAR_TARGET = 4, /* 0x21..0x7e without "#": what we let a request target hold */
    HTTP_CHAR_HOST = 8,   /* unreserved (RFC 3986, section 2.3): what we let a host name hold */
    HTTP_CHAR_HEX = 16,   /* HEXDIG of either case */
    HTTP_CHAR_QUOTED = 32 /* qdtext: inside a quoted string without a backslash (5.6.4) */
};

extern const uint8_t http_chars[256];

/* How many of the bytes from `at` up to `end` (not with it) are of one of `classes`, until the
 * first that is not. Any thread. */
size_t http_chars_run(const uint8_t *at, const uint8_t *end, uint8_t classes);

/* Whether every byte of `s` is of one of `classes`; true for an empty span. Any thread. */
bool http_chars_all(struct span s, uint8_t classes);

/* Whether `s` is a token: at least one tchar and nothing else. Any thread. */
bool http_chars_is_token(struct span s);

/* The value of a hexadecimal digit of either case, or -1. Any thread. */
int http_chars_hex(uint8_t c);

#endif
