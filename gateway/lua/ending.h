/* How a session or request ended, as Lua sees it. */
#ifndef WEIR_LUA_ENDING_H
#define WEIR_LUA_ENDING_H

#include <lua.h>

#include <weir/plugin.h>

/* Pushes a table of it; `ending` is borrowed for the call. May throw. */
void ending_push(lua_State *L, const struct weir_ending *ending);

#endif
