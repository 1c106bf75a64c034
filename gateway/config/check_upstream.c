/* What no single key of an upstream can know: that a hash needs a name, that two servers are the
 * same. As in check.c, a setting without effect is an error. Some defaults depend on other keys;
 * they are filled in here.
 *
 * Called by load.c after the keys of a section are loaded. */
#include "config/check_upstream.h"

#include <string.h>

#include "config/format.h"
#include "config/keys_proxy.h"
#include "config/keys_upstream.h"
#include "config/load.h"
#include "config/note.h"
#include "config/yaml_tree.h"

static bool is_written(const struct yaml_node *map, const char *key)
{
    return yaml_tree_get(map, key) != NULL;
}

/* Notes each of the keys (a list that ends with NULL) that was written. */
static void refuse_written(struct loader *l, const struct yaml_node *map, const char *const *keys,
                           const char *why)
{
    for (; *keys != NULL; keys++) {
        if (is_written(map, *keys)) {
            note_key(l, map, *keys, "has no effect %s", why);
        }
    }
}

void check_hash(struct loader *l, const struct yaml_node *map, void *section, bool clean)
{
    const struct config_hash *hash = section;
    char why[FORMAT_WHY_BYTES];
    if (!clean) {
        return;
    }
    if (hash->by == CONFIG_HASH_ADDRESS || hash->by == CONFIG_HASH_PATH) {
        refuse_written(l, map, (const char *const[]){"name", NULL},
                       hash->by == CONFIG_HASH_PATH ? "with `by: path`" : "with `by: address`");
        return;
    }
    if (hash->name == NULL) {
        note_key(l, map, "by", "needs `name` beside it: of the header field, cookie or parameter");
    } else if (hash->by != CONFIG_HASH_QUERY && !format_token.check(hash->name, why)) {
        note_key(l, map, "name", "`%.60s` %s", hash->name, why);
    }
}

void check_sticky(struct loader *l, const struct yaml_node *map, void *section, bool clean)
{
    struct config_sticky *sticky = section;
    if (!clean) {
        return;
    }
    if (sticky->learn == CONFIG_LEARN_NOTHING) {
        refuse_written(l, map, (const char *const[]){"ttl", "max_ids", NULL}, "without `learn`");
        return;
    }
    sticky->cookie = NULL;
    if (is_written(map, "cookie")) {
        note_key(l, map, "cookie", "excludes `learn`: a client is known by one or the other");
    }
    refuse_written(l, map, (const char *const[]){"secret", "max_age", "same_site", NULL},
                   "with `learn`, which sets no cookie");
}

void check_health(struct loader *l, const struct yaml_node *map, void *section, bool clean)
{
    struct config_health_check *health = section;
    if (!clean) {
        return;
    }
    if (health->path != NULL && !is_written(map, "type")) {
        health->type = CONFIG_HEALTH_HTTP;
    }
    if (health->type == CONFIG_HEALTH_TCP) {
        refuse_written(l, map, (const char *const[]){"path", "host", "status", NULL},
                       "with `type: tcp`, which only connects");
        return;
    }
    if (health->type == CONFIG_HEALTH_WEBSOCKET) {
        refuse_written(l, map, (const char *const[]){"status", NULL},
                       "with `type: websocket`, where only 101 is healthy");
    }
    if (health->path == NULL) {
        health->path = arena_text(l->arena, "/", 1);
    }
}

void check_ejection(struct loader *l, const struct yaml_node *map, void *section, bool clean)
{
    const struct config_ejection *ejection = section;
    if (clean && map != NULL && ejection->backoff_ms > ejection->max_backoff_ms) {
        note_key(l, map, is_written(map, "backoff") ? "backoff" : "max_backoff",
                 "`backoff` is longer than `max_backoff`");
    }
}

void check_upstream_tls(struct loader *l, const struct yaml_node *map, void *section, bool clean)
{
    const struct config_upstream_tls *tls = section;
    if (!clean) {
        return;
    }
    if (tls->certificate != NULL && tls->private_key == NULL) {
        note_key(l, map, "certificate", "needs `private_key` beside it");
    } else if (tls->certificate == NULL && tls->private_key != NULL) {
        note_key(l, map, "private_key", "needs `certificate` beside it");
    }
    if (!tls->verify) {
        refuse_written(l, map, (const char *const[]){"ca", NULL}, "with `verify: off`");
    }
}

void check_queue(struct loader *l, const struct yaml_node *map, void *section, bool clean)
{
    const struct config_queue *queue = section;
    if (clean && queue->size == 0) {
        refuse_written(l, map, (const char *const[]){"timeout", NULL}, "with `size: 0`");
    }
}

static void check_servers(struct loader *l, const struct yaml_node *map,
                          const struct config_upstream *upstream)
{
    struct arena scratch = {0};
    size_t count = 0;
    size_t backups = 0;
    struct note_occurrence *all = arena_alloc(&scratch, upstream->server_count * sizeof(*all));
    for (size_t i = 0; all != NULL && i < upstream->server_count; i++) {
        const struct config_server *server = &upstream->servers[i];
        char *text = arena_alloc(&scratch, FORMAT_ADDRESS_BYTES);
        backups += server->backup ? 1 : 0;
        if (server->address != NULL && text != NULL) {
            format_write_address(server->address, text);
            all[count++] = (struct note_occurrence){text, i, server->line};
        }
    }
    note_repeated(l, map, "servers", "address", all, count);
    if (upstream->server_count > 0 && backups == upstream->server_count) {
        note_key(l, map, "servers", "are all backups; at least one must not be");
    }
    l->arena->exhausted |= scratch.exhausted;
    arena_free(&scratch);
}

/* `balance: sticky` alone is the cookie with all defaults. */
static void default_sticky(struct loader *l, struct config_upstream *upstream)
{
    struct config_sticky *sticky = arena_alloc(l->arena, sizeof(*sticky));
    if (sticky != NULL) {
        load_section(l, &keys_sticky, NULL, sticky);
        upstream->sticky = sticky;
    }
}

void check_upstream(struct loader *l, const struct yaml_node *map, void *section, bool clean)
{
    struct config_upstream *upstream = section;
    bool hashes = upstream->balance == CONFIG_BALANCE_HASH;
    bool sticks = upstream->balance == CONFIG_BALANCE_STICKY;
    check_servers(l, map, upstream);
    if (!clean) {
        return;
    }
    if (hashes && upstream->hash == NULL) {
        note_key(l, map, "balance", "needs `hash` beside it: what is hashed");
    } else if (!hashes && upstream->hash != NULL) {
        note_key(l, map, "hash", "has no effect without `balance: hash`");
    }
    if (sticks && upstream->sticky == NULL) {
        default_sticky(l, upstream);
    } else if (!sticks && upstream->sticky != NULL) {
        note_key(l, map, "sticky", "has no effect without `balance: sticky`");
    }
}

void check_proxy(struct loader *l, const struct yaml_node *map, void *section, bool clean)
{
    const struct keys_proxy_handler *proxy = section;
    if (clean && proxy->ping_interval_ms == 0 && proxy->ping_timeout_ms > 0) {
        refuse_written(l, map, (const char *const[]){"ping_timeout", NULL},
                       "with `ping_interval: off`");
    }
}
