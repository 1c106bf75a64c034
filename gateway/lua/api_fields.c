/* Header fields between Lua and the gateway: tables that are read in any case, and tables of names
 * and values that a plugin gives. Used by the API tables that have headers, within call.c. */
#include "lua/api_fields.h"

#include <lauxlib.h>

#include "session/request.h"

static const char *const PLACE = "weir.headers"; /* registry: the metatable */

static void push_span(lua_State *L, struct span s)
{
    lua_pushlstring(L, s.size > 0 ? (const char *)s.data : "", s.size);
}

static void push_lower(lua_State *L, struct span name)
{
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, name.size);
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    luaL_pushresultsize(&b, name.size);
}

/* A field that came more than once is one list (RFC 9110, section 5.3); cookies, which came apart
 * in HTTP/2, are joined in their own way (RFC 9113, section 8.2.3). */
void api_fields_add(lua_State *L, struct span name, struct span value)
{
    push_lower(L, name);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TSTRING) {
        lua_pushstring(L, span_equal_nocase(name, SPAN("cookie")) ? "; " : ", ");
        push_span(L, value);
        lua_concat(L, 3);
    } else {
        lua_pop(L, 1);
        push_span(L, value);
    }
    lua_rawset(L, -3);
}

static int index_any_case(lua_State *L)
{
    if (lua_type(L, 2) != LUA_TSTRING) {
        return 0;
    }
    struct span name;
    name.data = (const uint8_t *)lua_tolstring(L, 2, &name.size);
    push_lower(L, name);
    lua_rawget(L, 1);
    return 1;
}

void api_fields_new(lua_State *L, size_t count)
{
    lua_createtable(L, 0, (int)count);
    luaL_setmetatable(L, PLACE);
}

/* While they are collected. */
struct collection {
    lua_State *L;
    int keep; /* stack index of the table that keeps the strings */
    struct reply_field *items;
    size_t count;
};

/* A string or number at the top is popped and kept. */
static struct span keep_text(struct collection *fields, const char *what)
{
    lua_State *L = fields->L;
    if (!lua_isstring(L, -1)) {
        luaL_error(L, "%s must be a string or a number, not a %s", what, luaL_typename(L, -1));
    }
    struct span text;
    text.data = (const uint8_t *)lua_tolstring(L, -1, &text.size);
    lua_rawseti(L, fields->keep, (lua_Integer)lua_rawlen(L, fields->keep) + 1);
    return text;
}

static void add_field(struct collection *fields, struct span name)
{
    if (fields->count == API_FIELDS_MAX) {
        luaL_error(fields->L, "headers has more than %d fields", API_FIELDS_MAX);
    }
    struct span value = keep_text(fields, "a header's value");
    fields->items[fields->count++] = (struct reply_field){name, value};
}

static void add_list(struct collection *fields, struct span name)
{
    lua_State *L = fields->L;
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        add_field(fields, name);
    }
    lua_pop(L, 1);
}

static void collect_fields(struct collection *fields, int headers)
{
    lua_State *L = fields->L;
    lua_pushnil(L);
    while (lua_next(L, headers) != 0) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            luaL_error(L, "headers must be a table of names and values; a key is a %s",
                       luaL_typename(L, -2));
        }
        struct span name;
        name.data = (const uint8_t *)lua_tolstring(L, -2, &name.size);
        if (lua_istable(L, -1)) {
            add_list(fields, name);
        } else {
            add_field(fields, name);
        }
    }
}

void api_fields_read(lua_State *L, int headers, struct api_fields *out)
{
    lua_newtable(L);
    struct collection fields = {.L = L, .keep = lua_gettop(L)};
    fields.items = lua_newuserdatauv(L, API_FIELDS_MAX * sizeof *fields.items, 0);
    if (lua_istable(L, headers)) {
        collect_fields(&fields, headers);
    }
    *out = (struct api_fields){.items = fields.items, .count = fields.count};
}

void api_fields_open(lua_State *L)
{
    luaL_newmetatable(L, PLACE);
    lua_pushcfunction(L, index_any_case);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "headers");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
