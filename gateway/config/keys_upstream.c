/* The keys of upstreams: their servers, connections, time limits; and those of the resolver. Every
 * default of them is here and in keys_upstream_parts.c; see keys.c for the rest.
 *
 * Plain arrays, read by load.c, reference.c and schema.c. */
#include "config/keys_upstream.h"

#include "config/check_upstream.h"
#include "config/format.h"

#define SECOND 1000u
#define MINUTE (60u * SECOND)
#define HOUR (60u * MINUTE)
#define DAY (24u * HOUR)
#define MILLION 1000000u

static const struct config_word words_off[] = {{"off", 0}, {NULL, 0}};

static const struct config_word words_unlimited[] = {{"unlimited", 0}, {NULL, 0}};

static const struct config_word words_state[] = {{"up", CONFIG_SERVER_UP},
                                                 {"draining", CONFIG_SERVER_DRAINING},
                                                 {"down", CONFIG_SERVER_DOWN},
                                                 {NULL, 0}};

static const struct config_word words_balance[] = {
    {"round_robin", CONFIG_BALANCE_ROUND_ROBIN},
    {"least_connections", CONFIG_BALANCE_LEAST_CONNECTIONS},
    {"random_two", CONFIG_BALANCE_RANDOM_TWO},
    {"hash", CONFIG_BALANCE_HASH},
    {"sticky", CONFIG_BALANCE_STICKY},
    {NULL, 0}};

static const struct config_key server_keys[] = {
    {.name = "address",
     .type = KEY_TEXT,
     .required = true,
     .offset = offsetof(struct config_server, address),
     .format = &format_server,
     .doc = "Where it listens: `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`. All addresses of a host "
            "name become servers, and are looked up again every `resolve_interval`.",
     .example = "chat-1:3000"},
    {.name = "weight",
     .type = KEY_COUNT,
     .offset = offsetof(struct config_server, weight),
     .fallback = "1",
     .min = 1,
     .max = 1000,
     .doc = "Its share of the work, relative to the others."},
    {.name = "max_connections",
     .type = KEY_COUNT,
     .offset = offsetof(struct config_server, max_connections),
     .fallback = "unlimited",
     .min = 0,
     .max = MILLION,
     .words = words_unlimited,
     .doc = "How many connections it may have at once, over all workers, at each of its addresses. "
            "What comes when every server is full waits in the `queue`.",
     .example = "1000"},
    {.name = "backup",
     .type = KEY_SWITCH,
     .offset = offsetof(struct config_server, backup),
     .fallback = "off",
     .doc = "Whether it is only used when none of the others can be."},
    {.name = "state",
     .type = KEY_WORD,
     .offset = offsetof(struct config_server, state),
     .fallback = "up",
     .words = words_state,
     .doc = "`draining` serves clients that stick to it and takes no others; `down` takes none. An "
            "operator can change it while Weir runs; see `upstream_admin`."},
};

static const struct config_section keys_server = {
    .title = "Servers",
    .doc =
        "The backends of an upstream; at least one. A string alone is short for `{address: ...}`.",
    .size = sizeof(struct config_server),
    .keys = server_keys,
    .key_count = KEYS_COUNT(server_keys),
    .short_key = "address",
    .line_offset = offsetof(struct config_server, line),
};

