/* What the forms `proxy` and `upstream_admin` load into before they become a struct config_plugin.
 */
#ifndef WEIR_CONFIG_KEYS_PROXY_H
#define WEIR_CONFIG_KEYS_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "config/keys.h"

/* `request_headers:` and `response_headers:` */
struct keys_header_changes {
    struct config_strings remove;
    struct config_pairs set;
    struct config_pairs add;
};

/* `{proxy: UPSTREAM, ..}`; handlers/proxy/settings.h says what they mean. */
struct keys_proxy_handler {
    char *upstream;
    char *host;
    char *strip_prefix;
    char *add_prefix;
    unsigned forwarded;
    struct keys_header_changes request_headers;
    struct keys_header_changes response_headers;
    uint64_t read_timeout_ms;
    uint64_t idle_timeout_ms;
    uint64_t max_head_size;
    uint64_t max_message_size;
    uint64_t ping_interval_ms;
    uint64_t ping_timeout_ms;
    uint64_t close_timeout_ms;
    unsigned lost_code;
    bool compression;
};

/* `{upstream_admin: UPSTREAM, ..}` */
struct keys_upstream_admin {
    char *upstream;
    struct config_strings allow;
};

extern const struct config_section keys_proxy_handler;
extern const struct config_section keys_upstream_admin;

#endif
