/* Waiting: what every function of the API does that parks the callback that called it. */
#ifndef WEIR_LUA_WAIT_H
#define WEIR_LUA_WAIT_H

#include <stdbool.h>

#include <lua.h>

struct lua_runner;

/* The runner that is about to wait in the function `name`. Throws where nothing can wait (on_send,
 * init, a C function below), or when max_parked callbacks wait. */
struct lua_runner *wait_check(lua_State *L, const char *name);

/* Parks the runner of wait_check, which has arranged that it is woken (settle_wake): return this.
 * `then` continues it and gives the results; NULL: none. */
int wait_yield(lua_State *L, struct lua_runner *runner, lua_KFunction then);

/* It does not wait any more. */
void wait_end(struct lua_runner *runner);

/* Wakes it with the loop's next turn: for what happens within another callback. False: memory is
 * out, which was logged, and it sleeps on until its plugin ends. */
bool wait_wake_soon(struct lua_runner *runner);

#endif
