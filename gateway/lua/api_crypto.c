/* `weir.crypto`: the crypto room, for strings of Lua. A wrong argument is a bug and throws; text
 * that is no base64 comes from outside and is nil and a reason. Called by Lua code within call.c.
 * Whatever it allocates is Lua's own, so that an error cannot leak it and the state's limit sees
 * it. */
#include "lua/api_crypto.h"

#include <string.h>

#include <lauxlib.h>

#include "crypto/crypto.h"
#include "crypto/password.h"

enum {
    RANDOM_MOST = 65536 /* bytes of one call */
};

static struct span check_bytes(lua_State *L, int index, const char *name)
{
    struct span bytes = {NULL, 0};
    if (lua_type(L, index) != LUA_TSTRING) {
        luaL_error(L, "%s must be a string, not a %s", name, luaL_typename(L, index));
    }
    bytes.data = (const uint8_t *)lua_tolstring(L, index, &bytes.size);
    return bytes;
}

static int push_digest(lua_State *L, const uint8_t *digest, size_t size)
{
    if (size == 0) {
        return luaL_error(L, "not enough memory");
    }
    lua_pushlstring(L, (const char *)digest, size);
    return 1;
}

static int sha1(lua_State *L)
{
    uint8_t digest[CRYPTO_DIGEST_MAX];
    return push_digest(L, digest, crypto_digest(CRYPTO_SHA1, check_bytes(L, 1, "data"), digest));
}

static int sha256(lua_State *L)
{
    uint8_t digest[CRYPTO_DIGEST_MAX];
    return push_digest(L, digest, crypto_digest(CRYPTO_SHA256, check_bytes(L, 1, "data"), digest));
}

static enum crypto_digest check_digest(lua_State *L, int index)
{
    static const char *const names[] = {
        [CRYPTO_SHA1] = "sha1",
        [CRYPTO_SHA256] = "sha256",
        [CRYPTO_SHA384] = "sha384",
        [CRYPTO_SHA512] = "sha512",
    };
    if (lua_isnoneornil(L, index)) {
        return CRYPTO_SHA256;
    }
    struct span name = check_bytes(L, index, "algorithm");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (span_equal(name, span_of(names[i]))) {
            return (enum crypto_digest)i;
        }
    }
    luaL_error(L, "algorithm must be \"sha1\", \"sha256\", \"sha384\" or \"sha512\", not \"%s\"",
               (const char *)name.data);
    return CRYPTO_SHA256;
}

static int hmac(lua_State *L)
{
    uint8_t digest[CRYPTO_DIGEST_MAX];
    struct span key = check_bytes(L, 1, "key");
    struct span data = check_bytes(L, 2, "data");
    return push_digest(L, digest, crypto_hmac(check_digest(L, 3), key, data, digest));
}

static int encode(lua_State *L, bool url)
{
    luaL_Buffer buffer;
    struct span bytes = check_bytes(L, 1, "data");
    if (bytes.size > SIZE_MAX / 4) {
        return luaL_error(L, "not enough memory");
    }
    char *out = luaL_buffinitsize(L, &buffer, CRYPTO_BASE64_CHARS(bytes.size));
    luaL_pushresultsize(&buffer, crypto_base64_write(bytes, url, out));
    return 1;
}

static int decode(lua_State *L, bool url)
{
    luaL_Buffer buffer;
    size_t size = 0;
    struct span text = check_bytes(L, 1, "text");
    char *out = luaL_buffinitsize(L, &buffer, CRYPTO_BASE64_BYTES(text.size));
    if (crypto_base64_read(text, url, (uint8_t *)out, &size) != WEIR_OK) {
        lua_pushnil(L);
        lua_pushstring(L, url ? "not base64url" : "not base64");
        return 2;
    }
    luaL_pushresultsize(&buffer, size);
    return 1;
}

static int base64_encode(lua_State *L)
{
    return encode(L, false);
}

static int base64_decode(lua_State *L)
{
    return decode(L, false);
}

static int base64url_encode(lua_State *L)
{
    return encode(L, true);
}

static int base64url_decode(lua_State *L)
{
    return decode(L, true);
}

/* Not named after what it does: stdlib.h has a random. */
static int random_bytes(lua_State *L)
{
    luaL_Buffer buffer;
    int is_integer = 0;
    lua_Integer count = lua_tointegerx(L, 1, &is_integer);
    if (lua_type(L, 1) != LUA_TNUMBER || !is_integer || count < 1 || count > RANDOM_MOST) {
        return luaL_error(L, "n must be an integer from 1 to %d", RANDOM_MOST);
    }
    char *out = luaL_buffinitsize(L, &buffer, (size_t)count);
    if (!crypto_random((uint8_t *)out, (size_t)count)) {
        lua_pushnil(L);
        lua_pushliteral(L, "no random bytes");
        return 2;
    }
    luaL_pushresultsize(&buffer, (size_t)count);
    return 1;
}

static int equal(lua_State *L)
{
    lua_pushboolean(L, crypto_equal(check_bytes(L, 1, "a"), check_bytes(L, 2, "b")));
    return 1;
}

static int check_password(lua_State *L)
{
    struct span password = check_bytes(L, 1, "password");
    struct span hash = check_bytes(L, 2, "hash");
    bool matches = false;
    bool has_nul = strlen((const char *)hash.data) != hash.size;
    enum weir_err err =
        has_nul ? WEIR_EINVAL : password_check(password, (const char *)hash.data, &matches);
    if (err == WEIR_ENOMEM) {
        return luaL_error(L, "not enough memory");
    }
    if (err != WEIR_OK) {
        lua_pushnil(L);
        lua_pushliteral(L, "not a password hash");
        return 2;
    }
    lua_pushboolean(L, matches);
    return 1;
}

static int hex(lua_State *L)
{
    static const char digits[] = "0123456789abcdef";
    luaL_Buffer buffer;
    struct span bytes = check_bytes(L, 1, "data");
    if (bytes.size > SIZE_MAX / 4) {
        return luaL_error(L, "not enough memory");
    }
    char *out = luaL_buffinitsize(L, &buffer, 2 * bytes.size);
    for (size_t i = 0; i < bytes.size; i++) {
        out[2 * i] = digits[bytes.data[i] >> 4];
        out[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    luaL_pushresultsize(&buffer, 2 * bytes.size);
    return 1;
}

void api_crypto_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"sha1", sha1},
                                         {"sha256", sha256},
                                         {"hmac", hmac},
                                         {"base64_encode", base64_encode},
                                         {"base64_decode", base64_decode},
                                         {"base64url_encode", base64url_encode},
                                         {"base64url_decode", base64url_decode},
                                         {"random", random_bytes},
                                         {"equal", equal},
                                         {"check_password", check_password},
                                         {"hex", hex},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    lua_setfield(L, -2, "crypto");
}
