/* `conn` and its methods. The userdata holds a pointer to the session that api_conn_end empties, so
 * Lua may keep a conn for as long as it likes. A session that only echoes costs one userdata and
 * one slot of the registry; conn.data and conn.request are made when they are asked for.
 *
 * Called by Lua code within call.c; never calls back into Lua itself, though session_send may run
 * on_send of other plugins in their own states. */
#include "lua/api_conn.h"

#include <string.h>

#include <lauxlib.h>

#include "base/check.h"
#include "base/log.h"
#include "lua/api_http.h"
#include "lua/api_pubsub.h"
#include "lua/api_request.h"
#include "lua/call.h"
#include "lua/instance.h"
#include "lua/seat.h"
#include "session/request.h"
#include "session/session.h"

enum {
    CLOSE_REASON_BYTES = 123, /* RFC 6455, section 5.5: a control frame's 125, less the code */
    PING_BYTES = 125
};

enum field {
    FIELD_ID = 1,
    FIELD_REQUEST,
    FIELD_REMOTE,
    FIELD_DATA,
    FIELD_SUBPROTOCOL,
    FIELD_CLOSE_CODE,
    FIELD_CLOSE_REASON
};

struct api_conn *api_conn_check(lua_State *L)
{
    struct api_conn *conn = NULL;
    if (lua_type(L, 1) == LUA_TUSERDATA && lua_rawlen(L, 1) == sizeof *conn) {
        conn = lua_touserdata(L, 1);
    }
    if (conn == NULL || conn->magic != SEAT_CONN) {
        luaL_error(L, "call it as conn:method(...): the first argument must be a conn, not a %s",
                   luaL_typename(L, 1));
    }
    return conn;
}

struct span api_conn_bytes(lua_State *L, int index, const char *name)
{
    if (lua_type(L, index) != LUA_TSTRING) {
        luaL_error(L, "%s must be a string, not a %s", name, luaL_typename(L, index));
    }
    struct span bytes;
    bytes.data = (const uint8_t *)lua_tolstring(L, index, &bytes.size);
    return bytes;
}

enum weir_kind api_conn_kind(lua_State *L, int index, enum weir_kind otherwise)
{
    if (lua_isnoneornil(L, index)) {
        return otherwise;
    }
    if (lua_type(L, index) == LUA_TSTRING) {
        const char *name = lua_tostring(L, index);
        if (strcmp(name, "text") == 0) {
            return WEIR_TEXT;
        }
        if (strcmp(name, "binary") == 0) {
            return WEIR_BINARY;
        }
        luaL_error(L, "kind must be \"text\" or \"binary\", not \"%s\"", name);
    }
    luaL_error(L, "kind must be \"text\" or \"binary\", not a %s", luaL_typename(L, index));
    return otherwise;
}

int api_conn_outcome(lua_State *L, enum weir_err err, const char *invalid)
{
    const char *word = "closed";
    switch (err) {
    case WEIR_OK:
        lua_pushboolean(L, 1);
        return 1;
    case WEIR_ELIMIT:
        word = "full";
        break;
    case WEIR_EINVAL:
        word = invalid;
        break;
    case WEIR_ENOMEM:
        return luaL_error(L, "not enough memory");
    default:
        break;
    }
    lua_pushnil(L);
    lua_pushstring(L, word);
    return 2;
}

static int send_as(lua_State *L, struct api_conn *conn, enum weir_kind kind)
{
    struct span data = api_conn_bytes(L, 2, "data");
    enum weir_err err = WEIR_ECLOSED;
    if (conn->session != NULL) {
        err = session_send(conn->session, conn->seat, kind, data);
    }
    return api_conn_outcome(L, err, "not utf-8");
}

static int conn_send(lua_State *L)
{
    struct api_conn *conn = api_conn_check(L);
    return send_as(L, conn, api_conn_kind(L, 3, WEIR_TEXT));
}

static int conn_send_text(lua_State *L)
{
    return send_as(L, api_conn_check(L), WEIR_TEXT);
}

