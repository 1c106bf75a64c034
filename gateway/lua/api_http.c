/* `weir.http.request`: an HTTP request to somewhere else, which parks the callback that made it
 * until the answer is there. The call belongs to the runner that waits for it, and ends with it;
 * what came is read into Lua when that goes on. Called by Lua code within call.c and by the HTTP
 * client, from the loop. */
#include "lua/api_http.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "base/list.h"
#include "lua/api_fields.h"
#include "lua/instance.h"
#include "lua/settle.h"
#include "lua/wait.h"
#include "net/http_client.h"
#include "session/request.h"
#include "session/worker_access.h"

enum {
    DEFAULT_SECONDS = 10,
    MAX_SECONDS = 3600,
    DEFAULT_RESPONSE = 1 << 20, /* bytes */
    MAX_RESPONSE = 1 << 30
};

/* What a parked runner waits for. */
struct api_http_wait {
    struct list_node node; /* in instance->http_waits */
    struct lua_runner *runner;
    struct http_call *call;
    bool outlives; /* its session may end meanwhile, and a stop waits for it */
};

/* --- waiting --- */

static void forget(struct api_http_wait *wait)
{
    struct lua_runner *runner = wait->runner;
    list_remove(&wait->node);
    runner->instance->http_count--;
    if (wait->outlives) {
        worker_let_go(runner->instance->worker);
    }
    runner->http = NULL;
    http_call_cancel(&wait->call);
    free(wait);
}

static void took(void *context, const struct http_call_answer *answer)
{
    struct api_http_wait *wait = context;
    struct lua_runner *runner = wait->runner;
    wait->call = NULL; /* it is over */
    forget(wait);
    runner->http_answer = answer;
    settle_wake(runner); /* read in `answered`, before anything else runs */
}

void api_http_wake_cancel(struct lua_runner *runner)
{
    if (runner->http != NULL) {
        forget(runner->http);
    }
}

static void close_wait(struct api_http_wait *wait)
{
    if (!wait->outlives && wait_wake_soon(wait->runner)) {
        forget(wait);
    }
}

/* Of a session's callbacks, or of a request's; the other is NULL. */
static void end_waits(struct lua_instance *instance, const struct api_conn *conn,
                      const struct api_request *req)
{
    struct list_node *next = NULL;
    for (struct list_node *at = instance->http_waits.next; at != &instance->http_waits; at = next) {
        struct api_http_wait *wait = list_item(at, struct api_http_wait, node);
        const struct lua_runner *runner = wait->runner;
        next = at->next;
        if (conn != NULL ? runner->conn == conn : runner->req == req) {
            close_wait(wait);
        }
    }
}

void api_http_end_conn(struct lua_instance *instance, const struct api_conn *conn)
{
    end_waits(instance, conn, NULL);
}

void api_http_end_request(struct lua_instance *instance, const struct api_request *req)
{
    end_waits(instance, NULL, req);
}

/* --- the answer --- */

static void push_span(lua_State *L, struct span s)
{
    lua_pushlstring(L, s.size > 0 ? (const char *)s.data : "", s.size);
}

static int push_reason(lua_State *L, const char *words)
{
    lua_pushnil(L);
    lua_pushstring(L, words);
    return 2;
}

/* response:header_values(name): upvalue 1 is the list of names and values, one after the other. */
static int header_values(lua_State *L)
{
    struct span name = {NULL, 0};
    struct span at = {NULL, 0};
    lua_Integer found = 0;
    name.data = (const uint8_t *)luaL_checklstring(L, 2, &name.size);
    lua_settop(L, 2);
    lua_newtable(L);
    for (lua_Integer i = 1; lua_rawgeti(L, lua_upvalueindex(1), i) == LUA_TSTRING; i += 2) {
        at.data = (const uint8_t *)lua_tolstring(L, -1, &at.size);
        if (span_equal_nocase(at, name)) {
            lua_rawgeti(L, lua_upvalueindex(1), i + 1);
            lua_rawseti(L, 3, ++found);
        }
        lua_pop(L, 1);
    }
    lua_settop(L, 3);
    return 1;
}

