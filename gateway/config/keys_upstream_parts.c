/* The keys that say which server of an upstream is next: hash, stickiness, health checks, ejection.
 * Every default of them is here; see keys_upstream.c for the rest of an upstream.
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

static const struct config_word words_session[] = {{"session", 0}, {NULL, 0}};

static const struct config_word words_hash_by[] = {
    {"address", CONFIG_HASH_ADDRESS}, {"header", CONFIG_HASH_HEADER},
    {"cookie", CONFIG_HASH_COOKIE},   {"query", CONFIG_HASH_QUERY},
    {"path", CONFIG_HASH_PATH},       {NULL, 0}};

static const struct config_word words_same_site[] = {{"lax", CONFIG_SAME_SITE_LAX},
                                                     {"strict", CONFIG_SAME_SITE_STRICT},
                                                     {"none", CONFIG_SAME_SITE_NONE},
                                                     {NULL, 0}};

static const struct config_word words_learn[] = {{"off", CONFIG_LEARN_NOTHING},
                                                 {"engine.io", CONFIG_LEARN_ENGINE_IO},
                                                 {"signalr", CONFIG_LEARN_SIGNALR},
                                                 {NULL, 0}};

static const struct config_word words_health_type[] = {{"tcp", CONFIG_HEALTH_TCP},
                                                       {"http", CONFIG_HEALTH_HTTP},
                                                       {"websocket", CONFIG_HEALTH_WEBSOCKET},
                                                       {NULL, 0}};

static const struct config_key hash_keys[] = {
    {.name = "by",
     .type = KEY_WORD,
     .required = true,
     .offset = offsetof(struct config_hash, by),
     .words = words_hash_by,
     .doc = "What of a request decides about its server: the client's address, a header field, a "
            "cookie, a parameter of the query, or the path.",
     .example = "cookie"},
    {.name = "name",
     .type = KEY_TEXT,
     .offset = offsetof(struct config_hash, name),
     .doc = "The name of the header field, the cookie or the parameter.",
     .example = "user"},
};

const struct config_section keys_hash = {
    .title = "Hash",
    .doc = "With `balance: hash`, requests that are alike in this go to the same server; when a "
           "server comes or goes, few others change theirs. A request that lacks it goes to any "
           "server.",
    .size = sizeof(struct config_hash),
    .keys = hash_keys,
    .key_count = KEYS_COUNT(hash_keys),
    .check = check_hash,
};

static const struct config_key sticky_keys[] = {
    {.name = "cookie",
     .type = KEY_TEXT,
     .offset = offsetof(struct config_sticky, cookie),
     .fallback = "weir_backend",
     .format = &format_token,
     .doc = "The name of the cookie that Weir sets."},
    {.name = "secret",
     .type = KEY_TEXT,
     .offset = offsetof(struct config_sticky, secret),
     .format = &format_secret,
     .doc = "What cookies are signed with: at least 16 characters, the same on all gateways that "
            "serve a site. Without it, one is made at each start, and earlier cookies are then "
            "worth nothing. Give it as `${NAME}`.",
     .example = "${WEIR_COOKIE_SECRET}"},
    {.name = "max_age",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_sticky, max_age_ms),
     .fallback = "session",
     .min = SECOND,
     .max = 400 * (uint64_t)DAY,
     .words = words_session,
     .doc = "How long browsers keep the cookie; `session` is until they are closed.",
     .example = "24h"},
    {.name = "same_site",
     .type = KEY_WORD,
     .offset = offsetof(struct config_sticky, same_site),
     .fallback = "lax",
     .words = words_same_site,
     .doc = "From which sites' pages the cookie is sent along. `none`, for pages of other sites, "
            "is of use only where clients come by TLS, to Weir or to a trusted proxy that says so "
            "(`X-Forwarded-Proto`): browsers take it only with `Secure`."},
    {.name = "learn",
     .type = KEY_WORD,
     .offset = offsetof(struct config_sticky, learn),
     .fallback = "off",
     .words = words_learn,
     .doc = "Set no cookie, but read the id from the first answer: `engine.io` the `sid` of "
            "socket.io, `signalr` the `connectionToken`. Later requests that carry the id go to "
            "the server that gave it.",
     .example = "engine.io",
     .apart = true},
    {.name = "ttl",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_sticky, learn_ttl_ms),
     .fallback = "2m",
     .min = SECOND,
     .max = DAY,
     .doc = "How long a learned id is remembered after its last use; longer than clients may be "
            "silent.",
     .apart = true},
    {.name = "max_ids",
     .type = KEY_COUNT,
     .offset = offsetof(struct config_sticky, learn_max_ids),
     .fallback = "100000",
     .min = 1,
     .max = 10 * MILLION,
     .doc = "How many learned ids are kept; above it, the one that was not used for longest is "
            "forgotten.",
     .apart = true},
};

const struct config_section keys_sticky = {
    .title = "Sticky",
    .doc = "With `balance: sticky`, a client stays with the server that served it first; new "
           "clients go to the server with the fewest connections. It is known by a signed cookie, "
           "or by an id that the server itself gave it (`learn`).",
    .size = sizeof(struct config_sticky),
    .keys = sticky_keys,
    .key_count = KEYS_COUNT(sticky_keys),
    .check = check_sticky,
};

static const struct config_key health_check_keys[] = {
    {.name = "type",
     .type = KEY_WORD,
     .offset = offsetof(struct config_health_check, type),
     .fallback = "tcp",
     .words = words_health_type,
     .doc = "`tcp` connects, `http` asks for `path`, `websocket` opens a session at `path` and "
            "wants a pong for its ping. Where `path` is given, the default is `http`.",
     .example = "http"},
    {.name = "path",
     .type = KEY_TEXT,
     .offset = offsetof(struct config_health_check, path),
     .format = &format_target,
     .doc = "What `http` and `websocket` ask for; `/` where it is not given.",
     .example = "/healthz"},
    {.name = "host",
     .type = KEY_TEXT,
     .offset = offsetof(struct config_health_check, host),
     .format = &format_authority,
     .doc = "The `Host` field; without it, the server's address.",
     .example = "chat.example.com"},
    {.name = "status",
     .type = KEY_RANGE,
     .offset = offsetof(struct config_health_check, status_from),
     .count_offset = offsetof(struct config_health_check, status_to),
     .fallback = "200-399",
     .min = 100,
     .max = 599,
     .doc = "The status that a healthy server answers `http` with: one, or a range."},
    {.name = "interval",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_health_check, interval_ms),
     .fallback = "5s",
     .min = 10,
     .max = HOUR,
     .doc = "How often each server is asked."},
    {.name = "timeout",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_health_check, timeout_ms),
     .fallback = "2s",
     .min = 10,
     .max = HOUR,
     .doc = "An answer that takes longer is a bad one."},
    {.name = "rise",
     .type = KEY_COUNT,
     .offset = offsetof(struct config_health_check, rise),
     .fallback = "2",
     .min = 1,
     .max = 100,
     .doc = "So many good answers in a row make it healthy again."},
    {.name = "fall",
     .type = KEY_COUNT,
     .offset = offsetof(struct config_health_check, fall),
     .fallback = "3",
     .min = 1,
     .max = 100,
     .doc = "So many bad answers in a row make it unhealthy."},
};

const struct config_section keys_health_check = {
    .title = "Health check",
    .doc = "Asks each server, again and again, whether it is well; one that is not gets no new "
           "requests. `on` is a check by `tcp` with all defaults.",
    .size = sizeof(struct config_health_check),
    .keys = health_check_keys,
    .key_count = KEYS_COUNT(health_check_keys),
    .switchable = true,
    .check = check_health,
};

static const struct config_key ejection_keys[] = {
    {.name = "failures",
     .type = KEY_COUNT,
     .offset = offsetof(struct config_ejection, failures),
     .fallback = "5",
     .min = 1,
     .max = 1000,
     .doc = "So many failures in a row eject a server: failed connects, and answers with 500, 502, "
            "503 or 504."},
    {.name = "backoff",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_ejection, backoff_ms),
     .fallback = "5s",
     .min = 10,
     .max = DAY,
     .doc = "How long the first ejection lasts; each further one lasts twice as long."},
    {.name = "max_backoff",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_ejection, max_backoff_ms),
     .fallback = "5m",
     .min = 10,
     .max = DAY,
     .doc = "The longest that an ejection lasts."},
};

const struct config_section keys_ejection = {
    .title = "Ejection",
    .doc = "Servers that fail requests get none for a while. `on` is the mapping with all its "
           "defaults.",
    .size = sizeof(struct config_ejection),
    .keys = ejection_keys,
    .key_count = KEYS_COUNT(ejection_keys),
    .switchable = true,
    .enabled_offset = offsetof(struct config_ejection, enabled),
    .check = check_ejection,
};
