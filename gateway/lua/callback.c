/* The one C function that runs at the bottom of every runner: it pushes what a callback is given,
 * calls it, and reads what it returned into the runner. Everything here may throw, as call.c runs
 * it protected. What each message needs (the callback, the kinds' names, the metatables) are
 * upvalues, so it is at hand without a lookup.
 *
 * A callback that waits is continued in `left`: lua_callk lets the yield pass through. */
#include "lua/callback.h"

#include <stdbool.h>
#include <string.h>

#include <lauxlib.h>

#include "lua/api_body.h"
#include "lua/api_conn.h"
#include "lua/api_request.h"
#include "lua/api_timer.h"
#include "lua/ending.h"
#include "lua/instance.h"
#include "session/request.h"

enum upvalue {
    UP_TEXT = 1,
    UP_BINARY,
    UP_REQUEST, /* metatable */
    UP_CONN,    /* metatable */
    UP_CALLBACKS
};

static struct lua_runner *runner_of(lua_State *L)
{
    return instance_of(L)->running;
}

static void push_conn(lua_State *L, struct lua_runner *runner)
{
    if (runner->conn != NULL) {
        api_conn_push(L, runner->conn);
    } else {
        runner->conn = api_conn_new(L, lua_upvalueindex(UP_CONN), runner->session, runner->seat);
    }
}

static void push_request(lua_State *L, struct lua_runner *runner)
{
    if (runner->req != NULL) {
        api_request_push(L, runner->req);
    } else {
        runner->req =
            api_request_new(L, lua_upvalueindex(UP_REQUEST), runner->request, runner->seat);
        *request_seat(runner->request, runner->seat) = runner->req;
    }
}

static int push_ending(lua_State *L, const struct lua_runner *runner)
{
    if (!runner->instance->wants_ending) {
        return 0;
    }
    ending_push(L, runner->ending);
    return 1;
}

static int push_close(lua_State *L, struct lua_runner *runner)
{
    const struct weir_ending *ending = runner->ending;
    push_conn(L, runner);
    runner->conn->close_code = ending->code;
    runner->instance->ending = ending;
    runner->instance->ending_conn = runner->conn;
    lua_pushinteger(L, ending->code);
    lua_pushlstring(L, (const char *)ending->reason.data, ending->reason.size);
    return 3 + push_ending(L, runner);
}

/* The message stays below the callback too, for a comparison with what on_send returns. */
static int push_message(lua_State *L, struct lua_runner *runner)
{
    const struct weir_message *message = runner->message;
    runner->kind = message->kind;
    lua_pushlstring(L, (const char *)message->payload.data, message->payload.size);
    lua_pushvalue(L, lua_upvalueindex(UP_CALLBACKS + (int)runner->callback));
    push_conn(L, runner);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, lua_upvalueindex(message->kind == WEIR_TEXT ? UP_TEXT : UP_BINARY));
    return 3;
}

static int push_call(lua_State *L, struct lua_runner *runner)
{
    enum lua_callback callback = runner->callback;
    if (callback == CALLBACK_ON_MESSAGE || callback == CALLBACK_ON_SEND) {
        return push_message(L, runner);
    }
    lua_pushnil(L);
    if (callback >= CALLBACK_TIMER) {
        return api_timer_push_function(L, runner->timer);
    }
    lua_pushvalue(L, lua_upvalueindex(UP_CALLBACKS + (int)callback));
    switch (callback) {
    case CALLBACK_ON_REQUEST:
        push_request(L, runner);
        return 1;
    case CALLBACK_ON_DONE:
        push_request(L, runner);
        return 1 + push_ending(L, runner);
    case CALLBACK_ON_CLOSE:
        return push_close(L, runner);
    default:
        push_conn(L, runner);
        return 1;
    }
}

static int bad_result(lua_State *L, const char *callback, const char *wanted)
{
    return luaL_error(L, "%s must return %s, not a %s", callback, wanted, luaL_typename(L, -2));
}

/* on_message and on_send: a string goes on in place of the message. */
static int take_changed(lua_State *L, struct lua_runner *runner)
{
    enum weir_kind was = runner->kind;
    runner->kind = api_conn_kind(L, -1, was);
    if (runner->callback == CALLBACK_ON_SEND && runner->kind == was && lua_rawequal(L, 1, -2)) {
        runner->verdict = WEIR_NEXT;
        return 0;
    }
    runner->verdict = WEIR_DROP;
    runner->changed = true;
    lua_pop(L, 1);
    return 1;
}

static int take_message(lua_State *L, struct lua_runner *runner)
{
    bool is_send = runner->callback == CALLBACK_ON_SEND;
    switch (lua_type(L, -2)) {
    case LUA_TNIL:
        runner->verdict = is_send ? WEIR_DROP : WEIR_NEXT;
        return 0;
    case LUA_TBOOLEAN:
        runner->verdict = lua_toboolean(L, -2) ? WEIR_NEXT : WEIR_DROP;
        return 0;
    case LUA_TSTRING:
        return take_changed(L, runner);
    default:
        return bad_result(L, instance_callback_names[runner->callback],
                          "nothing, true, false or a string");
    }
}

