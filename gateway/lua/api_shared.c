/* Dictionaries as Lua sees them: one userdata for each that a plugin has named, which points at the
 * dictionary of the process. Names and results are those of OpenResty's ngx.shared where it has
 * them; docs/shared.md tells the differences. Called by Lua code within call.c. It holds no lock
 * while Lua runs, and keeps what it copies out in the instance, so that an error of Lua leaks
 * nothing. */
#include "lua/api_shared.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <lauxlib.h>

#include "base/clock.h"
#include "base/shared_dict.h"
#include "base/shared_dicts.h"
#include "lua/instance.h"

enum {
    SCRATCH_KEPT_BYTES = 64 * 1024,
    KEYS_MOST = 1024 /* that are listed unless told; as ngx.shared */
};

static const double MAX_SECONDS = 3153600000.0; /* a hundred years */
static const char *const PLACE = "weir.shared"; /* registry: the metatable of a dictionary */

/* --- arguments and results --- */

static struct shared_dict *check_dict(lua_State *L)
{
    struct shared_dict **dict = luaL_checkudata(L, 1, PLACE);
    return *dict;
}

static struct span check_key(lua_State *L)
{
    size_t size = 0;
    const char *key = luaL_checklstring(L, 2, &size);
    return (struct span){(const uint8_t *)key, size};
}

/* A time to live; 0 where there is none, which means for ever. Never rounded to 0. */
static uint64_t optional_ttl_ms(lua_State *L, int index)
{
    double seconds = luaL_optnumber(L, index, 0);
    luaL_argcheck(L, seconds >= 0 && seconds <= MAX_SECONDS, index,
                  "a time to live must be a number of seconds, 0 or more");
    uint64_t ttl_ms = (uint64_t)(seconds * 1000);
    return ttl_ms == 0 && seconds > 0 ? 1 : ttl_ms;
}

static struct shared_value check_value(lua_State *L, int index)
{
    struct shared_value value = {.kind = SHARED_NONE};
    size_t size = 0;
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        break;
    case LUA_TBOOLEAN:
        value.kind = SHARED_BOOLEAN;
        value.boolean = lua_toboolean(L, index) != 0;
        break;
    case LUA_TNUMBER:
        value.kind = SHARED_NUMBER;
        value.number = lua_tonumber(L, index);
        break;
    case LUA_TSTRING:
        value.kind = SHARED_BYTES;
        value.bytes.data = (const uint8_t *)lua_tolstring(L, index, &size);
        value.bytes.size = size;
        break;
    default:
        luaL_argerror(L, index, "a value must be a string, a number, a boolean or nil");
    }
    return value;
}

/* Whole numbers come back as integers, so that a count prints as one. */
static void push_number(lua_State *L, double number)
{
    lua_Integer whole = 0;
    if (lua_numbertointeger(number, &whole) && (double)whole == number) {
        lua_pushinteger(L, whole);
    } else {
        lua_pushnumber(L, number);
    }
}

static const char *word_of(enum weir_err err)
{
    switch (err) {
    case WEIR_AGAIN:
        return "exists";
    case WEIR_ELIMIT:
        return "too large";
    default:
        return "no memory";
    }
}

static int push_failure(lua_State *L, const char *word)
{
    lua_pushnil(L);
    lua_pushstring(L, word);
    return 2;
}

static struct buffer *scratch(lua_State *L)
{
    struct buffer *buffer = &instance_of(L)->names[0];
    buffer->size = 0;
    return buffer;
}

static void tidy_scratch(struct buffer *buffer)
{
    if (buffer->capacity > SCRATCH_KEPT_BYTES) {
        buffer_free(buffer);
    }
}

/* --- methods --- */

static int dict_get(lua_State *L)
{
    struct shared_dict *dict = check_dict(L);
    struct buffer *copy = scratch(L);
    struct shared_value value = {.kind = SHARED_NONE};
    enum weir_err err = shared_dict_get(dict, check_key(L), clock_monotonic_ms(), &value, copy);
    if (err != WEIR_OK) {
        return push_failure(L, word_of(err));
    }
    switch (value.kind) {
    case SHARED_NONE:
        lua_pushnil(L);
        break;
    case SHARED_BOOLEAN:
        lua_pushboolean(L, value.boolean);
        break;
    case SHARED_NUMBER:
        push_number(L, value.number);
        break;
    case SHARED_BYTES:
        lua_pushlstring(L, (const char *)value.bytes.data, value.bytes.size);
        break;
    }
    tidy_scratch(copy);
    return 1;
}

static int store(lua_State *L, bool only_new)
{
    struct shared_dict *dict = check_dict(L);
    struct span key = check_key(L);
    luaL_checkany(L, 3);
    struct shared_value value = check_value(L, 3);
    luaL_argcheck(L, !only_new || value.kind != SHARED_NONE, 3, "nothing to add");
    enum weir_err err =
        shared_dict_set(dict, key, &value, optional_ttl_ms(L, 4), only_new, clock_monotonic_ms());
    if (err != WEIR_OK) {
        return push_failure(L, word_of(err));
    }
    lua_pushboolean(L, true);
    return 1;
}

static int dict_set(lua_State *L)
{
    return store(L, false);
}

static int dict_add(lua_State *L)
{
    return store(L, true);
}

