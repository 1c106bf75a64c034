/* `req` and `conn.request`. Fields are read from the gateway's own request when they are asked for;
 * only the tables (query, headers) are made, once, on demand. Called by Lua code within call.c. */
#include "lua/api_request.h"

#include <string.h>

#include <lauxlib.h>

#include "base/buffer.h"
#include "lua/api_body.h"
#include "lua/api_changes.h"
#include "lua/api_fields.h"
#include "lua/api_http.h"
#include "lua/instance.h"
#include "lua/seat.h"
#include "session/request.h"

enum field {
    FIELD_ID = 1,
    FIELD_METHOD,
    FIELD_TARGET,
    FIELD_PATH,
    FIELD_QUERY,
    FIELD_QUERY_STRING,
    FIELD_HEADERS,
    FIELD_HOST,
    FIELD_SCHEME,
    FIELD_REMOTE,
    FIELD_REMOTE_PORT,
    FIELD_SUBPROTOCOL,
    FIELD_CLIENT_SUBJECT,
    FIELD_USER,
    FIELD_HTTP_VERSION,
    FIELD_ROUTE,
    FIELD_IS_WEBSOCKET
};

static const char *const field_names[] = {
    "id",           "method",      "target",         "path",   "query",
    "query_string", "headers",     "host",           "scheme", "remote",
    "remote_port",  "subprotocol", "client_subject", "user",   "http_version",
    "route",        "is_websocket"};

static struct api_request *check_request(lua_State *L)
{
    struct api_request *req = NULL;
    if (lua_type(L, 1) == LUA_TUSERDATA && lua_rawlen(L, 1) == sizeof *req) {
        req = lua_touserdata(L, 1);
    }
    if (req == NULL || req->magic != SEAT_REQUEST) {
        luaL_error(L, "call it as req:method(...): the first argument must be a req, not a %s",
                   luaL_typename(L, 1));
    }
    return req;
}

static int push_span(lua_State *L, struct span s)
{
    lua_pushlstring(L, s.size > 0 ? (const char *)s.data : "", s.size);
    return 1;
}

static void make_headers(lua_State *L, const struct weir_request *request)
{
    size_t count = request_header_count(request);
    api_fields_new(L, count);
    for (size_t i = 0; i < count; i++) {
        api_fields_add(L, request_header_name(request, i), request_header_value(request, i));
    }
}

static void make_query(lua_State *L, const struct weir_request *request)
{
    struct buffer *names = instance_of(L)->names;
    struct span rest = request_query(request);
    lua_newtable(L);
    for (;;) {
        names[0].size = 0; /* what is decoded is appended */
        names[1].size = 0;
        if (!request_query_next(&rest, &names[0], &names[1])) {
            return;
        }
        push_span(L, buffer_span(&names[0]));
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) != LUA_TNIL) {
            lua_pop(L, 2); /* the first one counts */
            continue;
        }
        lua_pop(L, 1);
        push_span(L, buffer_span(&names[1]));
        lua_rawset(L, -3);
    }
}

static int push_table(lua_State *L, const struct weir_request *request, int *ref,
                      void (*make)(lua_State *, const struct weir_request *))
{
    if (*ref == LUA_NOREF) {
        make(L, request);
        lua_pushvalue(L, -1);
        *ref = luaL_ref(L, LUA_REGISTRYINDEX);
        return 1;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, *ref);
    return 1;
}

static int push_string(lua_State *L, const char *text)
{
    lua_pushstring(L, text);
    return 1;
}

static int push_field(lua_State *L, struct api_request *req, enum field field)
{
    const struct weir_request *request = req->request;
    switch (field) {
    case FIELD_ID:
        lua_pushinteger(L, (lua_Integer)request_id(request));
        return 1;
    case FIELD_METHOD:
        return push_span(L, request_method(request));
    case FIELD_TARGET:
        return push_span(L, request_target(request));
    case FIELD_PATH:
        return push_span(L, request_path(request));
    case FIELD_QUERY:
        return push_table(L, request, &req->query_ref, make_query);
    case FIELD_QUERY_STRING:
        return push_span(L, request_query(request));
    case FIELD_HEADERS:
        return push_table(L, request, &req->headers_ref, make_headers);
    case FIELD_HOST:
        return push_span(L, request_host(request));
    case FIELD_SCHEME:
        return push_string(L, request_scheme(request));
    case FIELD_REMOTE:
        return push_string(L, request_remote(request));
    case FIELD_REMOTE_PORT:
        lua_pushinteger(L, request_remote_port(request));
        return 1;
    case FIELD_SUBPROTOCOL:
        return push_span(L, request_subprotocol(request));
    case FIELD_CLIENT_SUBJECT:
        return push_string(L, request_client_subject(request));
    case FIELD_USER:
        return push_span(L, request_user(request));
    case FIELD_HTTP_VERSION:
        return push_string(L, request_http_minor(request) == 0 ? "1.0" : "1.1");
    case FIELD_ROUTE:
        return push_string(L, request_route(request));
    case FIELD_IS_WEBSOCKET:
        lua_pushboolean(L, request_wants_session(request));
        return 1;
    }
    return 0;
}

