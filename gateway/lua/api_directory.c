/* `weir.send` and `weir.close` hand on to the worker that has the session. What is wrong with the
 * arguments is an error here and now; what becomes of a letter to another worker nobody hears.
 * Called by Lua code within call.c. */
#include "lua/api_directory.h"

#include <stdint.h>

#include <lauxlib.h>

#include "lua/api_conn.h"
#include "lua/instance.h"
#include "session/directory.h"

static uint64_t check_id(lua_State *L)
{
    int is_integer = 0;
    lua_Integer id = lua_tointegerx(L, 1, &is_integer);
    if (lua_type(L, 1) != LUA_TNUMBER || !is_integer) {
        luaL_error(L, "conn_id must be the integer conn.id, not a %s", luaL_typename(L, 1));
    }
    return (uint64_t)id;
}

static struct weir_worker *check_worker(lua_State *L)
{
    struct weir_worker *worker = instance_of(L)->worker;
    if (worker == NULL) {
        luaL_error(L, "there are no sessions while the plugin is only checked");
    }
    return worker;
}

static int weir_send(lua_State *L)
{
    uint64_t id = check_id(L);
    struct span data = api_conn_bytes(L, 2, "data");
    enum weir_kind kind = api_conn_kind(L, 3, WEIR_TEXT);
    return api_conn_outcome(L, directory_send(check_worker(L), id, kind, data), "not utf-8");
}

static int weir_close(lua_State *L)
{
    struct span reason;
    uint64_t id = check_id(L);
    uint16_t code = api_conn_close_code(L, &reason);
    enum weir_err err = directory_close(check_worker(L), id, code, reason);
    if (err == WEIR_EINVAL) {
        return luaL_error(L, "close code %d may not be sent", (int)code);
    }
    return api_conn_outcome(L, err, "closed");
}

void api_directory_open(lua_State *L)
{
    lua_pushcfunction(L, weir_send);
    lua_setfield(L, -2, "send");
    lua_pushcfunction(L, weir_close);
    lua_setfield(L, -2, "close");
}
