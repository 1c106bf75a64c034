/* `weir.http`. */
#ifndef WEIR_LUA_API_HTTP_H
#define WEIR_LUA_API_HTTP_H

#include <lua.h>

struct api_conn;
struct api_request;
struct lua_instance;
struct lua_runner;

/* Sets `http` in the table on top of the stack. May throw. */
void api_http_open(lua_State *L);

/* Cancels the call that the runner waits for, if any. */
void api_http_wake_cancel(struct lua_runner *runner);

/* A session or a request is over: cancels what its callbacks wait for, which go on with "closed" in
 * the loop's next turn. What on_close or on_done has begun goes on. */
void api_http_end_conn(struct lua_instance *instance, const struct api_conn *conn);
void api_http_end_request(struct lua_instance *instance, const struct api_request *req);

#endif
