/* `req:body()`: the whole body of a request, for small ones. */
#ifndef WEIR_LUA_API_BODY_H
#define WEIR_LUA_API_BODY_H

#include <stdbool.h>

#include <lua.h>

#include "base/span.h"

struct api_request;

/* The method: waits for the body, and returns it as a string, or nil and words. */
int api_body_read(lua_State *L, struct api_request *req);

/* A piece of the body has come. */
void api_body_take(struct api_request *req, struct span piece, bool last);

/* Whether the plugin has taken the body off the connection, so that nobody else can. */
bool api_body_was_read(const struct api_request *req);

/* The request is over: frees what was collected; who still waits hears "closed". */
void api_body_end(struct api_request *req);

#endif
