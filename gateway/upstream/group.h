/* One upstream's shared part, for the files of upstream/ alone. */
#ifndef WEIR_UPSTREAM_GROUP_H
#define WEIR_UPSTREAM_GROUP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "config/config.h"
#include "upstream/server.h"

struct learned_ids;
struct tls_client;
struct upstream;

/* The servers at one moment; immutable but for its references and the servers' own atomics. */
struct roster {
    atomic_size_t references;
    bool pending; /* some name has never been resolved, so that more may come soon */
    size_t count;
    struct upstream_server *servers[]; /* shared, in a stable order */
};

struct upstream_group {
    const struct config_upstream *config;
    struct tls_client *tls;      /* NULL: plain */
    struct learned_ids *learned; /* NULL unless ids are learned */
    uint8_t cookie_key[32];      /* that sticky cookies are signed with */
    pthread_mutex_t lock;        /* guards what follows, up to `version` */
    struct roster *roster;       /* never NULL */
    struct list_node members;    /* the worker parts: struct upstream, by its member `membership` */
    atomic_uint version;         /* changes with the roster; read without the lock */
    atomic_uint waiting;         /* requests in all workers' queues */
};

/* A group without servers, pending; `tls` and `learned` are NULL and the key is zero. Borrows
 * `config`. Given; NULL when memory is out. Any thread. */
struct upstream_group *group_new(const struct config_upstream *config);

/* Frees it, but not what `tls` and `learned` point at; no member is left. NULL inside is fine. */
void group_free(struct upstream_group **group);

/* Given, with one reference; shares the servers. NULL when memory is out. Any thread. */
struct roster *roster_new(struct upstream_server *const *servers, size_t count, bool pending);
void roster_release(struct roster **roster);

/* The current roster, shared. Read `version` before it: then a change in between is seen next time.
 * Any thread. */
struct roster *group_roster(struct upstream_group *group);

/* Makes `roster` (taken) the current one and wakes the workers whose requests wait. Control thread.
 */
void group_publish(struct upstream_group *group, struct roster *roster);

/* Wakes the workers whose requests wait: a slot is free, or what may be picked has changed. Any
 * thread. */
void group_wake(struct upstream_group *group);

/* Takes a place in the queue, which all workers share; false where queue.size requests wait. Who
 * has got one tries once more to lease a server before it waits: then no wake is missed. Every
 * place is given back once. Any thread. */
WEIR_MUST bool group_queue_enter(struct upstream_group *group);
void group_queue_leave(struct upstream_group *group);

/* Joins and leaves, for group_wake. The member's mailbox and its wake_letter.deliver are set
 * before; after it has left, one letter may still be in the mailbox. Worker's thread. */
void group_join(struct upstream_group *group, struct upstream *member);
void group_leave(struct upstream_group *group, struct upstream *member);

/* The key of sticky cookies for a configured secret of any length: its SHA-256. In sticky_cookie.c,
 * where OpenSSL is. WEIR_EINVAL: OpenSSL refuses. Any thread. */
WEIR_MUST enum weir_err sticky_cookie_key(const char *secret, uint8_t key[32]);

/* The group of that name, or NULL. Any thread. */
struct upstreams;
struct upstream_group *upstreams_group(struct upstreams *upstreams, const char *name);
size_t upstreams_count(const struct upstreams *upstreams);
struct upstream_group *upstreams_at(struct upstreams *upstreams, size_t index);

#endif
