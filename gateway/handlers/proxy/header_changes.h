/* What a route's settings change about the fields that pass, in both directions. */
#ifndef WEIR_HANDLERS_PROXY_HEADER_CHANGES_H
#define WEIR_HANDLERS_PROXY_HEADER_CHANGES_H

#include <stdbool.h>

#include "base/span.h"
#include "handlers/proxy/settings.h"

/* Whether fields of that name, as they come or as the proxy would write them, are taken away: by
 * `set` or `remove`. What frames and routes a message is never touched. Any thread. */
bool header_changes_hide(const struct header_changes *changes, struct span name);

/* Whether the change writes a field of its own: `set` and `add` do. Any thread. */
bool header_change_writes(const struct header_change *change);

#endif
