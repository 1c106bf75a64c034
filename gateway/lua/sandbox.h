/* The standard library as plugins have it. */
#ifndef WEIR_LUA_SANDBOX_H
#define WEIR_LUA_SANDBOX_H

#include <lua.h>

#include "base/log.h"

struct lua_plugin;

/* Opens what the plugin may use: all of Lua where it is trusted, else no files, no processes, no
 * bytecode, no finalizers. `require` finds modules along its module_path and in Lua's own paths.
 * May throw. */
void sandbox_open(lua_State *L, const struct lua_plugin *plugin);

/* Logs all arguments of the C function that runs, joined as print does. May throw. */
void sandbox_log(lua_State *L, enum log_level level);

#endif
