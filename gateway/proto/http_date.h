/* Dates in HTTP fields (RFC 9110, section 5.6.7); base/clock writes them. */
#ifndef WEIR_PROTO_HTTP_DATE_H
#define WEIR_PROTO_HTTP_DATE_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

/* Parses all of `text` as one date in any of the three forms: IMF-fixdate, RFC 850, asctime. The
 * name of the weekday must be one, but need not be the right one. `now_seconds` (since 1970-01-01
 * UTC, as `*seconds`) tells which century the two-digit year of the RFC 850 form means. WEIR_EPROTO
 * for anything else. Any thread. */
WEIR_MUST enum weir_err http_date_parse(struct span text, int64_t now_seconds, int64_t *seconds);

#endif