static int take_request(lua_State *L, struct lua_runner *runner)
{
    if (api_request_is_replied(runner->req)) {
        runner->verdict = WEIR_REPLY;
        return 0;
    }
    if (runner->req->is_accepted) {
        runner->verdict = WEIR_ACCEPT;
        return 0;
    }
    switch (lua_type(L, -2)) {
    case LUA_TNIL:
        runner->verdict = WEIR_NEXT;
        return 0;
    case LUA_TBOOLEAN:
        runner->verdict = lua_toboolean(L, -2) ? WEIR_NEXT : WEIR_DROP;
        return 0;
    default:
        return bad_result(L, "on_request", "nothing, true, false or req:reply(...)");
    }
}

/* Nobody behind it could have the body any more. */
static void check_body_is_left(lua_State *L, const struct lua_runner *runner)
{
    if (runner->verdict == WEIR_NEXT && api_body_was_read(runner->req)) {
        luaL_error(L, "on_request must answer a request whose body it has read");
    }
}

static int take_open(lua_State *L, struct lua_runner *runner)
{
    int type = lua_type(L, -2);
    if (type != LUA_TNIL && type != LUA_TBOOLEAN) {
        return bad_result(L, "on_open", "nothing, true or false");
    }
    bool refused = type == LUA_TBOOLEAN && !lua_toboolean(L, -2);
    runner->verdict = refused ? WEIR_CLOSE : WEIR_NEXT;
    return 0;
}

static int left(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    struct lua_runner *runner = runner_of(L);
    switch (runner->callback) {
    case CALLBACK_ON_MESSAGE:
    case CALLBACK_ON_SEND:
        return take_message(L, runner);
    case CALLBACK_ON_REQUEST:
        (void)take_request(L, runner);
        check_body_is_left(L, runner);
        return 0;
    case CALLBACK_ON_OPEN:
        return take_open(L, runner);
    default:
        return 0;
    }
}

static int enter(lua_State *L)
{
    struct lua_runner *runner = runner_of(L);
    int args = push_call(L, runner);
    runner->message = NULL;
    runner->ending = NULL;
    lua_callk(L, args, 2, 0, left);
    return left(L, LUA_OK, 0);
}

static void push_callback(lua_State *L, int table, enum lua_callback callback)
{
    struct lua_instance *instance = instance_of(L);
    const char *name = instance_callback_names[callback];
    int type = lua_getfield(L, table, name);
    if (type == LUA_TFUNCTION) {
        instance->callbacks |= 1u << callback;
    } else if (type != LUA_TNIL) {
        luaL_error(L, "%s must be a function, not a %s", name, luaL_typename(L, -1));
    }
}

static void find_wants_ending(lua_State *L, int function, int params)
{
    lua_Debug about;
    if (lua_isfunction(L, function)) {
        lua_pushvalue(L, function);
        lua_getinfo(L, ">u", &about);
        if (about.isvararg || about.nparams >= params) {
            instance_of(L)->wants_ending = true;
        }
    }
}

static bool is_callback(const char *name)
{
    for (int callback = 0; callback < CALLBACK_COUNT; callback++) {
        if (strcmp(name, instance_callback_names[callback]) == 0) {
            return true;
        }
    }
    return false;
}

/* A misspelt callback would never be called, and nobody would know why. */
static void check_names(lua_State *L, int table)
{
    lua_pushnil(L);
    while (lua_next(L, table) != 0) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING) {
            const char *name = lua_tostring(L, -1);
            if (strncmp(name, "on_", 3) == 0 && !is_callback(name)) {
                luaL_error(L,
                           "unknown callback %s; there are on_request, on_done, on_open, "
                           "on_message, on_send, on_drain, on_close, serve, init and exit",
                           name);
            }
        }
    }
}

void callback_push(lua_State *L, enum lua_callback callback)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, instance_of(L)->enter_ref);
    lua_getupvalue(L, -1, UP_CALLBACKS + (int)callback);
    lua_remove(L, -2);
}

void callback_open(lua_State *L)
{
    int table = lua_gettop(L);
    if (!lua_istable(L, table)) {
        luaL_error(L, "the file must return a table of callbacks, not a %s",
                   luaL_typename(L, table));
    }
    check_names(L, table);
    lua_pushliteral(L, "text");
    lua_pushliteral(L, "binary");
    api_request_open(L);
    api_conn_open(L, table + UP_REQUEST);
    for (int callback = 0; callback < CALLBACK_COUNT; callback++) {
        push_callback(L, table, (enum lua_callback)callback);
    }
    int first = table + UP_CALLBACKS;
    find_wants_ending(L, first + CALLBACK_ON_CLOSE, 4);
    find_wants_ending(L, first + CALLBACK_ON_DONE, 2);
    const struct lua_instance *instance = instance_of(L);
    if (instance_has(instance, CALLBACK_SERVE) && instance_has(instance, CALLBACK_ON_MESSAGE)) {
        luaL_error(L, "a plugin has either serve or on_message, not both");
    }
    lua_pushcclosure(L, enter, UP_CALLBACKS + CALLBACK_COUNT - 1);
    lua_remove(L, table);
}
