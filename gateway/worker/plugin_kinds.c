/* Kinds of plugins and their ops. A new kind is a new line here; nothing else in the program tells
 * them apart. */
#include "worker/plugin_kinds.h"

#include "handlers/access_log.h"
#include "handlers/proxy/proxy.h"
#include "handlers/static.h"
#include "handlers/upstream_admin.h"
#include "lua/host.h"

const struct weir_plugin_ops *plugin_kinds_ops(const struct config_plugin *plugin)
{
    switch (plugin->kind) {
    case CONFIG_PLUGIN_LUA:
        return lua_host_ops();
    case CONFIG_PLUGIN_STATIC:
        return static_ops();
    case CONFIG_PLUGIN_ACCESS_LOG:
        return access_log_ops();
    case CONFIG_PLUGIN_PROXY:
        return proxy_ops();
    case CONFIG_PLUGIN_UPSTREAM_ADMIN:
        return upstream_admin_ops();
    case CONFIG_PLUGIN_NATIVE:
    case CONFIG_PLUGIN_JWT:
    case CONFIG_PLUGIN_METRICS:
        break;
    }
    return NULL;
}

const struct weir_plugin_ops *plugin_kinds_ops_of(const struct weir_plugin_ops *loaded,
                                                  const void *self)
{
    return loaded == lua_host_ops() ? lua_host_ops_of(self) : loaded;
}

void plugin_kinds_prepare(const struct config *config, struct upstreams *upstreams)
{
    struct lua_limits limits = {
        .cpu_limit_ms = config->lua.cpu_limit_ms,
        .memory_limit_bytes = config->lua.memory_limit,
    };
    lua_host_set_limits(&limits);
    upstream_admin_use(upstreams);
}
