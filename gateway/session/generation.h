/* One loaded configuration with its plugins, and what a worker makes of it. worker/registry builds
 * both; they live until the last connection that began with them ends. */
#ifndef WEIR_SESSION_GENERATION_H
#define WEIR_SESSION_GENERATION_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/plugin.h>

#include "base/span.h"
#include "config/config.h"
#include "proto/ip_address.h"
#include "proto/ws_decoder.h"
#include "proto/ws_deflate.h"

struct tls_context;

/* A listener as connections see it. Immutable. */
struct listener_setup {
    const struct config_listener *config; /* borrowed from the generation's configuration */
    struct tls_context *tls;              /* NULL for plain */
    struct ip_block *proxy_from;          /* who may send a PROXY header */
    size_t proxy_from_count;
};

/* One plugin of a chain, on one worker. */
struct chain_link {
    const struct weir_plugin_ops *ops;
    void *self;
};

/* A route on one worker: its settings, ready to use, and its chain; the last link is the handler.
 */
struct route {
    const struct config_route *config;
    struct ws_decoder_rules rules;
    struct ws_deflate_params deflate; /* our side of the negotiation */
    struct chain_link *chain;
    unsigned chain_count;
    /* Outermost link with on_message, and whether any has on_send: what lets a message skip the
     * walk. */
    unsigned first_reader;
    bool has_sender;
    bool piecewise; /* the handler takes pieces (on_piece), and no other link wants messages */
};

/* A configuration on one worker. One thread. */
struct generation {
    const struct config *config; /* borrowed from the registry, which `owner` holds */
    struct ip_block *trusted_proxies;
    size_t trusted_proxy_count;
    struct route *routes;
    size_t route_count;
    const struct route *nowhere; /* for requests that match no route: an empty chain */
    size_t users;                /* connections; the worker holds one for the current generation */
    void (*last_user_left)(struct generation *generation);
    void *owner; /* for worker/registry */
};

/* One more user; returns `generation`. */
struct generation *generation_join(struct generation *generation);

/* One user less, and null; the last one ends the generation on this worker. */
void generation_leave(struct generation **generation);

/* The route for a host (as sent, maybe with port, maybe empty) and a normalised path; NULL where
 * none matches. The longest path wins; on equal paths an exact host wins over a pattern, and a
 * pattern over any. */
const struct route *generation_route(const struct generation *generation, struct span host,
                                     struct span path);

#endif
