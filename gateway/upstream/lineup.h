/* Who plays for an upstream at the moment: for each configured server the addresses that it has,
 * put together to the roster that workers see. One thread: the control thread. */
#ifndef WEIR_UPSTREAM_LINEUP_H
#define WEIR_UPSTREAM_LINEUP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/resolver.h"
#include "upstream/group.h"

struct lineup;

/* The roster has been replaced. */
typedef void (*lineup_fn)(void *context);

/* Borrows `group`. Every configured server is unknown at first. Given; NULL when memory is out. */
struct lineup *lineup_new(struct upstream_group *group);

/* NULL inside is fine. */
void lineup_free(struct lineup **lineup);

/* Calls `fn` after each change from now on; NULL: no more. */
void lineup_on_change(struct lineup *lineup, lineup_fn fn, void *context);

/* From now on the configured server `index` has these addresses (borrowed; at least one). What was
 * there stays the same object with all that lives in it; a server that joins one that was known
 * starts slowly. Publishes, where something has changed. WEIR_ENOMEM: all is as it was. */
WEIR_MUST enum weir_err lineup_set(struct lineup *lineup, size_t index,
                                   const struct resolver_address *addresses, size_t count,
                                   uint64_t now_ms);

struct upstream_group *lineup_group(const struct lineup *lineup);

#endif
