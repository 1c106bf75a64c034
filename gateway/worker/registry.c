/* The process part of a generation: plugins and certificates, loaded once and shared by all
 * workers. What one worker makes of it is in registry_worker.c. Called at start and at each reload;
 * nothing here is on the data path. */
#include "worker/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/shared_dicts.h"
#include "net/tls_context.h"
#include "upstream/upstreams.h"
#include "worker/plugin_kinds.h"
#include "worker/registry_internal.h"

enum {
    WHY_BYTES = 1024
};

bool registry_is_same_plugin(const struct config_plugin *a, const struct config_plugin *b)
{
    return a->kind == b->kind && strcmp(a->file, b->file) == 0 &&
           strcmp(a->settings_json, b->settings_json) == 0 && a->trusted == b->trusted &&
           memcmp(&a->lua, &b->lua, sizeof a->lua) == 0;
}

/* Routes that name the same plugin with the same settings share one. */
static struct loaded_plugin *find_loaded(struct registry *registry,
                                         const struct config_plugin *config)
{
    for (size_t i = 0; i < registry->plugin_count; i++) {
        if (registry_is_same_plugin(registry->plugins[i].config, config)) {
            return &registry->plugins[i];
        }
    }
    return NULL;
}

static enum weir_err load_plugin(struct registry *registry, const struct config_plugin *config,
                                 const char *file, struct buffer *errors)
{
    struct loaded_plugin *loaded = &registry->plugins[registry->plugin_count];
    struct weir_plugin_config given = {
        .struct_size = sizeof given,
        .name = config->name,
        .file = config->file,
        .settings_json = config->settings_json,
    };
    char why[WHY_BYTES] = "";
    if (find_loaded(registry, config) != NULL) {
        return WEIR_OK;
    }
    loaded->config = config;
    loaded->ops = plugin_kinds_ops(config);
    if (loaded->ops == NULL) {
        return buffer_printf(errors, "%s:%u:1: %s: no such kind of plugin\n", file, config->line,
                             config->name);
    }
    plugin_kinds_prepare_plugin(registry->config, config);
    if (loaded->ops->load != NULL &&
        loaded->ops->load(&given, &loaded->plugin, why, sizeof why) != 0) {
        return buffer_printf(errors, "%s:%u:1: plugin `%s`: %s\n", file, config->line, config->name,
                             why);
    }
    registry->plugin_count++;
    return WEIR_OK;
}

/* Plugins find them as soon as they are loaded. Those of an earlier configuration go on. */
static enum weir_err declare_shared(const struct config *config, const char *file)
{
    for (size_t i = 0; i < config->shared_count; i++) {
        const struct config_shared *shared = &config->shared[i];
        size_t kept = 0;
        if (shared_dicts_declare(shared->name, shared->size, &kept) != WEIR_OK) {
            return WEIR_ENOMEM;
        }
        if (kept != shared->size) {
            log_warn("config", "%s:%u: shared.%s keeps its size of %zu bytes until a restart", file,
                     shared->line, shared->name, kept);
        }
    }
    return WEIR_OK;
}

static enum weir_err load_plugins(struct registry *registry, const char *file,
                                  struct buffer *errors)
{
    const struct config *config = registry->config;
    size_t most = 0;
    for (size_t i = 0; i < config->route_count; i++) {
        most += config->routes[i].plugin_count + 1;
    }
    registry->plugins = calloc(most, sizeof *registry->plugins);
    if (registry->plugins == NULL) {
        return WEIR_ENOMEM;
    }
    plugin_kinds_prepare(config, registry->upstreams);
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = &config->routes[i];
        for (size_t p = 0; p <= route->plugin_count; p++) {
            const struct config_plugin *plugin =
                p < route->plugin_count ? &route->plugins[p] : &route->handler;
            enum weir_err err = load_plugin(registry, plugin, file, errors);
            if (err != WEIR_OK) {
                return err;
            }
        }
    }
    return WEIR_OK;
}

static enum weir_err load_tls(const struct config_tls *config, struct tls_context **out, char *why,
                              size_t size)
{
    struct tls_certificate *certificates = calloc(config->certificate_count, sizeof *certificates);
    if (certificates == NULL) {
        return WEIR_ENOMEM;
    }
    for (size_t i = 0; i < config->certificate_count; i++) {
        certificates[i] = (struct tls_certificate){
            .host = config->certificates[i].host,
            .certificate = config->certificates[i].certificate,
            .private_key = config->certificates[i].private_key,
        };
    }
    struct tls_settings settings = {
        .certificates = certificates,
        .certificate_count = config->certificate_count,
        .client_ca = config->client_ca,
        .client_certificate = (enum tls_client_certificate)config->client_certificate,
        .tls_1_3_only = config->min_version == CONFIG_TLS_1_3,
        .session_resumption = config->session_resumption,
    };
    enum weir_err err = tls_context_new(&settings, why, size, out);
    free(certificates);
    return err;
}

