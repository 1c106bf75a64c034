/* Plugins and handlers of a route: their forms, their files, their settings. */
#ifndef WEIR_CONFIG_PLUGIN_H
#define WEIR_CONFIG_PLUGIN_H

#include <stdbool.h>

#include "config/load.h"

/* Fills `out` from a handler, or from one of a route's plugins (`in_chain`), where a bare name is
 * allowed too. Control thread, as all of these. */
void plugin_load(struct loader *l, const struct yaml_node *node, bool in_chain,
                 struct config_plugin *out);

/* The finder of `lua`: a Lua file along plugin_path. `node` is where the name stands. */
char *plugin_find_lua(struct loader *l, const struct yaml_node *node, const char *name);

/* The finder of `native`: a shared object along plugin_path. */
char *plugin_find_native(struct loader *l, const struct yaml_node *node, const char *name);

/* The finder of forms whose name is a path already: it is what was written. */
char *plugin_find_path(struct loader *l, const struct yaml_node *node, const char *name);

/* The finder of `proxy`: the upstream itself, by its name. */
char *plugin_find_upstream(struct loader *l, const struct yaml_node *node, const char *name);

/* The same, where `all` stands for every upstream. */
char *plugin_find_upstream_or_all(struct loader *l, const struct yaml_node *node, const char *name);

#endif
