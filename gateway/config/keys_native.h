/* The form of native plugins. */
#ifndef WEIR_CONFIG_KEYS_NATIVE_H
#define WEIR_CONFIG_KEYS_NATIVE_H

struct config_section;

/* `{native: NAME, config: {..}}` before it becomes a struct config_plugin. */
struct keys_native_plugin {
    char *name;
    char *config; /* JSON text */
};

extern const struct config_section keys_native_plugin;

#endif