static int conn_send_binary(lua_State *L)
{
    return send_as(L, api_conn_check(L), WEIR_BINARY);
}

static int conn_buffered(lua_State *L)
{
    const struct api_conn *conn = api_conn_check(L);
    size_t bytes = conn->session == NULL ? 0 : session_buffered(conn->session);
    lua_pushinteger(L, (lua_Integer)bytes);
    return 1;
}

uint16_t api_conn_close_code(lua_State *L, struct span *reason)
{
    int is_integer = 1;
    lua_Integer code = 1000;
    *reason = (struct span){NULL, 0};
    if (!lua_isnoneornil(L, 2)) {
        code = lua_tointegerx(L, 2, &is_integer);
    }
    if (!is_integer || code < 0 || code > UINT16_MAX) {
        luaL_error(L, "code must be a close code such as 1000");
    }
    if (!lua_isnoneornil(L, 3)) {
        *reason = api_conn_bytes(L, 3, "reason");
    }
    if (reason->size > CLOSE_REASON_BYTES) {
        luaL_error(L, "reason must be at most %d bytes", CLOSE_REASON_BYTES);
    }
    return (uint16_t)code;
}

static int conn_close(lua_State *L)
{
    struct api_conn *conn = api_conn_check(L);
    struct span reason;
    uint16_t code = api_conn_close_code(L, &reason);
    enum weir_err err = WEIR_ECLOSED;
    if (conn->session != NULL) {
        err = session_close(conn->session, code, reason);
    }
    if (err == WEIR_EINVAL) {
        return luaL_error(L, "close code %d may not be sent", (int)code);
    }
    return api_conn_outcome(L, err, "closed");
}

static int conn_ping(lua_State *L)
{
    struct api_conn *conn = api_conn_check(L);
    struct span data = {NULL, 0};
    if (!lua_isnoneornil(L, 2)) {
        data = api_conn_bytes(L, 2, "data");
    }
    if (data.size > PING_BYTES) {
        return luaL_error(L, "data of a ping must be at most %d bytes", PING_BYTES);
    }
    enum weir_err err = WEIR_ECLOSED;
    if (conn->session != NULL) {
        err = session_ping(conn->session, data);
    }
    return api_conn_outcome(L, err, "closed");
}

static int push_kind(lua_State *L, enum weir_kind kind)
{
    lua_pushstring(L, kind == WEIR_TEXT ? "text" : "binary");
    return 2;
}

static int take_pending(lua_State *L, struct api_conn *conn)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, conn->pending_ref);
    luaL_unref(L, LUA_REGISTRYINDEX, conn->pending_ref);
    conn->pending_ref = LUA_NOREF;
    return push_kind(L, (enum weir_kind)conn->pending_kind);
}

/* Goes on when a message came, or when the session is over: then the runner has no message. */
static int next_message(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    struct lua_runner *runner = instance_of(L)->running;
    const struct weir_message *message = runner->message;
    if (message == NULL) {
        lua_pushnil(L);
        return 1;
    }
    runner->message = NULL;
    lua_pushlstring(L, (const char *)message->payload.data, message->payload.size);
    return push_kind(L, message->kind);
}

static int messages_next(lua_State *L)
{
    struct api_conn *conn = api_conn_check(L);
    struct lua_instance *instance = instance_of(L);
    struct lua_runner *runner = instance->running;
    if (runner == NULL || runner->callback != CALLBACK_SERVE || runner->conn != conn) {
        return luaL_error(L, "messages() is for serve and its own conn only");
    }
    if (conn->pending_ref != LUA_NOREF) {
        return take_pending(L, conn);
    }
    if (conn->session == NULL || conn->close_code != 0) {
        lua_pushnil(L);
        return 1;
    }
    if (!lua_isyieldable(L) || instance->waits_barred) {
        return luaL_error(L, "messages() cannot wait here");
    }
    conn->is_waiting = true;
    instance->host_yield = true;
    return lua_yieldk(L, 0, 0, next_message);
}

