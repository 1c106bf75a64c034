/* The Cookie field of a request (RFC 6265, section 4.2). */
#ifndef WEIR_PROTO_HTTP_COOKIE_H
#define WEIR_PROTO_HTTP_COOKIE_H

#include "base/span.h"

/* The value of the first cookie of that name (compared byte by byte) in one Cookie field's value;
 * data NULL where there is none. Surrounding quotes are not part of it. Any thread. */
struct span http_cookie_find(struct span field, struct span name);

#endif