/* Sets what is read of the headers in the response's table, which is on top of the stack. */
static void set_headers(lua_State *L, const struct http_call_answer *answer)
{
    api_fields_new(L, answer->header_count);
    for (size_t i = 0; i < answer->header_count; i++) {
        api_fields_add(L, answer->headers[i].name, answer->headers[i].value);
    }
    lua_setfield(L, -2, "headers");
    lua_createtable(L, (int)answer->header_count * 2, 0);
    for (size_t i = 0; i < answer->header_count; i++) {
        push_span(L, answer->headers[i].name);
        lua_rawseti(L, -2, (lua_Integer)(2 * i + 1));
        push_span(L, answer->headers[i].value);
        lua_rawseti(L, -2, (lua_Integer)(2 * i + 2));
    }
    lua_pushcclosure(L, header_values, 1);
    lua_setfield(L, -2, "header_values");
}

/* The callback goes on. */
static int answered(lua_State *L, int status, lua_KContext context)
{
    struct lua_runner *runner = instance_of(L)->running;
    const struct http_call_answer *answer = runner->http_answer;
    (void)status;
    (void)context;
    runner->http_answer = NULL;
    if (answer == NULL) {
        return push_reason(L, "closed"); /* close_wait has woken it */
    }
    if (answer->status == 0) {
        return push_reason(L, answer->why);
    }
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, answer->status);
    lua_setfield(L, -2, "status");
    push_span(L, answer->body);
    lua_setfield(L, -2, "body");
    set_headers(L, answer);
    return 1;
}

/* --- the request --- */

/* Pushes the option at `name`; false, and nothing pushed, where there is none. */
static bool push_option(lua_State *L, const char *name)
{
    if (lua_getfield(L, 1, name) != LUA_TNIL) {
        return true;
    }
    lua_pop(L, 1);
    return false;
}

/* The option stays in the table, which keeps the string. */
static struct span text_option(lua_State *L, const char *name)
{
    struct span text = {NULL, 0};
    if (push_option(L, name)) {
        if (lua_type(L, -1) != LUA_TSTRING) {
            luaL_error(L, "%s must be a string, not a %s", name, luaL_typename(L, -1));
        }
        text.data = (const uint8_t *)lua_tolstring(L, -1, &text.size);
        lua_pop(L, 1);
    }
    return text;
}

static bool flag_option(lua_State *L, const char *name, bool otherwise)
{
    if (!push_option(L, name)) {
        return otherwise;
    }
    if (!lua_isboolean(L, -1)) {
        luaL_error(L, "%s must be true or false, not a %s", name, luaL_typename(L, -1));
    }
    bool flag = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return flag;
}

static uint64_t timeout_option(lua_State *L)
{
    double seconds = DEFAULT_SECONDS;
    if (push_option(L, "timeout")) {
        bool is_number = lua_type(L, -1) == LUA_TNUMBER;
        seconds = lua_tonumber(L, -1);
        if (!is_number || !(seconds > 0) || seconds > MAX_SECONDS) {
            luaL_error(L, "timeout must be a number of seconds, more than 0 and at most %d",
                       MAX_SECONDS);
        }
        lua_pop(L, 1);
    }
    uint64_t timeout_ms = (uint64_t)(seconds * 1000);
    return timeout_ms > 0 ? timeout_ms : 1;
}

static size_t size_option(lua_State *L)
{
    lua_Integer size = DEFAULT_RESPONSE;
    if (push_option(L, "max_response")) {
        int is_integer = 0;
        size = lua_tointegerx(L, -1, &is_integer);
        if (lua_type(L, -1) != LUA_TNUMBER || !is_integer || size < 0 || size > MAX_RESPONSE) {
            luaL_error(L, "max_response must be a number of bytes from 0 to %d", MAX_RESPONSE);
        }
        lua_pop(L, 1);
    }
    return (size_t)size;
}

