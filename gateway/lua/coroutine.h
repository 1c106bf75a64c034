/* The library `coroutine` as plugins have it. */
#ifndef WEIR_LUA_COROUTINE_H
#define WEIR_LUA_COROUTINE_H

#include <lua.h>

/* Replaces resume, wrap, yield and close in the global `coroutine`. May throw. */
void coroutine_open(lua_State *L);

#endif
