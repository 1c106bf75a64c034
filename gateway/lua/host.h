/* The Lua 5.4 host: plugins that are Lua files, behind the same ops as every other kind. Each
 * plugin has a Lua state of its own on each worker, so its globals, its `weir.config` and its
 * memory limit are its own. */
#ifndef WEIR_LUA_HOST_H
#define WEIR_LUA_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_plugin_ops;

/* Limits of a plugin; all but the first are of one of its Lua states. */
struct lua_limits {
    uint64_t cpu_limit_ms; /* CPU time of one callback, or of one stretch between two waits */
    uint64_t memory_limit_bytes;
    uint64_t max_timers;
    uint64_t max_parked; /* callbacks and coroutines that wait */
    uint64_t max_http_requests;
};

/* What the configuration says of a plugin beside its name, file and settings. */
struct lua_terms {
    struct lua_limits limits;
    bool is_trusted;            /* gets all of Lua's standard library */
    const char *const *folders; /* where `require` looks, beside the plugin's own; borrowed */
    size_t folder_count;
};

/* Sets the terms of the plugins that are loaded from now on. `terms` is borrowed for the call.
 * Control thread. */
void lua_host_set_terms(const struct lua_terms *terms);

/* The callbacks of every Lua plugin; static storage. `load` runs the file once in a state of its
 * own that is thrown away, so what is wrong with it is told before anything is served. Any thread.
 */
const struct weir_plugin_ops *lua_host_ops(void);

/* The same without on_message and on_send where the file has neither them nor `serve`: a chain that
 * knows need not put messages together for it. `self` is what worker_start has made, borrowed;
 * static storage. Any thread. */
const struct weir_plugin_ops *lua_host_ops_of(const void *self);

/* For who runs a plugin without serving: whether none of its callbacks waits and none of its timers
 * may fire, and how many callbacks have failed. `self` as above. The worker's thread. */
bool lua_host_is_idle(const void *self);
uint64_t lua_host_failures(const void *self);

#endif
