/* Topics in Lua: the methods conn:subscribe, conn:unsubscribe, conn:publish, and weir.publish. */
#ifndef WEIR_LUA_API_PUBSUB_H
#define WEIR_LUA_API_PUBSUB_H

#include <lua.h>

/* Methods of conn. */
int api_pubsub_subscribe(lua_State *L);
int api_pubsub_unsubscribe(lua_State *L);
int api_pubsub_conn_publish(lua_State *L);

/* Sets `publish` in the table on top of the stack. May throw. */
void api_pubsub_open(lua_State *L);

#endif