enum weir_err registry_blocks(const struct config_strings *texts, struct ip_block **out,
                              size_t *count)
{
    *out = calloc(texts->count + 1, sizeof **out);
    *count = texts->count;
    if (*out == NULL) {
        return WEIR_ENOMEM;
    }
    for (size_t i = 0; i < texts->count; i++) {
        enum weir_err err = ip_block_parse(span_of(texts->items[i]), &(*out)[i]);
        if (err != WEIR_OK) {
            return err; /* the configuration has been checked, so this is not the user's doing */
        }
    }
    return WEIR_OK;
}

static enum weir_err load_listeners(struct registry *registry, const char *file,
                                    struct buffer *errors)
{
    const struct config *config = registry->config;
    registry->listeners = calloc(config->listen_count + 1, sizeof *registry->listeners);
    if (registry->listeners == NULL) {
        return WEIR_ENOMEM;
    }
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct config_listener *listen = &config->listen[i];
        struct listener_setup *setup = &registry->listeners[i];
        char why[WHY_BYTES] = "";
        setup->config = listen;
        enum weir_err err = registry_blocks(&listen->proxy_protocol_from, &setup->proxy_from,
                                            &setup->proxy_from_count);
        if (err == WEIR_OK && listen->tls != NULL &&
            load_tls(listen->tls, &setup->tls, why, sizeof why) != WEIR_OK) {
            err = buffer_printf(errors, "%s:%u:1: listen `%s`: %s\n", file, listen->line,
                                listen->address, why);
        }
        if (err != WEIR_OK) {
            return err;
        }
    }
    return WEIR_OK;
}

enum weir_err registry_load(struct config *config, const char *file, struct buffer *errors,
                            struct registry **out)
{
    struct registry *registry = calloc(1, sizeof *registry);
    size_t errors_before = errors->size;
    if (registry == NULL) {
        return WEIR_ENOMEM;
    }
    atomic_init(&registry->references, 1);
    registry->config = config_share(config);
    enum weir_err err = load_listeners(registry, file, errors);
    if (err == WEIR_OK) {
        err = upstreams_new(config, file, errors, &registry->upstreams);
    }
    if (err == WEIR_OK) {
        err = declare_shared(config, file);
    }
    if (err == WEIR_OK) {
        err = load_plugins(registry, file, errors);
    }
    if (err == WEIR_OK && errors->size > errors_before) {
        err = WEIR_EINVAL;
    }
    if (err != WEIR_OK) {
        registry_release(&registry);
        return err;
    }
    *out = registry;
    return WEIR_OK;
}

static void unload(struct registry *registry)
{
    for (size_t i = 0; i < registry->plugin_count; i++) {
        const struct loaded_plugin *loaded = &registry->plugins[i];
        if (loaded->ops->unload != NULL) {
            loaded->ops->unload(loaded->plugin);
        }
    }
    for (size_t i = 0; registry->listeners != NULL && i < registry->config->listen_count; i++) {
        tls_context_free(&registry->listeners[i].tls);
        free(registry->listeners[i].proxy_from);
    }
    free(registry->plugins);
    free(registry->listeners);
    upstreams_free(&registry->upstreams);
    config_release(&registry->config);
    free(registry);
}

struct registry *registry_share(struct registry *registry)
{
    atomic_fetch_add_explicit(&registry->references, 1, memory_order_relaxed);
    return registry;
}

void registry_release(struct registry **registry)
{
    if (*registry != NULL &&
        atomic_fetch_sub_explicit(&(*registry)->references, 1, memory_order_acq_rel) == 1) {
        unload(*registry);
    }
    *registry = NULL;
}

const struct config *registry_config(const struct registry *registry)
{
    return registry->config;
}

struct upstreams *registry_upstreams(const struct registry *registry)
{
    return registry->upstreams;
}

const struct listener_setup *registry_listeners(const struct registry *registry, size_t *count)
{
    *count = registry->config->listen_count;
    return registry->listeners;
}
