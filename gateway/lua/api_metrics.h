/* `weir.metrics`: counters, gauges and histograms of plugins. */
#ifndef WEIR_LUA_API_METRICS_H
#define WEIR_LUA_API_METRICS_H

#include <lua.h>

/* Sets `metrics` in the table on top of the stack. May throw. */
void api_metrics_open(lua_State *L);

#endif
