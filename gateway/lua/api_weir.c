/* The global `weir`: log, config, now, worker, json, and what the other api_*.c add. lua-cjson is
 * loaded when it is first needed, so a plugin without JSON needs no such package. Called by
 * instance.c. */
#include "lua/api_weir.h"

#include <string.h>

#include <lauxlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "lua/api_crypto.h"
#include "lua/api_directory.h"
#include "lua/api_http.h"
#include "lua/api_metrics.h"
#include "lua/api_pubsub.h"
#include "lua/api_shared.h"
#include "lua/api_timer.h"
#include "lua/instance.h"
#include "lua/sandbox.h"
#include "session/worker_access.h"

static int log_at_debug(lua_State *L)
{
    sandbox_log(L, LOG_DEBUG);
    return 0;
}

static int log_at_info(lua_State *L)
{
    sandbox_log(L, LOG_INFO);
    return 0;
}

static int log_at_warn(lua_State *L)
{
    sandbox_log(L, LOG_WARN);
    return 0;
}

static int log_at_error(lua_State *L)
{
    sandbox_log(L, LOG_ERROR);
    return 0;
}

static int now(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)clock_wall_ms() / 1000);
    return 1;
}

static void call_cjson(lua_State *L, const char *function, int value)
{
    lua_getfield(L, -1, function);
    lua_pushboolean(L, value);
    lua_call(L, 1, 0);
}

/* Pushes lua-cjson's module whose functions return nil and words instead of throwing. */
static void push_cjson(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "cjson.safe");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "new");
    lua_call(L, 0, 1); /* settings of our own */
    lua_remove(L, -2);
    call_cjson(L, "encode_keep_buffer", 0);
}

/* Pushes the table weir.json. */
static void load_json(lua_State *L)
{
    push_cjson(L);
    lua_createtable(L, 0, 3);
    static const char *const names[] = {"encode", "decode", "null"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lua_getfield(L, -2, names[i]);
        lua_setfield(L, -2, names[i]);
    }
    lua_remove(L, -2);
}

/* Whether the module can be found, without throwing: its searcher says so. */
static void check_cjson(lua_State *L)
{
    lua_getglobal(L, "pcall");
    lua_getglobal(L, "require");
    lua_pushliteral(L, "cjson.safe");
    lua_call(L, 2, 2);
    if (!lua_toboolean(L, -2)) {
        luaL_error(L, "lua-cjson is missing; Debian's package for it is lua-cjson\n%s",
                   lua_tostring(L, -1));
    }
    lua_pop(L, 2);
}

/* weir.json is made when it is first asked for, and then stays. */
static int weir_index(lua_State *L)
{
    const char *name = lua_tostring(L, 2);
    if (lua_type(L, 2) != LUA_TSTRING || strcmp(name, "json") != 0) {
        return 0;
    }
    check_cjson(L);
    load_json(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, 1, "json");
    return 1;
}

static void set_config(lua_State *L)
{
    const char *json = instance_of(L)->plugin->settings_json;
    if (json == NULL || strcmp(json, "{}") == 0) {
        lua_newtable(L);
    } else {
        check_cjson(L);
        load_json(L);
        lua_getfield(L, -1, "decode");
        lua_pushstring(L, json);
        lua_call(L, 1, 2);
        if (lua_isnil(L, -2)) {
            luaL_error(L, "settings: %s", lua_tostring(L, -1));
        }
        lua_pop(L, 1);
    }
    lua_setfield(L, 1, "config");
    lua_settop(L, 1);
}

/* weir.worker.exiting changes, so it is asked for each time. */
static int worker_index(lua_State *L)
{
    const char *name = lua_tostring(L, 2);
    if (lua_type(L, 2) != LUA_TSTRING || strcmp(name, "exiting") != 0) {
        return 0;
    }
    const struct weir_worker *worker = instance_of(L)->worker;
    lua_pushboolean(L, worker != NULL && worker_is_exiting(worker));
    return 1;
}

static void set_worker(lua_State *L)
{
    struct weir_worker *worker = instance_of(L)->worker;
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, worker == NULL ? 0 : worker_id(worker));
    lua_setfield(L, -2, "id");
    lua_pushinteger(L, worker == NULL ? 1 : worker_count(worker));
    lua_setfield(L, -2, "count");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, worker_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_setfield(L, 1, "worker");
}

void api_weir_open(lua_State *L)
{
    static const luaL_Reg levels[] = {{"debug", log_at_debug},
                                      {"info", log_at_info},
                                      {"warn", log_at_warn},
                                      {"error", log_at_error},
                                      {NULL, NULL}};
    lua_settop(L, 0);
    lua_newtable(L);
    luaL_newlib(L, levels);
    lua_setfield(L, 1, "log");
    lua_pushcfunction(L, now);
    lua_setfield(L, 1, "now");
    set_worker(L);
    api_timer_open(L);
    api_directory_open(L);
    api_shared_open(L);
    api_pubsub_open(L);
    api_metrics_open(L);
    api_crypto_open(L);
    api_http_open(L);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, weir_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, 1);
    set_config(L);
    lua_setglobal(L, "weir");
}
