/* Host names of servers, asked for again and again, so that what a name means may change while we
 * run. One thread: the control thread. */
#ifndef WEIR_UPSTREAM_NAMES_H
#define WEIR_UPSTREAM_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/loop.h"
#include "net/resolver.h"
#include "upstream/lineup.h"

struct names;

/* Borrows `loop` and `resolver`; a question waits at most `timeout_ms`. Given; NULL when memory is
 * out. */
struct names *names_new(struct loop *loop, struct resolver *resolver, uint64_t timeout_ms);

/* Cancels all questions and frees. NULL inside is fine. */
void names_free(struct names **names);

/* Asks for `host` now, then every second until there is an answer, and then every resolve_interval
 * of the upstream. Answers go to the entry `index` of `lineup`, which is borrowed. A failure keeps
 * the last answer. */
WEIR_MUST enum weir_err names_add(struct names *names, struct lineup *lineup, size_t index,
                                  const char *host, uint16_t port);

#endif
