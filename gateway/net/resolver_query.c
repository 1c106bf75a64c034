/* One name that is asked for: numeric, from the hosts file, or from evdns by both kinds of
 * addresses at once, whose answers are put together here. Each answer, also one that needs no name
 * server, comes from a timer of the query's own, so that nobody is called back from within a call,
 * or from within evdns. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/resolver_internal.h"

enum {
    /* How long an answer of one kind waits for the other: there are name servers that are silent
     * when they are asked for IPv6. */
    SKEW_MS = 1000
};

/* --- addresses ---
 * A sockaddr_storage is filled and read by copies of what it holds: seen through a pointer to
 * another struct, the compiler may take it for something else that has not changed (C11,
 * section 6.5). */

static int compare(const void *left, const void *right)
{
    const struct resolver_address *a = left;
    const struct resolver_address *b = right;
    if (a->address.ss_family != b->address.ss_family) {
        return a->address.ss_family == AF_INET ? -1 : 1;
    }
    bool ipv4 = a->address.ss_family == AF_INET;
    size_t at =
        ipv4 ? offsetof(struct sockaddr_in, sin_addr) : offsetof(struct sockaddr_in6, sin6_addr);
    size_t size = ipv4 ? sizeof(struct in_addr) : sizeof(struct in6_addr);
    return memcmp((const char *)&a->address + at, (const char *)&b->address + at, size);
}

static void add(struct resolver_query *query, const struct resolver_address *address)
{
    for (size_t i = 0; i < query->count; i++) {
        if (compare(&query->addresses[i], address) == 0) {
            return;
        }
    }
    if (query->count < RESOLVER_ADDRESSES_MAX) {
        query->addresses[query->count++] = *address;
    }
}

static void add_ipv4(struct resolver_query *query, const void *bytes)
{
    struct resolver_address address = {.size = sizeof(struct sockaddr_in)};
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(query->port)};
    memcpy(&ipv4.sin_addr, bytes, sizeof ipv4.sin_addr);
    memcpy(&address.address, &ipv4, sizeof ipv4);
    add(query, &address);
}

static void add_ipv6(struct resolver_query *query, const void *bytes)
{
    struct resolver_address address = {.size = sizeof(struct sockaddr_in6)};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(query->port)};
    memcpy(&ipv6.sin6_addr, bytes, sizeof ipv6.sin6_addr);
    memcpy(&address.address, &ipv6, sizeof ipv6);
    add(query, &address);
}

static void add_from_hosts(void *context, const struct sockaddr *address, socklen_t size)
{
    (void)size;
    if (address->sa_family == AF_INET) {
        add_ipv4(context, &((const struct sockaddr_in *)(const void *)address)->sin_addr);
    } else {
        add_ipv6(context, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    }
}

static bool add_numeric(struct resolver_query *query, const char *host)
{
    struct in_addr ipv4;
    struct in6_addr ipv6;
    if (inet_pton(AF_INET, host, &ipv4) == 1) {
        add_ipv4(query, &ipv4);
        return true;
    }
    if (inet_pton(AF_INET6, host, &ipv6) == 1) {
        add_ipv6(query, &ipv6);
        return true;
    }
    return false;
}

/* --- the end of a query --- */

static void give_up_lookups(struct resolver_query *query)
{
    for (size_t i = 0; i < RESOLVER_FAMILIES; i++) {
        struct resolver_lookup *lookup = query->lookups[i];
        query->lookups[i] = NULL;
        if (lookup != NULL) {
            resolver_give_up(lookup);
        }
    }
}

static void detach(struct resolver_query *query)
{
    list_remove(&query->node);
    loop_timer_free(&query->timer);
    give_up_lookups(query);
}

static void tell(void *context)
{
    struct resolver_query *query = context;
    if (!query->answered && query->count == 0) {
        snprintf(query->why, sizeof query->why, "no name server has answered within %" PRIu64 " ms",
                 query->timeout_ms);
    }
    detach(query);
    if (query->count > 0) {
        qsort(query->addresses, query->count, sizeof query->addresses[0], compare);
        query->fn(query->context, query->addresses, query->count, "");
    } else {
        query->fn(query->context, NULL, 0, query->why);
    }
    free(query);
}

/* Keeps the timer that is set where memory is out: then the answer comes late. */
static void tell_in(struct resolver_query *query, uint64_t delay_ms)
{
    struct loop_timer *timer = loop_timer_new(query->resolver->loop, delay_ms, false, tell, query);
    if (timer != NULL) {
        loop_timer_free(&query->timer);
        query->timer = timer;
    }
}

static void answer(struct resolver_query *query)
{
    query->answered = true;
    tell_in(query, 0);
}

/* --- what the lookups bring --- */

static void lookup_over(struct resolver_query *query, const struct resolver_lookup *lookup)
{
    bool waits = false;
    for (size_t i = 0; i < RESOLVER_FAMILIES; i++) {
        if (query->lookups[i] == lookup) {
            query->lookups[i] = NULL;
        }
        waits = waits || query->lookups[i] != NULL;
    }
    uint64_t now_ms = loop_now_ms(query->resolver->loop);
    if (!waits) {
        answer(query);
    } else if (query->count > 0 && now_ms + SKEW_MS < query->deadline_ms) {
        tell_in(query, SKEW_MS);
    }
}

void resolver_query_take(struct resolver_query *query, const struct resolver_lookup *lookup,
                         int family, const void *addresses, size_t count, const char *why)
{
    const uint8_t *bytes = addresses;
    if (why != NULL) {
        snprintf(query->why, sizeof query->why, "%s", why);
    }
    for (size_t i = 0; i < count; i++) {
        if (family == AF_INET) {
            add_ipv4(query, bytes + i * sizeof(struct in_addr));
        } else {
            add_ipv6(query, bytes + i * sizeof(struct in6_addr));
        }
    }
    lookup_over(query, lookup);
}

/* --- queries --- */

static void begin(struct resolver_query *query, const char *host)
{
    if (add_numeric(query, host)) {
        answer(query);
        return;
    }
    hosts_file_find(query->resolver->hosts, host, add_from_hosts, query);
    if (query->count > 0) {
        answer(query);
        return;
    }
    query->lookups[0] = resolver_look_up(query, host, false);
    query->lookups[1] = resolver_look_up(query, host, true);
    if (query->lookups[0] == NULL && query->lookups[1] == NULL) {
        snprintf(query->why, sizeof query->why, "it cannot be asked for");
        answer(query);
    }
}

struct resolver_query *resolver_ask(struct resolver *resolver, const char *host, uint16_t port,
                                    uint64_t timeout_ms, resolver_fn fn, void *context)
{
    struct resolver_query *query = calloc(1, sizeof *query);
    if (query == NULL) {
        return NULL;
    }
    query->resolver = resolver;
    query->fn = fn;
    query->context = context;
    query->port = port;
    query->timeout_ms = timeout_ms;
    query->deadline_ms = loop_now_ms(resolver->loop) + timeout_ms;
    query->timer = loop_timer_new(resolver->loop, timeout_ms, false, tell, query);
    if (query->timer == NULL) {
        free(query);
        return NULL;
    }
    list_append(&resolver->queries, &query->node);
    begin(query, host);
    return query;
}

void resolver_cancel(struct resolver_query **query)
{
    if (*query != NULL) {
        detach(*query);
        free(*query);
        *query = NULL;
    }
}
