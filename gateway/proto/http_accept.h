/* The Accept-Encoding field of a request (RFC 9110, section 12.5.3). */
#ifndef WEIR_PROTO_HTTP_ACCEPT_H
#define WEIR_PROTO_HTTP_ACCEPT_H

#include <stdbool.h>

#include "base/span.h"

/* How much the client wants each coding, in thousandths; what it has not named is 0 with the flag
 * off. Zero is a request without the field. */
struct http_accept_encoding {
    struct http_accept_weight {
        bool is_named;
        unsigned thousandths;
    } gzip, identity, any;
};

/* Takes the value of one Accept-Encoding field into account; a request may have several. Items that
 * break the grammar are passed over. Any thread. */
void http_accept_encoding_add(struct http_accept_encoding *accept, struct span value);

/* Whether a gzip body is allowed, and wanted no less than a plain one. Any thread. */
bool http_accept_encoding_prefers_gzip(const struct http_accept_encoding *accept);

/* Reads a weight, the text behind "q=": "0" to "1" with up to three decimals, as thousandths
 * (RFC 9110, section 12.4.2). False for anything else. Any thread. */
bool http_accept_weight_parse(struct span text, unsigned *thousandths);

#endif
