/* Trailer sections on their way through. */
#ifndef WEIR_HANDLERS_PROXY_TRAILERS_H
#define WEIR_HANDLERS_PROXY_TRAILERS_H

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"

/* Appends those lines of `raw` (field lines, each with its CR LF) that may be passed on in a
 * trailer section. WEIR_EPROTO: malformed; WEIR_ENOMEM. Any thread. */
WEIR_MUST enum weir_err trailers_filter(struct span raw, struct buffer *out);

#endif
