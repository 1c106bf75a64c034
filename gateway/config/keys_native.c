/* The keys of native plugins; keys_route.c lists the form. */
#include "config/keys_native.h"

#include "config/format.h"
#include "config/keys.h"

static const struct config_key native_plugin_keys[] = {
    {.name = "native",
     .type = KEY_TEXT,
     .required = true,
     .offset = offsetof(struct keys_native_plugin, name),
     .format = &format_name,
     .doc = "The plugin's name: `echo_native` is the first `echo_native.so` along `plugin_path`.",
     .example = "echo_native"},
    {.name = "config",
     .type = KEY_FREE,
     .offset = offsetof(struct keys_native_plugin, config),
     .doc = "The plugin's own settings; it gets them as JSON text when it is loaded.",
     .example = "{greeting: hello}"},
};

const struct config_section keys_native_plugin = {
    .title = "Native plugins",
    .doc = "A shared object, built against `weir/plugin.h`. Its code runs within Weir: what it may "
           "do wrong, Weir does.",
    .size = sizeof(struct keys_native_plugin),
    .keys = native_plugin_keys,
    .key_count = KEYS_COUNT(native_plugin_keys),
};
