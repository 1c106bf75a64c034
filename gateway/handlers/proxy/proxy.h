/* The handler that forwards: plain requests by an exchange (exchange.h), upgrades on a route
 * without WebSocket by an exchange that becomes a tunnel (tunnel.h), and sessions by an exchange
 * that becomes a bridge (bridge.h). */
#ifndef WEIR_HANDLERS_PROXY_H
#define WEIR_HANDLERS_PROXY_H

#include <weir/plugin.h>

#include "handlers/proxy/settings.h"

struct upstream;

/* The worker part, which outlives every exchange, and every session but not every bridge: one that
 * still closes towards its backend keeps what it needs. */
struct proxy {
    uint32_t magic;
    const struct proxy_settings *settings;
    struct weir_worker *worker;
    struct upstream *upstream;
};

/* The callbacks; static storage. Any thread. */
const struct weir_plugin_ops *proxy_ops(void);

#endif
