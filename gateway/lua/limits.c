/* A plugin that is at a limit may be there with every message, and a log that is full of it hides
 * the rest: so one line a second, and a metric that counts them all. Called by call.c, report.c and
 * the API tables that count something; the callbacks themselves are failed elsewhere. */
#include "lua/limits.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "lua/instance.h"

static const uint64_t SECOND_US = 1000000;

struct one_watch {
    atomic_uint_fast64_t logged_us; /* when a line was last written; 0: never */
    atomic_uint_fast64_t left_out;
    struct metric *metric; /* NULL where it could not be made */
};

struct limits_watch {
    struct one_watch of[LUA_LIMIT_COUNT];
};

static const char *const limit_names[LUA_LIMIT_COUNT] = {
    "", "cpu_limit", "memory_limit", "max_timers", "max_parked", "max_http_requests"};

struct limits_watch *limits_watch_new(const char *name)
{
    struct limits_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        return NULL;
    }
    for (int limit = LUA_LIMIT_CPU; limit < LUA_LIMIT_COUNT; limit++) {
        struct metric_label labels[] = {{SPAN("plugin"), span_of(name)},
                                        {SPAN("limit"), span_of(limit_names[limit])}};
        atomic_init(&watch->of[limit].logged_us, 0);
        atomic_init(&watch->of[limit].left_out, 0);
        enum weir_err err = metrics_series(METRIC_COUNTER, "weir_plugin_limits_reached_total",
                                           "How often a Lua plugin has reached one of its limits.",
                                           labels, 2, NULL, 0, &watch->of[limit].metric);
        (void)err; /* then it is not counted, but it still works */
    }
    return watch;
}

void limits_watch_free(struct limits_watch **watch)
{
    free(*watch);
    *watch = NULL;
}

bool limits_reached(struct limits_watch *watch, enum lua_limit limit, uint64_t *left_out)
{
    struct one_watch *one = &watch->of[limit];
    if (one->metric != NULL) {
        metric_add(one->metric, 1);
    }
    uint64_t now_us = clock_monotonic_us();
    uint_fast64_t last_us = atomic_load(&one->logged_us);
    bool is_due = last_us == 0 || now_us - last_us >= SECOND_US;
    if (!is_due || !atomic_compare_exchange_strong(&one->logged_us, &last_us, now_us)) {
        atomic_fetch_add(&one->left_out, 1);
        return false;
    }
    *left_out = atomic_exchange(&one->left_out, 0);
    return true;
}

void limits_write_left_out(uint64_t left_out, char out[LIMITS_LEFT_OUT_BYTES])
{
    out[0] = '\0';
    if (left_out > 0) {
        snprintf(out, LIMITS_LEFT_OUT_BYTES, " (and %llu more since the last such line)",
                 (unsigned long long)left_out);
    }
}

void limits_log(const struct lua_instance *instance, enum lua_limit limit, const char *words)
{
    uint64_t left_out = 0;
    char more[LIMITS_LEFT_OUT_BYTES];
    if (limits_reached(instance->plugin->watch, limit, &left_out)) {
        limits_write_left_out(left_out, more);
        log_error("lua", "plugin %s: %s%s", instance->plugin->name, words, more);
    }
}
