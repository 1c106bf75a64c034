/* The forwarding handler as the chain sees it. The process part is the settings; the worker part
 * knows its worker's side of the upstream. What a request needs is in its seat: an exchange, then
 * maybe a tunnel or a bridge, told apart by the number at its start. Called through its ops as the
 * last of a route. It decides what kind of forwarding a request gets, and nothing else. */
#include "handlers/proxy/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "handlers/proxy/bridge.h"
#include "handlers/proxy/exchange.h"
#include "handlers/proxy/tunnel.h"
#include "session/request.h"
#include "session/session.h"
#include "session/worker_access.h"
#include "upstream/worker_part.h"

enum {
    PLUGIN_MAGIC = 0x70727870, /* "prxp" */
    WORKER_MAGIC = 0x70727877  /* "prxw" */
};

struct proxy_plugin {
    uint32_t magic;
    struct proxy_settings *settings;
};

/* --- the process part --- */

static struct proxy_plugin *plugin_of(void *plugin)
{
    struct proxy_plugin *p = plugin;
    WEIR_CHECK(p->magic == PLUGIN_MAGIC);
    return p;
}

static int load(const struct weir_plugin_config *config, void **plugin, char *error,
                size_t error_size)
{
    struct proxy_plugin *p = calloc(1, sizeof *p);
    snprintf(error, error_size, "out of memory");
    if (p == NULL || proxy_settings_read(config->name, config->settings_json, error, error_size,
                                         &p->settings) != WEIR_OK) {
        free(p);
        return -1;
    }
    p->magic = PLUGIN_MAGIC;
    *plugin = p;
    return 0;
}

static void unload(void *plugin)
{
    struct proxy_plugin *p = plugin_of(plugin);
    proxy_settings_free(&p->settings);
    p->magic = 0;
    free(p);
}

/* --- the worker part --- */

static struct proxy *proxy_of(void *self)
{
    struct proxy *proxy = self;
    WEIR_CHECK(proxy->magic == WORKER_MAGIC);
    return proxy;
}

static int worker_start(void *plugin, struct weir_worker *worker, void **self, char *error,
                        size_t error_size)
{
    const struct proxy_settings *settings = plugin_of(plugin)->settings;
    struct upstream *upstream = upstream_worker_find(worker_upstreams(worker), settings->upstream);
    if (upstream == NULL) {
        snprintf(error, error_size, "there is no upstream `%s`", settings->upstream);
        return -1;
    }
    struct proxy *proxy = malloc(sizeof *proxy);
    if (proxy == NULL) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    *proxy = (struct proxy){WORKER_MAGIC, settings, worker, upstream};
    *self = proxy;
    return 0;
}

static void worker_stop(void *self)
{
    struct proxy *proxy = proxy_of(self);
    proxy->magic = 0;
    free(proxy);
}

/* --- what is in a seat --- */

/* 0 for an empty seat. */
static uint32_t magic_in(const void *seat)
{
    uint32_t magic = 0;
    if (seat != NULL) {
        memcpy(&magic, seat, sizeof magic);
    }
    return magic;
}

/* The session's bridge; NULL while on_open has not come: a plugin before us may still wait. */
static struct bridge *bridge_of(struct weir_session *session, unsigned seat)
{
    void *content = *session_seat(session, seat);
    return magic_in(content) == EXCHANGE_MAGIC ? NULL : content;
}

/* --- requests --- */

static bool upgrades_to_http2(const struct weir_request *request)
{
    for (size_t i = 0; i < request_header_count(request); i++) {
        struct span rest = request_header_value(request, i);
        struct span item;
        while (span_equal_nocase(request_header_name(request, i), SPAN("Upgrade")) &&
               span_list_next(&rest, &item)) {
            if (span_equal_nocase(item, SPAN("h2c"))) {
                return true;
            }
        }
    }
    return false;
}

/* A server may ignore Upgrade (RFC 9110, section 7.8), and so do we where the tunnel would be
 * wrong: cleartext HTTP/2 in it would take requests past every route, and a body would have to end
 * first.
 */
