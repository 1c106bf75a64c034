/* All upstreams of a configuration, the part that the whole process shares: servers, what names
 * resolve to, health. Made when the configuration is loaded; kept up to date by the control thread.
 */
#ifndef WEIR_UPSTREAM_UPSTREAMS_H
#define WEIR_UPSTREAM_UPSTREAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "config/config.h"
#include "net/loop.h"

struct upstreams;

/* Shares `config`. Servers with an address are there at once, names are pending. WEIR_EINVAL: each
 * problem (a TLS file that does not serve) is a line in `errors`, which starts with `file` and the
 * line number. Given. Control thread. */
WEIR_MUST enum weir_err upstreams_new(struct config *config, const char *file,
                                      struct buffer *errors, struct upstreams **out);

/* Frees; stopped, and no worker part is left. NULL inside is fine. Any thread. */
void upstreams_free(struct upstreams **upstreams);

/* Starts to resolve names and to check health on the control thread's loop. WEIR_EINVAL or
 * WEIR_ENOMEM: it has been logged. Control thread. */
WEIR_MUST enum weir_err upstreams_start(struct upstreams *upstreams, struct loop *loop);

/* Ends that; called before the loop ends. Control thread. */
void upstreams_stop(struct upstreams *upstreams);

/* Whether there is an upstream of that name. Any thread. */
bool upstreams_has(const struct upstreams *upstreams, struct span name);

/* Sets what the operator says of each server of `upstream` (empty: of all) whose address, as
 * configured or as resolved, is `server`. Returns how many there were; addresses that a name gets
 * later start as the configuration says. Any thread. */
size_t upstreams_set_state(struct upstreams *upstreams, struct span upstream, struct span server,
                           enum config_server_state state);

/* Appends a JSON object of upstreams (only `upstream`, unless empty) with their servers, states and
 * figures. Any thread. */
WEIR_MUST enum weir_err upstreams_report(struct upstreams *upstreams, struct span upstream,
                                         struct buffer *out);

#endif
