/* The keys outside of routes: the root, listeners with TLS, HTTP limits, Lua limits. Every default
 * is in this file and in keys_route.c, and nowhere else.
 *
 * Plain arrays, read by load.c, reference.c and schema.c. A row's order is the order of loading and
 * of the reference page; what routes look up (`plugin_path`, `http`, `upstreams`) comes before
 * them. */
#include "config/keys.h"

#include "config/check.h"
#include "config/format.h"
#include "config/keys_shared.h"

#define SECOND 1000u
#define MINUTE (60u * SECOND)
#define HOUR (60u * MINUTE)
#define KIB 1024u
#define MIB (1024u * KIB)
#define GIB (1024ull * MIB)

static const struct config_word words_workers[] = {{"auto", 0}, {NULL, 0}};

static const struct config_word words_log_level[] = {{"debug", CONFIG_LOG_DEBUG},
                                                     {"info", CONFIG_LOG_INFO},
                                                     {"warn", CONFIG_LOG_WARN},
                                                     {"error", CONFIG_LOG_ERROR},
                                                     {NULL, 0}};

static const struct config_word words_client_certificate[] = {{"none", CONFIG_CLIENT_NONE},
                                                              {"optional", CONFIG_CLIENT_OPTIONAL},
                                                              {"required", CONFIG_CLIENT_REQUIRED},
                                                              {NULL, 0}};

static const struct config_word words_tls_version[] = {
    {"1.2", CONFIG_TLS_1_2}, {"1.3", CONFIG_TLS_1_3}, {NULL, 0}};

static const struct config_key certificate_keys[] = {
    {.name = "host",
     .type = KEY_TEXT,
     .required = true,
     .offset = offsetof(struct config_certificate, host),
     .format = &format_host,
     .doc = "The name that the client asks for (SNI); `*.example.com` stands for one label.",
     .example = "example.com"},
    {.name = "certificate",
     .type = KEY_TEXT,
     .required = true,
     .offset = offsetof(struct config_certificate, certificate),
     .format = &format_file,
     .doc = "PEM file with the certificate and its chain.",
     .example = "conf/tls/example.com.pem"},
    {.name = "private_key",
     .type = KEY_TEXT,
     .required = true,
     .offset = offsetof(struct config_certificate, private_key),
     .format = &format_file,
     .doc = "PEM file with the certificate's private key.",
     .example = "conf/tls/example.com.key"},
};

static const struct config_section keys_certificate = {
    .title = "Certificates by name",
    .doc = "A listener can have several certificates and picks one by the name that the client "
           "asks for. A client that asks for another name, or for none, gets the pair of `tls` "
           "itself, or the first of the list where `tls` has no pair.",
    .size = sizeof(struct config_certificate),
    .keys = certificate_keys,
    .key_count = KEYS_COUNT(certificate_keys),
};

static const struct config_key tls_keys[] = {
    {.name = "certificate",
     .type = KEY_TEXT,
     .offset = offsetof(struct config_tls, certificate),
     .format = &format_file,
     .doc = "PEM file with the certificate and its chain.",
     .example = "conf/tls/cert.pem"},
    {.name = "private_key",
     .type = KEY_TEXT,
     .offset = offsetof(struct config_tls, private_key),
     .format = &format_file,
     .doc = "PEM file with the certificate's private key.",
     .example = "conf/tls/key.pem"},
    {.name = "certificates",
     .type = KEY_SECTIONS,
     .offset = offsetof(struct config_tls, certificates),
     .count_offset = offsetof(struct config_tls, certificate_count),
     .section = &keys_certificate,
     .doc = "More certificates, each for one name."},
    {.name = "client_ca",
     .type = KEY_TEXT,
     .offset = offsetof(struct config_tls, client_ca),
     .format = &format_file,
     .doc = "PEM file with the authorities that client certificates must be signed by.",
     .example = "conf/tls/client-ca.pem"},
    {.name = "client_certificate",
     .type = KEY_WORD,
     .offset = offsetof(struct config_tls, client_certificate),
     .fallback = "none",
     .words = words_client_certificate,
     .doc = "Whether clients are asked for a certificate of their own; needs `client_ca`.",
     .example = "required"},
    {.name = "min_version",
     .type = KEY_WORD,
     .offset = offsetof(struct config_tls, min_version),
     .fallback = "1.2",
     .words = words_tls_version,
     .doc = "The oldest version of TLS that is spoken."},
    {.name = "handshake_timeout",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_tls, handshake_timeout_ms),
     .fallback = "10s",
     .min = 10,
     .max = HOUR,
     .doc = "A TLS handshake that takes longer closes the connection."},
    {.name = "session_resumption",
     .type = KEY_SWITCH,
     .offset = offsetof(struct config_tls, session_resumption),
     .fallback = "on",
     .doc = "Whether a returning client may resume its TLS session, which saves a full handshake."},
};

