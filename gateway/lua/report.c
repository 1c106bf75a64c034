/* Reports failures in the log: the plugin, the callback, the error, and a traceback. The traceback
 * is written into a fixed array without Lua's allocator, so it works when memory is what ran out.
 * Called by call.c; never throws, though an error object's own __tostring may be asked. */
#include "lua/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "base/log.h"
#include "lua/call.h"
#include "lua/guard.h"
#include "lua/instance.h"

enum {
    WORDS_BYTES = 1024,
    TRACEBACK_BYTES = 2800, /* with the words it fits a line of the log */
    LEVELS_FIRST = 12,
    LEVELS_LAST = 6
};

struct text {
    char bytes[TRACEBACK_BYTES];
    size_t used;
};

static void put(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = sizeof text->bytes - text->used;
    int wanted = vsnprintf(text->bytes + text->used, room, format, args);
    va_end(args);
    if (wanted > 0) {
        text->used += (size_t)wanted < room ? (size_t)wanted : room - 1;
    }
}

static void put_level(struct text *text, lua_State *L, lua_Debug *at)
{
    lua_getinfo(L, "Slnt", at);
    put(text, "\n%s:", at->short_src);
    if (at->currentline > 0) {
        put(text, "%d:", at->currentline);
    }
    if (*at->namewhat != '\0') {
        put(text, " in %s '%s'", at->namewhat, at->name);
    } else if (*at->what == 'm') {
        put(text, " in main chunk");
    } else if (*at->what == 'C') {
        put(text, " in a C function");
    } else {
        put(text, " in function <%s:%d>", at->short_src, at->linedefined);
    }
    if (at->istailcall) {
        put(text, "\n(...tail calls...)");
    }
}

static int count_levels(lua_State *L)
{
    lua_Debug at;
    int low = 0;
    int high = 1;
    while (lua_getstack(L, high, &at) == 1) {
        low = high;
        high *= 2;
    }
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (lua_getstack(L, middle, &at) == 1) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void put_traceback(struct text *text, lua_State *L)
{
    lua_Debug at;
    int levels = count_levels(L) - 1; /* the last one is what entered the callback */
    put(text, "\nstack traceback:");
    for (int level = 0; level < levels && lua_getstack(L, level, &at) == 1; level++) {
        if (level == LEVELS_FIRST && levels > LEVELS_FIRST + LEVELS_LAST) {
            level = levels - LEVELS_LAST;
            put(text, "\n... (%d levels left out)", level - LEVELS_FIRST);
            lua_getstack(L, level, &at);
        }
        put_level(text, L, &at);
    }
}

void report_error_words(lua_State *L, bool stopped, uint64_t limit_ns, char *out, size_t size)
{
    if (stopped) {
        snprintf(out, size, "passed its CPU limit of %llu ms at %s",
                 (unsigned long long)(limit_ns / 1000000), guard_where());
        return;
    }
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        snprintf(out, size, "%s", lua_tostring(L, -1));
        break;
    case LUA_TNUMBER:
        snprintf(out, size, "error object is the number %.14g", lua_tonumber(L, -1));
        break;
    default:
        snprintf(out, size, "error object is a %s", luaL_typename(L, -1));
        break;
    }
}

struct described {
    lua_State *L;
    char *out;
    size_t size;
};

static int describe(lua_State *L)
{
    struct described *described = lua_touserdata(L, 1);
    lua_pushvalue(described->L, -1);
    lua_xmove(described->L, L, 1);
    snprintf(described->out, described->size, "%s", luaL_tolstring(L, -1, NULL));
    return 0;
}

/* An error object that is a table may have words of its own. */
static bool own_words(struct lua_runner *runner, char *out, size_t size)
{
    int type = lua_type(runner->L, -1);
    if ((type != LUA_TTABLE && type != LUA_TUSERDATA) || !lua_checkstack(runner->L, 1)) {
        return false;
    }
    char ignored[1];
    struct lua_instance *instance = runner->instance;
    struct described described = {runner->L, out, size};
    return call_protected(instance, describe, &described, instance->cpu_limit_ns, ignored,
                          sizeof ignored) == WEIR_OK;
}

static void describe_failure(struct lua_runner *runner, enum lua_limit limit, char *words,
                             size_t size)
{
    struct lua_instance *instance = runner->instance;
    bool stopped = limit == LUA_LIMIT_CPU;
    if (limit == LUA_LIMIT_MEMORY) {
        snprintf(words, size, " passed its memory limit of %zu KiB", instance->memory_limit / 1024);
    } else if (stopped) {
        words[0] = ' ';
        report_error_words(runner->L, true, instance->cpu_limit_ns, words + 1, size - 1);
    } else {
        static const char failed[] = " failed: ";
        size_t used = sizeof failed - 1;
        memcpy(words, failed, used);
        if (!own_words(runner, words + used, size - used)) {
            report_error_words(runner->L, false, 0, words + used, size - used);
        }
    }
}

void report_failure(struct lua_runner *runner, enum lua_limit limit)
{
    struct lua_instance *instance = runner->instance;
    uint64_t left_out = 0;
    instance->failures++;
    if (limit != LUA_LIMIT_NONE && !limits_reached(instance->plugin->watch, limit, &left_out)) {
        return;
    }
    char words[WORDS_BYTES];
    char more[LIMITS_LEFT_OUT_BYTES];
    struct text text = {.used = 0};
    text.bytes[0] = '\0';
    put_traceback(&text, runner->L);
    describe_failure(runner, limit, words, sizeof words);
    limits_write_left_out(left_out, more);
    log_error("lua", "plugin %s: callback %s%s%s%s", instance->plugin->name,
              instance_callback_names[runner->callback], words, more, text.bytes);
}

void report_limit(const struct lua_instance *instance, enum lua_limit limit)
{
    const struct lua_limits *limits = &instance->plugin->limits;
    char words[WORDS_BYTES];
    switch (limit) {
    case LUA_LIMIT_TIMERS:
        snprintf(words, sizeof words, "has all of its %llu timers (max_timers)",
                 (unsigned long long)limits->max_timers);
        break;
    case LUA_LIMIT_PARKED:
        snprintf(words, sizeof words, "%llu of its callbacks wait (max_parked)",
                 (unsigned long long)limits->max_parked);
        break;
    case LUA_LIMIT_HTTP:
        snprintf(words, sizeof words, "has %llu HTTP requests under way (max_http_requests)",
                 (unsigned long long)limits->max_http_requests);
        break;
    default:
        return; /* these two end their callback, and are told with it */
    }
    limits_log(instance, limit, words);
}
