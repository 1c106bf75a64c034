/* `weir.sleep` parks the coroutine that called it; `weir.timer` runs functions later, and
 * `weir.spawn` as soon as the callback that runs has ended or waits: it is a timer of no delay. All
 * sit on the loop's own timers, and end with the instance. Called by Lua code within call.c and by
 * the loop; a timer that fires enters Lua through settle.c like any other callback. */
#include "lua/api_timer.h"

#include <stdbool.h>
#include <stdint.h>

#include <lauxlib.h>

#include "base/list.h"
#include "base/log.h"
#include "lua/call.h"
#include "lua/instance.h"
#include "lua/settle.h"
#include "lua/wait.h"
#include "net/loop.h"

static const double MAX_SECONDS = 31536000;    /* a year */
static const char *const PLACE = "weir.timer"; /* registry: the metatable of a timer */

/* The userdata's block. */
struct api_timer {
    struct list_node node; /* in instance->timers while it may fire */
    struct lua_instance *instance;
    struct loop_timer *timer; /* NULL once cancelled or fired */
    int self_ref;             /* what keeps the userdata, in the registry */
    int function_ref; /* of the function; of a spawned one, of a table with its arguments too */
    bool repeats;
    bool is_spawn;
    bool is_running; /* its callback runs or waits */
};

static uint64_t check_delay_ms(lua_State *L, int index, const char *name)
{
    int is_number = 0;
    double seconds = lua_tonumberx(L, index, &is_number);
    if (lua_type(L, index) != LUA_TNUMBER || !is_number || !(seconds >= 0) ||
        seconds > MAX_SECONDS) {
        luaL_error(L, "%s must be a number of seconds from 0 to %d", name, (int)MAX_SECONDS);
    }
    uint64_t delay_ms = (uint64_t)(seconds * 1000);
    return (double)delay_ms < seconds * 1000 ? delay_ms + 1 : delay_ms; /* never too early */
}

static void wake(void *context)
{
    struct lua_runner *runner = context;
    loop_timer_free(&runner->sleep);
    settle_wake(runner);
}

static int sleep_seconds(lua_State *L)
{
    uint64_t delay_ms = check_delay_ms(L, 1, "seconds");
    struct lua_instance *instance = instance_of(L);
    struct lua_runner *runner = wait_check(L, "weir.sleep");
    runner->sleep = loop_timer_new(instance->loop, delay_ms, false, wake, runner);
    if (runner->sleep == NULL) {
        return luaL_error(L, "not enough memory");
    }
    return wait_yield(L, runner, NULL);
}

void api_timer_wake_cancel(struct lua_runner *runner)
{
    loop_timer_free(&runner->sleep);
}

/* Forgets the function and the userdata, which Lua may keep as a name of what is over. */
static void forget(struct api_timer *timer)
{
    struct lua_instance *instance = timer->instance;
    luaL_unref(instance->L, LUA_REGISTRYINDEX, timer->function_ref);
    luaL_unref(instance->L, LUA_REGISTRYINDEX, timer->self_ref);
    timer->function_ref = LUA_NOREF;
    timer->self_ref = LUA_NOREF;
}

static void cancel(struct api_timer *timer)
{
    if (timer->node.next != &timer->node) {
        list_remove(&timer->node);
        timer->instance->timer_count -= timer->is_spawn ? 0 : 1;
    }
    loop_timer_free(&timer->timer);
    if (!timer->is_running) {
        forget(timer);
    }
}

static void fire(void *context)
{
    struct api_timer *timer = context;
    if (timer->is_running) {
        return; /* its last run still waits: this tick is passed over */
    }
    timer->is_running = true;
    if (!timer->repeats) {
        cancel(timer);
    }
    settle_timer(timer->instance, timer);
}

void api_timer_done(struct lua_instance *instance, struct api_timer *timer)
{
    timer->is_running = false;
    instance->parked_count -= timer->is_spawn ? 1 : 0;
    if (timer->timer == NULL) {
        forget(timer);
    }
}

int api_timer_push_function(lua_State *L, const struct api_timer *timer)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, timer->function_ref);
    if (!timer->is_spawn) {
        return 0;
    }
    int packed = lua_gettop(L);
    lua_getfield(L, packed, "n");
    int count = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    luaL_checkstack(L, count, "too many arguments");
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, packed, i);
    }
    lua_remove(L, packed);
    return count - 1;
}

