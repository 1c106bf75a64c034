/* Kinds of plugins and their ops. A new kind is a new line here; nothing else in the program tells
 * them apart. */
#include "worker/plugin_kinds.h"

#include "handlers/access_log.h"
#include "handlers/proxy/proxy.h"
#include "handlers/static.h"
#include "handlers/upstream_admin.h"
#include "lua/host.h"
#include "native/host.h"

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
        return native_host_ops();
    case CONFIG_PLUGIN_JWT:
    case CONFIG_PLUGIN_METRICS:
        break;
    }
    return NULL;
}

struct chain_link plugin_kinds_link(const struct weir_plugin_ops *loaded, void *self)
{
    struct chain_link link = {.ops = loaded, .self = self};
    if (loaded == lua_host_ops()) {
        link.ops = lua_host_ops_of(self);
    } else if (loaded == native_host_ops()) {
        link.ops = native_host_ops_of(self, &link.self);
    }
    return link;
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