static int conn_messages(lua_State *L)
{
    api_conn_check(L);
    lua_settop(L, 1);
    lua_pushcfunction(L, messages_next);
    lua_insert(L, 1);
    return 2;
}

/* A user value, so the table lives exactly as long as the conn, even when Lua keeps that. */
static int push_data(lua_State *L)
{
    if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) {
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, 1);
    }
    return 1;
}

static int push_request(lua_State *L, struct api_conn *conn)
{
    if (conn->req == NULL) {
        if (conn->session == NULL) {
            lua_pushnil(L);
            return 1;
        }
        conn->req =
            api_request_new(L, lua_upvalueindex(2), session_request(conn->session), conn->seat);
        return 1;
    }
    api_request_push(L, conn->req);
    return 1;
}

static int push_reason(lua_State *L, const struct api_conn *conn)
{
    const struct lua_instance *instance = instance_of(L);
    if (instance->ending != NULL && instance->ending_conn == conn) {
        struct weir_bytes reason = instance->ending->reason;
        lua_pushlstring(L, (const char *)reason.data, reason.size);
    } else if (conn->reason_ref != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, conn->reason_ref);
    } else if (conn->close_code != 0) {
        lua_pushliteral(L, "");
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int push_subprotocol(lua_State *L, const struct api_conn *conn)
{
    if (conn->session == NULL) {
        return 0;
    }
    struct span name = request_subprotocol(session_request(conn->session));
    lua_pushlstring(L, name.size > 0 ? (const char *)name.data : "", name.size);
    return 1;
}

static int push_field(lua_State *L, struct api_conn *conn, enum field field)
{
    switch (field) {
    case FIELD_ID:
        lua_pushinteger(L, (lua_Integer)conn->id);
        return 1;
    case FIELD_REQUEST:
        return push_request(L, conn);
    case FIELD_REMOTE:
        if (conn->session == NULL) {
            return 0;
        }
        lua_pushstring(L, request_remote(session_request(conn->session)));
        return 1;
    case FIELD_DATA:
        return push_data(L);
    case FIELD_SUBPROTOCOL:
        return push_subprotocol(L, conn);
    case FIELD_CLOSE_CODE:
        if (conn->close_code == 0) {
            return 0;
        }
        lua_pushinteger(L, conn->close_code);
        return 1;
    case FIELD_CLOSE_REASON:
        return push_reason(L, conn);
    }
    return 0;
}

/* Upvalues: the methods and the fields' numbers; the metatable of req. */
static int conn_index(lua_State *L)
{
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNUMBER) {
        return 1;
    }
    enum field field = (enum field)lua_tointeger(L, -1);
    return push_field(L, api_conn_check(L), field);
}

static int conn_newindex(lua_State *L)
{
    return luaL_error(L, "a conn's fields are read-only; keep what is yours in conn.data");
}

static int conn_tostring(lua_State *L)
{
    lua_pushfstring(L, "conn %I", (lua_Integer)api_conn_check(L)->id);
    return 1;
}

void api_conn_open(lua_State *L, int request_metatable)
{
    static const luaL_Reg methods[] = {{"send", conn_send},
                                       {"send_text", conn_send_text},
                                       {"send_binary", conn_send_binary},
                                       {"buffered", conn_buffered},
                                       {"close", conn_close},
                                       {"ping", conn_ping},
                                       {"messages", conn_messages},
                                       {"subscribe", api_pubsub_subscribe},
                                       {"unsubscribe", api_pubsub_unsubscribe},
                                       {"publish", api_pubsub_conn_publish},
                                       {NULL, NULL}};
    static const char *const fields[] = {"id",          "request",    "remote",      "data",
                                         "subprotocol", "close_code", "close_reason"};
    lua_createtable(L, 0, 4);
    luaL_newlib(L, methods);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        lua_pushinteger(L, (lua_Integer)i + FIELD_ID);
        lua_setfield(L, -2, fields[i]);
    }
    lua_pushvalue(L, request_metatable);
    lua_pushcclosure(L, conn_index, 2);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, conn_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, conn_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "conn");
    lua_setfield(L, -2, "__metatable");
}