static bool may_tunnel(const struct weir_request *request)
{
    uint64_t length = 0;
    return request_asks_upgrade(request) && request_framing(request, &length) == REQUEST_NO_BODY &&
           !upgrades_to_http2(request);
}

static enum weir_verdict on_request(void *self, struct weir_request *request, unsigned seat)
{
    struct proxy *proxy = proxy_of(self);
    if (request_wants_session(request)) {
        return request_check_upgrade(request)
                   ? exchange_start(proxy, request, seat, EXCHANGE_SESSION)
                   : WEIR_REPLY;
    }
    return exchange_start(proxy, request, seat,
                          may_tunnel(request) ? EXCHANGE_TUNNEL : EXCHANGE_HTTP);
}

static void on_body(void *self, struct weir_request *request, unsigned seat,
                    struct weir_bytes piece, int last)
{
    void *content = *request_seat(request, seat);
    struct span bytes = {piece.data, piece.size};
    (void)self;
    switch (magic_in(content)) {
    case TUNNEL_MAGIC:
        tunnel_body(content, bytes, last != 0);
        break;
    case EXCHANGE_MAGIC:
        exchange_body(content, bytes, last != 0);
        break;
    default:
        break;
    }
}

static void on_reply_drain(void *self, struct weir_request *request, unsigned seat)
{
    void *content = *request_seat(request, seat);
    (void)self;
    switch (magic_in(content)) {
    case TUNNEL_MAGIC:
        tunnel_drained(content);
        break;
    case EXCHANGE_MAGIC:
        exchange_drained(content);
        break;
    default:
        break;
    }
}

static void on_done(void *self, struct weir_request *request, unsigned seat,
                    const struct weir_ending *ending)
{
    void *content = *request_seat(request, seat);
    (void)self;
    (void)ending;
    switch (magic_in(content)) {
    case TUNNEL_MAGIC:
        tunnel_done(content);
        break;
    case EXCHANGE_MAGIC:
        exchange_done(content);
        break;
    default:
        break;
    }
}

/* --- sessions --- */

static enum weir_verdict on_open(void *self, struct weir_session *session, unsigned seat)
{
    void **content = session_seat(session, seat);
    (void)self;
    WEIR_CHECK(magic_in(*content) == EXCHANGE_MAGIC);
    struct bridge *bridge = exchange_take_bridge(*content);
    *content = bridge;
    return bridge_open(bridge, session);
}

static enum weir_verdict on_piece(void *self, struct weir_session *session, unsigned seat,
                                  const struct weir_piece *piece)
{
    struct bridge *bridge = bridge_of(session, seat);
    (void)self;
    return bridge != NULL ? bridge_piece(bridge, piece) : WEIR_CLOSE;
}

static enum weir_verdict on_message(void *self, struct weir_session *session, unsigned seat,
                                    const struct weir_message *message)
{
    struct bridge *bridge = bridge_of(session, seat);
    (void)self;
    return bridge != NULL ? bridge_message(bridge, message) : WEIR_DROP;
}

static void on_drain(void *self, struct weir_session *session, unsigned seat)
{
    struct bridge *bridge = bridge_of(session, seat);
    (void)self;
    if (bridge != NULL) {
        bridge_drained(bridge);
    }
}

/* The session may have ended before on_open came as far as here. */
static void on_close(void *self, struct weir_session *session, unsigned seat,
                     const struct weir_ending *ending)
{
    void **content = session_seat(session, seat);
    void *ended = *content;
    (void)self;
    if (magic_in(ended) == EXCHANGE_MAGIC) {
        exchange_done(ended);
    } else if (ended != NULL) {
        *content = NULL;
        bridge_closed(ended, ending);
    }
}

const struct weir_plugin_ops *proxy_ops(void)
{
    static const struct weir_plugin_ops OPS = {
        .struct_size = sizeof(OPS),
        .load = load,
        .unload = unload,
        .worker_start = worker_start,
        .worker_stop = worker_stop,
        .on_request = on_request,
        .on_body = on_body,
        .on_reply_drain = on_reply_drain,
        .on_done = on_done,
        .on_open = on_open,
        .on_message = on_message,
        .on_drain = on_drain,
        .on_close = on_close,
        .on_piece = on_piece,
    };
    return &OPS;
}
