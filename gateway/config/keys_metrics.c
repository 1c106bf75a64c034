/* The keys of the handler `metrics`; keys_route.c lists the form. */
#include "config/keys_metrics.h"

#include "config/format.h"
#include "config/keys.h"

static const struct config_key metrics_keys[] = {
    {.name = "metrics",
     .type = KEY_TEXT,
     .required = true,
     .offset = offsetof(struct keys_metrics, format),
     .format = &format_token,
     .doc = "How they are written: `prometheus` is the one format that there is.",
     .example = "prometheus"},
    {.name = "allow",
     .type = KEY_TEXTS,
     .offset = offsetof(struct keys_metrics, allow),
     .fallback = "127.0.0.0/8, ::1",
     .format = &format_block,
     .doc = "Clients that may ask: addresses and CIDR blocks. Others get 403."},
};

const struct config_section keys_metrics = {
    .title = "Metrics",
    .doc = "What the gateway and its plugins count, for Prometheus to fetch.",
    .size = sizeof(struct keys_metrics),
    .keys = metrics_keys,
    .key_count = KEYS_COUNT(metrics_keys),
};
