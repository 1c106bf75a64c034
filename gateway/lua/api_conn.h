/* `conn`: a session as Lua sees it. One small userdata for each session; it outlives the session
 * when Lua keeps it, and then its methods say "closed". */
#ifndef WEIR_LUA_API_CONN_H
#define WEIR_LUA_API_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include <lua.h>

#include <weir/plugin.h>

#include "base/err.h"
#include "base/span.h"

struct api_request;
struct lua_instance;
struct lua_runner;

/* The userdata's block. Both kinds of block that a seat may point at begin with their magic. */
struct api_conn {
    uint32_t magic;
    int ref;                      /* what keeps it while the session lives, in the registry */
    struct weir_session *session; /* NULL once it is over */
    struct api_request *req;      /* conn.request, on demand; kept by its own reference */
    struct lua_runner *serve;     /* runs `serve`; NULL before and after */
    uint64_t id;
    int reason_ref;  /* conn.close_reason, where it outlives on_close */
    int pending_ref; /* a message that came while serve was busy */
    uint16_t seat;
    uint16_t close_code;   /* 0 while open */
    uint16_t runners;      /* parked ones that use it */
    uint8_t pending_kind;  /* enum weir_kind */
    bool is_waiting : 1;   /* serve waits in messages() */
    bool owes_verdict : 1; /* a message's verdict is due when serve asks for the next */
};

/* Pushes the metatable; `request_metatable` is the stack index of the one for conn.request. Throws
 * when memory is out. */
void api_conn_open(lua_State *L, int request_metatable);

/* Makes the userdata, pushes it, and puts it into the session's seat. `metatable` is a stack index.
 * Throws when memory is out. */
struct api_conn *api_conn_new(lua_State *L, int metatable, struct weir_session *session,
                              unsigned seat);

/* The session's conn, or NULL where none was made. */
struct api_conn *api_conn_of(struct weir_session *session, unsigned seat);

/* Pushes it. */
static inline void api_conn_push(lua_State *L, const struct api_conn *conn)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, conn->ref);
}

/* The first argument; throws when it is no conn. */
struct api_conn *api_conn_check(lua_State *L);

/* The kind named at `index`, or `otherwise` where there is none. Throws for anything else. */
enum weir_kind api_conn_kind(lua_State *L, int index, enum weir_kind otherwise);

/* The string at `index`, borrowed; throws, naming the argument, for anything else. */
struct span api_conn_bytes(lua_State *L, int index, const char *name);

/* The close code at index 2, 1000 where there is none, and the reason at 3, borrowed. Throws for
 * what cannot be one. */
uint16_t api_conn_close_code(lua_State *L, struct span *reason);

/* Pushes true, or nil and the word for `err`; `invalid` is that for WEIR_EINVAL. Returns how many.
 * Throws without memory. */
int api_conn_outcome(lua_State *L, enum weir_err err, const char *invalid);

/* Keeps a message for the next messages(). False, which was logged, when memory is out. */
bool api_conn_keep_message(struct lua_instance *instance, struct api_conn *conn,
                           const struct weir_message *message);

/* The session is over: empties the seat. What Lua kept answers "closed" from now on. */
void api_conn_end(struct lua_instance *instance, struct api_conn *conn,
                  const struct weir_ending *ending);

/* One parked runner less uses it; the last one after the end lets go of it. */
void api_conn_unpark(struct lua_instance *instance, struct api_conn *conn);

#endif
