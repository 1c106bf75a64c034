/* Paths and queries of request targets (RFC 3986). */
#ifndef WEIR_PROTO_URI_H
#define WEIR_PROTO_URI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

/* Decodes %XX. `out` has room for raw.size bytes, which is always enough, and may be raw's own
 * memory. WEIR_EPROTO for an escape that is not two hexadecimal digits. Any byte may come out, NUL
 * too. Any thread. */
WEIR_MUST enum weir_err uri_decode(struct span raw, uint8_t *out, size_t *size);

/* Makes the one path that both routing and files are looked up by: %XX decoded, runs of "/" made
 * one, "." and ".." segments resolved after the decoding. `raw` is a target's path without its
 * query and starts with "/"; `out` has room for raw.size bytes and does not overlap it; `*size` is
 * at least 1. The result starts with "/", has no empty, "." or ".." segment, and ends with "/"
 * exactly where the input named a directory ("/a/", "/a/.", "/a/b/.."). A slash as data, %2F of
 * either case, separates nothing: it stays as the three characters "%2F", and `*encoded_slash` says
 * that there was one, even in a segment that ".." took away; a backend may still read it as a
 * slash, so it is for the caller to refuse it where that matters (a decoded %25 may make the same
 * three characters, without `*encoded_slash`). WEIR_EPROTO, with static words in `*why`: no leading
 * "/", an invalid escape, %00, a path that climbs above the root, or "." or ".." beside an encoded
 * slash
 * ("..%2Fa"). Any thread. */
WEIR_MUST enum weir_err uri_normalize_path(struct span raw, uint8_t *out, size_t *size,
                                           bool *encoded_slash, const char **why);

/* Takes the next `name=value` off the front of `*rest`, a query without "?". Both are raw; `*value`
 * is empty without "=". Empty pieces ("&&") are passed over. False at the end. Any thread. */
bool uri_query_next(struct span *rest, struct span *name, struct span *value);

/* Decodes a name or value of a query as forms write them: "+" is a space, %XX a byte. What is no
 * valid escape stays as it is, as browsers do. `out` has room for raw.size bytes and may be raw's
 * own memory. Returns the size. Any thread. */
size_t uri_decode_query(struct span raw, uint8_t *out);

#endif
