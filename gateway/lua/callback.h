/* Entering a plugin's callbacks: what they are given, and what their results mean. */
#ifndef WEIR_LUA_CALLBACK_H
#define WEIR_LUA_CALLBACK_H

#include <lua.h>

#include "lua/instance.h"

/* Pushes the closure that enters callbacks, which takes the plugin's table from the top of the
 * stack. Throws when it is no such table. */
void callback_open(lua_State *L);

/* Pushes the plugin's own function of that name, nil where it has none. */
void callback_push(lua_State *L, enum lua_callback callback);

#endif