/* Upvalue: the methods and the fields' numbers. */
static int request_index(lua_State *L)
{
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNUMBER) {
        return 1;
    }
    enum field field = (enum field)lua_tointeger(L, -1);
    struct api_request *req = check_request(L);
    return req->request == NULL ? 0 : push_field(L, req, field);
}

static int request_newindex(lua_State *L)
{
    return luaL_error(L, "a req's fields are read-only");
}

static int request_reply_method(lua_State *L)
{
    struct api_request *req = check_request(L);
    lua_Integer status = luaL_checkinteger(L, 2);
    size_t size = 0;
    luaL_argcheck(L, status >= 200 && status <= 599, 2, "status must be from 200 to 599");
    luaL_argcheck(L, lua_isnoneornil(L, 3) || lua_istable(L, 3), 3, "headers must be a table");
    const char *body = luaL_optlstring(L, 4, "", &size);
    lua_settop(L, 4);
    struct api_fields fields;
    api_fields_read(L, 3, &fields);
    if (req->request == NULL) {
        lua_pushnil(L);
        lua_pushliteral(L, "closed");
        return 2;
    }
    enum weir_err err = request_reply(req->request, (unsigned)status, fields.items, fields.count,
                                      (struct span){(const uint8_t *)body, size});
    if (err == WEIR_EINVAL) {
        return luaL_error(L, "the request has been answered already, or a header is not valid");
    }
    if (err != WEIR_OK) {
        return luaL_error(L, "the reply could not be sent: %s", weir_err_name(err));
    }
    req->is_replied = true;
    lua_pushboolean(L, 1);
    return 1;
}

static int push_failure(lua_State *L, const char *word)
{
    lua_pushnil(L);
    lua_pushstring(L, word);
    return 2;
}

static struct span accepted_subprotocol(lua_State *L)
{
    struct span name = {NULL, 0}; /* what the route's list gives */
    if (lua_istable(L, 2) && lua_getfield(L, 2, "subprotocol") != LUA_TNIL) {
        if (lua_type(L, -1) != LUA_TSTRING) {
            luaL_error(L, "subprotocol must be a string, not a %s", luaL_typename(L, -1));
        }
        name.data = (const uint8_t *)lua_tolstring(L, -1, &name.size);
    }
    return name; /* it stays on the stack */
}

/* req:accept{subprotocol =, headers =} */
static int request_accept_method(lua_State *L)
{
    struct api_request *req = check_request(L);
    luaL_argcheck(L, lua_isnoneornil(L, 2) || lua_istable(L, 2), 2, "options must be a table");
    lua_settop(L, 2);
    struct span subprotocol = accepted_subprotocol(L);
    lua_settop(L, 3);
    if (lua_istable(L, 2)) {
        lua_getfield(L, 2, "headers");
    }
    lua_settop(L, 4);
    luaL_argcheck(L, lua_isnil(L, 4) || lua_istable(L, 4), 2, "headers must be a table");
    struct api_fields fields;
    api_fields_read(L, 4, &fields);
    if (req->request == NULL) {
        return push_failure(L, "closed");
    }
    const struct lua_runner *runner = instance_of(L)->running;
    if (runner == NULL || runner->callback != CALLBACK_ON_REQUEST || runner->req != req) {
        return luaL_error(L, "req:accept is for on_request and its own req");
    }
    if (req->is_replied || !request_wants_session(req->request)) {
        return luaL_error(L, req->is_replied ? "the request has been answered already"
                                             : "the request does not ask for WebSocket");
    }
    /* Apart, so that it is clear which of them is refused; the last call counts. */
    enum weir_err err = request_prepare_accept(req->request, subprotocol, NULL, 0);
    if (err == WEIR_EINVAL) {
        return push_failure(L, "not offered");
    }
    if (err == WEIR_OK) {
        err = request_prepare_accept(req->request, subprotocol, fields.items, fields.count);
    }
    if (err != WEIR_OK) {
        return luaL_error(L, err == WEIR_EINVAL
                                 ? "a header cannot stand in the answer to an upgrade"
                                 : "not enough memory");
    }
    req->is_accepted = true;
    lua_pushboolean(L, 1);
    return 1;
}

