/* `weir.send` and `weir.close`: sessions by their id, on any worker. */
#ifndef WEIR_LUA_API_DIRECTORY_H
#define WEIR_LUA_API_DIRECTORY_H

#include <lua.h>

/* Sets `send` and `close` in the table on top of the stack. May throw. */
void api_directory_open(lua_State *L);

#endif
