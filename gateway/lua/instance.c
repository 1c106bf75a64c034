/* Makes and ends a plugin's Lua state. The allocator counts bytes and refuses what would pass the
 * limit; Lua then collects and tries again before it gives up on that callback alone. Called by
 * host.c; runs nothing unprotected. */
#include "lua/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "base/check.h"
#include "base/log.h"
#include "lua/api_timer.h"
#include "lua/api_weir.h"
#include "lua/call.h"
#include "lua/callback.h"
#include "lua/guard.h"
#include "lua/sandbox.h"
#include "session/worker_access.h"

static const uint64_t MS_NS = 1000000;
static const uint64_t LOAD_LIMIT_NS = 1000000000; /* a file may build tables when it is loaded */

const char *const instance_callback_names[CALLBACK_KINDS] = {
    "on_request", "on_done", "on_open", "on_message", "on_send", "on_drain",
    "on_close",   "serve",   "init",    "exit",       "timer",   "spawn"};

static void *allocate(void *context, void *block, size_t old_size, size_t new_size)
{
    struct lua_instance *instance = context;
    if (block == NULL) {
        old_size = 0; /* then it tells what kind of object it is */
    }
    if (new_size == 0) {
        instance->memory_used -= old_size;
        free(block);
        return NULL;
    }
    if (new_size > old_size &&
        new_size - old_size > instance->memory_limit - instance->memory_used) {
        instance->is_out_of_memory = true;
        return NULL;
    }
    void *moved = realloc(block, new_size);
    if (moved != NULL) {
        instance->memory_used = instance->memory_used - old_size + new_size;
    }
    return moved;
}

static int panic(lua_State *L)
{
    log_error("lua", "an unprotected error: %s", lua_tostring(L, -1));
    WEIR_CHECK(L == NULL); /* every entry into Lua is protected */
    return 0;
}

static void warn(void *context, const char *words, int to_be_continued)
{
    (void)to_be_continued;
    const struct lua_instance *instance = context;
    if (*words != '@') { /* control messages, e.g. "@on" */
        log_warn("lua", "plugin %s: %s", instance->plugin->name, words);
    }
}

/* A chunk's name in messages is cut to LUA_IDSIZE; a configuration error names the whole file. */
static void give_full_name(lua_State *L, const char *file)
{
    const char *words = lua_tostring(L, -1);
    const char *cut = strstr(words, ".lua:");
    if (strncmp(words, "...", 3) == 0 && cut != NULL) {
        lua_pushfstring(L, "%s%s", file, cut + strlen(".lua"));
    }
}

static int build(lua_State *L)
{
    const struct lua_plugin *plugin = instance_of(L)->plugin;
    sandbox_open(L, plugin);
    api_weir_open(L);
    lua_settop(L, 0);
    if (luaL_loadfilex(L, plugin->file, "t") != LUA_OK) {
        give_full_name(L, plugin->file);
        return lua_error(L);
    }
    lua_call(L, 0, 1);
    callback_open(L);
    instance_of(L)->enter_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static bool open_state(struct lua_instance *instance, char *error, size_t error_size)
{
    instance->L = lua_newstate(allocate, instance);
    if (instance->L == NULL) {
        snprintf(error, error_size, "no memory for a Lua state");
        return false;
    }
    *(struct lua_instance **)lua_getextraspace(instance->L) = instance;
    lua_atpanic(instance->L, panic);
    lua_setwarnf(instance->L, warn, instance);
    return call_protected(instance, build, NULL, LOAD_LIMIT_NS, error, error_size) == WEIR_OK;
}

static int run_init(lua_State *L)
{
    callback_push(L, CALLBACK_INIT);
    if (lua_getglobal(L, "weir") == LUA_TTABLE) {
        lua_getfield(L, -1, "config");
    } else {
        lua_pushnil(L); /* the plugin has put something else there */
    }
    lua_remove(L, -2);
    lua_call(L, 1, 0);
    return 0;
}

static int run_exit(lua_State *L)
{
    callback_push(L, CALLBACK_EXIT);
    lua_call(L, 0, 0);
    return 0;
}

/* Opens the state, and starts the plugin in it where it is to serve. */
static bool start(struct lua_instance *instance, char *error, size_t error_size)
{
    if (!open_state(instance, error, error_size)) {
        return false;
    }
    char words[512];
    if (instance->worker != NULL && instance_has(instance, CALLBACK_INIT) &&
        call_protected(instance, run_init, NULL, LOAD_LIMIT_NS, words, sizeof words) != WEIR_OK) {
        snprintf(error, error_size, "init failed: %s", words);
        return false;
    }
    instance->is_started = instance->worker != NULL;
    return true;
}

static void leave(struct lua_instance *instance)
{
    char words[512];
    if (instance->is_started && instance_has(instance, CALLBACK_EXIT) &&
        call_protected(instance, run_exit, NULL, instance->cpu_limit_ns, words, sizeof words) !=
            WEIR_OK) {
        log_error("lua", "plugin %s: callback exit failed: %s", instance->plugin->name, words);
    }
}

struct lua_instance *instance_new(const struct lua_plugin *plugin, struct weir_worker *worker,
                                  char *error, size_t error_size)
{
    struct lua_instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL) {
        snprintf(error, error_size, "no memory");
        return NULL;
    }
    instance->plugin = plugin;
    instance->worker = worker;
    instance->loop = worker == NULL ? NULL : worker_loop(worker);
    instance->memory_limit = plugin->limits.memory_limit_bytes;
    instance->cpu_limit_ns = plugin->limits.cpu_limit_ms * MS_NS;
    instance->max_timers = plugin->limits.max_timers;
    instance->max_parked = plugin->limits.max_parked;
    list_init(&instance->parked);
    list_init(&instance->timers);
    list_init(&instance->http_waits);
    if (guard_start(instance->cpu_limit_ns) != WEIR_OK) {
        snprintf(error, error_size, "no timer for the CPU limit");
    } else if (start(instance, error, error_size)) {
        return instance;
    }
    instance_free(&instance);
    return NULL;
}

void instance_free(struct lua_instance **pointer)
{
    struct lua_instance *instance = *pointer;
    if (instance == NULL) {
        return;
    }
    leave(instance);
    while (!list_is_empty(&instance->parked)) {
        call_drop(list_item(instance->parked.next, struct lua_runner, node));
    }
    while (instance->idle != NULL) {
        struct lua_runner *runner = instance->idle;
        instance->idle = runner->next;
        call_drop(runner);
    }
    api_timer_end(instance);
    if (instance->L != NULL) {
        lua_close(instance->L);
    }
    buffer_free(&instance->names[0]);
    buffer_free(&instance->names[1]);
    free(instance);
    *pointer = NULL;
}
