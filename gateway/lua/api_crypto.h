/* `weir.crypto`. */
#ifndef WEIR_LUA_API_CRYPTO_H
#define WEIR_LUA_API_CRYPTO_H

#include <lua.h>

/* Sets `crypto` in the table on top of the stack. May throw. */
void api_crypto_open(lua_State *L);

#endif
