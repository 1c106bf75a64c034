/* What is known of one server, in atomics that workers and the control thread write without a lock:
 * figures are relaxed, since a late one leads to a slightly worse pick and no more. Only leases are
 * exact, because max_connections is a promise to the backend.
 * Called by the balancers and backends of all workers, and by names and health on the control
 * thread. It never opens a connection. */
#include "upstream/server.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/check.h"
#include "base/log.h"
#include "base/span.h"
#include "proto/ip_address.h"

enum {
    WEIGHT_UNIT = 1000,
    SLOWEST_PART = 10 /* slow start begins with this part of the weight */
};

#define relaxed_load(figure) atomic_load_explicit(&(figure), memory_order_relaxed)
#define relaxed_store(figure, value) atomic_store_explicit(&(figure), (value), memory_order_relaxed)
#define relaxed_add(figure) atomic_fetch_add_explicit(&(figure), 1, memory_order_relaxed)

/* --- one server's names --- */

static void text_of_unix(const struct sockaddr *address, socklen_t size,
                         char out[SERVER_ADDRESS_BYTES])
{
    size_t at = offsetof(struct sockaddr_un, sun_path);
    snprintf(out, SERVER_ADDRESS_BYTES, "unix:%.*s", (int)(size - at), (const char *)address + at);
}

static void text_of_address(const struct sockaddr *address, socklen_t size,
                            char out[SERVER_ADDRESS_BYTES])
{
    struct ip_address ip = {0};
    if (address->sa_family == AF_UNIX) {
        text_of_unix(address, size, out);
        return;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        ip.family = IP_V6;
        ip.port = ntohs(v6.sin6_port);
        memcpy(ip.bytes, &v6.sin6_addr, 16);
    } else {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        ip.family = IP_V4;
        ip.port = ntohs(v4.sin_port);
        memcpy(ip.bytes, &v4.sin_addr, 4);
    }
    _Static_assert(SERVER_ADDRESS_BYTES >= (int)IP_ADDRESS_TEXT_BYTES, "an address fits");
    ip_address_format(&ip, true, out);
}

/* The configured address without its port, and an IPv6 address without its brackets. */
static void host_of(const char *address, char out[SERVER_HOST_BYTES])
{
    const char *colon = strrchr(address, ':');
    size_t size = colon == NULL ? strlen(address) : (size_t)(colon - address);
    if (strncmp(address, "unix:", 5) == 0) {
        size = 0; /* a path is no name: requests say `localhost` */
        address = "localhost";
        size = strlen(address);
    } else if (address[0] == '[' && size > 2) {
        address++;
        size -= 2;
    }
    snprintf(out, SERVER_HOST_BYTES, "%.*s", (int)size, address);
}

/* FNV-1a, 64 bits: cookies that name a server are believed again after a restart, so the number may
 * not depend on anything but the text. */
static uint64_t id_of(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3U;
    }
    return hash != 0 ? hash : 1; /* 0 is "any server" */
}

/* --- life --- */

struct upstream_server *server_new(const struct config_upstream *upstream,
                                   const struct config_server *config,
                                   const struct sockaddr *address, socklen_t address_size)
{
    struct upstream_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return NULL;
    }
    WEIR_CHECK(address_size <= sizeof server->address);
    server->config = config;
    server->upstream = upstream;
    memcpy(&server->address, address, address_size);
    server->address_size = address_size;
    text_of_address(address, address_size, server->text);
    host_of(config->address, server->host);
    server->id = id_of(server->text);
    atomic_init(&server->references, 1);
    atomic_init(&server->state, config->state);
    atomic_init(&server->healthy, true);
    return server;
}

struct upstream_server *server_share(struct upstream_server *server)
{
    relaxed_add(server->references);
    return server;
}

void server_release(struct upstream_server **server)
{
    struct upstream_server *mine = *server;
    *server = NULL;
    if (mine != NULL &&
        atomic_fetch_sub_explicit(&mine->references, 1, memory_order_acq_rel) == 1) {
        free(mine);
    }
}

const char *server_tls_name(const struct upstream_server *server)
{
    const struct config_upstream_tls *tls = server->upstream->tls;
    return tls != NULL && tls->server_name != NULL ? tls->server_name : server->host;
}

/* --- whether it may be asked --- */

bool server_is_ejected(const struct upstream_server *server, uint64_t now_ms)
{
    return now_ms < relaxed_load(server->ejected_until_ms);
}

bool server_takes_new(const struct upstream_server *server, uint64_t now_ms)
{
    return server_takes_in_need(server) && !server_is_ejected(server, now_ms);
}

bool server_takes_in_need(const struct upstream_server *server)
{
    return relaxed_load(server->state) == CONFIG_SERVER_UP && relaxed_load(server->healthy);
}

