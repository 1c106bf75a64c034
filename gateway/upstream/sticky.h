/* Which server a client belongs to: by a signed cookie, or by an id that was learned from a
 * server's answer. All functions: any thread. */
#ifndef WEIR_UPSTREAM_STICKY_H
#define WEIR_UPSTREAM_STICKY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "upstream/server.h"
#include "upstream/worker_part.h"

/* The server that a cookie's value names: its id, or 0 where the signature is wrong. */
uint64_t sticky_cookie_read(const struct upstream *upstream, struct span value);

/* Appends the value of a Set-Cookie field that binds the client to `server`: HttpOnly, SameSite and
 * Max-Age by the configuration, Secure where `secure`. */
WEIR_MUST enum weir_err sticky_cookie_write(const struct upstream *upstream,
                                            const struct upstream_server *server, bool secure,
                                            struct buffer *out);

/* Remembers that `token` belongs to `server`, for learn_ttl after its last use. */
void sticky_learn(struct upstream *upstream, struct span token,
                  const struct upstream_server *server);

/* The id of the server that the token belongs to, or 0; counts as a use. */
uint64_t sticky_recall(struct upstream *upstream, struct span token);

#endif
