/* `weir.shared`: the dictionaries of all workers. */
#ifndef WEIR_LUA_API_SHARED_H
#define WEIR_LUA_API_SHARED_H

#include <lua.h>

/* Sets `shared` in the table on top of the stack. May throw. */
void api_shared_open(lua_State *L);

#endif
