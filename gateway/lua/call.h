/* Running Lua: every entry into Lua code goes through here, protected and guarded. All functions:
 * the instance's worker. */
#ifndef WEIR_LUA_CALL_H
#define WEIR_LUA_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include "base/err.h"
#include "lua/instance.h"

enum call_outcome {
    CALL_DONE,   /* it returned; its verdict is in the runner */
    CALL_PARKED, /* it waits; somebody wakes it with call_resume */
    CALL_FAILED  /* it threw or passed a limit, which was logged; the runner is gone */
};

/* Calls `fn` with the light userdata `argument` on the main thread, within `limit_ns` of CPU time.
 * Results are thrown away. WEIR_EINVAL: it threw; why is in `error`, terminated. */
WEIR_MUST enum weir_err call_protected(struct lua_instance *instance, lua_CFunction fn,
                                       void *argument, uint64_t limit_ns, char *error,
                                       size_t error_size);

/* A runner for `callback`; NULL, which was logged, when memory is out. Given back by call_release,
 * or by call_resume when it fails. */
struct lua_runner *call_take(struct lua_instance *instance, enum lua_callback callback,
                             unsigned seat);

/* Starts the runner's callback, or goes on where it waits. */
enum call_outcome call_resume(struct lua_runner *runner);

/* Gives back a runner that is done. */
void call_release(struct lua_runner *runner);

/* Frees a runner in any state; its coroutine is left to the collector. */
void call_drop(struct lua_runner *runner);

/* Resumes the coroutine `co` from `L`, as coroutine.resume does: moves `args` values over and the
 * results back. True and the number of results, or false and an error object on top; then
 * `*results` is -1 where it could not be resumed at all.
 * `*is_host_yield`: the coroutine waits for the host, so `L` has to yield too and resume it again
 * after. Throws in `L` when the CPU limit was passed. May be called within Lua alone. */
bool call_coroutine(lua_State *L, lua_State *co, int args, int *results, bool *is_host_yield);

/* Closes the variables of the suspended or failed coroutine `co`, as coroutine.close does. False
 * with an error object on top of `L` where it failed, or a variable's closing did. Throws as
 * call_coroutine. */
bool call_close_coroutine(lua_State *L, lua_State *co);

#endif
