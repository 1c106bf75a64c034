/* The protected call: the only lua_pcall and lua_resume of the program. A callback runs in a
 * runner's coroutine, and one that returns costs no allocation, because the runner is used again.
 * One that waits keeps its runner, and is parked. One that fails is reported with a traceback that
 * is written without Lua's allocator, since memory may be what is out.
 *
 * Called by host.c, settle.c and api_*.c; never decides what a failure means for a session. */
#include "lua/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "base/check.h"
#include "base/log.h"
#include "lua/api_http.h"
#include "lua/api_timer.h"
#include "lua/guard.h"
#include "lua/limits.h"
#include "lua/report.h"
#include "lua/wait.h"

enum {
    IDLE_RUNNERS = 32, /* kept for the next callbacks; more of them is memory for a rare crowd */
    ENTER_SLOT = 1     /* of a runner's stack: what enters callbacks */
};

enum weir_err call_protected(struct lua_instance *instance, lua_CFunction fn, void *argument,
                             uint64_t limit_ns, char *error, size_t error_size)
{
    lua_State *L = instance->L;
    struct guard_frame frame;
    int top = lua_gettop(L);
    guard_enter(&frame, L, limit_ns);
    lua_pushcfunction(L, fn);
    lua_pushlightuserdata(L, argument);
    instance->is_out_of_memory = false;
    int status = lua_pcall(L, 1, 0, 0);
    bool stopped = guard_leave(&frame);
    if (stopped) {
        lua_sethook(L, NULL, 0, 0);
    }
    if (status != LUA_OK) {
        report_error_words(L, stopped, limit_ns, error, error_size);
    }
    lua_settop(L, top);
    return status == LUA_OK ? WEIR_OK : WEIR_EINVAL;
}

static int make_coroutine(lua_State *L)
{
    struct lua_runner *runner = lua_touserdata(L, 1);
    lua_State *co = lua_newthread(L);
    instance_mark_runner(co);
    lua_rawgeti(L, LUA_REGISTRYINDEX, runner->instance->enter_ref);
    lua_xmove(L, co, 1);
    runner->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    runner->L = co;
    return 0;
}

static struct lua_runner *new_runner(struct lua_instance *instance)
{
    struct lua_runner *runner = calloc(1, sizeof *runner);
    char error[256] = "out of memory";
    if (runner != NULL) {
        list_init(&runner->node);
        runner->instance = instance;
        runner->ref = LUA_NOREF;
        if (call_protected(instance, make_coroutine, runner, instance->cpu_limit_ns, error,
                           sizeof error) == WEIR_OK) {
            return runner;
        }
        call_drop(runner);
    }
    char words[sizeof error + 32];
    snprintf(words, sizeof words, "no coroutine for a callback: %s", error);
    if (instance->is_out_of_memory) {
        limits_log(instance, LUA_LIMIT_MEMORY, words);
    } else {
        log_error("lua", "plugin %s: %s", instance->plugin->name, words);
    }
    return NULL;
}

struct lua_runner *call_take(struct lua_instance *instance, enum lua_callback callback,
                             unsigned seat)
{
    struct lua_runner *runner = instance->idle;
    if (runner != NULL) {
        instance->idle = runner->next;
        instance->idle_count--;
    } else {
        runner = new_runner(instance);
        if (runner == NULL) {
            return NULL;
        }
    }
    runner->callback = callback;
    runner->seat = seat;
    runner->starting = true;
    runner->is_counted = false;
    runner->changed = false;
    runner->request = NULL;
    runner->session = NULL;
    runner->conn = NULL;
    runner->req = NULL;
    runner->timer = NULL;
    runner->message = NULL;
    runner->ending = NULL;
    runner->http_answer = NULL;
    return runner;
}

void call_release(struct lua_runner *runner)
{
    struct lua_instance *instance = runner->instance;
    if (instance->idle_count >= IDLE_RUNNERS) {
        call_drop(runner);
        return;
    }
    lua_settop(runner->L, ENTER_SLOT);
    runner->next = instance->idle;
    instance->idle = runner;
    instance->idle_count++;
}

void call_drop(struct lua_runner *runner)
{
    wait_end(runner);
    api_timer_wake_cancel(runner);
    api_http_wake_cancel(runner);
    list_remove(&runner->node);
    /* Frees the slot of an existing key, so it allocates nothing and cannot throw. */
    luaL_unref(runner->instance->L, LUA_REGISTRYINDEX, runner->ref);
    free(runner);
}

/* The variables that wait to be closed run code of the plugin, so that is guarded too. After a CPU
 * stop they are not closed: the coroutine's hooks are off for good once a hook has thrown, so a
 * __close that loops could not be stopped. */
static void close_variables(struct lua_runner *runner)
{
    struct guard_frame frame;
    guard_enter(&frame, runner->L, runner->instance->cpu_limit_ns);
    lua_resetthread(runner->L);
    guard_leave(&frame);
}

