/* `weir.sleep`, `weir.timer` and `weir.spawn`. */
#ifndef WEIR_LUA_API_TIMER_H
#define WEIR_LUA_API_TIMER_H

#include <lua.h>

#include "lua/instance.h"

struct lua_runner;

/* Sets `sleep`, `timer` and `spawn` in the table on top of the stack. May throw. */
void api_timer_open(lua_State *L);

/* Pushes the function of a timer that fired, and its arguments, whose number is returned. */
int api_timer_push_function(lua_State *L, const struct api_timer *timer);

/* What its function counts as: CALLBACK_TIMER or CALLBACK_SPAWN. */
enum lua_callback api_timer_callback(const struct api_timer *timer);

/* Cancels what would wake the runner from weir.sleep, if it is in it. */
void api_timer_wake_cancel(struct lua_runner *runner);

/* The callback of a timer is over, or will never be. */
void api_timer_done(struct lua_instance *instance, struct api_timer *timer);

/* Cancels all timers of an instance that ends. */
void api_timer_end(struct lua_instance *instance);

#endif
