/* Asks evdns for both kinds of addresses at once and puts the answers together. Called by upstream/
 * for servers that are known by name. Each answer, also one that needs no name server, comes from a
 * timer of the query's own, so that nobody is called back from within a call, or from within evdns.
 *
 * evdns always calls back once for each lookup, also after it was cancelled, in a later turn; and
 * its base must not be freed before. So lookups outlive their query, and the resolver its owner. */
#include "net/resolver.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "net/hosts_file.h"

enum {
    DNS_PORT = 53,
    /* How long an answer of one kind waits for the other: there are name servers that are silent
     * when they are asked for IPv6. */
    SKEW_MS = 1000,
    FAMILIES = 2,
    WHY_BYTES = 128
};

/* evdns's way to count a server's failures blames the one that is tried next, so a server that
 * lives would be given up for one that is dead; 255 is the most it takes. A second for each try,
 * and for a look whether a server that failed is back. */
static const char *const options[][2] = {
    {"timeout", "1"}, {"attempts", "5"}, {"max-timeouts", "255"}, {"initial-probe-timeout", "1"}};

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

struct lookup {
    struct resolver *resolver;
    struct resolver_query *query; /* NULL: nobody wants it any more */
    struct evdns_request *request;
};

struct resolver_query {
    struct list_node node; /* in resolver->queries */
    struct resolver *resolver;
    struct lookup *lookups[FAMILIES]; /* NULL: over, or never begun */
    struct loop_timer *timer;
    resolver_fn fn;
    void *context;
    uint64_t timeout_ms;
    uint64_t deadline_ms;
    uint16_t port;
    bool answered; /* the timer is only for telling it */
    char why[WHY_BYTES];
    size_t count;
    struct resolver_address addresses[RESOLVER_ADDRESSES_MAX];
};

/* --- addresses --- */

static int compare(const void *left, const void *right)
{
    const struct resolver_address *a = left;
    const struct resolver_address *b = right;
    if (a->address.ss_family != b->address.ss_family) {
        return a->address.ss_family == AF_INET ? -1 : 1;
    }
    if (a->address.ss_family == AF_INET) {
        return memcmp(&((const struct sockaddr_in *)&a->address)->sin_addr,
                      &((const struct sockaddr_in *)&b->address)->sin_addr, sizeof(struct in_addr));
    }
    return memcmp(&((const struct sockaddr_in6 *)&a->address)->sin6_addr,
                  &((const struct sockaddr_in6 *)&b->address)->sin6_addr, sizeof(struct in6_addr));
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
    struct sockaddr_in *where = (struct sockaddr_in *)&address.address;
    where->sin_family = AF_INET;
    where->sin_port = htons(query->port);
    memcpy(&where->sin_addr, bytes, sizeof where->sin_addr);
    add(query, &address);
}

