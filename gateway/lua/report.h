/* What is said of a callback that failed. */
#ifndef WEIR_LUA_REPORT_H
#define WEIR_LUA_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include "lua/limits.h"

struct lua_instance;
struct lua_runner;

/* Words for the error object on top of `L`, terminated, without calling or allocating anything in
 * Lua. `stopped`: it is the CPU limit of `limit_ns` that stopped it. */
void report_error_words(lua_State *L, bool stopped, uint64_t limit_ns, char *out, size_t size);

/* Logs why the runner's callback failed, with a traceback of its stack. What a limit has to do with
 * it is counted, and not logged each time (limits_reached). The instance's worker. */
void report_failure(struct lua_runner *runner, enum lua_limit limit);

/* The same for a limit that a callback met, and went on. */
void report_limit(const struct lua_instance *instance, enum lua_limit limit);

#endif
