/* Collects a body in memory of its own, bounded by what the plugin allows, and makes a Lua string
 * of it when it is whole. The callback that asked waits meanwhile. Pieces come in the middle of the
 * connection's work, so who waits is woken with the loop's next turn. Called by Lua code within
 * call.c, and by host.c. */
#include "lua/api_body.h"

#include <stdlib.h>

#include <lauxlib.h>

#include "base/buffer.h"
#include "base/check.h"
#include "lua/api_request.h"
#include "lua/instance.h"
#include "lua/wait.h"
#include "session/request.h"

enum {
    DEFAULT_MAX_BYTES = 64 * 1024
};

enum body_state {
    BODY_READING,
    BODY_WHOLE,
    BODY_TOO_LARGE,
    BODY_NO_MEMORY,
    BODY_CLOSED
};

struct api_body {
    struct buffer bytes; /* freed once it is a string */
    size_t max_bytes;
    enum body_state state;
    struct lua_runner *waiter;
};

static int push_failure(lua_State *L, const char *word)
{
    lua_pushnil(L);
    lua_pushstring(L, word);
    return 2;
}

static int push_whole(lua_State *L, struct api_request *req)
{
    struct buffer *bytes = &req->body->bytes;
    if (req->body_ref == LUA_NOREF) {
        lua_pushlstring(L, bytes->size > 0 ? (const char *)bytes->data : "", bytes->size);
        lua_pushvalue(L, -1);
        req->body_ref = luaL_ref(L, LUA_REGISTRYINDEX);
        buffer_free(bytes);
        return 1;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, req->body_ref);
    return 1;
}

static int push_result(lua_State *L, struct api_request *req)
{
    enum body_state state = req->body == NULL ? BODY_CLOSED : req->body->state;
    switch (state) {
    case BODY_WHOLE:
        return push_whole(L, req);
    case BODY_TOO_LARGE:
        return push_failure(L, "too large");
    case BODY_NO_MEMORY:
        return luaL_error(L, "not enough memory");
    case BODY_READING:
    case BODY_CLOSED:
        break;
    }
    return push_failure(L, "closed");
}

/* The userdata is still the first argument of the method. */
static int body_has_come(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return push_result(L, lua_touserdata(L, 1));
}

static size_t check_max(lua_State *L)
{
    int is_integer = 1;
    lua_Integer max = DEFAULT_MAX_BYTES;
    if (!lua_isnoneornil(L, 2)) {
        max = lua_tointegerx(L, 2, &is_integer);
    }
    if (!is_integer || max < 0) {
        luaL_error(L, "max_size must be a number of bytes");
    }
    return (size_t)max;
}

static int start(lua_State *L, struct api_request *req, size_t max_bytes)
{
    struct lua_runner *runner = wait_check(L, "req:body()");
    req->body = calloc(1, sizeof *req->body);
    if (req->body == NULL) {
        return luaL_error(L, "not enough memory");
    }
    *req->body = (struct api_body){.max_bytes = max_bytes, .waiter = runner};
    request_want_body(req->request, req->seat);
    return wait_yield(L, runner, body_has_come);
}

int api_body_read(lua_State *L, struct api_request *req)
{
    uint64_t length = 0;
    size_t max_bytes = check_max(L);
    if (req->body != NULL) {
        return req->body->waiter != NULL ? luaL_error(L, "the body is being read already")
                                         : push_result(L, req);
    }
    if (req->request == NULL) {
        return push_failure(L, "closed");
    }
    if (req->is_replied) {
        return luaL_error(L, "the request has been answered already");
    }
    switch (request_framing(req->request, &length)) {
    case REQUEST_NO_BODY:
        lua_pushliteral(L, "");
        return 1;
    case REQUEST_LENGTH:
        if (length > max_bytes) {
            return push_failure(L, "too large"); /* and it is left to others */
        }
        break;
    case REQUEST_CHUNKED:
        break;
    }
    return start(L, req, max_bytes);
}

static void conclude(struct api_body *body, enum body_state state)
{
    body->state = state;
    if (state != BODY_WHOLE) {
        buffer_free(&body->bytes);
    }
    if (body->waiter != NULL && wait_wake_soon(body->waiter)) {
        body->waiter = NULL;
    }
}

void api_body_take(struct api_request *req, struct span piece, bool last)
{
    struct api_body *body = req->body;
    if (body == NULL || body->state != BODY_READING) {
        return; /* what is too large is read to its end and thrown away */
    }
    if (piece.size > body->max_bytes - body->bytes.size) {
        conclude(body, BODY_TOO_LARGE);
    } else if (buffer_append(&body->bytes, piece) != WEIR_OK) {
        conclude(body, BODY_NO_MEMORY);
    } else if (last) {
        conclude(body, BODY_WHOLE);
    }
}

bool api_body_was_read(const struct api_request *req)
{
    return req->body != NULL;
}

void api_body_end(struct api_request *req)
{
    struct api_body *body = req->body;
    if (body == NULL) {
        return;
    }
    req->body = NULL;
    if (body->waiter != NULL) {
        conclude(body, BODY_CLOSED);
    }
    buffer_free(&body->bytes);
    free(body);
}
