/* The form of the handler `metrics`. */
#ifndef WEIR_CONFIG_KEYS_METRICS_H
#define WEIR_CONFIG_KEYS_METRICS_H

#include "config/config.h"

struct config_section;

/* `{metrics: prometheus, ..}` before it becomes a struct config_plugin. */
struct keys_metrics {
    char *format;
    struct config_strings allow;
};

extern const struct config_section keys_metrics;

#endif
