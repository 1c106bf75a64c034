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

/* `lua:` limits of every Lua plugin; a plugin may have its own. */
struct config_lua {
    uint64_t cpu_limit_ms; /* of one callback */
    uint64_t memory_limit; /* bytes of one Lua state; the following are of one state too */
    uint64_t max_timers;
    uint64_t max_parked; /* callbacks that wait */
    uint64_t max_http_requests;
};

/* A handler's or plugin's own settings: a YAML subtree, kept as JSON text so that each kind of
 * plugin can read it. */
struct config_plugin {
    enum config_plugin_kind {
        CONFIG_PLUGIN_LUA,
        CONFIG_PLUGIN_STATIC,
        CONFIG_PLUGIN_ACCESS_LOG,
        CONFIG_PLUGIN_PROXY,          /* name: the upstream */
        CONFIG_PLUGIN_UPSTREAM_ADMIN, /* name: an upstream, or `all` */
        CONFIG_PLUGIN_NATIVE,         /* name: the shared object's stem */
        CONFIG_PLUGIN_JWT,            /* name: the key's file */
        CONFIG_PLUGIN_METRICS         /* name: the format, `prometheus` */
    } kind;
    char *name; /* as written: the Lua file's stem, a folder, a log file, or `access_log` */
    char *file; /* the path found along plugin_path, the folder, or the log file (`-`: standard
                   output) */
    char
        *settings_json; /* a JSON object without that name; of built-in kinds with their defaults */
    unsigned line;      /* where it stands in the YAML, for later errors */
    struct config_lua lua; /* of CONFIG_PLUGIN_LUA, as `trusted` */
    bool trusted;
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

/* One of an upstream's `servers:`. */
struct config_server {
    char *address;            /* `HOST:PORT`, `IP:PORT`, `[IPV6]:PORT` or `unix:PATH`, as written */
    uint64_t weight;          /* 1..1000 */
    uint64_t max_connections; /* 0: no limit; of each address, over all workers */
    bool backup;              /* only when no other server can be used */
    enum config_server_state {
        CONFIG_SERVER_UP,
        CONFIG_SERVER_DRAINING, /* serves what sticks to it, takes nothing new */
        CONFIG_SERVER_DOWN
    } state;
    unsigned line;
};

/* `hash:` of an upstream: what is hashed. */
struct config_hash {
    enum config_hash_by {
        CONFIG_HASH_ADDRESS, /* the client's */
        CONFIG_HASH_HEADER,
        CONFIG_HASH_COOKIE,
        CONFIG_HASH_QUERY, /* a parameter */
        CONFIG_HASH_PATH
    } by;
    char *name; /* of the header, cookie or parameter; NULL else */
};

/* `sticky:` of an upstream. Exactly one of cookie and learn. */
struct config_sticky {
    char *cookie;        /* its name; NULL where ids are learned */
    char *secret;        /* that the cookie is signed with; NULL: made anew at each start */
    uint64_t max_age_ms; /* of the cookie; 0: until the browser closes */
    enum config_same_site {
        CONFIG_SAME_SITE_LAX,
        CONFIG_SAME_SITE_STRICT,
        CONFIG_SAME_SITE_NONE
    } same_site;
    enum config_learn {
        CONFIG_LEARN_NOTHING,
        CONFIG_LEARN_ENGINE_IO,
        CONFIG_LEARN_SIGNALR
    } learn;
    uint64_t learn_ttl_ms;  /* an id that was not used for so long is forgotten */
    uint64_t learn_max_ids; /* above it the one that was not used for longest is forgotten */
};

/* `health_check:` of an upstream. */
struct config_health_check {
    enum config_health_type {
        CONFIG_HEALTH_TCP,
        CONFIG_HEALTH_HTTP,
        CONFIG_HEALTH_WEBSOCKET
    } type;
    char *path;           /* of HTTP and WebSocket */
    char *host;           /* the Host field; NULL: the server's address */
    uint64_t status_from; /* of HTTP: the least and the most that is healthy */
    uint64_t status_to;
    uint64_t interval_ms;
    uint64_t timeout_ms;
    uint64_t rise; /* good answers in a row until it is healthy again */
    uint64_t fall; /* bad ones until it is not */
};

/* `ejection:` of an upstream: what requests themselves tell of a server. */
struct config_ejection {
    bool enabled;
    uint64_t failures;   /* in a row: failed connects, answers with 5xx (502, 503, 504 and 500) */
    uint64_t backoff_ms; /* of the first ejection; doubled each time up to the next */
    uint64_t max_backoff_ms;
};

/* `tls:` of an upstream. */
struct config_upstream_tls {
    bool verify;
    char *ca;          /* PEM file; NULL: the system's authorities */
    char *server_name; /* SNI, and what the certificate must be for; NULL: the server's host */
    char *certificate; /* PEM file; NULL: none of our own */
    char *private_key;
};

/* `queue:` of an upstream: requests that wait while every server has max_connections, or while no
 * name has been resolved yet. */
struct config_queue {
    uint64_t size; /* 0: none waits */
    uint64_t timeout_ms;
};

/* `keep_alive:` of an upstream: its pools of idle connections. */
struct config_pool {
    uint64_t max_idle; /* connections to one server that each worker keeps; 0: none */
    uint64_t idle_timeout_ms;
    uint64_t max_requests; /* on one connection; 0: any number */
};

struct config_upstream {
    char *name;
    struct config_server *servers;
    size_t server_count;
    enum config_balance {
        CONFIG_BALANCE_ROUND_ROBIN,
        CONFIG_BALANCE_LEAST_CONNECTIONS,
        CONFIG_BALANCE_RANDOM_TWO,
        CONFIG_BALANCE_HASH,
        CONFIG_BALANCE_STICKY /* new clients: least_connections */
    } balance;
    struct config_hash *hash;                 /* with balance: hash; else NULL */
    struct config_sticky *sticky;             /* with balance: sticky; else NULL */
    struct config_health_check *health_check; /* NULL: none */
    struct config_ejection ejection;
    struct config_upstream_tls *tls; /* NULL: plain */
    struct config_queue queue;
    struct config_pool keep_alive;
    uint64_t slow_start_ms; /* 0: full weight at once */
    uint64_t connect_timeout_ms;
    uint64_t tries; /* servers that are tried for one request, at least 1 */
    uint64_t resolve_interval_ms;
    unsigned line;
};

/* `resolver:`, for the whole gateway. */
struct config_resolver {
    struct config_strings nameservers; /* empty: the system's */
    uint64_t timeout_ms;
};

struct config_route {
    struct config_strings hosts; /* empty: any; `*.example.com` allowed */
    char *path;                  /* matches itself and what lies below it; the longest path wins */
    struct config_websocket *websocket; /* NULL: the route does not accept WebSocket */
    uint64_t max_body_size;        /* of requests; as http.max_body_size where the route has none */
    struct config_plugin *plugins; /* the chain before the handler, in order */
    size_t plugin_count;
    struct config_plugin handler;
    unsigned line;
};

/* One of `shared:`, a dictionary of all workers. */
struct config_shared {
    char *name;
    uint64_t size; /* bytes of all its entries */
    unsigned line;
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
    struct config_shared *shared;
    size_t shared_count;
    struct config_resolver resolver;
    struct config_upstream *upstreams;
    size_t upstream_count;
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