/* A misspelt option would do nothing, and nobody would know why. */
static void check_names(lua_State *L)
{
    static const char *const names[] = {"method",  "url",          "headers", "body", "timeout",
                                        "outlive", "max_response", "verify",  "ca"};
    lua_pushnil(L);
    while (lua_next(L, 1) != 0) {
        bool is_known = false;
        lua_pop(L, 1);
        for (size_t i = 0; i < sizeof names / sizeof *names && lua_type(L, -1) == LUA_TSTRING;
             i++) {
            is_known |= strcmp(lua_tostring(L, -1), names[i]) == 0;
        }
        if (!is_known) {
            luaL_error(L, "weir.http.request has no option %s", luaL_tolstring(L, -1, NULL));
        }
    }
}

static void read_options(lua_State *L, struct http_call_wish *wish)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    check_names(L);
    wish->url = text_option(L, "url");
    if (wish->url.data == NULL) {
        luaL_error(L, "url is missing");
    }
    wish->method = text_option(L, "method");
    wish->body = text_option(L, "body");
    wish->ca = text_option(L, "ca");
    wish->verify = flag_option(L, "verify", true);
    wish->timeout_ms = timeout_option(L);
    wish->max_response = size_option(L);
}

/* Leaves what keeps the fields on the stack. `headers` has room for API_FIELDS_MAX. */
static void read_headers(lua_State *L, struct http_call_wish *wish,
                         struct http_call_header *headers)
{
    struct api_fields fields;
    if (!push_option(L, "headers")) {
        return;
    }
    if (!lua_istable(L, -1)) {
        luaL_error(L, "headers must be a table, not a %s", luaL_typename(L, -1));
    }
    api_fields_read(L, lua_gettop(L), &fields);
    for (size_t i = 0; i < fields.count; i++) {
        headers[i] = (struct http_call_header){fields.items[i].name, fields.items[i].value};
    }
    wish->headers = headers;
    wish->header_count = fields.count;
}

/* Starts it for the runner, which then waits; or says why not. */
static enum weir_err start(struct lua_runner *runner, const struct http_call_wish *wish,
                           bool outlives, char *why)
{
    struct lua_instance *instance = runner->instance;
    struct http_client *client = worker_http_client(instance->worker);
    struct api_http_wait *wait = calloc(1, sizeof *wait);
    if (client == NULL || wait == NULL) {
        free(wait);
        return WEIR_ENOMEM;
    }
    enum weir_err err = http_client_start(client, wish, took, wait, why, &wait->call);
    if (err != WEIR_OK) {
        free(wait);
        return err;
    }
    list_init(&wait->node);
    list_append(&instance->http_waits, &wait->node);
    instance->http_count++;
    wait->runner = runner;
    runner->http = wait;
    wait->outlives =
        outlives || runner->callback == CALLBACK_ON_CLOSE || runner->callback == CALLBACK_ON_DONE;
    if (wait->outlives) {
        worker_hold(instance->worker);
    }
    return WEIR_OK;
}

static int http_request(lua_State *L)
{
    struct http_call_header headers[API_FIELDS_MAX];
    struct http_call_wish wish = {.verify = true};
    char why[HTTP_CALL_WHY_BYTES];
    read_options(L, &wish);
    bool outlives = flag_option(L, "outlive", false);
    read_headers(L, &wish, headers);
    struct lua_runner *runner = wait_check(L, "weir.http.request");
    struct lua_instance *instance = runner->instance;
    if (instance->http_count >= instance->plugin->limits.max_http_requests) {
        instance->limit_hit = LUA_LIMIT_HTTP;
        return push_reason(L, "too many requests");
    }
    enum weir_err err = start(runner, &wish, outlives, why);
    if (err == WEIR_EINVAL) {
        return push_reason(L, why);
    }
    if (err != WEIR_OK) {
        return luaL_error(L, "not enough memory");
    }
    return wait_yield(L, runner, answered);
}

void api_http_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"request", http_request}, {NULL, NULL}};
    luaL_newlib(L, functions);
    lua_setfield(L, -2, "http");
}
