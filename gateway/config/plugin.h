/* Plugins and handlers of a route: their forms, their files, their settings. */
#ifndef WEIR_CONFIG_PLUGIN_H
#define WEIR_CONFIG_PLUGIN_H

#include <stdbool.h>

#include "config/load.h"

/* Fills `out` from a handler, or from one of a route's plugins (`in_chain`), where a bare name is
 * allowed too. Control thread, as all of these. */
void plugin_load(struct loader *l, const struct yaml_node *node, bool in_chain,
                 struct config_plugin *out);

/* The finders of the forms: a Lua file along plugin_path, and a folder that is there. */
char *plugin_find_lua(struct loader *l, const struct yaml_node *node, const char *name);
char *plugin_find_folder(struct loader *l, const struct yaml_node *node, const char *name);

#endif
