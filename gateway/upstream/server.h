/* One server of an upstream, at one address, as all threads see it. Its settings never change; what
 * lives is atomic, and relaxed: a worker that sees a figure late makes a slightly worse choice, no
 * wrong one. */
#ifndef WEIR_UPSTREAM_SERVER_H
#define WEIR_UPSTREAM_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "config/config.h"

enum {
    SERVER_ADDRESS_BYTES = 128, /* "unix:" and a path of 107 bytes fit, and any IPv6 address */
    SERVER_HOST_BYTES = 256     /* a DNS name has at most 253 characters */
};

struct upstream_server {
    atomic_size_t references;
    const struct config_server *config;     /* borrowed from the group's configuration */
    const struct config_upstream *upstream; /* likewise */
    struct sockaddr_storage address;
    socklen_t address_size;
    char text[SERVER_ADDRESS_BYTES]; /* `10.0.0.3:3000`, `[::1]:3000`, `unix:/run/app.sock` */
    char host[SERVER_HOST_BYTES];    /* as configured, without port: for SNI and Host */
    uint64_t id; /* a stable hash of `text`, the same after a restart; never 0 */

    atomic_uint state;              /* enum config_server_state: what the operator says */
    atomic_bool healthy;            /* what active checks say; true without them */
    atomic_uint active;             /* leases: connections in use, over all workers */
    atomic_uint failures;           /* in a row */
    atomic_uint ejections;          /* in a row; forgotten with the first good answer after one */
    atomic_ullong ejected_until_ms; /* of the monotonic clock */
    atomic_ullong rising_since_ms;  /* slow start counts from here, maybe in the future, where an
                                       ejection ends; 0: it never was away */
    atomic_ullong requests;         /* that it was picked for */
    atomic_ullong errors;           /* failed connects and bad answers */
};

/* Given, with one reference; up, healthy, idle. NULL when memory is out. */
struct upstream_server *server_new(const struct config_upstream *upstream,
                                   const struct config_server *config,
                                   const struct sockaddr *address, socklen_t address_size);

/* One more reference, and one less: the last one frees. Any thread. */
struct upstream_server *server_share(struct upstream_server *server);
void server_release(struct upstream_server **server);

/* What TLS to it asks for (SNI) and believes its certificate for; terminated, borrowed for the
 * server's life. Any thread. */
const char *server_tls_name(const struct upstream_server *server);

/* Whether something new may go to it now. Any thread. */
bool server_takes_new(const struct upstream_server *server, uint64_t now_ms);

/* Whether what sticks to it may: a draining server still serves its own. Any thread. */
bool server_serves_its_own(const struct upstream_server *server, uint64_t now_ms);

/* Whether it is out for now because requests have failed; and whether it could be asked none the
 * less where every other server is out too: up and healthy, only ejected. A wrong guess then costs
 * no more than the 503 that would be answered without it. Any thread. */
bool server_is_ejected(const struct upstream_server *server, uint64_t now_ms);
bool server_takes_in_need(const struct upstream_server *server);

/* Takes one of its max_connections, if there is one left, and counts in `requests`. Every lease
 * that was taken is given back once, and after that of a server with max_connections group_wake is
 * called. Any thread. */
bool server_lease(struct upstream_server *server);
void server_unlease(struct upstream_server *server);

/* Its weight times 1000, less while it is in its slow start: it grows from a tenth. Never 0. Any
 * thread. */
uint64_t server_effective_weight(const struct upstream_server *server, uint64_t now_ms);

/* What a request has found out about it: ejects it after too many failures, for longer each time.
 * Any thread. */
void server_succeeded(struct upstream_server *server, uint64_t now_ms);
void server_failed(struct upstream_server *server, uint64_t now_ms);

/* What an active check has found out: a server that is healthy again starts slowly, with its
 * ejections forgotten. Control thread. */
void server_set_healthy(struct upstream_server *server, bool healthy, uint64_t now_ms);

/* What the operator says; one that comes up starts slowly. Any thread. */
void server_set_state(struct upstream_server *server, enum config_server_state state,
                      uint64_t now_ms);

/* It starts slowly from now on, as one that has joined others. Any thread. */
void server_start_slowly(struct upstream_server *server, uint64_t now_ms);

#endif
