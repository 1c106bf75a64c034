/* Tables of header fields, as requests and responses have them. All functions run within call.c and
 * may throw. */
#ifndef WEIR_LUA_API_FIELDS_H
#define WEIR_LUA_API_FIELDS_H

#include <stddef.h>

#include <lua.h>

#include "base/span.h"

struct reply_field;

enum {
    API_FIELDS_MAX = 128 /* that a plugin may give at once */
};

/* Makes the metatable of the tables that api_fields_new pushes, once for each state. */
void api_fields_open(lua_State *L);

/* Pushes a table whose fields are found in any case, with room for `count`. */
void api_fields_new(lua_State *L, size_t count);

/* Adds a field to the table on top of the stack; one that is there already is joined with it. */
void api_fields_add(lua_State *L, struct span name, struct span value);

/* What a plugin gave. */
struct api_fields {
    const struct reply_field *items;
    size_t count;
};

/* Collects the fields of the table at the stack index `headers`, if it is one: names, and strings,
 * numbers or lists of these. They are kept by two values that it leaves on the stack. */
void api_fields_read(lua_State *L, int headers, struct api_fields *out);

#endif
