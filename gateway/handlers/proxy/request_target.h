/* The target that a backend is asked for: what the client sent, with a prefix taken off and another
 * put in front. Pure bytes. */
#ifndef WEIR_HANDLERS_PROXY_REQUEST_TARGET_H
#define WEIR_HANDLERS_PROXY_REQUEST_TARGET_H

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"

/* Appends the target in origin-form, or "*". `target` is as the client sent it: in origin-form, in
 * absolute-form, or "*". `strip` is a prefix of the decoded path that is taken off where it ends at
 * a segment's end, and `add` is put in front of what is left; empty for neither. Escapes
 * stay as they came. Dot segments are resolved first: one that climbs out of what is left would get
 * around `add`, and one that the backend does not resolve around the route (decision 007).
 * WEIR_ENOMEM leaves `out` with a part of it. Any thread. */
WEIR_MUST enum weir_err request_target_write(struct buffer *out, struct span target,
                                             struct span strip, struct span add);

#endif
