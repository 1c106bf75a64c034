/* What is said and counted when a plugin reaches one of its limits. */
#ifndef WEIR_LUA_LIMITS_H
#define WEIR_LUA_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum lua_limit {
    LUA_LIMIT_NONE,
    LUA_LIMIT_CPU,
    LUA_LIMIT_MEMORY,
    LUA_LIMIT_TIMERS,
    LUA_LIMIT_PARKED,
    LUA_LIMIT_HTTP,
    LUA_LIMIT_COUNT
};

struct lua_instance;
struct limits_watch;

/* Of one plugin, for all its workers. Given; NULL when memory is out. `name` is the plugin's,
 * borrowed for the call. Control thread. */
struct limits_watch *limits_watch_new(const char *name);
void limits_watch_free(struct limits_watch **watch);

/* Counts that the plugin has reached a limit. True: a line is due, as there is one a second for
 * each plugin and limit; `*left_out` tells how many had none before it. Any thread. */
bool limits_reached(struct limits_watch *watch, enum lua_limit limit, uint64_t *left_out);

/* Counts it and logs `words`, a terminated sentence, with the plugin's name, if a line is due. The
 * instance's worker. */
void limits_log(const struct lua_instance *instance, enum lua_limit limit, const char *words);

/* The line's end that tells of those left out, "" for none; terminated. */
enum {
    LIMITS_LEFT_OUT_BYTES = 64
};
void limits_write_left_out(uint64_t left_out, char out[LIMITS_LEFT_OUT_BYTES]);

#endif
