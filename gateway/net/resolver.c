/* The resolver itself: evdns, how it is set up, and its lookups. Made by upstream/ for servers that
 * are known by name; resolver_query.c is what it is used by.
 *
 * evdns always calls back once for each lookup, also after it was cancelled, in a later turn; and
 * its base must not be freed before. So lookups outlive their query, and the resolver its owner. */
#include "net/resolver.h"

#include <event2/dns.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "net/resolver_internal.h"

enum {
    DNS_PORT = 53
};

/* evdns's way to count a server's failures blames the one that is tried next, so a server that
 * lives would be given up for one that is dead; 255 is the most it takes. A second for each try,
 * and for a look whether a server that failed is back. */
static const char *const options[][2] = {
    {"timeout", "1"}, {"attempts", "5"}, {"max-timeouts", "255"}, {"initial-probe-timeout", "1"}};

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

static void found(int result, char type, int count, int ttl, void *addresses, void *context)
{
    struct resolver_lookup *lookup = context;
    struct resolver *resolver = lookup->resolver;
    struct resolver_query *query = lookup->query;
    (void)ttl;
    if (query != NULL) {
        const char *why = NULL;
        if (result != DNS_ERR_NONE) {
            why = evdns_err_to_string(result);
            count = 0;
        } else if (count == 0) {
            why = "the name has no address";
        }
        resolver_query_take(query, lookup, type == DNS_IPv4_A ? AF_INET : AF_INET6, addresses,
                            (size_t)count, why);
    }
    free(lookup);
    resolver->lookups--;
    if (resolver->freed && resolver->lookups == 0) {
        loop_let_go(resolver->loop);
        loop_retire(resolver->loop, &resolver->retired, free_resolver);
    }
}

struct resolver_lookup *resolver_look_up(struct resolver_query *query, const char *host, bool ipv6)
{
    struct resolver *resolver = query->resolver;
    struct resolver_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL) {
        return NULL;
    }
    *lookup = (struct resolver_lookup){.resolver = resolver, .query = query};
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

void resolver_give_up(struct resolver_lookup *lookup)
{
    lookup->query = NULL;
    evdns_cancel_request(lookup->resolver->dns, lookup->request);
}

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
