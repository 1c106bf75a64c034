/* Host names to addresses, without waiting (libevent's evdns): the system's hosts file and name
 * servers, or the ones that the configuration names. One thread: its loop's. */
#ifndef WEIR_NET_RESOLVER_H
#define WEIR_NET_RESOLVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "net/loop.h"

enum {
    RESOLVER_ADDRESSES_MAX = 64 /* of one name; more are dropped */
};

struct resolver;
struct resolver_query;

struct resolver_address {
    struct sockaddr_storage address; /* with the port that was asked for */
    socklen_t size;
};

/* The answer: `count` addresses, at least one, in a stable order without duplicates (borrowed for
 * the call), or 0 and terminated words. The query is over and freed. */
typedef void (*resolver_fn)(void *context, const struct resolver_address *addresses, size_t count,
                            const char *why);

/* `nameservers` are `IP`, `IP:PORT` or `[IPV6]:PORT`, terminated; none: the system's. Given.
 * WEIR_EINVAL: one of them is no address; WEIR_ENOMEM. */
WEIR_MUST enum weir_err resolver_new(struct loop *loop, char *const *nameservers, size_t count,
                                     struct resolver **out);

/* Cancels what is under way, without calling back, and frees. NULL inside is fine. */
void resolver_free(struct resolver **resolver);

/* Asks for all IPv4 and IPv6 addresses of `host`. `fn` is never called from within. Borrowed until
 * it is over; NULL when memory is out. */
struct resolver_query *resolver_ask(struct resolver *resolver, const char *host, uint16_t port,
                                    uint64_t timeout_ms, resolver_fn fn, void *context);

/* Ends a query without an answer, and nulls it. */
void resolver_cancel(struct resolver_query **query);

#endif
