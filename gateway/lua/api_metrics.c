/* Metrics as Lua sees them: one userdata for each declaration. Without labels it points at its
 * series, so that counting is one atomic addition; with labels each call looks its series up, which
 * takes a lock for a moment. Series belong to the process: the same name on all workers, in all
 * plugins and after a reload is the same metric. Called by Lua code within call.c. */
#include "lua/api_metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <lauxlib.h>

#include "base/metrics.h"

enum {
    BUCKETS_MOST = 100,
    /* What the userdata's table holds. */
    FIELD_NAME = 1,
    FIELD_HELP,
    FIELD_FIRST_LABEL
};

static const char *const PLACE = "weir.metrics"; /* registry: the metatable of a metric */

/* Seconds, of what takes from some milliseconds to some seconds; as Prometheus's own libraries. */
static const double usual_buckets[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

/* The userdata's block; its user value is a table of the name, the help and the labels' names. */
struct api_metric {
    enum metric_kind kind;
    struct metric *series; /* NULL with labels */
    size_t label_count;
    size_t bucket_count;
    double buckets[];
};

/* --- declaring --- */

static size_t check_length(lua_State *L, int index, lua_Integer most, const char *what)
{
    if (lua_isnoneornil(L, index)) {
        return 0;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    lua_Integer count = luaL_len(L, index);
    if (count < 0 || count > most) {
        luaL_error(L, "more than %d %s", (int)most, what);
    }
    return (size_t)count;
}

static void read_buckets(lua_State *L, int index, struct api_metric *metric)
{
    for (size_t i = 0; i < metric->bucket_count; i++) {
        int is_number = 0;
        if (lua_isnoneornil(L, index)) {
            metric->buckets[i] = usual_buckets[i];
            continue;
        }
        lua_geti(L, index, (lua_Integer)i + 1);
        metric->buckets[i] = lua_tonumberx(L, -1, &is_number);
        if (!is_number) {
            luaL_error(L, "a bucket must be a number, not a %s", luaL_typename(L, -1));
        }
        lua_pop(L, 1);
    }
}

/* Sets the user value of the metric on top of the stack. */
static void keep_names(lua_State *L, size_t label_count)
{
    lua_createtable(L, (int)label_count + FIELD_HELP, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, FIELD_NAME);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, FIELD_HELP);
    for (size_t i = 0; i < label_count; i++) {
        lua_geti(L, 3, (lua_Integer)i + 1);
        if (lua_type(L, -1) != LUA_TSTRING) {
            luaL_error(L, "a label's name must be a string, not a %s", luaL_typename(L, -1));
        }
        lua_rawseti(L, -2, (lua_Integer)(FIELD_FIRST_LABEL + i));
    }
    lua_setiuservalue(L, -2, 1);
}

static int fail(lua_State *L, enum weir_err err, const char *name)
{
    switch (err) {
    case WEIR_EINVAL:
        return luaL_error(L, "%s: not a valid name, label or bucket, or a metric of another kind",
                          name);
    case WEIR_ELIMIT:
        return luaL_error(L, "%s: too many metrics", name);
    default:
        return luaL_error(L, "not enough memory");
    }
}

/* Checks and declares a metric with labels, the last on the stack. */
static enum weir_err declare_labelled(lua_State *L, const struct api_metric *metric,
                                      const char *name, const char *help)
{
    struct metric_label labels[METRIC_LABELS_MAX];
    luaL_checkstack(L, METRIC_LABELS_MAX + 1, NULL);
    int top = lua_gettop(L);
    lua_getiuservalue(L, top, 1);
    for (size_t i = 0; i < metric->label_count; i++) {
        lua_rawgeti(L, top + 1, (lua_Integer)(FIELD_FIRST_LABEL + i));
        labels[i] = (struct metric_label){.value = SPAN("")};
        labels[i].name.data = (const uint8_t *)lua_tolstring(L, -1, &labels[i].name.size);
    }
    enum weir_err err = metrics_declare(metric->kind, name, help, labels, metric->label_count,
                                        metric->buckets, metric->bucket_count);
    lua_settop(L, top);
    return err;
}

static int declare(lua_State *L, enum metric_kind kind)
{
    const char *name = luaL_checkstring(L, 1);
    const char *help = luaL_checkstring(L, 2);
    size_t labels = check_length(L, 3, METRIC_LABELS_MAX, "labels");
    size_t buckets = 0;
    lua_settop(L, 4);
    luaL_argcheck(L, strncmp(name, "weir_", 5) != 0, 1, "names with weir_ are the gateway's own");
    if (kind == METRIC_HISTOGRAM) {
        buckets = lua_isnoneornil(L, 4) ? sizeof usual_buckets / sizeof usual_buckets[0]
                                        : check_length(L, 4, BUCKETS_MOST, "buckets");
    }
    struct api_metric *metric =
        lua_newuserdatauv(L, sizeof *metric + buckets * sizeof metric->buckets[0], 1);
    *metric = (struct api_metric){.kind = kind, .label_count = labels, .bucket_count = buckets};
    luaL_setmetatable(L, PLACE);
    read_buckets(L, 4, metric);
    keep_names(L, labels);
    enum weir_err err = labels > 0 ? declare_labelled(L, metric, name, help)
                                   : metrics_series(kind, name, help, NULL, 0, metric->buckets,
                                                    buckets, &metric->series);
    return err == WEIR_OK ? 1 : fail(L, err, name);
}

static int declare_counter(lua_State *L)
{
    return declare(L, METRIC_COUNTER);
}

static int declare_gauge(lua_State *L)
{
    return declare(L, METRIC_GAUGE);
}

static int declare_histogram(lua_State *L)
{
    return declare(L, METRIC_HISTOGRAM);
}

/* --- counting --- */

/* Reads the label at `at` of the list of values; both strings stay on the stack. */
static void read_label(lua_State *L, int names, int values, size_t at, struct metric_label *label)
{
    lua_rawgeti(L, names, (lua_Integer)(FIELD_FIRST_LABEL + at));
    label->name.data = (const uint8_t *)lua_tolstring(L, -1, &label->name.size);
    lua_geti(L, values, (lua_Integer)at + 1);
    if (lua_type(L, -1) == LUA_TBOOLEAN) {
        lua_pushstring(L, lua_toboolean(L, -1) ? "true" : "false");
    }
    label->value.data = (const uint8_t *)lua_tolstring(L, -1, &label->value.size);
    if (label->value.data == NULL) {
        luaL_error(L, "the value of label %s must be a string, not a %s", label->name.data,
                   luaL_typename(L, -1));
    }
}

static enum weir_err find_series(lua_State *L, const struct api_metric *metric, int values,
                                 struct metric **out)
{
    struct metric_label labels[METRIC_LABELS_MAX];
    luaL_checktype(L, values, LUA_TTABLE);
    if ((size_t)luaL_len(L, values) != metric->label_count) {
        luaL_error(L, "%d values of labels are needed", (int)metric->label_count);
    }
    luaL_checkstack(L, 3 * METRIC_LABELS_MAX + 4, NULL);
    lua_getiuservalue(L, 1, 1);
    int names = lua_gettop(L);
    for (size_t i = 0; i < metric->label_count; i++) {
        read_label(L, names, values, i, &labels[i]);
    }
    lua_rawgeti(L, names, FIELD_NAME);
    lua_rawgeti(L, names, FIELD_HELP);
    return metrics_series(metric->kind, lua_tostring(L, -2), lua_tostring(L, -1), labels,
                          metric->label_count, metric->buckets, metric->bucket_count, out);
}

/* The series of the metric at 1 for the values at 3; NULL after pushing nil and a word. */
static struct metric *series_of(lua_State *L, const struct api_metric *metric)
{
    struct metric *series = metric->series;
    if (series != NULL) {
        luaL_argcheck(L, lua_isnoneornil(L, 3), 3, "this metric has no labels");
        return series;
    }
    enum weir_err err = find_series(L, metric, 3, &series);
    if (err != WEIR_OK) {
        lua_pushnil(L);
        lua_pushstring(L, err == WEIR_ELIMIT ? "too many" : "no memory");
        return NULL;
    }
    return series;
}

static const struct api_metric *check_metric(lua_State *L)
{
    return luaL_checkudata(L, 1, PLACE);
}

static int done(lua_State *L)
{
    lua_pushboolean(L, true);
    return 1;
}

static int metric_method_add(lua_State *L)
{
    const struct api_metric *metric = check_metric(L);
    double by = luaL_optnumber(L, 2, 1);
    luaL_argcheck(L, metric->kind != METRIC_HISTOGRAM, 1, "a histogram observes");
    luaL_argcheck(L, by >= 0 || metric->kind != METRIC_COUNTER, 2, "a counter only grows");
    struct metric *series = series_of(L, metric);
    if (series == NULL) {
        return 2;
    }
    metric_add(series, by);
    return done(L);
}

static int metric_method_set(lua_State *L)
{
    const struct api_metric *metric = check_metric(L);
    double value = luaL_checknumber(L, 2);
    luaL_argcheck(L, metric->kind == METRIC_GAUGE, 1, "only a gauge can be set");
    struct metric *series = series_of(L, metric);
    if (series == NULL) {
        return 2;
    }
    metric_set(series, value);
    return done(L);
}

static int metric_method_observe(lua_State *L)
{
    const struct api_metric *metric = check_metric(L);
    double value = luaL_checknumber(L, 2);
    luaL_argcheck(L, metric->kind == METRIC_HISTOGRAM, 1, "only a histogram observes");
    struct metric *series = series_of(L, metric);
    if (series == NULL) {
        return 2;
    }
    metric_observe(series, value);
    return done(L);
}

void api_metrics_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"add", metric_method_add},
                                       {"set", metric_method_set},
                                       {"observe", metric_method_observe},
                                       {NULL, NULL}};
    static const luaL_Reg functions[] = {{"counter", declare_counter},
                                         {"gauge", declare_gauge},
                                         {"histogram", declare_histogram},
                                         {NULL, NULL}};
    luaL_newmetatable(L, PLACE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "metric");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    lua_setfield(L, -2, "metrics");
}
