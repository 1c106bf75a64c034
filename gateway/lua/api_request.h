/* `req`: a request as Lua sees it; the same object is `conn.request` once it is a session. */
#ifndef WEIR_LUA_API_REQUEST_H
#define WEIR_LUA_API_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <lua.h>

#include <weir/plugin.h>

struct api_body;
struct lua_instance;

/* The userdata's block; like api_conn it begins with its magic. */
struct api_request {
    uint32_t magic;
    int ref;                      /* what keeps it while the request lives, in the registry */
    struct weir_request *request; /* NULL once it is over */
    int query_ref;                /* tables that are made on demand */
    int headers_ref;
    int body_ref;          /* the body, once it is a string */
    struct api_body *body; /* from the moment that it is read, to the end; owned */
    uint16_t seat;
    uint16_t runners; /* parked ones that use it */
    bool is_replied;
    bool is_accepted; /* it is to become a session when on_request is done */
};

/* Pushes the metatable; throws when memory is out. */
void api_request_open(lua_State *L);

/* Makes the userdata and pushes it. `metatable` is a stack index. The seat stays as it is. Throws
 * when memory is out. */
struct api_request *api_request_new(lua_State *L, int metatable, struct weir_request *request,
                                    unsigned seat);

/* What the seat holds, if it is a req; else NULL. */
struct api_request *api_request_of(struct weir_request *request, unsigned seat);

/* The first argument; throws when it is no req. */
struct api_request *api_request_check(lua_State *L);

/* Pushes it. */
static inline void api_request_push(lua_State *L, const struct api_request *req)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, req->ref);
}

/* Whether the plugin answered it. */
bool api_request_is_replied(const struct api_request *req);

/* The request is over: its fields are nil from now on. */
void api_request_end(struct lua_instance *instance, struct api_request *req);

/* One parked runner less uses it; the last one after the end lets go of it. */
void api_request_unpark(struct lua_instance *instance, struct api_request *req);

#endif
