/* The one place that knows which ops serve which kind of plugin. */
#ifndef WEIR_WORKER_PLUGIN_KINDS_H
#define WEIR_WORKER_PLUGIN_KINDS_H

#include <weir/plugin.h>

#include "config/config.h"
#include "session/generation.h"

/* How a plugin of the configuration is loaded and started; static storage, NULL where there are
 * none. Any thread. */
const struct weir_plugin_ops *plugin_kinds_ops(const struct config_plugin *plugin);

/* The plugin as it stands in a chain, once its worker part has started: its own callbacks, maybe
 * without some that would do nothing. `loaded` is what plugin_kinds_ops gave, `self` the worker
 * part, borrowed. Any thread. */
struct chain_link plugin_kinds_link(const struct weir_plugin_ops *loaded, void *self);

struct upstreams;

/* Hands what plugins need of the configuration to their hosts, before they are loaded: the
 * upstreams (borrowed for as long as the plugins are loaded). Control thread. */
void plugin_kinds_prepare(const struct config *config, struct upstreams *upstreams);

/* The same for one plugin, before it is loaded: what its kind knows of it beside the settings.
 * Control thread. */
void plugin_kinds_prepare_plugin(const struct config *config, const struct config_plugin *plugin);

#endif
