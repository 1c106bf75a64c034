/* The global `weir`. */
#ifndef WEIR_LUA_API_WEIR_H
#define WEIR_LUA_API_WEIR_H

#include <lua.h>

/* Makes the table `weir` and its parts. Throws when the settings need lua-cjson and it is missing.
 */
void api_weir_open(lua_State *L);

#endif