enum lua_callback api_timer_callback(const struct api_timer *timer)
{
    return timer->is_spawn ? CALLBACK_SPAWN : CALLBACK_TIMER;
}

void api_timer_end(struct lua_instance *instance)
{
    while (!list_is_empty(&instance->timers)) {
        cancel(list_item(instance->timers.next, struct api_timer, node));
    }
}

static void start(lua_State *L, struct api_timer *timer, uint64_t delay_ms)
{
    struct lua_instance *instance = timer->instance;
    if (instance->loop == NULL) {
        return; /* the plugin is only checked: nothing fires */
    }
    timer->timer = loop_timer_new(instance->loop, delay_ms, timer->repeats, fire, timer);
    if (timer->timer == NULL) {
        luaL_error(L, "not enough memory");
    }
    list_append(&instance->timers, &timer->node);
    if (timer->is_spawn) {
        instance->parked_count++;
    } else {
        instance->timer_count++;
    }
}

/* Makes one for the function, or the packed call, at `index`; its userdata is on top. */
static struct api_timer *make(lua_State *L, int index, bool repeats, bool is_spawn)
{
    struct api_timer *timer = lua_newuserdatauv(L, sizeof *timer, 0);
    *timer = (struct api_timer){.instance = instance_of(L),
                                .self_ref = LUA_NOREF,
                                .function_ref = LUA_NOREF,
                                .repeats = repeats,
                                .is_spawn = is_spawn};
    list_init(&timer->node);
    luaL_setmetatable(L, PLACE);
    lua_pushvalue(L, index);
    timer->function_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, -1);
    timer->self_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return timer;
}

static int new_timer(lua_State *L, bool repeats, const char *name)
{
    struct lua_instance *instance = instance_of(L);
    uint64_t delay_ms = check_delay_ms(L, 1, name);
    if (!lua_isfunction(L, 2)) {
        return luaL_error(L, "fn must be a function, not a %s", luaL_typename(L, 2));
    }
    if (repeats && delay_ms == 0) {
        return luaL_error(L, "interval must be more than 0 seconds");
    }
    if (instance->timer_count >= instance->max_timers) {
        instance->limit_hit = LUA_LIMIT_TIMERS;
        return luaL_error(L, "more than %I timers (max_timers)", (lua_Integer)instance->max_timers);
    }
    start(L, make(L, 2, repeats, false), delay_ms);
    return 1;
}

static int spawn(lua_State *L)
{
    struct lua_instance *instance = instance_of(L);
    if (!lua_isfunction(L, 1)) {
        return luaL_error(L, "fn must be a function, not a %s", luaL_typename(L, 1));
    }
    if (instance->parked_count >= instance->max_parked) {
        instance->limit_hit = LUA_LIMIT_PARKED;
        return luaL_error(L, "more than %I coroutines (max_parked)",
                          (lua_Integer)instance->max_parked);
    }
    int count = lua_gettop(L);
    lua_createtable(L, count, 1);
    lua_insert(L, 1);
    for (int i = count; i > 0; i--) {
        lua_rawseti(L, 1, i);
    }
    lua_pushinteger(L, count);
    lua_setfield(L, 1, "n");
    start(L, make(L, 1, false, true), 0);
    return 0;
}

static int timer_at(lua_State *L)
{
    return new_timer(L, false, "delay");
}

static int timer_every(lua_State *L)
{
    return new_timer(L, true, "interval");
}

static int timer_cancel(lua_State *L)
{
    struct api_timer *timer = luaL_checkudata(L, 1, PLACE);
    bool was_waiting = timer->timer != NULL;
    if (was_waiting) {
        cancel(timer);
    }
    lua_pushboolean(L, was_waiting);
    return 1;
}

void api_timer_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"at", timer_at}, {"every", timer_every}, {"cancel", timer_cancel}, {NULL, NULL}};
    luaL_newmetatable(L, PLACE);
    lua_pushliteral(L, "timer");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    lua_pushcfunction(L, sleep_seconds);
    lua_setfield(L, -2, "sleep");
    lua_pushcfunction(L, spawn);
    lua_setfield(L, -2, "spawn");
    luaL_newlib(L, functions);
    lua_setfield(L, -2, "timer");
}
