/* Makes a Lua table of a weir_ending, for on_close and on_done. Called by callback.c. */
#include "lua/ending.h"

static void set_integer(lua_State *L, const char *name, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

static void set_text(lua_State *L, const char *name, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

void ending_push(lua_State *L, const struct weir_ending *ending)
{
    lua_createtable(L, 0, 10);
    set_integer(L, "code", ending->code);
    lua_pushlstring(L, (const char *)ending->reason.data, ending->reason.size);
    lua_setfield(L, -2, "reason");
    set_integer(L, "status", ending->status);
    set_text(L, "closed_by", ending->closed_by);
    set_text(L, "words", ending->words);
    lua_pushnumber(L, (lua_Number)ending->duration_us / 1e6);
    lua_setfield(L, -2, "duration");
    set_integer(L, "messages_in", ending->messages_in);
    set_integer(L, "messages_out", ending->messages_out);
    set_integer(L, "bytes_in", ending->bytes_in);
    set_integer(L, "bytes_out", ending->bytes_out);
}
