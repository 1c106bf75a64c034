/* The standard library as plugins have it. */
#ifndef WEIR_LUA_SANDBOX_H
#define WEIR_LUA_SANDBOX_H

#include <lua.h>

#include "base/log.h"

/* Opens what plugins may use: no files, no processes, no bytecode, no finalizers. `require` finds
 * modules beside `plugin_file`, and the system's C modules. May throw. */
void sandbox_open(lua_State *L, const char *plugin_file);

/* Logs all arguments of the C function that runs, joined as print does. May throw. */
void sandbox_log(lua_State *L, enum log_level level);

#endif
