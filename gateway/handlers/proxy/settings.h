/* What a route says of its proxy, read once from the plugin's settings. */
#ifndef WEIR_HANDLERS_PROXY_SETTINGS_H
#define WEIR_HANDLERS_PROXY_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

/* `set` replaces a field, `add` adds one, `remove` takes all of that name away. */
enum header_change_kind {
    HEADER_SET,
    HEADER_ADD,
    HEADER_REMOVE
};

struct header_change {
    enum header_change_kind kind;
    struct span name;
    struct span value; /* empty for HEADER_REMOVE */
};

struct header_changes {
    struct header_change *items;
    size_t count;
};

enum proxy_host {
    PROXY_HOST_PASS,   /* as the client sent it */
    PROXY_HOST_SERVER, /* the server's address */
    PROXY_HOST_TEXT
};

enum proxy_forwarded {
    PROXY_FORWARDED_OFF,
    PROXY_FORWARDED_X,   /* X-Forwarded-For, -Proto, -Host */
    PROXY_FORWARDED_RFC, /* Forwarded (RFC 7239) */
    PROXY_FORWARDED_BOTH
};

struct proxy_settings {
    char *upstream;
    enum proxy_host host;
    char *host_text;
    char *strip_prefix; /* of the path; "" for none */
    char *add_prefix;   /* in front of what is left; "" for none */
    enum proxy_forwarded forwarded;
    struct header_changes request_headers;
    struct header_changes response_headers;
    uint64_t read_timeout_ms; /* without a byte of a response, or of what waits for it taken */
    uint64_t idle_timeout_ms; /* of a tunnel: without a byte either way */
    uint64_t max_head_size;   /* bytes of a backend's response head */

    /* Of sessions that Weir opens to the backend. */
    uint64_t max_message_size; /* of the backend's messages */
    uint64_t ping_interval_ms; /* 0: no pings */
    uint64_t ping_timeout_ms;  /* 0: a missing pong is forgiven */
    uint64_t close_timeout_ms; /* for the other half of the close handshake */
    uint16_t lost_code;        /* what clients are told when the backend is lost: 1014 or 1012 */
    bool compression;          /* offered to the backend */
};

/* Reads the plugin's settings; `name` is the upstream. Given. WEIR_EINVAL: `error` says what is
 * wrong; WEIR_ENOMEM. Control thread. */
WEIR_MUST enum weir_err proxy_settings_read(const char *name, const char *json, char *error,
                                            size_t error_size, struct proxy_settings **out);

void proxy_settings_free(struct proxy_settings **settings);

#endif
