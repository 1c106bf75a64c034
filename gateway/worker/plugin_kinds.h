/* The one place that knows which ops serve which kind of plugin. */
#ifndef WEIR_WORKER_PLUGIN_KINDS_H
#define WEIR_WORKER_PLUGIN_KINDS_H

#include <weir/plugin.h>

#include "config/config.h"

/* The callbacks for a plugin of the configuration; static storage, NULL where there are none. Any
 * thread. */
const struct weir_plugin_ops *plugin_kinds_ops(const struct config_plugin *plugin);

/* The callbacks of a plugin that was loaded with `loaded` as it stands in a chain, once its worker
 * part has started: those, maybe without some that would do nothing. `self` is the worker part,
 * borrowed. Any thread. */
const struct weir_plugin_ops *plugin_kinds_ops_of(const struct weir_plugin_ops *loaded,
                                                  const void *self);

struct upstreams;

/* Hands what plugins need of the configuration to their hosts, before they are loaded: limits, and
 * the upstreams (borrowed for as long as the plugins are loaded). Control thread. */
void plugin_kinds_prepare(const struct config *config, struct upstreams *upstreams);

#endif
