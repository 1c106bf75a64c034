/* `weir.sleep` parks the coroutine that called it; `weir.timer` runs functions later. Both sit on
 * the loop's own timers, and both end with the instance. Called by Lua code within call.c and by
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
#include "net/loop.h"

enum {
    MAX_TIMERS = 10000 /* of one state; each costs memory that its limit does not see */
};

static const double MAX_SECONDS = 31536000;    /* a year */
static const char *const PLACE = "weir.timer"; /* registry: the metatable of a timer */

/* The userdata's block. */
struct api_timer {
    struct list_node node; /* in instance->timers while it may fire */
    struct lua_instance *instance;
    struct loop_timer *timer; /* NULL once cancelled or fired */
    int self_ref;             /* what keeps the userdata, in the registry */
    int function_ref;
    bool repeats;
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
    struct lua_runner *runner = instance->running;
    if (runner == NULL || runner->callback == CALLBACK_ON_SEND || !lua_isyieldable(L) ||
        instance->waits_barred) {
        return luaL_error(L, "weir.sleep cannot wait here");
    }
    runner->sleep = loop_timer_new(instance->loop, delay_ms, false, wake, runner);
    if (runner->sleep == NULL) {
        return luaL_error(L, "not enough memory");
    }
    instance->host_yield = true;
    return lua_yield(L, 0);
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
        timer->instance->timer_count--;
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
    (void)instance;
    timer->is_running = false;
    if (timer->timer == NULL) {
        forget(timer);
    }
}

void api_timer_push_function(lua_State *L, const struct api_timer *timer)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, timer->function_ref);
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
    instance->timer_count++;
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
    if (instance->timer_count >= MAX_TIMERS) {
        return luaL_error(L, "more than %d timers", MAX_TIMERS);
    }
    struct api_timer *timer = lua_newuserdatauv(L, sizeof *timer, 0);
    *timer = (struct api_timer){
        .instance = instance, .self_ref = LUA_NOREF, .function_ref = LUA_NOREF, .repeats = repeats};
    list_init(&timer->node);
    luaL_setmetatable(L, PLACE);
    lua_pushvalue(L, 2);
    timer->function_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, -1);
    timer->self_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    start(L, timer, delay_ms);
    return 1;
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
    luaL_newlib(L, functions);
    lua_setfield(L, -2, "timer");
}
