/* What no single key can know: that two routes are the same, that one limit does not fit another.
 * A setting that would have no effect is an error too, since its author expects one.
 *
 * Called by load.c after the keys of a section are loaded. It reads the loaded structs for values
 * and the tree only for places. */
#include "config/check.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/format.h"
#include "config/load.h"
#include "config/note.h"
#include "config/yaml_tree.h"

enum {
    MOST_WORKERS = 1024
};

/* `PATH HOST`, the path's case kept apart by hexadecimal, since only hosts ignore case. */
static char *route_text(struct arena *scratch, const char *path, const char *host)
{
    size_t size = strlen(path) * 2 + 1 + strlen(host);
    char *text = arena_alloc(scratch, size + 1);
    char *at = text;
    for (; text != NULL && *path != '\0'; path++) {
        at += sprintf(at, "%02x", (unsigned char)*path);
    }
    if (text != NULL) {
        sprintf(at, " %s", host);
    }
    return text;
}

static size_t count_hosts(const struct config_route *route)
{
    return route->hosts.count > 0 ? route->hosts.count : 1;
}

static void check_routes(struct loader *l, const struct yaml_node *map, const struct config *config)
{
    struct arena scratch = {0};
    size_t most = 0;
    size_t count = 0;
    for (size_t i = 0; i < config->route_count; i++) {
        most += count_hosts(&config->routes[i]);
    }
    struct note_occurrence *all = arena_alloc(&scratch, most * sizeof(*all));
    for (size_t i = 0; all != NULL && i < config->route_count; i++) {
        const struct config_route *route = &config->routes[i];
        for (size_t j = 0; route->path != NULL && j < count_hosts(route); j++) {
            const char *host = route->hosts.count > 0 ? route->hosts.items[j] : "";
            const char *text = route_text(&scratch, route->path, host);
            if (text != NULL) {
                all[count++] = (struct note_occurrence){text, i, route->line};
            }
        }
    }
    note_repeated(l, map, "routes", "path", all, count);
    l->arena->exhausted |= scratch.exhausted;
    arena_free(&scratch);
}

static void check_addresses(struct loader *l, const struct yaml_node *map,
                            const struct config *config)
{
    struct arena scratch = {0};
    size_t count = 0;
    struct note_occurrence *all = arena_alloc(&scratch, config->listen_count * sizeof(*all));
    for (size_t i = 0; all != NULL && i < config->listen_count; i++) {
        char *text = arena_alloc(&scratch, FORMAT_ADDRESS_BYTES);
        if (config->listen[i].address != NULL && text != NULL) {
            format_write_address(config->listen[i].address, text);
            all[count++] = (struct note_occurrence){text, i, config->listen[i].line};
        }
    }
    note_repeated(l, map, "listen", "address", all, count);
    l->arena->exhausted |= scratch.exhausted;
    arena_free(&scratch);
}

static uint64_t count_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        return 1; /* more than CPU_SETSIZE processors, which no one asks `auto` to take */
    }
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count > MOST_WORKERS ? MOST_WORKERS : (uint64_t)count;
}

void check_root(struct loader *l, const struct yaml_node *map, void *section, bool clean)
{
    (void)clean;
    struct config *config = section;
    if (config->workers == 0) {
        config->workers = count_processors();
    }
    check_addresses(l, map, config);
    check_routes(l, map, config);
}

void check_listener(struct loader *l, const struct yaml_node *map, void *section, bool clean)
{
    const struct config_listener *listener = section;
    if (!clean) {
        return;
    }
    bool is_unix = strncmp(listener->address, "unix:", 5) == 0;
    if (listener->proxy_protocol && listener->proxy_protocol_from.count == 0 && !is_unix) {
        note_key(l, map, "proxy_protocol", "needs `proxy_protocol_from`: who may send the header");
    }
    if (!listener->proxy_protocol && listener->proxy_protocol_from.count > 0) {
        note_key(l, map, "proxy_protocol_from", "has no effect without `proxy_protocol: on`");
    }
}

/* The pair of `tls` itself goes before the certificates by name. */
static void put_pair_first(struct loader *l, struct config_tls *tls)
{
    size_t count = tls->certificate_count + 1;
    struct config_certificate *all = arena_alloc(l->arena, count * sizeof(*all));
    if (all == NULL) {
        return;
    }
    all[0] = (struct config_certificate){NULL, tls->certificate, tls->private_key};
    if (tls->certificate_count > 0) {
        memcpy(all + 1, tls->certificates, tls->certificate_count * sizeof(*all));
    }
    tls->certificates = all;
    tls->certificate_count = count;
}

static void check_names(struct loader *l, const struct yaml_node *map, const struct config_tls *tls)
{
    struct arena scratch = {0};
    struct note_occurrence *all = arena_alloc(&scratch, tls->certificate_count * sizeof(*all));
    for (size_t i = 0; all != NULL && i < tls->certificate_count; i++) {
        unsigned line = note_item_node(map, "certificates", i)->line;
        all[i] = (struct note_occurrence){tls->certificates[i].host, i, line};
    }
    note_repeated(l, map, "certificates", "host", all, all != NULL ? tls->certificate_count : 0);
    l->arena->exhausted |= scratch.exhausted;
    arena_free(&scratch);
}

void check_tls(struct loader *l, const struct yaml_node *map, void *section, bool clean)
{
    struct config_tls *tls = section;
    if (!clean) {
        return;
    }
    if (tls->certificate != NULL && tls->private_key == NULL) {
        note_key(l, map, "certificate", "needs `private_key` beside it");
    } else if (tls->certificate == NULL && tls->private_key != NULL) {
        note_key(l, map, "private_key", "needs `certificate` beside it");
    } else if (tls->certificate == NULL && tls->certificate_count == 0) {
        problems_add(l->problems, map->line, map->column,
                     "needs `certificate` and `private_key`, or `certificates`");
    }
    if (tls->client_certificate != CONFIG_CLIENT_NONE && tls->client_ca == NULL) {
        note_key(l, map, "client_certificate", "needs `client_ca`: who signs client certificates");
    }
    if (tls->client_certificate == CONFIG_CLIENT_NONE && tls->client_ca != NULL) {
        note_key(l, map, "client_ca",
                 "has no effect without `client_certificate: optional` or `required`");
    }
    check_names(l, map, tls);
    if (tls->certificate != NULL) {
        put_pair_first(l, tls);
    }
}

void check_http(struct loader *l, const struct yaml_node *map, void *section, bool clean)
{
    const struct config_http *http = section;
    if (clean && map != NULL && http->max_line_size > http->max_header_size) {
        const char *key =
            yaml_tree_get(map, "max_line_size") != NULL ? "max_line_size" : "max_header_size";
        note_key(l, map, key,
                 "`max_line_size` is larger than `max_header_size`, which the line is part of");
    }
}

void check_websocket(struct loader *l, const struct yaml_node *map, void *section, bool clean)
{
    const struct config_websocket *websocket = section;
    const struct yaml_node *timeout = yaml_tree_get(map, "keep_alive_timeout");
    if (clean && websocket->keep_alive_interval_ms == 0 && timeout != NULL &&
        websocket->keep_alive_timeout_ms > 0) {
        note_key(l, map, "keep_alive_timeout", "has no effect with `keep_alive_interval: off`");
    }
}
