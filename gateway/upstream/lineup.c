/* Keeps the servers of each entry of the configuration, and publishes all of them in the order of
 * the configuration when one entry changes.
 * Called when upstreams are made, and by names.c with each answer. It never looks at what lives in
 * a server; one that leaves lives on for whoever holds it. */
#include "upstream/lineup.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"

struct entry {
    struct upstream_server **servers;
    size_t count; /* 0: unknown yet */
};

struct lineup {
    struct upstream_group *group;
    lineup_fn changed;
    void *context;
    size_t entry_count;
    struct entry entries[]; /* as the configuration's servers */
};

static void entry_free(struct entry *entry)
{
    for (size_t i = 0; i < entry->count; i++) {
        server_release(&entry->servers[i]);
    }
    free(entry->servers);
    *entry = (struct entry){0};
}

struct lineup *lineup_new(struct upstream_group *group)
{
    size_t count = group->config->server_count;
    struct lineup *lineup = calloc(1, sizeof *lineup + count * sizeof(lineup->entries[0]));
    if (lineup != NULL) {
        lineup->group = group;
        lineup->entry_count = count;
    }
    return lineup;
}

void lineup_free(struct lineup **lineup)
{
    struct lineup *mine = *lineup;
    *lineup = NULL;
    if (mine == NULL) {
        return;
    }
    for (size_t i = 0; i < mine->entry_count; i++) {
        entry_free(&mine->entries[i]);
    }
    free(mine);
}

void lineup_on_change(struct lineup *lineup, lineup_fn fn, void *context)
{
    lineup->changed = fn;
    lineup->context = context;
}

struct upstream_group *lineup_group(const struct lineup *lineup)
{
    return lineup->group;
}

/* --- one entry --- */

static struct upstream_server *entry_find(const struct entry *entry, const char *text)
{
    for (size_t i = 0; i < entry->count; i++) {
        if (strcmp(entry->servers[i]->text, text) == 0) {
            return entry->servers[i];
        }
    }
    return NULL;
}

static bool entry_is_same(const struct entry *a, const struct entry *b)
{
    return a->count == b->count &&
           memcmp(a->servers, b->servers, a->count * sizeof(struct upstream_server *)) == 0;
}

/* The server of that address: the one that is there already, or a new one. Given. */
static struct upstream_server *find_or_make(const struct lineup *lineup, size_t index,
                                            const struct resolver_address *address, uint64_t now_ms)
{
    const struct entry *entry = &lineup->entries[index];
    const struct config_upstream *config = lineup->group->config;
    struct upstream_server *server =
        server_new(config, &config->servers[index],
                   (const struct sockaddr *)(const void *)&address->address, address->size);
    if (server == NULL) {
        return NULL;
    }
    struct upstream_server *old = entry_find(entry, server->text);
    if (old != NULL) {
        server_release(&server);
        return server_share(old);
    }
    if (entry->count > 0) {
        server_start_slowly(server, now_ms);
    }
    return server;
}

static enum weir_err entry_make(const struct lineup *lineup, size_t index,
                                const struct resolver_address *addresses, size_t count,
                                uint64_t now_ms, struct entry *out)
{
    *out = (struct entry){.servers = calloc(count, sizeof(out->servers[0]))};
    if (out->servers == NULL) {
        return WEIR_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        struct upstream_server *server = find_or_make(lineup, index, &addresses[i], now_ms);
        if (server == NULL) {
            entry_free(out);
            return WEIR_ENOMEM;
        }
        out->servers[out->count++] = server;
    }
    return WEIR_OK;
}

/* Who is in `a` and not in `b`. Fixed addresses are no news. */
static void log_difference(const struct lineup *lineup, const struct entry *a,
                           const struct entry *b, const char *words)
{
    for (size_t i = 0; i < a->count; i++) {
        const struct upstream_server *server = a->servers[i];
        if (entry_find(b, server->text) == NULL &&
            strcmp(server->text, server->config->address) != 0) {
            log_info("upstream", "%s: %s: server %s has %s", lineup->group->config->name,
                     server->config->address, server->text, words);
        }
    }
}

/* --- all of them --- */

static struct roster *compose(const struct lineup *lineup)
{
    size_t total = 0;
    bool pending = false;
    for (size_t i = 0; i < lineup->entry_count; i++) {
        total += lineup->entries[i].count;
        pending |= lineup->entries[i].count == 0;
    }
    struct upstream_server **servers = calloc(total + 1, sizeof(servers[0]));
    if (servers == NULL) {
        return NULL;
    }
    size_t count = 0;
    for (size_t i = 0; i < lineup->entry_count; i++) {
        const struct entry *entry = &lineup->entries[i];
        for (size_t j = 0; j < entry->count; j++) {
            servers[count++] = entry->servers[j];
        }
    }
    struct roster *roster = roster_new(servers, count, pending);
    free(servers);
    return roster;
}

enum weir_err lineup_set(struct lineup *lineup, size_t index,
                         const struct resolver_address *addresses, size_t count, uint64_t now_ms)
{
    WEIR_CHECK(index < lineup->entry_count && count > 0);
    struct entry next;
    enum weir_err err = entry_make(lineup, index, addresses, count, now_ms, &next);
    if (err != WEIR_OK) {
        return err;
    }
    struct entry before = lineup->entries[index];
    if (entry_is_same(&before, &next)) {
        entry_free(&next);
        return WEIR_OK;
    }
    lineup->entries[index] = next;
    struct roster *roster = compose(lineup);
    if (roster == NULL) {
        lineup->entries[index] = before;
        entry_free(&next);
        return WEIR_ENOMEM;
    }
    group_publish(lineup->group, roster);
    log_difference(lineup, &next, &before, "joined");
    log_difference(lineup, &before, &next, "left");
    entry_free(&before);
    if (lineup->changed != NULL) {
        lineup->changed(lineup->context);
    }
    return WEIR_OK;
}
