/* The configuration as the rest of the program sees it: checked, immutable, refcounted. The tree of
 * structs mirrors the YAML of docs/configuration.md key by key; names are the same. */
#ifndef WEIR_CONFIG_CONFIG_H
#define WEIR_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buffer;

/* A list of terminated strings. */
struct config_strings {
    char **items;
    size_t count;
};

/* A handler's or plugin's own settings: a YAML subtree, kept as JSON text so that each kind of
 * plugin can read it. */
struct config_plugin {
    enum config_plugin_kind {
        CONFIG_PLUGIN_LUA,
        CONFIG_PLUGIN_STATIC,
        CONFIG_PLUGIN_ACCESS_LOG
    } kind;
    char *name; /* as written: the Lua file's stem, a folder, a log file, or `access_log` */
    char *file; /* the path found along plugin_path, the folder, or the log file (`-`: standard
                   output) */
    char
        *settings_json; /* a JSON object without that name; of built-in kinds with their defaults */
    unsigned line;      /* where it stands in the YAML, for later errors */
};

/* A certificate with its key: the pair of `tls:` itself, or one of `tls: {certificates: [..]}`. */
struct config_certificate {
    char *host; /* the SNI name, maybe `*.example.com`; NULL for the pair of `tls:` itself */
    char *certificate;
    char *private_key;
};

struct config_tls {
    struct config_certificate *certificates; /* the first is the default */
    size_t certificate_count;
    char *certificate; /* as written in `tls:` itself; also first in `certificates` */
    char *private_key;
    char *client_ca; /* PEM file; NULL where client certificates are not asked for */
    enum config_client_certificate {
        CONFIG_CLIENT_NONE,
        CONFIG_CLIENT_OPTIONAL,
        CONFIG_CLIENT_REQUIRED
    } client_certificate;
    enum config_tls_version {
        CONFIG_TLS_1_2,
        CONFIG_TLS_1_3
    } min_version;
    uint64_t handshake_timeout_ms;
    bool session_resumption;
};

struct config_listener {
    char *address; /* `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`, as written */
    uint64_t backlog;
    struct config_tls *tls; /* NULL for plain */
    bool proxy_protocol;
    struct config_strings
        proxy_protocol_from; /* addresses or CIDR blocks that may send the header */
    unsigned line;
};

/* `http:` limits of requests, for the whole gateway. */
struct config_http {
    uint64_t max_line_size;   /* bytes of the request line; 414 */
    uint64_t max_header_size; /* bytes of the whole head; 431 */
    uint64_t max_headers;     /* count; 431 */
    uint64_t header_timeout_ms;
    uint64_t idle_timeout_ms; /* between requests on a kept-alive connection */
    uint64_t body_timeout_ms; /* without a byte of body */
    uint64_t max_body_size;
    struct config_strings trusted_proxies; /* whose X-Forwarded-For is believed */
};

/* `compression:` of a route's websocket section (RFC 7692). */
struct config_compression {
    bool enabled;
    bool server_context_takeover;
    bool client_context_takeover;
    uint64_t server_max_window_bits; /* 9..15 */
    uint64_t client_max_window_bits; /* 9..15 */
    uint64_t level;                  /* 1..9 */
    uint64_t min_size;               /* bytes; smaller messages go uncompressed */
};

/* `websocket:` of a route. */
struct config_websocket {
    uint64_t keep_alive_interval_ms; /* 0: no pings */
    uint64_t keep_alive_timeout_ms;  /* 0: a missing pong is forgiven */
    uint64_t receive_buffer_size;    /* bytes read at once from a session's socket */
    uint64_t max_message_size;
    uint64_t
        max_queue_size; /* bytes waiting for a slow reader; above it a send fails with "full" */
    uint64_t write_timeout_ms; /* a queue that does not move for so long closes the session */
    uint64_t close_timeout_ms; /* for the other half of the close handshake */
    struct config_strings allowed_origins; /* empty: any */
    struct config_strings subprotocols;
    struct config_compression compression;
};

struct config_route {
    struct config_strings hosts; /* empty: any; `*.example.com` allowed */
    char *path;                  /* matches itself and what lies below it; the longest path wins */
    struct config_websocket *websocket; /* NULL: the route does not accept WebSocket */
    struct config_plugin *plugins;      /* the chain before the handler, in order */
    size_t plugin_count;
    struct config_plugin handler;
    unsigned line;
};

/* `lua:` limits of every Lua plugin. */
struct config_lua {
    uint64_t cpu_limit_ms; /* of one callback */
    uint64_t memory_limit; /* bytes of one Lua state */
};

struct config {
    uint64_t workers; /* 1..1024; `auto` has been resolved */
    uint64_t shutdown_timeout_ms;
    enum config_log_level {
        CONFIG_LOG_DEBUG,
        CONFIG_LOG_INFO,
        CONFIG_LOG_WARN,
        CONFIG_LOG_ERROR
    } log_level;
    struct config_listener *listen;
    size_t listen_count;
    struct config_strings plugin_path;
    struct config_http http;
    struct config_lua lua;
    struct config_route *routes;
    size_t route_count;
};

/* Reads and checks a file. On WEIR_OK `*out` is given with one reference. On WEIR_EINVAL every
 * problem found is appended to `errors`, one `FILE:LINE:COLUMN: KEY.PATH: words` line each.
 * Relative paths in the file are relative to the working directory. Control thread. */
WEIR_MUST enum weir_err config_load(const char *path, struct buffer *errors, struct config **out);

/* The same from memory; `name` stands for the file in errors. For tests and fuzzing. */
WEIR_MUST enum weir_err config_load_text(const char *name, const char *text, size_t size,
                                         struct buffer *errors, struct config **out);

/* One more reference. Any thread. */
struct config *config_share(struct config *config);

/* Gives a reference back and nulls it; the last one frees. Any thread. */
void config_release(struct config **config);

/* Appends the reference page of all keys (Markdown), made from the table that the loader uses. */
WEIR_MUST enum weir_err config_reference(struct buffer *out);

/* Appends a JSON Schema (draft 2020-12) of the file, made from the same table. */
WEIR_MUST enum weir_err config_schema(struct buffer *out);

#endif