static int request_body_method(lua_State *L)
{
    return api_body_read(L, check_request(L));
}

static int request_header_values(lua_State *L)
{
    const struct api_request *req = check_request(L);
    struct span name;
    name.data = (const uint8_t *)luaL_checklstring(L, 2, &name.size);
    lua_newtable(L);
    size_t count = req->request == NULL ? 0 : request_header_count(req->request);
    lua_Integer found = 0;
    for (size_t i = 0; i < count; i++) {
        if (span_equal_nocase(request_header_name(req->request, i), name)) {
            push_span(L, request_header_value(req->request, i));
            lua_rawseti(L, -2, ++found);
        }
    }
    return 1;
}

void api_request_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"accept", request_accept_method},
                                       {"add_header", api_changes_add_header},
                                       {"add_request_header", api_changes_add_request_header},
                                       {"body", request_body_method},
                                       {"header_values", request_header_values},
                                       {"remove_header", api_changes_remove_header},
                                       {"remove_request_header", api_changes_remove_request_header},
                                       {"reply", request_reply_method},
                                       {"set_header", api_changes_set_header},
                                       {"set_request_header", api_changes_set_request_header},
                                       {NULL, NULL}};
    api_fields_open(L);
    lua_createtable(L, 0, 3);
    luaL_newlib(L, methods);
    for (size_t i = 0; i < sizeof field_names / sizeof *field_names; i++) {
        lua_pushinteger(L, (lua_Integer)i + FIELD_ID);
        lua_setfield(L, -2, field_names[i]);
    }
    lua_pushcclosure(L, request_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, request_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushliteral(L, "req");
    lua_setfield(L, -2, "__metatable");
}

struct api_request *api_request_new(lua_State *L, int metatable, struct weir_request *request,
                                    unsigned seat)
{
    struct api_request *req = lua_newuserdatauv(L, sizeof *req, 0);
    *req = (struct api_request){.magic = SEAT_REQUEST,
                                .ref = LUA_NOREF,
                                .request = request,
                                .query_ref = LUA_NOREF,
                                .headers_ref = LUA_NOREF,
                                .body_ref = LUA_NOREF,
                                .seat = (uint16_t)seat};
    lua_pushvalue(L, metatable);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    req->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return req;
}

struct api_request *api_request_of(struct weir_request *request, unsigned seat)
{
    struct api_request *req = *request_seat(request, seat);
    return req != NULL && req->magic == SEAT_REQUEST ? req : NULL;
}

struct api_request *api_request_check(lua_State *L)
{
    return check_request(L);
}

bool api_request_is_replied(const struct api_request *req)
{
    return req->is_replied;
}

static void let_go(struct lua_instance *instance, struct api_request *req)
{
    lua_State *L = instance->L;
    luaL_unref(L, LUA_REGISTRYINDEX, req->query_ref);
    luaL_unref(L, LUA_REGISTRYINDEX, req->headers_ref);
    luaL_unref(L, LUA_REGISTRYINDEX, req->body_ref);
    luaL_unref(L, LUA_REGISTRYINDEX, req->ref);
    req->query_ref = LUA_NOREF;
    req->headers_ref = LUA_NOREF;
    req->body_ref = LUA_NOREF;
    req->ref = LUA_NOREF;
}

void api_request_end(struct lua_instance *instance, struct api_request *req)
{
    if (req->request != NULL) {
        *request_seat(req->request, req->seat) = NULL;
        req->request = NULL;
    }
    api_body_end(req);
    if (req->runners == 0) {
        let_go(instance, req);
    } else {
        api_http_end_request(instance, req);
    }
}

void api_request_unpark(struct lua_instance *instance, struct api_request *req)
{
    req->runners--;
    if (req->runners == 0 && req->request == NULL) {
        let_go(instance, req);
    }
}
