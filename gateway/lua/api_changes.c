/* `req:set_header` and its kin: fields that go with an answer or a request that somebody else gives
 * or takes. Called by Lua code within call.c. The session decides which fields may be changed. */
#include "lua/api_changes.h"

#include <lauxlib.h>

#include "lua/api_request.h"
#include "session/request.h"

typedef enum weir_err (*change_fn)(struct weir_request *request, enum request_change_kind kind,
                                   struct span name, struct span value);

static struct span check_text(lua_State *L, int index)
{
    struct span text;
    text.data = (const uint8_t *)luaL_checklstring(L, index, &text.size);
    return text;
}

/* The words for what may happen to any plugin; the rest is the plugin's own fault. */
static int push_outcome(lua_State *L, enum weir_err err)
{
    switch (err) {
    case WEIR_OK:
        lua_pushboolean(L, 1);
        return 1;
    case WEIR_ECLOSED:
        lua_pushnil(L);
        lua_pushliteral(L, "answered");
        return 2;
    case WEIR_ELIMIT:
        lua_pushnil(L);
        lua_pushliteral(L, "full");
        return 2;
    case WEIR_ENOMEM:
        return luaL_error(L, "not enough memory");
    default:
        return luaL_error(L, "the header \"%s\" is malformed, or the gateway's own",
                          lua_tostring(L, 2));
    }
}

static int change(lua_State *L, change_fn fn, enum request_change_kind kind)
{
    struct api_request *req = api_request_check(L);
    struct span name = check_text(L, 2);
    struct span value = {NULL, 0};
    if (kind != REQUEST_CHANGE_REMOVE) {
        value = check_text(L, 3);
    }
    if (req->request == NULL) {
        lua_pushnil(L);
        lua_pushliteral(L, "closed");
        return 2;
    }
    return push_outcome(L, fn(req->request, kind, name, value));
}

int api_changes_add_header(lua_State *L)
{
    return change(L, request_change_reply, REQUEST_CHANGE_ADD);
}

int api_changes_set_header(lua_State *L)
{
    return change(L, request_change_reply, REQUEST_CHANGE_SET);
}

int api_changes_remove_header(lua_State *L)
{
    return change(L, request_change_reply, REQUEST_CHANGE_REMOVE);
}

/* The table `req.headers` is made anew when it is next asked for. */
static int change_request(lua_State *L, enum request_change_kind kind)
{
    struct api_request *req = api_request_check(L);
    luaL_unref(L, LUA_REGISTRYINDEX, req->headers_ref);
    req->headers_ref = LUA_NOREF;
    return change(L, request_change_field, kind);
}

int api_changes_add_request_header(lua_State *L)
{
    return change_request(L, REQUEST_CHANGE_ADD);
}

int api_changes_set_request_header(lua_State *L)
{
    return change_request(L, REQUEST_CHANGE_SET);
}

int api_changes_remove_request_header(lua_State *L)
{
    return change_request(L, REQUEST_CHANGE_REMOVE);
}
