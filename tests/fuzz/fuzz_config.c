/* Configuration files from anyone: loading ends, says why it refused, and gives nothing but whole
 * configurations. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/check.h"
#include "config/config.h"
#include "handlers/proxy/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every line is `f:LINE:COLUMN: …`, or the count of what was left out. */
static void check_errors(const struct buffer *errors)
{
    struct span rest = buffer_span(errors);
    WEIR_CHECK(rest.size > 0);
    while (rest.size > 0) {
        size_t end = span_find(rest, '\n');
        WEIR_CHECK(end < rest.size);
        WEIR_CHECK(span_starts_with(rest, SPAN("f:")));
        for (size_t i = 0; i < end; i++) {
            WEIR_CHECK(rest.data[i] >= 0x20 && rest.data[i] != 0x7f);
        }
        rest = span_from(rest, end + 1);
    }
}

/* What the loader takes, the handler takes too. */
static void check_proxy(const struct config_plugin *plugin)
{
    char error[200];
    struct proxy_settings *settings = NULL;
    WEIR_CHECK(proxy_settings_read(plugin->name, plugin->settings_json, error, sizeof(error),
                                   &settings) == WEIR_OK);
    proxy_settings_free(&settings);
}

static void check_plugin(const struct config_plugin *plugin)
{
    WEIR_CHECK(plugin->name != NULL && plugin->name[0] != '\0');
    WEIR_CHECK(plugin->file != NULL && plugin->file[0] != '\0');
    WEIR_CHECK(plugin->settings_json != NULL && plugin->settings_json[0] == '{');
    WEIR_CHECK(plugin->line > 0);
    if (plugin->kind == CONFIG_PLUGIN_PROXY) {
        check_proxy(plugin);
    }
}

static void check_route(const struct config_route *route)
{
    WEIR_CHECK(route->path[0] == '/');
    WEIR_CHECK(route->line > 0);
    check_plugin(&route->handler);
    for (size_t i = 0; i < route->plugin_count; i++) {
        check_plugin(&route->plugins[i]);
    }
    if (route->websocket != NULL) {
        const struct config_compression *compression = &route->websocket->compression;
        WEIR_CHECK(route->websocket->max_message_size > 0);
        WEIR_CHECK(compression->server_max_window_bits >= 9);
        WEIR_CHECK(compression->client_max_window_bits <= 15);
    }
}

static void check_balance(const struct config_upstream *upstream)
{
    const struct config_sticky *sticky = upstream->sticky;
    const struct config_health_check *health = upstream->health_check;
    WEIR_CHECK((upstream->hash != NULL) == (upstream->balance == CONFIG_BALANCE_HASH));
    WEIR_CHECK((sticky != NULL) == (upstream->balance == CONFIG_BALANCE_STICKY));
    if (sticky != NULL) {
        WEIR_CHECK((sticky->cookie == NULL) == (sticky->learn != CONFIG_LEARN_NOTHING));
        WEIR_CHECK(sticky->secret == NULL || strlen(sticky->secret) >= 16);
    }
    if (health != NULL) {
        WEIR_CHECK((health->path == NULL) == (health->type == CONFIG_HEALTH_TCP));
        WEIR_CHECK(health->status_from <= health->status_to && health->status_to <= 599);
    }
}

static void check_upstream(const struct config_upstream *upstream)
{
    size_t backups = 0;
    WEIR_CHECK(upstream->name != NULL && upstream->name[0] != '\0' && upstream->line > 0);
    for (size_t i = 0; i < upstream->server_count; i++) {
        const struct config_server *server = &upstream->servers[i];
        WEIR_CHECK(server->address != NULL && server->line > 0);
        WEIR_CHECK(server->weight >= 1 && server->weight <= 1000);
        backups += server->backup ? 1 : 0;
    }
    WEIR_CHECK(backups < upstream->server_count);
    WEIR_CHECK(upstream->tries >= 1);
    check_balance(upstream);
}

static void check_config(const struct config *config)
{
    WEIR_CHECK(config->workers >= 1 && config->workers <= 1024);
    WEIR_CHECK(config->listen_count > 0 && config->route_count > 0);
    WEIR_CHECK(config->http.max_line_size <= config->http.max_header_size);
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct config_tls *tls = config->listen[i].tls;
        WEIR_CHECK(config->listen[i].address != NULL);
        WEIR_CHECK(tls == NULL || tls->certificate_count > 0);
    }
    for (size_t i = 0; i < config->upstream_count; i++) {
        check_upstream(&config->upstreams[i]);
    }
    for (size_t i = 0; i < config->route_count; i++) {
        check_route(&config->routes[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer errors = {0};
    struct config *config = NULL;
    char *text = malloc(size > 0 ? size : 1); /* exactly as long, so that each overread is seen */
    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    enum weir_err err = config_load_text("f", text, size, &errors, &config);
    free(text);
    if (err == WEIR_OK) {
        WEIR_CHECK(errors.size == 0);
        check_config(config);
    } else {
        WEIR_CHECK(config == NULL);
        WEIR_CHECK(err == WEIR_EINVAL);
        check_errors(&errors);
    }
    config_release(&config);
    buffer_free(&errors);
    return 0;
}