struct api_conn *api_conn_of(struct weir_session *session, unsigned seat)
{
    struct api_conn *conn = *session_seat(session, seat);
    return conn != NULL && conn->magic == SEAT_CONN ? conn : NULL;
}

struct api_conn *api_conn_new(lua_State *L, int metatable, struct weir_session *session,
                              unsigned seat)
{
    struct weir_request *request = session_request(session);
    struct api_conn *conn = lua_newuserdatauv(L, sizeof *conn, 1);
    *conn = (struct api_conn){.magic = SEAT_CONN,
                              .ref = LUA_NOREF,
                              .session = session,
                              .req = api_request_of(request, seat),
                              .id = session_id(session),
                              .reason_ref = LUA_NOREF,
                              .pending_ref = LUA_NOREF,
                              .seat = (uint16_t)seat};
    lua_pushvalue(L, metatable);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    conn->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    *session_seat(session, seat) = conn;
    return conn;
}

struct kept {
    struct api_conn *conn;
    const struct weir_message *message;
    struct weir_bytes reason;
};

static int keep_message(lua_State *L)
{
    const struct kept *kept = lua_touserdata(L, 1);
    const struct weir_message *message = kept->message;
    lua_pushlstring(L, (const char *)message->payload.data, message->payload.size);
    kept->conn->pending_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    kept->conn->pending_kind = (uint8_t)message->kind;
    return 0;
}

static int keep_reason(lua_State *L)
{
    const struct kept *kept = lua_touserdata(L, 1);
    lua_pushlstring(L, (const char *)kept->reason.data, kept->reason.size);
    kept->conn->reason_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static bool keep(struct lua_instance *instance, lua_CFunction how, struct kept *kept)
{
    char error[128];
    if (call_protected(instance, how, kept, instance->cpu_limit_ns, error, sizeof error) ==
        WEIR_OK) {
        return true;
    }
    log_error("lua", "plugin %s: %s", instance->plugin->name, error);
    return false;
}

bool api_conn_keep_message(struct lua_instance *instance, struct api_conn *conn,
                           const struct weir_message *message)
{
    WEIR_CHECK(conn->pending_ref == LUA_NOREF);
    struct kept kept = {.conn = conn, .message = message};
    return keep(instance, keep_message, &kept);
}

/* Lets go of everything; the userdata may be collected once Lua has forgotten it too. */
static void let_go(struct lua_instance *instance, struct api_conn *conn)
{
    lua_State *L = instance->L;
    if (conn->req != NULL) {
        api_request_end(instance, conn->req);
        conn->req = NULL;
    }
    luaL_unref(L, LUA_REGISTRYINDEX, conn->pending_ref);
    luaL_unref(L, LUA_REGISTRYINDEX, conn->reason_ref);
    luaL_unref(L, LUA_REGISTRYINDEX, conn->ref);
    conn->pending_ref = LUA_NOREF;
    conn->reason_ref = LUA_NOREF;
    conn->ref = LUA_NOREF;
}

void api_conn_end(struct lua_instance *instance, struct api_conn *conn,
                  const struct weir_ending *ending)
{
    *session_seat(conn->session, conn->seat) = NULL;
    conn->session = NULL;
    if (conn->runners == 0) {
        let_go(instance, conn);
        return;
    }
    api_http_end_conn(instance, conn);
    if (conn->req != NULL) {
        conn->req->request = NULL;
    }
    struct kept kept = {.conn = conn, .reason = ending->reason};
    if (ending->reason.size > 0) {
        (void)keep(instance, keep_reason, &kept);
    }
}

void api_conn_unpark(struct lua_instance *instance, struct api_conn *conn)
{
    conn->runners--;
    if (conn->runners == 0 && conn->session == NULL) {
        let_go(instance, conn);
    }
}
