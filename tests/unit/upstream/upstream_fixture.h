/* An upstream's configuration that a test writes by hand, and servers of it. */
#ifndef WEIR_TESTS_UPSTREAM_FIXTURE_H
#define WEIR_TESTS_UPSTREAM_FIXTURE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "config/config.h"
#include "net/resolver.h"
#include "upstream/server.h"

enum {
    FIXTURE_SERVERS = 4
};

struct upstream_fixture {
    struct config_upstream config;
    struct config_server servers[FIXTURE_SERVERS];
};

/* All servers are `localhost:80`, of weight 1 and without a limit. */
static inline void upstream_fixture_init(struct upstream_fixture *fixture, size_t servers)
{
    static char name[] = "chat";
    static char address[] = "localhost:80";
    *fixture = (struct upstream_fixture){0};
    for (size_t i = 0; i < FIXTURE_SERVERS; i++) {
        fixture->servers[i] = (struct config_server){.address = address, .weight = 1};
    }
    fixture->config = (struct config_upstream){
        .name = name,
        .servers = fixture->servers,
        .server_count = servers,
        .queue = {.size = 2},
        .ejection = {.enabled = true, .failures = 3, .backoff_ms = 100, .max_backoff_ms = 350},
        .resolve_interval_ms = 200,
    };
}

static inline struct resolver_address fixture_v4(const char *ip, uint16_t port)
{
    struct resolver_address out = {.size = sizeof(struct sockaddr_in)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, ip, &v4.sin_addr);
    memcpy(&out.address, &v4, sizeof v4);
    return out;
}

static inline struct resolver_address fixture_v6(const char *ip, uint16_t port)
{
    struct resolver_address out = {.size = sizeof(struct sockaddr_in6)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    inet_pton(AF_INET6, ip, &v6.sin6_addr);
    memcpy(&out.address, &v6, sizeof v6);
    return out;
}

static inline struct upstream_server *fixture_server(const struct upstream_fixture *fixture,
                                                     const struct resolver_address *at)
{
    return server_new(&fixture->config, &fixture->servers[0],
                      (const struct sockaddr *)(const void *)&at->address, at->size);
}

#endif