static const struct config_section keys_tls = {
    .title = "TLS",
    .doc = "Makes the listener speak TLS. It needs `certificate` with `private_key`, or "
           "`certificates`.",
    .size = sizeof(struct config_tls),
    .keys = tls_keys,
    .key_count = KEYS_COUNT(tls_keys),
    .check = check_tls,
};

static const struct config_key listener_keys[] = {
    {.name = "address",
     .type = KEY_TEXT,
     .required = true,
     .offset = offsetof(struct config_listener, address),
     .format = &format_address,
     .doc = "Where to listen: `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`. `0.0.0.0` is all of IPv4, "
            "`[::]` all of IPv6.",
     .example = "0.0.0.0:5000"},
    {.name = "backlog",
     .type = KEY_COUNT,
     .offset = offsetof(struct config_listener, backlog),
     .fallback = "4096",
     .min = 1,
     .max = 65535,
     .doc = "How many connections the kernel keeps until they are accepted."},
    {.name = "tls",
     .type = KEY_SECTION_OPTIONAL,
     .offset = offsetof(struct config_listener, tls),
     .section = &keys_tls,
     .doc = "Speak TLS on this address; without it, plain TCP."},
    {.name = "proxy_protocol",
     .type = KEY_SWITCH,
     .offset = offsetof(struct config_listener, proxy_protocol),
     .fallback = "off",
     .doc = "Expect the PROXY protocol, version 1 or 2, at the start of each connection, as load "
            "balancers send it.",
     .example = "on"},
    {.name = "proxy_protocol_from",
     .type = KEY_TEXTS,
     .offset = offsetof(struct config_listener, proxy_protocol_from),
     .format = &format_block,
     .doc = "Who may send it: addresses and CIDR blocks.",
     .example = "[10.0.0.0/8]"},
};

const struct config_section keys_listener = {
    .title = "Listeners",
    .doc = "The addresses that accept connections; at least one.",
    .size = sizeof(struct config_listener),
    .keys = listener_keys,
    .key_count = KEYS_COUNT(listener_keys),
    .line_offset = offsetof(struct config_listener, line),
    .check = check_listener,
};

static const struct config_key http_keys[] = {
    {.name = "max_line_size",
     .type = KEY_SIZE,
     .offset = offsetof(struct config_http, max_line_size),
     .fallback = "8KiB",
     .min = 64,
     .max = 64 * KIB,
     .doc = "The longest request line; a longer one is answered with 414."},
    {.name = "max_header_size",
     .type = KEY_SIZE,
     .offset = offsetof(struct config_http, max_header_size),
     .fallback = "16KiB",
     .min = 128,
     .max = 64 * KIB,
     .doc = "The largest request head, line and fields together; a larger one is answered with "
            "431."},
    {.name = "max_headers",
     .type = KEY_COUNT,
     .offset = offsetof(struct config_http, max_headers),
     .fallback = "100",
     .min = 1,
     .max = 256,
     .doc = "The most fields in a request head; more are answered with 431."},
    {.name = "header_timeout",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_http, header_timeout_ms),
     .fallback = "10s",
     .min = 10,
     .max = HOUR,
     .doc = "A request head must be complete within this time of its first byte; else 408."},
    {.name = "idle_timeout",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_http, idle_timeout_ms),
     .fallback = "60s",
     .min = 10,
     .max = 24 * HOUR,
     .doc = "How long a connection may wait for its next request."},
    {.name = "body_timeout",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_http, body_timeout_ms),
     .fallback = "30s",
     .min = 10,
     .max = HOUR,
     .doc = "How long a request body may pause between two bytes; else 408."},
    {.name = "max_body_size",
     .type = KEY_SIZE,
     .offset = offsetof(struct config_http, max_body_size),
     .fallback = "1MiB",
     .min = 0,
     .max = 1024 * GIB,
     .doc = "The largest request body; a larger one is answered with 413. A route can have a limit "
            "of its own."},
    {.name = "trusted_proxies",
     .type = KEY_TEXTS,
     .offset = offsetof(struct config_http, trusted_proxies),
     .format = &format_block,
     .doc = "Addresses and CIDR blocks of proxies that are believed what they say of the client: "
            "its address (`X-Forwarded-For`), and towards servers its scheme and host.",
     .example = "[10.0.0.0/8]"},
};

