/* The built-in handler `metrics`: what the gateway and its plugins count, for Prometheus. */
#ifndef WEIR_HANDLERS_METRICS_H
#define WEIR_HANDLERS_METRICS_H

struct weir_plugin_ops;

/* Its callbacks; static storage. The plugin's `name` is the format, `prometheus`. Any thread. */
const struct weir_plugin_ops *metrics_ops(void);

#endif
