/* What plugins do with topics. Arguments of a wrong type throw; a topic's name often comes from a
 * client, so what is wrong with it is a value. Called by Lua code within call.c; publishing may run
 * on_send of other plugins in their own states. */
#include "lua/api_pubsub.h"

#include <lauxlib.h>

#include "lua/api_conn.h"
#include "lua/instance.h"
#include "pubsub/broker.h"

static struct span check_string(lua_State *L, int index, const char *name)
{
    if (lua_type(L, index) != LUA_TSTRING) {
        luaL_error(L, "%s must be a string, not a %s", name, luaL_typename(L, index));
    }
    struct span bytes;
    bytes.data = (const uint8_t *)lua_tolstring(L, index, &bytes.size);
    return bytes;
}

static bool is_name(struct span topic)
{
    return topic.size > 0 && topic.size <= BROKER_TOPIC_MAX;
}

static int push_word(lua_State *L, const char *word)
{
    lua_pushnil(L);
    lua_pushstring(L, word);
    return 2;
}

/* true, or nil and a word. */
static int push_outcome(lua_State *L, enum weir_err err, const char *invalid, const char *limit)
{
    switch (err) {
    case WEIR_OK:
        lua_pushboolean(L, 1);
        return 1;
    case WEIR_EINVAL:
        return push_word(L, invalid);
    case WEIR_ELIMIT:
        return push_word(L, limit);
    case WEIR_ENOMEM:
        return luaL_error(L, "not enough memory");
    default:
        return push_word(L, "closed");
    }
}

int api_pubsub_subscribe(lua_State *L)
{
    const struct api_conn *conn = api_conn_check(L);
    struct span topic = check_string(L, 2, "topic");
    enum weir_err err = WEIR_ECLOSED;
    if (conn->session != NULL) {
        err = broker_subscribe(instance_of(L)->worker, conn->session, conn->seat, topic);
    }
    return push_outcome(L, err, "bad topic", "too many");
}

int api_pubsub_unsubscribe(lua_State *L)
{
    const struct api_conn *conn = api_conn_check(L);
    struct span topic = check_string(L, 2, "topic");
    lua_pushboolean(L, conn->session != NULL &&
                           broker_unsubscribe(instance_of(L)->worker, conn->session, topic));
    return 1;
}

/* The arguments begin at `index`. */
static int publish(lua_State *L, int index, struct weir_session *except)
{
    struct span topic = check_string(L, index, "topic");
    struct span data = check_string(L, index + 1, "data");
    enum weir_kind kind = api_conn_kind(L, index + 2, WEIR_TEXT);
    struct weir_worker *worker = instance_of(L)->worker;
    if (!is_name(topic)) {
        return push_word(L, "bad topic");
    }
    /* While the plugin is only checked, there is nobody to hear it. */
    enum weir_err err =
        worker != NULL ? broker_publish(worker, except, topic, kind, data) : WEIR_OK;
    return push_outcome(L, err, "not utf-8", "nested");
}

int api_pubsub_conn_publish(lua_State *L)
{
    const struct api_conn *conn = api_conn_check(L);
    return publish(L, 2, conn->session);
}

static int weir_publish(lua_State *L)
{
    return publish(L, 1, NULL);
}

void api_pubsub_open(lua_State *L)
{
    lua_pushcfunction(L, weir_publish);
    lua_setfield(L, -2, "publish");
}