static const struct config_section keys_http = {
    .title = "HTTP",
    .doc = "Limits of every request, on all listeners.",
    .size = sizeof(struct config_http),
    .keys = http_keys,
    .key_count = KEYS_COUNT(http_keys),
    .check = check_http,
};

static const struct config_key lua_keys[] = {
    {.name = "cpu_limit",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_lua, cpu_limit_ms),
     .fallback = "100ms",
     .min = 1,
     .max = MINUTE,
     .doc = "The processor time of one callback; a session whose callback passes it is closed with "
            "1011."},
    {.name = "memory_limit",
     .type = KEY_SIZE,
     .offset = offsetof(struct config_lua, memory_limit),
     .fallback = "64MiB",
     .min = MIB,
     .max = 64 * GIB,
     .doc = "The memory of one Lua state; each worker has its own."},
};

static const struct config_section keys_lua = {
    .title = "Lua",
    .doc = "Limits of all Lua plugins.",
    .size = sizeof(struct config_lua),
    .keys = lua_keys,
    .key_count = KEYS_COUNT(lua_keys),
};

static const struct config_key root_keys[] = {
    {.name = "workers",
     .type = KEY_COUNT,
     .offset = offsetof(struct config, workers),
     .fallback = "auto",
     .min = 1,
     .max = 1024,
     .words = words_workers,
     .doc = "How many threads serve connections; `auto` is one for each processor that the process "
            "may use.",
     .example = "4"},
    {.name = "shutdown_timeout",
     .type = KEY_DURATION,
     .offset = offsetof(struct config, shutdown_timeout_ms),
     .fallback = "10s",
     .min = 0,
     .max = HOUR,
     .doc = "How long a stopping gateway waits for its connections to end."},
    {.name = "log_level",
     .type = KEY_WORD,
     .offset = offsetof(struct config, log_level),
     .fallback = "info",
     .words = words_log_level,
     .doc = "The least severe lines that are logged."},
    {.name = "listen",
     .type = KEY_SECTIONS,
     .required = true,
     .offset = offsetof(struct config, listen),
     .count_offset = offsetof(struct config, listen_count),
     .section = &keys_listener,
     .doc = "The addresses that accept connections."},
    {.name = "plugin_path",
     .type = KEY_TEXTS,
     .offset = offsetof(struct config, plugin_path),
     .fallback = "plugins",
     .format = &format_folder,
     .doc = "Folders that are searched for plugins, in this order.",
     .example = "[plugins]"},
    {.name = "http",
     .type = KEY_SECTION,
     .offset = offsetof(struct config, http),
     .section = &keys_http,
     .doc = "Limits of HTTP requests."},
    {.name = "lua",
     .type = KEY_SECTION,
     .offset = offsetof(struct config, lua),
     .section = &keys_lua,
     .doc = "Limits of Lua plugins."},
    {.name = "shared",
     .type = KEY_SECTIONS_BY_NAME,
     .offset = offsetof(struct config, shared),
     .count_offset = offsetof(struct config, shared_count),
     .name_format = &format_token,
     .section = &keys_shared,
     .doc = "Dictionaries that plugins on all workers share, by name.",
     .example = "limits"},
    {.name = "resolver",
     .type = KEY_SECTION,
     .offset = offsetof(struct config, resolver),
     .section = &keys_resolver,
     .doc = "How host names of servers are looked up."},
    {.name = "upstreams",
     .type = KEY_SECTIONS_BY_NAME,
     .offset = offsetof(struct config, upstreams),
     .count_offset = offsetof(struct config, upstream_count),
     .name_format = &format_upstream,
     .section = &keys_upstream,
     .doc = "Groups of servers to forward to, by name.",
     .example = "chat"},
    {.name = "routes",
     .type = KEY_SECTIONS,
     .required = true,
     .offset = offsetof(struct config, routes),
     .count_offset = offsetof(struct config, route_count),
     .section = &keys_route,
     .doc = "What is served where."},
};

const struct config_section keys_root = {
    .title = "The gateway",
    .doc = "The keys at the top of the file.",
    .size = sizeof(struct config),
    .keys = root_keys,
    .key_count = KEYS_COUNT(root_keys),
    .check = check_root,
};
