/* What is said of a callback that failed. */
#ifndef WEIR_LUA_REPORT_H
#define WEIR_LUA_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

struct lua_runner;

/* Words for the error object on top of `L`, terminated, without calling or allocating anything in
 * Lua. `stopped`: it is the CPU limit of `limit_ns` that stopped it. */
void report_error_words(lua_State *L, bool stopped, uint64_t limit_ns, char *out, size_t size);

/* Logs why the runner's callback failed, with a traceback of its stack. The instance's worker. */
void report_failure(struct lua_runner *runner, bool stopped);

#endif
