/* What of Lua's standard library a plugin gets. Left out is what would block a worker (files,
 * processes), what could corrupt memory (bytecode, most of debug), and what the CPU limit could not
 * stop: finalizers and message handlers of xpcall run with hooks off, so __gc is refused, and a
 * handler is not entered once the limit has passed. A plugin that the configuration trusts gets all
 * of it but the latter.
 *
 * Called by instance.c while a state is made. */
#include "lua/sandbox.h"

#include <lauxlib.h>
#include <lualib.h>

#include "base/log.h"
#include "lua/coroutine.h"
#include "lua/guard.h"
#include "lua/instance.h"

/* Joins the arguments as print does; the result is on top. */
static const char *join(lua_State *L)
{
    int count = lua_gettop(L);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (int i = 1; i <= count; i++) {
        if (i > 1) {
            luaL_addchar(&b, '\t');
        }
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    return lua_tostring(L, -1);
}

void sandbox_log(lua_State *L, enum log_level level)
{
    const struct lua_instance *instance = instance_of(L);
    const char *words = join(L);
    if (instance->worker != NULL || level >= LOG_WARN) { /* a check runs the file once more */
        log_line(level, "lua", "plugin %s: %s", instance->plugin->name, words);
    }
}

static int print(lua_State *L)
{
    sandbox_log(L, LOG_INFO);
    return 0;
}

static int set_metatable(lua_State *L)
{
    int type = lua_type(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) {
        return luaL_error(L, "cannot change a protected metatable");
    }
    if (type == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL) {
            return luaL_error(L, "plugins cannot have finalizers (__gc)");
        }
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

/* Upvalue: the plugin's own message handler. */
static int message_handler(lua_State *L)
{
    if (guard_is_stopped()) {
        return 1;
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int leave_xpcall(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return lua_gettop(L);
}

/* Upvalue: Lua's own xpcall. */
static int safe_xpcall(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    int args = lua_gettop(L);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, message_handler, 1);
    lua_replace(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_callk(L, args, LUA_MULTRET, 0, leave_xpcall);
    return leave_xpcall(L, LUA_OK, 0);
}

/* Upvalue: Lua's own load. The mode is "t" whatever was asked for. */
static int load_text(lua_State *L)
{
    int args = lua_gettop(L) < 4 ? 3 : 4;
    lua_settop(L, args);
    lua_pushliteral(L, "t");
    lua_replace(L, 3);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, args, LUA_MULTRET);
    return lua_gettop(L);
}

static int collect_garbage(lua_State *L)
{
    static const char *const options[] = {"collect", "count", NULL};
    if (luaL_checkoption(L, 1, "collect", options) == 0) {
        lua_gc(L, LUA_GCCOLLECT);
        lua_pushinteger(L, 0);
        return 1;
    }
    lua_pushnumber(L, (lua_Number)instance_of(L)->memory_used / 1024);
    return 1;
}

/* Upvalues: package.searchpath, package. Lua's own searcher would take bytecode too. */
static int search_text(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushstring(L, name);
    lua_getfield(L, lua_upvalueindex(2), "path");
    lua_call(L, 2, 2);
    if (lua_isnil(L, -2)) {
        return 1; /* where it was looked for */
    }
    const char *file = lua_tostring(L, -2);
    if (luaL_loadfilex(L, file, "t") != LUA_OK) {
        return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name, file,
                          lua_tostring(L, -1));
    }
    lua_pushstring(L, file);
    return 2;
}

/* The plugin's modules first, then those of Lua's own path. */
static void set_path(lua_State *L, int package, const char *module_path)
{
    lua_getfield(L, package, "path");
    lua_pushfstring(L, "%s;%s", module_path, lua_tostring(L, -1));
    lua_setfield(L, package, "path");
    lua_pop(L, 1);
}

/* `require` stays, and takes no bytecode; the table behind it goes. */
static void hide_package(lua_State *L, int package)
{
    lua_getfield(L, package, "searchers");
    lua_getfield(L, package, "searchpath");
    lua_pushvalue(L, package);
    lua_pushcclosure(L, search_text, 2);
    lua_rawseti(L, -2, 2);
    lua_settop(L, package);
    lua_pushnil(L);
    lua_setglobal(L, LUA_LOADLIBNAME);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushnil(L);
    lua_setfield(L, -2, LUA_LOADLIBNAME);
}

static void open_package(lua_State *L, const struct lua_plugin *plugin)
{
    luaL_requiref(L, LUA_LOADLIBNAME, luaopen_package, 1);
    int package = lua_gettop(L);
    set_path(L, package, plugin->module_path);
    if (!plugin->is_trusted) {
        hide_package(L, package);
    }
    lua_settop(L, package - 1);
}

/* Keeps of the table on top what `names` has, and nothing else. */
static void keep_only(lua_State *L, const char *const *names)
{
    lua_newtable(L);
    for (; *names != NULL; names++) {
        lua_getfield(L, -2, *names);
        lua_setfield(L, -2, *names);
    }
    lua_remove(L, -2);
}

static void set_loaded_global(lua_State *L, const char *name)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
    lua_setglobal(L, name);
}

static void open_part(lua_State *L, const char *name, lua_CFunction open, const char *const *names)
{
    luaL_requiref(L, name, open, 0);
    keep_only(L, names);
    set_loaded_global(L, name);
}

static void wrap_global(lua_State *L, const char *name, lua_CFunction wrapper)
{
    lua_getglobal(L, name);
    lua_pushcclosure(L, wrapper, 1);
    lua_setglobal(L, name);
}

static void remove_global(lua_State *L, const char *name)
{
    lua_pushnil(L);
    lua_setglobal(L, name);
}

static void open_libraries(lua_State *L, const luaL_Reg *libraries)
{
    for (const luaL_Reg *library = libraries; library->name != NULL; library++) {
        luaL_requiref(L, library->name, library->func, 1);
        lua_pop(L, 1);
    }
}

/* What one who is trusted has beside the others. */
static void open_rest(lua_State *L)
{
    static const luaL_Reg libraries[] = {{LUA_IOLIBNAME, luaopen_io},
                                         {LUA_OSLIBNAME, luaopen_os},
                                         {LUA_DBLIBNAME, luaopen_debug},
                                         {NULL, NULL}};
    open_libraries(L, libraries);
}

static void open_safe_parts(lua_State *L)
{
    static const char *const os_names[] = {"clock", "date", "difftime", "getenv", "time", NULL};
    static const char *const debug_names[] = {"traceback", NULL};
    open_part(L, LUA_OSLIBNAME, luaopen_os, os_names);
    open_part(L, LUA_DBLIBNAME, luaopen_debug, debug_names);
    lua_register(L, "setmetatable", set_metatable);
    lua_register(L, "collectgarbage", collect_garbage);
    wrap_global(L, "load", load_text);
    remove_global(L, "loadfile");
    remove_global(L, "dofile");
    lua_getglobal(L, LUA_STRLIBNAME);
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    lua_pop(L, 1);
}

void sandbox_open(lua_State *L, const struct lua_plugin *plugin)
{
    static const luaL_Reg libraries[] = {{LUA_GNAME, luaopen_base},
                                         {LUA_TABLIBNAME, luaopen_table},
                                         {LUA_STRLIBNAME, luaopen_string},
                                         {LUA_MATHLIBNAME, luaopen_math},
                                         {LUA_UTF8LIBNAME, luaopen_utf8},
                                         {LUA_COLIBNAME, luaopen_coroutine},
                                         {NULL, NULL}};
    open_libraries(L, libraries);
    open_package(L, plugin);
    if (plugin->is_trusted) {
        open_rest(L);
    } else {
        open_safe_parts(L);
    }
    lua_register(L, "print", print);
    wrap_global(L, "xpcall", safe_xpcall);
    coroutine_open(L);
}
