/* Which kind of plugin is behind a name, and what a configuration becomes: its plugins loaded once
 * for the process, its routes and chains made once for each worker. */
#ifndef WEIR_WORKER_REGISTRY_H
#define WEIR_WORKER_REGISTRY_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/err.h"
#include "config/config.h"
#include "session/generation.h"

struct registry;
struct upstreams;

/* Loads every plugin and certificate that the configuration names. On WEIR_OK `*out` is given with
 * one reference, and shares `config`. WEIR_EINVAL: each problem is a line in `errors`. Control
 * thread. */
WEIR_MUST enum weir_err registry_load(struct config *config, const char *file,
                                      struct buffer *errors, struct registry **out);

/* Gives a reference back and nulls it; the last one unloads the plugins. Any thread. */
void registry_release(struct registry **registry);

const struct config *registry_config(const struct registry *registry);

/* The process part of its upstreams; borrowed. */
struct upstreams *registry_upstreams(const struct registry *registry);

/* The listeners, in the configuration's order; borrowed. */
const struct listener_setup *registry_listeners(const struct registry *registry, size_t *count);

/* Makes this worker's generation: worker parts, routes, chains. Holds a reference until the last
 * connection of the generation has ended. WEIR_EINVAL: a plugin's worker part did not start; it has
 * been logged. Worker's thread. */
WEIR_MUST enum weir_err registry_start_worker(struct registry *registry, struct weir_worker *worker,
                                              struct generation **out);

#endif
