/* The keys of the handlers `proxy` and `upstream_admin`. Every default of them is here.
 *
 * Rows of `keys_forms` (keys_route.c) point at these sections; the values go to the handlers as
 * JSON. */
#include "config/keys_proxy.h"

#include "config/check_upstream.h"
#include "config/format.h"

#define SECOND 1000u
#define MINUTE (60u * SECOND)
#define HOUR (60u * MINUTE)
#define DAY (24u * HOUR)
#define KIB 1024u
#define MIB (1024u * KIB)
#define GIB (1024ull * MIB)

static const struct config_word words_off[] = {{"off", 0}, {NULL, 0}};

static const struct config_word words_forwarded[] = {
    {"off", 0}, {"x-forwarded", 1}, {"forwarded", 2}, {"both", 3}, {NULL, 0}};

/* Close codes of the IANA registry: 1014 "bad gateway", 1012 "service restart". */
static const struct config_word words_lost_code[] = {{"1014", 1014}, {"1012", 1012}, {NULL, 0}};

static const struct config_key header_changes_keys[] = {
    {.name = "remove",
     .type = KEY_TEXTS,
     .offset = offsetof(struct keys_header_changes, remove),
     .format = &format_field,
     .doc = "Fields that are taken away, by name.",
     .example = "[X-Powered-By]"},
    {.name = "set",
     .type = KEY_PAIRS,
     .offset = offsetof(struct keys_header_changes, set),
     .format = &format_header,
     .name_format = &format_field,
     .doc = "Fields that replace all of their name.",
     .example = "{X-Gateway: weir}"},
    {.name = "add",
     .type = KEY_PAIRS,
     .offset = offsetof(struct keys_header_changes, add),
     .format = &format_header,
     .name_format = &format_field,
     .doc = "Fields that are added to those that are there.",
     .example = "{Via: 1.1 weir}"},
};

static const struct config_section keys_header_changes = {
    .title = "Header changes",
    .doc = "Done in this order. What frames a message or belongs to one hop (`Content-Length`, "
           "`Connection`, `Upgrade` and their like), and the fields of the WebSocket handshake, "
           "cannot be changed.",
    .size = sizeof(struct keys_header_changes),
    .keys = header_changes_keys,
    .key_count = KEYS_COUNT(header_changes_keys),
};

