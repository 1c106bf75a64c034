/* `weir.sleep` and `weir.timer`. */
#ifndef WEIR_LUA_API_TIMER_H
#define WEIR_LUA_API_TIMER_H

#include <lua.h>

struct api_timer;
struct lua_instance;
struct lua_runner;

/* Sets `sleep` and `timer` in the table on top of the stack. May throw. */
void api_timer_open(lua_State *L);

/* Pushes the function of a timer that fired. */
void api_timer_push_function(lua_State *L, const struct api_timer *timer);

/* Cancels what would wake the runner from weir.sleep, if it is in it. */
void api_timer_wake_cancel(struct lua_runner *runner);

/* The callback of a timer is over, or will never be. */
void api_timer_done(struct lua_instance *instance, struct api_timer *timer);

/* Cancels all timers of an instance that ends. */
void api_timer_end(struct lua_instance *instance);

#endif