static const struct config_key upstream_tls_keys[] = {
    {.name = "verify",
     .type = KEY_SWITCH,
     .offset = offsetof(struct config_upstream_tls, verify),
     .fallback = "on",
     .doc = "Whether a server's certificate must be signed by a known authority, for its name. "
            "`off` trusts whoever answers."},
    {.name = "ca",
     .type = KEY_TEXT,
     .offset = offsetof(struct config_upstream_tls, ca),
     .format = &format_file,
     .doc = "PEM file with the authorities that are believed; without it, those of the system.",
     .example = "conf/tls/ca.pem"},
    {.name = "server_name",
     .type = KEY_TEXT,
     .offset = offsetof(struct config_upstream_tls, server_name),
     .format = &format_name_of_tls,
     .doc = "The name that is asked for (SNI) and that the certificate must be for; without it, "
            "the server's host.",
     .example = "chat.example.com"},
    {.name = "certificate",
     .type = KEY_TEXT,
     .offset = offsetof(struct config_upstream_tls, certificate),
     .format = &format_file,
     .doc =
         "PEM file with a certificate of Weir's own and its chain, for servers that ask for one.",
     .example = "conf/tls/cert.pem"},
    {.name = "private_key",
     .type = KEY_TEXT,
     .offset = offsetof(struct config_upstream_tls, private_key),
     .format = &format_file,
     .doc = "PEM file with that certificate's private key.",
     .example = "conf/tls/key.pem"},
};

static const struct config_section keys_upstream_tls = {
    .title = "TLS to servers",
    .doc = "Speaks TLS with the servers. `on` is the mapping with all its defaults.",
    .size = sizeof(struct config_upstream_tls),
    .keys = upstream_tls_keys,
    .key_count = KEYS_COUNT(upstream_tls_keys),
    .switchable = true,
    .check = check_upstream_tls,
};

static const struct config_key queue_keys[] = {
    {.name = "size",
     .type = KEY_COUNT,
     .offset = offsetof(struct config_queue, size),
     .fallback = "128",
     .min = 0,
     .max = MILLION,
     .doc = "How many requests may wait, over all workers; more are answered with 503. With 0 none "
            "waits."},
    {.name = "timeout",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_queue, timeout_ms),
     .fallback = "10s",
     .min = 10,
     .max = HOUR,
     .doc = "A request that has waited for so long is answered with 503."},
};

static const struct config_section keys_queue = {
    .title = "Queue",
    .doc = "Where requests wait while every server has its `max_connections`, or while no name has "
           "been resolved yet.",
    .size = sizeof(struct config_queue),
    .keys = queue_keys,
    .key_count = KEYS_COUNT(queue_keys),
    .check = check_queue,
};

static const struct config_key pool_keys[] = {
    {.name = "max_idle",
     .type = KEY_COUNT,
     .offset = offsetof(struct config_pool, max_idle),
     .fallback = "32",
     .min = 0,
     .max = 10000,
     .doc = "How many idle connections to one server each worker keeps; with 0 every request has a "
            "connection of its own."},
    {.name = "idle_timeout",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_pool, idle_timeout_ms),
     .fallback = "60s",
     .min = 10,
     .max = DAY,
     .doc = "An idle connection is closed after this time. Less than what the servers allow saves "
            "retries."},
    {.name = "max_requests",
     .type = KEY_COUNT,
     .offset = offsetof(struct config_pool, max_requests),
     .fallback = "1000",
     .min = 0,
     .max = 1000 * MILLION,
     .words = words_unlimited,
     .doc = "A connection is closed after so many requests."},
};

static const struct config_section keys_pool = {
    .title = "Keep-alive",
    .doc = "Connections to servers that are used again for the next request.",
    .size = sizeof(struct config_pool),
    .keys = pool_keys,
    .key_count = KEYS_COUNT(pool_keys),
};

