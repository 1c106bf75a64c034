/* Each wait of a callback passes here, so that their number is bounded: a coroutine that is parked
 * keeps its stack and whatever hangs on it. `serve` that waits for a message is not counted, as
 * there are no more of it than sessions. Called by Lua code within call.c, and by settle.c. */
#include "lua/wait.h"

#include <stdio.h>

#include <lauxlib.h>

#include "base/log.h"
#include "lua/instance.h"
#include "lua/settle.h"
#include "net/loop.h"

struct lua_runner *wait_check(lua_State *L, const char *name)
{
    struct lua_instance *instance = instance_of(L);
    struct lua_runner *runner = instance->running;
    if (runner == NULL || runner->callback == CALLBACK_ON_SEND || !lua_isyieldable(L) ||
        instance->waits_barred) {
        luaL_error(L, "%s cannot wait here", name);
    }
    if (runner->callback != CALLBACK_SPAWN && instance->parked_count >= instance->max_parked) {
        instance->limit_hit = LUA_LIMIT_PARKED;
        luaL_error(L, "more than %I callbacks wait (max_parked)",
                   (lua_Integer)instance->max_parked);
    }
    return runner;
}

int wait_yield(lua_State *L, struct lua_runner *runner, lua_KFunction then)
{
    struct lua_instance *instance = runner->instance;
    if (runner->callback != CALLBACK_SPAWN) { /* that one counts as long as it lives */
        runner->is_counted = true;
        instance->parked_count++;
    }
    instance->host_yield = true;
    return lua_yieldk(L, 0, 0, then);
}

void wait_end(struct lua_runner *runner)
{
    if (runner->is_counted) {
        runner->is_counted = false;
        runner->instance->parked_count--;
    }
}

static void wake(void *context)
{
    struct lua_runner *runner = context;
    loop_timer_free(&runner->sleep);
    settle_wake(runner);
}

bool wait_wake_soon(struct lua_runner *runner)
{
    runner->sleep = loop_timer_new(runner->instance->loop, 0, false, wake, runner);
    if (runner->sleep == NULL) {
        log_error("lua", "plugin %s: no memory to wake a callback", runner->instance->plugin->name);
        return false;
    }
    return true;
}
