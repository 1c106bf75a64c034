/* Lua's own coroutines, with two things added: the CPU guard follows which coroutine runs, and a
 * wait of the host (weir.sleep, conn:messages) inside a coroutine parks the whole callback instead
 * of looking like a yield to whoever resumed it. So generators and waits go together.
 *
 * Called by Lua code; resumes through call.c alone. */
#include "lua/coroutine.h"

#include <stdbool.h>

#include <lauxlib.h>

#include "lua/call.h"
#include "lua/instance.h"

static lua_State *check_coroutine(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co != NULL, 1, "coroutine");
    return co;
}

static int resume_after_wait(lua_State *L, int status, lua_KContext context);

/* True, or false and an error object, with the results after it. */
static int resume(lua_State *L, lua_State *co, int args)
{
    int results = 0;
    bool is_host_yield = false;
    if (!call_coroutine(L, co, args, &results, &is_host_yield)) {
        lua_pushboolean(L, 0);
        lua_insert(L, -2);
        return 2;
    }
    if (is_host_yield) {
        lua_pop(L, results);
        return lua_yieldk(L, 0, (lua_KContext)co, resume_after_wait);
    }
    lua_pushboolean(L, 1);
    lua_insert(L, -(results + 1));
    return results + 1;
}

static int resume_after_wait(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    return resume(L, (lua_State *)context, 0);
}

static int coroutine_resume(lua_State *L)
{
    lua_State *co = check_coroutine(L);
    return resume(L, co, lua_gettop(L) - 1);
}

static int wrapped_after_wait(lua_State *L, int status, lua_KContext context);

static int fail_wrapped(lua_State *L, lua_State *co, bool was_resumed)
{
    if (was_resumed && lua_status(co) > LUA_YIELD && !call_close_coroutine(L, co)) {
        lua_remove(L, -2); /* the error that counts is on top of it */
    }
    if (lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

/* As resume, but an error goes on, with the position of the caller, as in Lua. */
static int call_wrapped(lua_State *L, lua_State *co, int args)
{
    int results = 0;
    bool is_host_yield = false;
    if (!call_coroutine(L, co, args, &results, &is_host_yield)) {
        return fail_wrapped(L, co, results >= 0);
    }
    if (is_host_yield) {
        lua_pop(L, results);
        return lua_yieldk(L, 0, (lua_KContext)co, wrapped_after_wait);
    }
    return results;
}

static int wrapped_after_wait(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    return call_wrapped(L, (lua_State *)context, 0);
}

static int wrapped(lua_State *L)
{
    return call_wrapped(L, lua_tothread(L, lua_upvalueindex(1)), lua_gettop(L));
}

static int coroutine_wrap(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    lua_pushcclosure(L, wrapped, 1);
    return 1;
}

static int coroutine_yield(lua_State *L)
{
    if (instance_is_runner(L)) {
        return luaL_error(L, "attempt to yield from outside a coroutine");
    }
    instance_of(L)->host_yield = false;
    return lua_yield(L, lua_gettop(L));
}

static int coroutine_close(lua_State *L)
{
    if (call_close_coroutine(L, check_coroutine(L))) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

void coroutine_open(lua_State *L)
{
    lua_getglobal(L, "coroutine");
    lua_pushcfunction(L, coroutine_resume);
    lua_setfield(L, -2, "resume");
    lua_pushcfunction(L, coroutine_wrap);
    lua_setfield(L, -2, "wrap");
    lua_pushcfunction(L, coroutine_yield);
    lua_setfield(L, -2, "yield");
    lua_pushcfunction(L, coroutine_close);
    lua_setfield(L, -2, "close");
    lua_pop(L, 1);
}