static int dict_delete(lua_State *L)
{
    static const struct shared_value none = {.kind = SHARED_NONE};
    struct shared_dict *dict = check_dict(L);
    enum weir_err err = shared_dict_set(dict, check_key(L), &none, 0, false, clock_monotonic_ms());
    lua_pushboolean(L, err == WEIR_OK);
    return 1;
}

static int dict_incr(lua_State *L)
{
    struct shared_dict *dict = check_dict(L);
    struct span key = check_key(L);
    double by = luaL_checknumber(L, 3);
    double initial = luaL_optnumber(L, 4, 0);
    double sum = 0;
    enum weir_err err = shared_dict_increase(dict, key, by, lua_isnoneornil(L, 4) ? NULL : &initial,
                                             optional_ttl_ms(L, 5), clock_monotonic_ms(), &sum);
    if (err == WEIR_AGAIN) {
        return push_failure(L, "not found");
    }
    if (err == WEIR_EINVAL) {
        return push_failure(L, "not a number");
    }
    if (err != WEIR_OK) {
        return push_failure(L, word_of(err));
    }
    push_number(L, sum);
    return 1;
}

static int dict_expire(lua_State *L)
{
    struct shared_dict *dict = check_dict(L);
    struct span key = check_key(L);
    luaL_checknumber(L, 3);
    if (!shared_dict_expire(dict, key, optional_ttl_ms(L, 3), clock_monotonic_ms())) {
        return push_failure(L, "not found");
    }
    lua_pushboolean(L, true);
    return 1;
}

static int dict_ttl(lua_State *L)
{
    struct shared_dict *dict = check_dict(L);
    uint64_t ttl_ms = 0;
    if (!shared_dict_ttl(dict, check_key(L), clock_monotonic_ms(), &ttl_ms)) {
        return push_failure(L, "not found");
    }
    push_number(L, (double)ttl_ms / 1000);
    return 1;
}

/* Keys are gathered outside Lua first: an error thrown through shared_dict_keys would leak. */
static void gather_key(void *context, struct span key)
{
    struct buffer *copy = context;
    struct span size = {(const uint8_t *)&key.size, sizeof key.size};
    if (buffer_reserve(copy, sizeof key.size + key.size) != WEIR_OK ||
        buffer_append(copy, size) != WEIR_OK || buffer_append(copy, key) != WEIR_OK) {
        return; /* one key less */
    }
}

static int dict_keys(lua_State *L)
{
    struct shared_dict *dict = check_dict(L);
    lua_Integer most = luaL_optinteger(L, 2, KEYS_MOST);
    luaL_argcheck(L, most >= 0, 2, "must be 0 or more");
    struct buffer *copy = scratch(L);
    enum weir_err err =
        shared_dict_keys(dict, (size_t)most, clock_monotonic_ms(), gather_key, copy);
    if (err != WEIR_OK) {
        return push_failure(L, word_of(err));
    }
    lua_newtable(L);
    struct span rest = buffer_span(copy);
    for (lua_Integer i = 1; rest.size > 0; i++) {
        size_t size = 0;
        memcpy(&size, rest.data, sizeof size);
        rest = span_from(rest, sizeof size);
        lua_pushlstring(L, (const char *)rest.data, size);
        lua_rawseti(L, -2, i);
        rest = span_from(rest, size);
    }
    tidy_scratch(copy);
    return 1;
}

static int dict_take(lua_State *L)
{
    struct shared_dict *dict = check_dict(L);
    struct span key = check_key(L);
    double rate = luaL_checknumber(L, 3);
    double burst = luaL_checknumber(L, 4);
    double count = luaL_optnumber(L, 5, 1);
    uint64_t wait_ms = 0;
    luaL_argcheck(L, rate >= 0 && rate < HUGE_VAL, 3, "a rate must be a number, 0 or more");
    luaL_argcheck(L, burst > 0 && burst < HUGE_VAL, 4, "a burst must be a number above 0");
    luaL_argcheck(L, count >= 0 && count < HUGE_VAL, 5, "a count must be a number, 0 or more");
    luaL_argcheck(L, key.size <= SHARED_DICT_KEY_MAX, 2, "a key of a bucket is too long");
    bool taken = shared_dict_take(dict, key, rate, burst, count, clock_monotonic_ms(), &wait_ms);
    lua_pushboolean(L, taken);
    if (taken) {
        return 1;
    }
    lua_pushnumber(L, wait_ms == 0 ? HUGE_VAL : (double)wait_ms / 1000);
    return 2;
}

/* --- weir.shared --- */

/* weir.shared.NAME is made when it is first asked for, and then stays. */
static int shared_index(lua_State *L)
{
    size_t size = 0;
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tolstring(L, 2, &size) : NULL;
    struct shared_dict *found =
        name == NULL ? NULL : shared_dicts_find((struct span){(const uint8_t *)name, size});
    if (found == NULL) {
        return 0;
    }
    struct shared_dict **dict = lua_newuserdatauv(L, sizeof *dict, 0);
    *dict = found;
    luaL_setmetatable(L, PLACE);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
    return 1;
}

void api_shared_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"get", dict_get},       {"set", dict_set},   {"add", dict_add},   {"incr", dict_incr},
        {"delete", dict_delete}, {"keys", dict_keys}, {"take", dict_take}, {"expire", dict_expire},
        {"ttl", dict_ttl},       {NULL, NULL}};
    luaL_newmetatable(L, PLACE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "shared dictionary");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, shared_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "shared");
}