static const struct config_key upstream_keys[] = {
    {.name = "servers",
     .type = KEY_SECTIONS,
     .required = true,
     .offset = offsetof(struct config_upstream, servers),
     .count_offset = offsetof(struct config_upstream, server_count),
     .section = &keys_server,
     .doc = "The backends."},
    {.name = "balance",
     .type = KEY_WORD,
     .offset = offsetof(struct config_upstream, balance),
     .fallback = "round_robin",
     .words = words_balance,
     .doc = "Which server is next: in turn; the one with the fewest connections; the better of two "
            "at random; by a hash of the request; or the one that the client is with.",
     .example = "sticky"},
    {.name = "hash",
     .type = KEY_SECTION_OPTIONAL,
     .offset = offsetof(struct config_upstream, hash),
     .section = &keys_hash,
     .doc = "What `balance: hash` goes by.",
     .apart = true},
    {.name = "sticky",
     .type = KEY_SECTION_OPTIONAL,
     .offset = offsetof(struct config_upstream, sticky),
     .section = &keys_sticky,
     .doc = "How `balance: sticky` knows a client; without it, by a cookie with all defaults."},
    {.name = "health_check",
     .type = KEY_SECTION_OPTIONAL,
     .offset = offsetof(struct config_upstream, health_check),
     .section = &keys_health_check,
     .doc = "Ask the servers whether they are well: `on`, `off`, or a mapping. Absent is `off`."},
    {.name = "ejection",
     .type = KEY_SECTION,
     .offset = offsetof(struct config_upstream, ejection),
     .fallback = "on",
     .section = &keys_ejection,
     .doc = "Leave servers alone that fail requests: `on`, `off`, or a mapping."},
    {.name = "tls",
     .type = KEY_SECTION_OPTIONAL,
     .offset = offsetof(struct config_upstream, tls),
     .section = &keys_upstream_tls,
     .doc = "Speak TLS with the servers: `on`, `off`, or a mapping. Absent is `off`."},
    {.name = "queue",
     .type = KEY_SECTION,
     .offset = offsetof(struct config_upstream, queue),
     .section = &keys_queue,
     .doc = "Where requests wait for a server."},
    {.name = "keep_alive",
     .type = KEY_SECTION,
     .offset = offsetof(struct config_upstream, keep_alive),
     .section = &keys_pool,
     .doc = "Connections that are used again."},
    {.name = "slow_start",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_upstream, slow_start_ms),
     .fallback = "off",
     .min = 10,
     .max = HOUR,
     .words = words_off,
     .doc = "A server that comes back is given more and more of its weight over this time; `off` "
            "gives it all at once.",
     .example = "30s"},
    {.name = "connect_timeout",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_upstream, connect_timeout_ms),
     .fallback = "5s",
     .min = 10,
     .max = HOUR,
     .doc = "A server that has not accepted a connection (and finished its TLS handshake) within "
            "this time has failed."},
    {.name = "tries",
     .type = KEY_COUNT,
     .offset = offsetof(struct config_upstream, tries),
     .fallback = "2",
     .min = 1,
     .max = 16,
     .doc = "How many servers are tried for one request when one cannot be reached."},
    {.name = "resolve_interval",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_upstream, resolve_interval_ms),
     .fallback = "10s",
     .min = 100,
     .max = DAY,
     .doc = "How often host names are looked up again. A look-up that fails keeps the addresses of "
            "the last one."},
};

const struct config_section keys_upstream = {
    .title = "Upstreams",
    .doc =
        "Groups of servers, each under a name, that `handler: {proxy: NAME}` forwards to. Names "
        "are made of letters, digits, `_`, `-` and the other characters of tokens; `all` is none.",
    .size = sizeof(struct config_upstream),
    .keys = upstream_keys,
    .key_count = KEYS_COUNT(upstream_keys),
    .line_offset = offsetof(struct config_upstream, line),
    .name_offset = offsetof(struct config_upstream, name),
    .check = check_upstream,
};

static const struct config_key resolver_keys[] = {
    {.name = "nameservers",
     .type = KEY_TEXTS,
     .offset = offsetof(struct config_resolver, nameservers),
     .format = &format_nameserver,
     .doc = "Whom to ask, as `IP`, `IP:PORT` or `[IPV6]:PORT`; empty: whom the system asks "
            "(`/etc/resolv.conf`).",
     .example = "[127.0.0.11]"},
    {.name = "timeout",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_resolver, timeout_ms),
     .fallback = "5s",
     .min = 10,
     .max = 5 * MINUTE,
     .doc = "A look-up that takes longer has failed."},
};

const struct config_section keys_resolver = {
    .title = "Resolver",
    .doc = "How the host names of servers become addresses.",
    .size = sizeof(struct config_resolver),
    .keys = resolver_keys,
    .key_count = KEYS_COUNT(resolver_keys),
};
