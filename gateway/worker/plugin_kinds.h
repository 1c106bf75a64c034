/* The one place that knows which ops serve which kind of plugin. */
#ifndef WEIR_WORKER_PLUGIN_KINDS_H
#define WEIR_WORKER_PLUGIN_KINDS_H

#include <weir/plugin.h>

#include "config/config.h"

/* The callbacks for a plugin of the configuration; static storage, NULL where there are none. Any
 * thread. */
const struct weir_plugin_ops *plugin_kinds_ops(const struct config_plugin *plugin);

/* Hands limits from the configuration to the hosts that enforce them, before plugins are loaded.
 * Control thread. */
void plugin_kinds_set_limits(const struct config *config);

#endif
