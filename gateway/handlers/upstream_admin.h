/* The built-in handler `upstream_admin`: shows the upstreams and lets an operator set what servers
 * may do, e.g. drain one before it is restarted. */
#ifndef WEIR_HANDLERS_UPSTREAM_ADMIN_H
#define WEIR_HANDLERS_UPSTREAM_ADMIN_H

struct upstreams;
struct weir_plugin_ops;

/* Its callbacks; static storage. The plugin's `name` is an upstream, or `all`. Any thread. */
const struct weir_plugin_ops *upstream_admin_ops(void);

/* What the plugins that are loaded from now on show; borrowed, and outlives them. Control thread,
 * before their load. */
void upstream_admin_use(struct upstreams *upstreams);

#endif