static const struct config_key proxy_handler_keys[] = {
    {.name = "proxy",
     .type = KEY_TEXT,
     .required = true,
     .offset = offsetof(struct keys_proxy_handler, upstream),
     .format = &format_token,
     .doc = "The upstream that is forwarded to, by its name in `upstreams`.",
     .example = "chat"},
    {.name = "host",
     .type = KEY_TEXT,
     .offset = offsetof(struct keys_proxy_handler, host),
     .fallback = "pass",
     .format = &format_proxy_host,
     .doc = "The `Host` field for the server: `pass` keeps the client's, `server` is the server's "
            "address, anything else is the field itself.",
     .example = "app.example.com"},
    {.name = "strip_prefix",
     .type = KEY_TEXT,
     .offset = offsetof(struct keys_proxy_handler, strip_prefix),
     .format = &format_prefix,
     .doc = "Taken off the front of the path, where it stands there as whole segments.",
     .example = "/api"},
    {.name = "add_prefix",
     .type = KEY_TEXT,
     .offset = offsetof(struct keys_proxy_handler, add_prefix),
     .format = &format_prefix,
     .doc = "Put in front of the path, after `strip_prefix`.",
     .example = "/v2"},
    {.name = "forwarded",
     .type = KEY_WORD,
     .offset = offsetof(struct keys_proxy_handler, forwarded),
     .fallback = "both",
     .words = words_forwarded,
     .doc = "Which fields tell the server about the client: `x-forwarded` is `X-Forwarded-For`, "
            "`-Proto` and `-Host`; `forwarded` is `Forwarded` (RFC 7239). What a proxy of "
            "`http.trusted_proxies` has said in them is kept and continued; what anybody else has "
            "said is taken away. `off` passes on what came, whoever sent it."},
    {.name = "request_headers",
     .type = KEY_SECTION,
     .offset = offsetof(struct keys_proxy_handler, request_headers),
     .section = &keys_header_changes,
     .doc = "Changes to the header of requests."},
    {.name = "response_headers",
     .type = KEY_SECTION,
     .offset = offsetof(struct keys_proxy_handler, response_headers),
     .section = &keys_header_changes,
     .doc = "Changes to the header of responses."},
    {.name = "read_timeout",
     .type = KEY_DURATION,
     .offset = offsetof(struct keys_proxy_handler, read_timeout_ms),
     .fallback = "60s",
     .min = 10,
     .max = DAY,
     .doc = "A server that sends nothing of its response, or takes nothing of a request, for so "
            "long has failed: 504, or a cut where the response has begun. In a session, a server "
            "that takes nothing of what waits for it for so long is lost."},
    {.name = "idle_timeout",
     .type = KEY_DURATION,
     .offset = offsetof(struct keys_proxy_handler, idle_timeout_ms),
     .fallback = "10m",
     .min = 10,
     .max = 7 * (uint64_t)DAY,
     .doc = "A tunnel (an upgrade on a route with `websocket: off`) in which nothing moves for so "
            "long is closed."},
    {.name = "max_head_size",
     .type = KEY_SIZE,
     .offset = offsetof(struct keys_proxy_handler, max_head_size),
     .fallback = "64KiB",
     .min = KIB,
     .max = MIB,
     .doc = "The largest response head that a server may send; a larger one is answered with 502."},
    {.name = "max_message_size",
     .type = KEY_SIZE,
     .offset = offsetof(struct keys_proxy_handler, max_message_size),
     .fallback = "16MiB",
     .min = 1,
     .max = GIB,
     .doc = "The largest WebSocket message from a server, after decompression. That of clients is "
            "a key of `websocket`."},
    {.name = "ping_interval",
     .type = KEY_DURATION,
     .offset = offsetof(struct keys_proxy_handler, ping_interval_ms),
     .fallback = "30s",
     .min = 10,
     .max = DAY,
     .words = words_off,
     .doc = "How often a server is sent a ping in a session in which it has been silent; `off` "
            "sends none."},
    {.name = "ping_timeout",
     .type = KEY_DURATION,
     .offset = offsetof(struct keys_proxy_handler, ping_timeout_ms),
     .fallback = "15s",
     .min = 10,
     .max = DAY,
     .words = words_off,
     .doc = "A server that has sent nothing for so long after a ping is lost; `off` forgives it."},
    {.name = "close_timeout",
     .type = KEY_DURATION,
     .offset = offsetof(struct keys_proxy_handler, close_timeout_ms),
     .fallback = "5s",
     .min = 10,
     .max = HOUR,
     .doc = "How long Weir waits for the server's half of the close handshake."},
    {.name = "lost_code",
     .type = KEY_WORD,
     .offset = offsetof(struct keys_proxy_handler, lost_code),
     .fallback = "1014",
     .words = words_lost_code,
     .doc = "The close code for clients whose server is lost: 1014 (bad gateway), or 1012 (service "
            "restart), after which some clients come back sooner."},
    {.name = "compression",
     .type = KEY_SWITCH,
     .offset = offsetof(struct keys_proxy_handler, compression),
     .fallback = "off",
     .doc = "Whether compression is offered to servers. Whether clients may compress is a key of "
            "`websocket`; one does not need the other."},
};

const struct config_section keys_proxy_handler = {
    .title = "Proxy",
    .doc = "Forwards to an upstream: requests with both bodies as they come, and, on a route with "
           "`websocket: on`, sessions, of which Weir speaks each side's WebSocket itself. On a "
           "route with `websocket: off`, an upgrade is forwarded as it came, and after it bytes "
           "pass both ways untouched: what socket.io and its like want.",
    .size = sizeof(struct keys_proxy_handler),
    .keys = proxy_handler_keys,
    .key_count = KEYS_COUNT(proxy_handler_keys),
    .check = check_proxy,
};

static const struct config_key upstream_admin_keys[] = {
    {.name = "upstream_admin",
     .type = KEY_TEXT,
     .required = true,
     .offset = offsetof(struct keys_upstream_admin, upstream),
     .format = &format_upstreams,
     .doc = "The upstream that is shown and set, or `all`.",
     .example = "all"},
    {.name = "allow",
     .type = KEY_TEXTS,
     .offset = offsetof(struct keys_upstream_admin, allow),
     .fallback = "127.0.0.0/8, ::1",
     .format = &format_block,
     .doc = "Clients that may ask: addresses and CIDR blocks. Others get 403."},
};

const struct config_section keys_upstream_admin = {
    .title = "Upstream admin",
    .doc = "A page for operators: GET answers with upstreams, their servers and figures as JSON, "
           "POST sets the state of a server.",
    .size = sizeof(struct keys_upstream_admin),
    .keys = upstream_admin_keys,
    .key_count = KEYS_COUNT(upstream_admin_keys),
};
