/* Kinds of plugins and their ops. A new kind is a new line here; nothing else in the program tells
 * them apart. */
#include "worker/plugin_kinds.h"

#include "handlers/access_log.h"
#include "handlers/jwt/jwt.h"
#include "handlers/metrics.h"
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
    case CONFIG_PLUGIN_JWT:
        return jwt_ops();
    case CONFIG_PLUGIN_NATIVE:
        return native_host_ops();
    case CONFIG_PLUGIN_METRICS:
        return metrics_ops();
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
    (void)config;
    upstream_admin_use(upstreams);
}

void plugin_kinds_prepare_plugin(const struct config *config, const struct config_plugin *plugin)
{
    struct lua_terms terms = {
        .limits = {.cpu_limit_ms = plugin->lua.cpu_limit_ms,
                   .memory_limit_bytes = plugin->lua.memory_limit,
                   .max_timers = plugin->lua.max_timers,
                   .max_parked = plugin->lua.max_parked,
                   .max_http_requests = plugin->lua.max_http_requests},
        .is_trusted = plugin->trusted,
        .folders = (const char *const *)config->plugin_path.items,
        .folder_count = config->plugin_path.count,
    };
    if (plugin->kind == CONFIG_PLUGIN_LUA) {
        lua_host_set_terms(&terms);
    }
}
