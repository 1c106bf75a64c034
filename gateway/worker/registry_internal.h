/* A registry's insides, for registry.c and registry_worker.c. */
#ifndef WEIR_WORKER_REGISTRY_INTERNAL_H
#define WEIR_WORKER_REGISTRY_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <weir/plugin.h>

#include "worker/registry.h"

struct loaded_plugin {
    const struct config_plugin *config;
    const struct weir_plugin_ops *ops;
    void *plugin; /* the process part */
};

struct registry {
    atomic_size_t references;
    struct config *config;
    struct loaded_plugin *plugins;
    size_t plugin_count;
    struct listener_setup *listeners;
    struct upstreams *upstreams;
};

/* Whether two mentions in the configuration mean one plugin: same kind, file and settings. */
bool registry_is_same_plugin(const struct config_plugin *a, const struct config_plugin *b);

/* One more reference. Any thread. */
struct registry *registry_share(struct registry *registry);

/* Parses address blocks that the configuration has checked. `*out` is given even on failure. */
WEIR_MUST enum weir_err registry_blocks(const struct config_strings *texts, struct ip_block **out,
                                        size_t *count);

#endif