/* Which limit the code that has just run was stopped by, or met on its way. */
static enum lua_limit limit_of(struct lua_instance *instance, int status, bool stopped)
{
    enum lua_limit met = instance->limit_hit;
    instance->limit_hit = LUA_LIMIT_NONE;
    if (stopped) {
        return LUA_LIMIT_CPU;
    }
    if (status == LUA_ERRMEM && instance->is_out_of_memory) {
        return LUA_LIMIT_MEMORY;
    }
    return met;
}

static enum call_outcome fail(struct lua_runner *runner, enum lua_limit limit)
{
    struct lua_instance *instance = runner->instance;
    struct lua_runner *outer = instance->running;
    instance->running = runner;
    report_failure(runner, limit);
    if (limit != LUA_LIMIT_CPU) {
        close_variables(runner);
    }
    instance->running = outer;
    call_drop(runner);
    return CALL_FAILED;
}

enum call_outcome call_resume(struct lua_runner *runner)
{
    struct lua_instance *instance = runner->instance;
    struct lua_runner *outer = instance->running;
    bool waits_barred = instance->waits_barred;
    struct guard_frame frame;
    int results;
    instance->running = runner;
    instance->host_yield = false;
    instance->waits_barred = false;
    instance->is_out_of_memory = false;
    guard_enter(&frame, runner->L, instance->cpu_limit_ns);
    if (runner->starting) {
        runner->starting = false;
        lua_pushvalue(runner->L, ENTER_SLOT);
    }
    /* `from` counts C calls alone, so one of another state will do, and bounds their nesting. */
    lua_State *from = frame.outer != NULL ? frame.outer->current : NULL;
    int status = lua_resume(runner->L, from, 0, &results);
    bool stopped = guard_leave(&frame);
    instance->running = outer;
    instance->waits_barred = waits_barred;
    if (stopped) {
        lua_sethook(runner->L, NULL, 0, 0);
        stopped = frame.stopped > 1; /* else it ended by itself before the hook saw it */
    }
    enum lua_limit limit = limit_of(instance, status, stopped);
    if (status > LUA_YIELD || stopped) {
        return fail(runner, limit);
    }
    if (limit != LUA_LIMIT_NONE) { /* the plugin has caught the error */
        report_limit(instance, limit);
    }
    return status == LUA_OK ? CALL_DONE : CALL_PARKED;
}

/* Whether it runs, or waits for one that it has resumed itself. */
static bool is_active(lua_State *L, lua_State *co)
{
    lua_Debug at;
    return co == L || (lua_status(co) == LUA_OK && lua_getstack(co, 0, &at) > 0);
}

static bool can_resume(lua_State *L, lua_State *co, int args)
{
    int status = lua_status(co);
    const char *why = NULL;
    if (instance_is_runner(co)) {
        why = "cannot resume the coroutine of a callback";
    } else if (is_active(L, co)) {
        why = "cannot resume non-suspended coroutine";
    } else if (status > LUA_YIELD || (status == LUA_OK && lua_gettop(co) == 0)) {
        why = "cannot resume dead coroutine";
    } else if (!lua_checkstack(co, args)) {
        why = "too many arguments to resume";
    }
    if (why != NULL) {
        lua_pop(L, args);
        lua_pushstring(L, why);
    }
    return why == NULL;
}

bool call_coroutine(lua_State *L, lua_State *co, int args, int *results, bool *is_host_yield)
{
    if (!can_resume(L, co, args)) {
        *results = -1;
        return false;
    }
    struct lua_instance *instance = instance_of(L);
    bool waits_barred = instance->waits_barred;
    guard_check(L);
    lua_xmove(L, co, args);
    guard_follow(co);
    instance->waits_barred = waits_barred || !lua_isyieldable(L);
    int status = lua_resume(co, L, args, results);
    instance->waits_barred = waits_barred;
    guard_follow(L);
    guard_check(L);
    if (status > LUA_YIELD) {
        lua_xmove(co, L, 1);
        return false;
    }
    *is_host_yield = status == LUA_YIELD && instance->host_yield;
    if (!lua_checkstack(L, *results + 1)) {
        lua_pop(co, *results);
        lua_pushliteral(L, "too many results to resume");
        return false;
    }
    lua_xmove(co, L, *results);
    return true;
}

bool call_close_coroutine(lua_State *L, lua_State *co)
{
    if (instance_is_runner(co) || is_active(L, co)) {
        luaL_error(L, "cannot close a coroutine that is running");
    }
    guard_check(L);
    guard_follow(co);
    int status = lua_resetthread(co);
    guard_follow(L);
    guard_check(L);
    if (status == LUA_OK) {
        return true;
    }
    lua_xmove(co, L, 1);
    return false;
}