static void add_ipv6(struct resolver_query *query, const void *bytes)
{
    struct resolver_address address = {.size = sizeof(struct sockaddr_in6)};
    struct sockaddr_in6 *where = (struct sockaddr_in6 *)&address.address;
    where->sin6_family = AF_INET6;
    where->sin6_port = htons(query->port);
    memcpy(&where->sin6_addr, bytes, sizeof where->sin6_addr);
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
    for (size_t i = 0; i < FAMILIES; i++) {
        struct lookup *lookup = query->lookups[i];
        query->lookups[i] = NULL;
        if (lookup != NULL) {
            lookup->query = NULL;
            evdns_cancel_request(query->resolver->dns, lookup->request);
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

static void free_resolver(struct loop_retired *retired)
{
    struct resolver *resolver = (struct resolver *)(void *)retired;
    if (resolver->dns != NULL) {
        evdns_base_free(resolver->dns, 0);
    }
    hosts_file_free(&resolver->hosts);
    free(resolver);
}

/* --- what evdns says --- */

static void note(struct resolver_query *query, int result, int count)
{
    if (result != DNS_ERR_NONE || count == 0) {
        snprintf(query->why, sizeof query->why, "%s",
                 result == DNS_ERR_NONE ? "the name has no address" : evdns_err_to_string(result));
    }
}

static void add_found(struct resolver_query *query, int type, int count, const void *addresses)
{
    const uint8_t *bytes = addresses;
    for (int i = 0; i < count; i++) {
        if (type == DNS_IPv4_A) {
            add_ipv4(query, bytes + (size_t)i * sizeof(struct in_addr));
        } else {
            add_ipv6(query, bytes + (size_t)i * sizeof(struct in6_addr));
        }
    }
}

static void lookup_over(struct resolver_query *query, const struct lookup *lookup)
{
    bool waits = false;
    for (size_t i = 0; i < FAMILIES; i++) {
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

static void found(int result, char type, int count, int ttl, void *addresses, void *context)
{
    struct lookup *lookup = context;
    struct resolver *resolver = lookup->resolver;
    struct resolver_query *query = lookup->query;
    (void)ttl;
    if (query != NULL) {
        note(query, result, count);
        add_found(query, type, count, addresses);
        lookup_over(query, lookup);
    }
    free(lookup);
    resolver->lookups--;
    if (resolver->freed && resolver->lookups == 0) {
        loop_let_go(resolver->loop);
        loop_retire(resolver->loop, &resolver->retired, free_resolver);
    }
}

static struct lookup *look_up(struct resolver_query *query, const char *host, bool ipv6)
{
    struct resolver *resolver = query->resolver;
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL) {
        return NULL;
    }
    *lookup = (struct lookup){.resolver = resolver, .query = query};
    lookup->request =
        ipv6 ? evdns_base_resolve_ipv6(resolver->dns, host, resolver->flags, found, lookup)
             : evdns_base_resolve_ipv4(resolver->dns, host, resolver->flags, found, lookup);
    if (lookup->request == NULL) {
        free(lookup);
        return NULL;
    }
    resolver->lookups++;
    return lookup;
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
    query->lookups[0] = look_up(query, host, false);
    query->lookups[1] = look_up(query, host, true);
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

/* --- the resolver --- */

static void log_words(int is_warning, const char *words)
{
    if (is_warning) {
        log_warn("resolver", "%s", words);
    }
}

static void set_log(void)
{
    evdns_set_log_fn(log_words); /* otherwise libevent writes to standard error */
}

static enum weir_err add_nameserver(struct resolver *resolver, const char *text)
{
    enum {
        ALREADY_THERE = 3
    };
    struct sockaddr_storage address = {0};
    int size = sizeof address;
    if (evutil_parse_sockaddr_port(text, (struct sockaddr *)&address, &size) < 0) {
        return WEIR_EINVAL;
    }
    in_port_t *port = address.ss_family == AF_INET6 ? &((struct sockaddr_in6 *)&address)->sin6_port
                                                    : &((struct sockaddr_in *)&address)->sin_port;
    if (*port == 0) {
        *port = htons(DNS_PORT);
    }
    int failed = evdns_base_nameserver_sockaddr_add(resolver->dns, (struct sockaddr *)&address,
                                                    (ev_socklen_t)size, 0);
    return failed == 0 || failed == ALREADY_THERE ? WEIR_OK : WEIR_ENOMEM;
}

static enum weir_err configure(struct resolver *resolver, char *const *nameservers, size_t count)
{
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        WEIR_CHECK(evdns_base_set_option(resolver->dns, options[i][0], options[i][1]) == 0);
    }
    if (count == 0) {
        /* Without that file, evdns asks 127.0.0.1 (resolv.conf(5)). */
        evdns_base_resolv_conf_parse(resolver->dns, DNS_OPTION_NAMESERVERS | DNS_OPTION_SEARCH,
                                     "/etc/resolv.conf");
    }
    for (size_t i = 0; i < count; i++) {
        enum weir_err err = add_nameserver(resolver, nameservers[i]);
        if (err != WEIR_OK) {
            return err;
        }
    }
    return hosts_file_load("/etc/hosts", &resolver->hosts);
}

enum weir_err resolver_new(struct loop *loop, char *const *nameservers, size_t count,
                           struct resolver **out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL) {
        return WEIR_ENOMEM;
    }
    pthread_once(&once, set_log);
    resolver->loop = loop;
    resolver->flags = count == 0 ? 0 : DNS_QUERY_NO_SEARCH;
    list_init(&resolver->queries);
    resolver->dns = evdns_base_new(loop_base(loop), 0);
    enum weir_err err =
        resolver->dns != NULL ? configure(resolver, nameservers, count) : WEIR_ENOMEM;
    if (err != WEIR_OK) {
        free_resolver(&resolver->retired);
        return err;
    }
    *out = resolver;
    return WEIR_OK;
}

void resolver_free(struct resolver **resolver)
{
    struct resolver *gone = *resolver;
    if (gone == NULL) {
        return;
    }
    *resolver = NULL;
    while (!list_is_empty(&gone->queries)) {
        struct resolver_query *query = list_item(gone->queries.next, struct resolver_query, node);
        resolver_cancel(&query);
    }
    gone->freed = true;
    if (gone->lookups == 0) {
        free_resolver(&gone->retired);
    } else {
        loop_hold(gone->loop);
    }
}
