/* The worker part of a generation: starts each plugin on this worker and strings chains together.
 * Runs on the worker's thread when it starts and at each reload. */
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "worker/plugin_kinds.h"
#include "worker/registry_internal.h"

enum {
    WHY_BYTES = 1024
};

/* What hangs on generation->owner. */
struct worker_part {
    struct generation generation;
    struct config_route nowhere_config;
    struct route nowhere;
    struct registry *registry;
    void **selves; /* one for each of the registry's plugins */
    size_t started;
    struct chain_link *links; /* of all chains, one behind the other */
};

static void worker_part_free(struct worker_part *part)
{
    for (size_t i = 0; i < part->started; i++) {
        const struct loaded_plugin *loaded = &part->registry->plugins[i];
        if (loaded->ops->worker_start != NULL && loaded->ops->worker_stop != NULL) {
            loaded->ops->worker_stop(part->selves[i]);
        }
    }
    free(part->selves);
    free(part->links);
    free(part->generation.routes);
    free(part->generation.trusted_proxies);
    registry_release(&part->registry);
    free(part);
}

static void last_user_left(struct generation *generation)
{
    worker_part_free(generation->owner);
}

static enum weir_err start_plugins(struct worker_part *part, struct weir_worker *worker)
{
    struct registry *registry = part->registry;
    part->selves = calloc(registry->plugin_count + 1, sizeof *part->selves);
    if (part->selves == NULL) {
        return WEIR_ENOMEM;
    }
    for (size_t i = 0; i < registry->plugin_count; i++) {
        const struct loaded_plugin *loaded = &registry->plugins[i];
        char why[WHY_BYTES] = "";
        if (loaded->ops->worker_start == NULL) {
            part->selves[i] = loaded->plugin;
        } else if (loaded->ops->worker_start(loaded->plugin, worker, &part->selves[i], why,
                                             sizeof why) != 0) {
            log_error("plugin", "%s does not start: %s", loaded->config->name, why);
            return WEIR_EINVAL;
        }
        part->started++;
    }
    return WEIR_OK;
}

static struct chain_link link_of(const struct worker_part *part, const struct config_plugin *plugin)
{
    const struct registry *registry = part->registry;
    for (size_t i = 0; i < registry->plugin_count; i++) {
        const struct config_plugin *other = registry->plugins[i].config;
        if (registry_is_same_plugin(other, plugin)) {
            return plugin_kinds_link(registry->plugins[i].ops, part->selves[i]);
        }
    }
    WEIR_CHECK(0 && "every plugin of the configuration has been loaded");
    return (struct chain_link){0};
}

static void describe_chain(struct route *route)
{
    unsigned handler = route->chain_count - 1;
    route->first_reader = route->chain_count;
    route->has_sender = false;
    for (unsigned i = route->chain_count; i-- > 0;) {
        if (route->chain[i].ops->on_message != NULL) {
            route->first_reader = i;
        }
        if (route->chain[i].ops->on_send != NULL) {
            route->has_sender = true;
        }
    }
    route->piecewise =
        route->chain[handler].ops->on_piece != NULL && route->first_reader >= handler;
}

static void make_route(const struct worker_part *part, const struct config_route *config,
                       struct chain_link *links, struct route *route)
{
    route->config = config;
    route->chain = links;
    route->chain_count = (unsigned)config->plugin_count + 1;
    for (size_t i = 0; i < config->plugin_count; i++) {
        links[i] = link_of(part, &config->plugins[i]);
    }
    links[config->plugin_count] = link_of(part, &config->handler);
    describe_chain(route);
    if (config->websocket != NULL) {
        const struct config_compression *compression = &config->websocket->compression;
        route->rules = (struct ws_decoder_rules){
            .expects_mask = true,
            .max_message_size = config->websocket->max_message_size,
        };
        route->deflate = (struct ws_deflate_params){
            .server_no_context_takeover = !compression->server_context_takeover,
            .client_no_context_takeover = !compression->client_context_takeover,
            .server_max_window_bits = (uint8_t)compression->server_max_window_bits,
            .client_max_window_bits = (uint8_t)compression->client_max_window_bits,
        };
    }
}

static enum weir_err make_routes(struct worker_part *part)
{
    const struct config *config = part->registry->config;
    struct generation *generation = &part->generation;
    size_t links = 0;
    for (size_t i = 0; i < config->route_count; i++) {
        links += config->routes[i].plugin_count + 1;
    }
    part->links = calloc(links + 1, sizeof *part->links);
    generation->routes = calloc(config->route_count + 1, sizeof *generation->routes);
    if (part->links == NULL || generation->routes == NULL) {
        return WEIR_ENOMEM;
    }
    struct chain_link *next = part->links;
    for (size_t i = 0; i < config->route_count; i++) {
        make_route(part, &config->routes[i], next, &generation->routes[i]);
        next += generation->routes[i].chain_count;
    }
    generation->route_count = config->route_count;
    return WEIR_OK;
}

enum weir_err registry_start_worker(struct registry *registry, struct weir_worker *worker,
                                    struct generation **out)
{
    struct worker_part *part = calloc(1, sizeof *part);
    if (part == NULL) {
        return WEIR_ENOMEM;
    }
    part->registry = registry_share(registry);
    part->nowhere_config = (struct config_route){
        .path = (char *)(uintptr_t) "",
        .max_body_size = registry->config->http.max_body_size,
    };
    part->nowhere = (struct route){.config = &part->nowhere_config};
    part->generation = (struct generation){
        .config = registry->config,
        .nowhere = &part->nowhere,
        .users = 1,
        .last_user_left = last_user_left,
        .owner = part,
    };
    enum weir_err err =
        registry_blocks(&registry->config->http.trusted_proxies, &part->generation.trusted_proxies,
                        &part->generation.trusted_proxy_count);
    if (err == WEIR_OK) {
        err = start_plugins(part, worker);
    }
    if (err == WEIR_OK) {
        err = make_routes(part);
    }
    if (err != WEIR_OK) {
        worker_part_free(part);
        return err;
    }
    *out = &part->generation;
    return WEIR_OK;
}
