/* One plugin's Lua state on one worker, and what the files of lua/ share about it. All functions:
 * the instance's worker only, unless said otherwise. */
#ifndef WEIR_LUA_INSTANCE_H
#define WEIR_LUA_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include <weir/plugin.h>

#include "base/buffer.h"
#include "base/list.h"
#include "lua/host.h"
#include "lua/limits.h"

struct api_conn;
struct api_http_wait;
struct api_request;
struct api_timer;
struct http_call_answer;
struct loop;
struct loop_timer;

/* What a plugin's table may hold, in the order of `instance_callback_names`. */
enum lua_callback {
    CALLBACK_ON_REQUEST,
    CALLBACK_ON_DONE,
    CALLBACK_ON_OPEN,
    CALLBACK_ON_MESSAGE,
    CALLBACK_ON_SEND,
    CALLBACK_ON_DRAIN,
    CALLBACK_ON_CLOSE,
    CALLBACK_SERVE,
    CALLBACK_INIT,
    CALLBACK_EXIT,
    CALLBACK_COUNT,
    CALLBACK_TIMER = CALLBACK_COUNT, /* a function given to weir.timer */
    CALLBACK_SPAWN,                  /* or to weir.spawn */
    CALLBACK_KINDS
};

/* The process part of a plugin: what `load` was given. Immutable once loaded. */
struct lua_plugin {
    char *name;
    char *file;
    char *settings_json;
    char *module_path; /* as Lua's package.path */
    struct lua_limits limits;
    bool is_trusted;
    struct limits_watch *watch; /* that it is shared is its own business */
};

/* One run of a callback: a coroutine, and what the callback is about. A runner that finished is
 * used again; one that waits is parked until its timer, message or end wakes it. */
struct lua_runner {
    struct list_node node;         /* in instance->parked while it waits */
    struct lua_runner *next;       /* in instance->idle */
    struct lua_instance *instance; /* owner */
    lua_State *L;                  /* the coroutine */
    int ref;                       /* what keeps the coroutine, in the registry */
    enum lua_callback callback;
    unsigned seat;
    bool starting;                      /* its callback has not been entered yet */
    bool is_counted;                    /* as one that waits */
    bool changed;                       /* the callback returned a message: on top of the stack */
    enum weir_verdict verdict;          /* what the callback returned */
    enum weir_kind kind;                /* of the changed message */
    struct weir_request *request;       /* until its end; NULL for a session's callback */
    struct weir_session *session;       /* until its end */
    struct api_conn *conn;              /* once the callback was given one */
    struct api_request *req;            /* the same for on_request and on_done */
    struct api_timer *timer;            /* CALLBACK_TIMER: whose function runs */
    const struct weir_message *message; /* until the callback is entered */
    const struct weir_ending *ending;   /* until the callback is entered */
    struct loop_timer *sleep;           /* what will wake it, where that is a timer */
    struct api_http_wait *http;         /* weir.http.request, while it waits in it */
    const struct http_call_answer *http_answer; /* from its coming until Lua has read it */
};

struct lua_instance {
    lua_State *L; /* the main thread; runs nothing but the loading of the plugin */
    const struct lua_plugin *plugin;
    struct weir_worker *worker; /* NULL while the plugin is only checked */
    struct loop *loop;          /* NULL while the plugin is only checked */
    size_t memory_used;         /* bytes */
    size_t memory_limit;
    uint64_t cpu_limit_ns;
    size_t max_timers;
    size_t max_parked;
    unsigned callbacks;         /* bit 1 << enum lua_callback */
    bool wants_ending;          /* on_close or on_done takes the table of the ending */
    bool host_yield;            /* the yield under way is the host's, not the plugin's own */
    bool waits_barred;          /* a C function below the running coroutine cannot yield */
    struct lua_runner *running; /* innermost */
    struct lua_runner *idle;
    unsigned idle_count;
    struct list_node parked;
    struct list_node timers; /* struct api_timer */
    size_t timer_count;
    struct list_node http_waits; /* struct api_http_wait */
    size_t http_count;
    uint64_t failures;                  /* of callbacks */
    size_t parked_count;                /* that wait, and those of weir.spawn that have not ended */
    enum lua_limit limit_hit;           /* by the code that runs; told when it ends */
    bool is_out_of_memory;              /* the allocator has refused what would pass the limit */
    bool is_started;                    /* exit is due */
    const struct weir_ending *ending;   /* within on_close: how it ended, */
    const struct api_conn *ending_conn; /* and for whom */
    int enter_ref;                      /* the closure that enters callbacks, in the registry */
    struct buffer names[2]; /* scratch for decoding; kept so that a Lua error cannot leak it */
};

/* "on_request", ... by enum lua_callback; "timer" for CALLBACK_TIMER. */
extern const char *const instance_callback_names[CALLBACK_KINDS];

/* Makes a state, runs the plugin's file in it and then its `init`. `worker` is NULL to check the
 * plugin only: then `init` is not run, and timers never fire. Given; NULL with a terminated reason
 * in `error`. Any thread, which stays the instance's own. */
struct lua_instance *instance_new(const struct lua_plugin *plugin, struct weir_worker *worker,
                                  char *error, size_t error_size);

/* Runs `exit`, ends whatever still waits, closes the state, frees and nulls. */
void instance_free(struct lua_instance **instance);

/* A coroutine's extra space holds its instance; the lowest bit marks a runner's coroutine, which
 * the plugin must not resume itself. */
static inline struct lua_instance *instance_of(lua_State *L)
{
    uintptr_t word = *(uintptr_t *)lua_getextraspace(L);
    return (struct lua_instance *)(word & ~(uintptr_t)1);
}

static inline void instance_mark_runner(lua_State *L)
{
    *(uintptr_t *)lua_getextraspace(L) |= 1;
}

static inline bool instance_is_runner(lua_State *L)
{
    return (*(uintptr_t *)lua_getextraspace(L) & 1) != 0;
}

static inline bool instance_has(const struct lua_instance *instance, enum lua_callback callback)
{
    return (instance->callbacks & (1u << callback)) != 0;
}

#endif
