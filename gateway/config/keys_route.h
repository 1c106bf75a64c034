/* What the forms of plugins load into before it becomes a struct config_plugin. */
#ifndef WEIR_CONFIG_KEYS_ROUTE_H
#define WEIR_CONFIG_KEYS_ROUTE_H

#include <stdbool.h>

#include "config/config.h"

/* `{lua: NAME, config: {..}, ..}` */
struct keys_lua_plugin {
    char *name;
    char *config; /* JSON text */
    struct config_lua limits;
    bool trusted;
};

/* `{static: FOLDER, ..}` */
struct keys_static_handler {
    char *folder;
    char *index;
    char *cache_control;
    bool precompressed;
};

/* `{access_log: PATH}` */
struct keys_access_log {
    char *path;
};

#endif
