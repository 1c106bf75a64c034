/* What the resolver's own files tell each other. */
#ifndef WEIR_NET_RESOLVER_INTERNAL_H
#define WEIR_NET_RESOLVER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "net/hosts_file.h"
#include "net/resolver.h"

struct evdns_base;
struct evdns_request;

enum {
    RESOLVER_FAMILIES = 2,
    RESOLVER_WHY_BYTES = 128
};

struct resolver {
    struct loop_retired retired;
    struct loop *loop;
    struct evdns_base *dns;
    struct hosts_file *hosts;
    struct list_node queries;
    size_t lookups; /* that evdns has not called back for */
    int flags;
    bool freed; /* by its owner */
};

/* One question to evdns, which calls back for it exactly once. */
struct resolver_lookup {
    struct resolver *resolver;
    struct resolver_query *query; /* NULL: nobody wants it any more */
    struct evdns_request *request;
};

struct resolver_query {
    struct list_node node; /* in resolver->queries */
    struct resolver *resolver;
    struct resolver_lookup *lookups[RESOLVER_FAMILIES]; /* NULL: over, or never begun */
    struct loop_timer *timer;
    resolver_fn fn;
    void *context;
    uint64_t timeout_ms;
    uint64_t deadline_ms;
    uint16_t port;
    bool answered; /* the timer is only for telling it */
    char why[RESOLVER_WHY_BYTES];
    size_t count;
    struct resolver_address addresses[RESOLVER_ADDRESSES_MAX];
};

/* Asks evdns for the addresses of one kind. NULL: it cannot be asked, or memory is out. */
struct resolver_lookup *resolver_look_up(struct resolver_query *query, const char *host, bool ipv6);

/* Nobody wants its answer any more. */
void resolver_give_up(struct resolver_lookup *lookup);

/* Takes what `lookup` has brought: addresses of `family`, borrowed, or words (NULL: none) for why
 * there are none. Tells the query's owner in a later turn, when nothing is waited for any more. */
void resolver_query_take(struct resolver_query *query, const struct resolver_lookup *lookup,
                         int family, const void *addresses, size_t count, const char *why);

#endif