bool server_serves_its_own(const struct upstream_server *server, uint64_t now_ms)
{
    return relaxed_load(server->state) != CONFIG_SERVER_DOWN && relaxed_load(server->healthy) &&
           !server_is_ejected(server, now_ms);
}

bool server_lease(struct upstream_server *server)
{
    uint64_t max = server->config->max_connections;
    unsigned active = relaxed_load(server->active);
    do {
        if (max > 0 && active >= max) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&server->active, &active, active + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    relaxed_add(server->requests);
    return true;
}

void server_unlease(struct upstream_server *server)
{
    unsigned before = atomic_fetch_sub_explicit(&server->active, 1, memory_order_relaxed);
    WEIR_CHECK(before > 0);
}

uint64_t server_effective_weight(const struct upstream_server *server, uint64_t now_ms)
{
    uint64_t full = server->config->weight * WEIGHT_UNIT;
    uint64_t least = full / SLOWEST_PART;
    uint64_t length_ms = server->upstream->slow_start_ms;
    uint64_t since_ms = relaxed_load(server->rising_since_ms);
    if (since_ms == 0 || length_ms == 0) {
        return full;
    }
    if (now_ms <= since_ms) {
        return least;
    }
    uint64_t passed_ms = now_ms - since_ms;
    return passed_ms >= length_ms ? full : least + (full - least) * passed_ms / length_ms;
}

/* --- what requests find out --- */

void server_succeeded(struct upstream_server *server, uint64_t now_ms)
{
    /* Read first: healthy servers' lines stay shared among the workers' caches. */
    if (relaxed_load(server->failures) != 0) {
        relaxed_store(server->failures, 0);
    }
    /* A good answer that was under way when the server was ejected tells nothing new. */
    if (relaxed_load(server->ejections) != 0 && !server_is_ejected(server, now_ms) &&
        atomic_exchange_explicit(&server->ejections, 0, memory_order_relaxed) != 0) {
        log_info("upstream", "%s: server %s answers well again", server->upstream->name,
                 server->text);
    }
}

static uint64_t backoff_ms(const struct config_ejection *config, unsigned ejections)
{
    uint64_t ms = config->backoff_ms;
    while (ejections-- > 0 && ms < config->max_backoff_ms) {
        ms *= 2;
    }
    return ms < config->max_backoff_ms ? ms : config->max_backoff_ms;
}

/* The one of several threads that moves ejected_until_ms has ejected it. */
static void eject(struct upstream_server *server, unsigned failures, uint64_t now_ms)
{
    unsigned long long until_ms = relaxed_load(server->ejected_until_ms);
    if (now_ms < until_ms) {
        return; /* requests that were under way: they tell nothing new */
    }
    unsigned ejections = relaxed_load(server->ejections);
    uint64_t ms = backoff_ms(&server->upstream->ejection, ejections);
    if (!atomic_compare_exchange_strong_explicit(&server->ejected_until_ms, &until_ms, now_ms + ms,
                                                 memory_order_relaxed, memory_order_relaxed)) {
        return;
    }
    relaxed_add(server->ejections);
    relaxed_store(server->rising_since_ms, now_ms + ms);
    log_warn("upstream", "%s: server %s is left out for %llu ms after %u failures in a row",
             server->upstream->name, server->text, (unsigned long long)ms, failures);
}

void server_failed(struct upstream_server *server, uint64_t now_ms)
{
    relaxed_add(server->errors);
    /* The count is kept when the server is ejected, so that the first failure after it ejects
     * again; only a good answer clears it. */
    unsigned failures = relaxed_add(server->failures) + 1;
    if (server->upstream->ejection.enabled && failures >= server->upstream->ejection.failures) {
        eject(server, failures, now_ms);
    }
}

/* --- what the control thread and the operator say --- */

void server_start_slowly(struct upstream_server *server, uint64_t now_ms)
{
    relaxed_store(server->rising_since_ms, now_ms);
}

void server_set_healthy(struct upstream_server *server, bool healthy, uint64_t now_ms)
{
    if (atomic_exchange_explicit(&server->healthy, healthy, memory_order_relaxed) == healthy ||
        !healthy) {
        return;
    }
    relaxed_store(server->failures, 0);
    relaxed_store(server->ejections, 0);
    relaxed_store(server->ejected_until_ms, 0);
    server_start_slowly(server, now_ms);
}

void server_set_state(struct upstream_server *server, enum config_server_state state,
                      uint64_t now_ms)
{
    unsigned before = atomic_exchange_explicit(&server->state, state, memory_order_relaxed);
    if (state == CONFIG_SERVER_UP && before != CONFIG_SERVER_UP) {
        server_start_slowly(server, now_ms);
    }
}
