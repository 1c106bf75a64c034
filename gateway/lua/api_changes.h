/* Methods of `req` that change fields which are not the plugin's own: of the answer, whoever gives
 * it, and of the request, for whom it goes on to. */
#ifndef WEIR_LUA_API_CHANGES_H
#define WEIR_LUA_API_CHANGES_H

#include <lua.h>

int api_changes_add_header(lua_State *L);
int api_changes_set_header(lua_State *L);
int api_changes_remove_header(lua_State *L);
int api_changes_add_request_header(lua_State *L);
int api_changes_set_request_header(lua_State *L);
int api_changes_remove_request_header(lua_State *L);

#endif
