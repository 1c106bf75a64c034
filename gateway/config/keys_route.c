/* The keys of routes: matching, WebSocket with its compression, and the forms of plugins and
 * handlers. Every default of them is here; see keys.c for the rest.
 *
 * A new kind of plugin is a row in `keys_forms`, a section for its keys, and a struct for what they
 * load into. */
#include "config/keys_route.h"

#include "config/check.h"
#include "config/format.h"
#include "config/keys.h"
#include "config/keys_jwt.h"
#include "config/keys_metrics.h"
#include "config/keys_native.h"
#include "config/keys_proxy.h"
#include "config/plugin.h"

#define SECOND 1000u
#define MINUTE (60u * SECOND)
#define HOUR (60u * MINUTE)
#define KIB 1024u
#define MIB (1024u * KIB)
#define GIB (1024ull * MIB)

static const struct config_word words_off[] = {{"off", 0}, {NULL, 0}};

static const struct config_key compression_keys[] = {
    {.name = "server_context_takeover",
     .type = KEY_SWITCH,
     .offset = offsetof(struct config_compression, server_context_takeover),
     .fallback = "off",
     .doc = "Whether what Weir sends is compressed with the memory of earlier messages: smaller "
            "messages, for some hundred KiB of memory in each session."},
    {.name = "client_context_takeover",
     .type = KEY_SWITCH,
     .offset = offsetof(struct config_compression, client_context_takeover),
     .fallback = "off",
     .doc = "The same for what the client sends; it costs each session some tens of KiB."},
    {.name = "server_max_window_bits",
     .type = KEY_COUNT,
     .offset = offsetof(struct config_compression, server_max_window_bits),
     .fallback = "15",
     .min = 9,
     .max = 15,
     .doc = "The window that Weir compresses with, as a power of two."},
    {.name = "client_max_window_bits",
     .type = KEY_COUNT,
     .offset = offsetof(struct config_compression, client_max_window_bits),
     .fallback = "15",
     .min = 9,
     .max = 15,
     .doc = "The window that clients are asked to compress with, where they can be asked."},
    {.name = "level",
     .type = KEY_COUNT,
     .offset = offsetof(struct config_compression, level),
     .fallback = "1",
     .min = 1,
     .max = 9,
     .doc = "From 1, the fastest, to 9, the smallest."},
    {.name = "min_size",
     .type = KEY_SIZE,
     .offset = offsetof(struct config_compression, min_size),
     .fallback = "256",
     .min = 0,
     .max = GIB,
     .doc = "Messages smaller than this go uncompressed."},
};

static const struct config_section keys_compression = {
    .title = "Compression",
    .doc = "The permessage-deflate extension (RFC 7692), used with clients that offer it. `on` is "
           "the mapping with all its defaults.",
    .size = sizeof(struct config_compression),
    .keys = compression_keys,
    .key_count = KEYS_COUNT(compression_keys),
    .switchable = true,
    .enabled_offset = offsetof(struct config_compression, enabled),
};

static const struct config_key websocket_keys[] = {
    {.name = "keep_alive_interval",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_websocket, keep_alive_interval_ms),
     .fallback = "30s",
     .min = 10,
     .max = 24 * HOUR,
     .words = words_off,
     .doc = "How often a ping is sent to a client that has been silent; `off` sends none."},
    {.name = "keep_alive_timeout",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_websocket, keep_alive_timeout_ms),
     .fallback = "15s",
     .min = 10,
     .max = 24 * HOUR,
     .words = words_off,
     .doc =
         "A client that has sent nothing for so long after a ping is closed; `off` forgives it."},
    {.name = "receive_buffer_size",
     .type = KEY_SIZE,
     .offset = offsetof(struct config_websocket, receive_buffer_size),
     .fallback = "64KiB",
     .min = KIB,
     .max = 256 * KIB,
     .doc =
         "How much is read from a session's socket at once. The buffer belongs to the worker; an "
         "idle session has none."},
    {.name = "max_message_size",
     .type = KEY_SIZE,
     .offset = offsetof(struct config_websocket, max_message_size),
     .fallback = "1MiB",
     .min = 1,
     .max = GIB,
     .doc = "The largest message from a client, after decompression; a larger one closes the "
            "session with 1009."},
    {.name = "max_queue_size",
     .type = KEY_SIZE,
     .offset = offsetof(struct config_websocket, max_queue_size),
     .fallback = "1MiB",
     .min = KIB,
     .max = GIB,
     .doc = "How much may wait for a client that reads slowly; above it a send fails with `full`."},
    {.name = "write_timeout",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_websocket, write_timeout_ms),
     .fallback = "30s",
     .min = 10,
     .max = 24 * HOUR,
     .doc = "A client that takes nothing of what waits for it for so long is closed."},
    {.name = "close_timeout",
     .type = KEY_DURATION,
     .offset = offsetof(struct config_websocket, close_timeout_ms),
     .fallback = "5s",
     .min = 10,
     .max = HOUR,
     .doc = "How long Weir waits for the client's half of the close handshake."},
    {.name = "allowed_origins",
     .type = KEY_TEXTS,
     .offset = offsetof(struct config_websocket, allowed_origins),
     .format = &format_origin,
     .doc = "Pages that may connect, as `https://example.com` or `https://*.example.com`; others "
            "get 403. Empty allows all. Clients that are no browsers send no origin and pass.",
     .example = "[https://example.com]"},
    {.name = "subprotocols",
     .type = KEY_TEXTS,
     .offset = offsetof(struct config_websocket, subprotocols),
     .format = &format_token,
     .doc =
         "Subprotocols that are spoken here; the first of the client's wishes that is among them "
         "is agreed.",
     .example = "[chat.v1]"},
    {.name = "compression",
     .type = KEY_SECTION,
     .offset = offsetof(struct config_websocket, compression),
     .fallback = "off",
     .section = &keys_compression,
     .doc = "Compress messages: `on`, `off`, or a mapping."},
};

static const struct config_section keys_websocket = {
    .title = "WebSocket",
    .doc =
        "A route accepts WebSocket where `websocket` is `on` or a mapping; `on` is the mapping "
        "with all its defaults. Without the key, or with `off`, Weir leaves the upgrade alone: a "
        "`proxy` handler passes it on and then tunnels bytes both ways, untouched; other handlers "
        "see a plain request.",
    .size = sizeof(struct config_websocket),
    .keys = websocket_keys,
    .key_count = KEYS_COUNT(websocket_keys),
    .switchable = true,
    .check = check_websocket,
};

static const struct config_key route_keys[] = {
    {.name = "host",
     .type = KEY_TEXTS,
     .offset = offsetof(struct config_route, hosts),
     .format = &format_host,
     .doc = "The host names that the route serves, without port; `*.example.com` stands for all "
            "names below. Without it, all hosts.",
     .example = "[example.com, \"*.example.com\"]"},
    {.name = "path",
     .type = KEY_TEXT,
     .required = true,
     .offset = offsetof(struct config_route, path),
     .format = &format_path,
     .doc = "The path that the route serves, with all that lies below it; the longest path wins.",
     .example = "/ws"},
    {.name = "websocket",
     .type = KEY_SECTION_OPTIONAL,
     .offset = offsetof(struct config_route, websocket),
     .section = &keys_websocket,
     .doc = "Accept WebSocket: `on`, `off`, or a mapping. Absent is `off`; with `handler: {proxy: "
            "..}`, upgrades are then left to the servers, through a tunnel."},
    {.name = "max_body_size",
     .type = KEY_SIZE,
     .offset = offsetof(struct config_route, max_body_size),
     .inherits = "http.max_body_size",
     .inherits_offset = offsetof(struct config, http) + offsetof(struct config_http, max_body_size),
     .min = 0,
     .max = 1024 * GIB,
     .doc = "The largest request body on this route; a larger one is answered with 413.",
     .example = "100MiB"},
    {.name = "plugins",
     .type = KEY_PLUGINS,
     .offset = offsetof(struct config_route, plugins),
     .count_offset = offsetof(struct config_route, plugin_count),
     .doc = "Plugins that a request and its messages walk through before the handler, in this "
            "order.",
     .example = "[access_log]"},
    {.name = "handler",
     .type = KEY_PLUGIN,
     .required = true,
     .offset = offsetof(struct config_route, handler),
     .doc = "What answers at the end of the chain.",
     .example = "{lua: echo}"},
};

const struct config_section keys_route = {
    .title = "Routes",
    .doc =
        "Host and path lead to options, a chain of plugins, and the handler at its end; at least "
        "one route. No two routes may have the same host and path.",
    .size = sizeof(struct config_route),
    .keys = route_keys,
    .key_count = KEYS_COUNT(route_keys),
    .line_offset = offsetof(struct config_route, line),
};

static const struct config_key lua_plugin_keys[] = {
    {.name = "lua",
     .type = KEY_TEXT,
     .required = true,
     .offset = offsetof(struct keys_lua_plugin, name),
     .format = &format_name,
     .doc = "The plugin's name: `echo` is the first `echo.lua` along `plugin_path`.",
     .example = "echo"},
    {.name = "config",
     .type = KEY_FREE,
     .offset = offsetof(struct keys_lua_plugin, config),
     .doc = "The plugin's own settings; it finds them as `weir.config`.",
     .example = "{greeting: hello}"},
    {.name = "cpu_limit",
     .type = KEY_DURATION,
     .offset = offsetof(struct keys_lua_plugin, limits) + offsetof(struct config_lua, cpu_limit_ms),
     .inherits = "lua.cpu_limit",
     .inherits_offset = offsetof(struct config, lua) + offsetof(struct config_lua, cpu_limit_ms),
     .min = 1,
     .max = MINUTE,
     .doc = "The processor time of one callback of this plugin.",
     .example = "250ms"},
    {.name = "memory_limit",
     .type = KEY_SIZE,
     .offset = offsetof(struct keys_lua_plugin, limits) + offsetof(struct config_lua, memory_limit),
     .inherits = "lua.memory_limit",
     .inherits_offset = offsetof(struct config, lua) + offsetof(struct config_lua, memory_limit),
     .min = MIB,
     .max = 64 * GIB,
     .doc = "The memory of each of its Lua states.",
     .example = "16MiB"},
    {.name = "max_timers",
     .type = KEY_COUNT,
     .offset = offsetof(struct keys_lua_plugin, limits) + offsetof(struct config_lua, max_timers),
     .inherits = "lua.max_timers",
     .inherits_offset = offsetof(struct config, lua) + offsetof(struct config_lua, max_timers),
     .min = 0,
     .max = 1000000,
     .doc = "How many timers each of its states may have.",
     .example = "100"},
    {.name = "max_parked",
     .type = KEY_COUNT,
     .offset = offsetof(struct keys_lua_plugin, limits) + offsetof(struct config_lua, max_parked),
     .inherits = "lua.max_parked",
     .inherits_offset = offsetof(struct config, lua) + offsetof(struct config_lua, max_parked),
     .min = 0,
     .max = 1000000,
     .doc = "How many of its callbacks and coroutines may wait at a time, in each state.",
     .example = "1000"},
    {.name = "max_http_requests",
     .type = KEY_COUNT,
     .offset =
         offsetof(struct keys_lua_plugin, limits) + offsetof(struct config_lua, max_http_requests),
     .inherits = "lua.max_http_requests",
     .inherits_offset =
         offsetof(struct config, lua) + offsetof(struct config_lua, max_http_requests),
     .min = 0,
     .max = 100000,
     .doc = "How many HTTP requests each of its states may have under way.",
     .example = "100"},
    {.name = "trusted",
     .type = KEY_SWITCH,
     .offset = offsetof(struct keys_lua_plugin, trusted),
     .fallback = "off",
     .doc =
         "Whether it gets all of Lua's standard library: files, processes, bytecode, `debug`. It "
         "can then stop the worker and do whatever the gateway may do."},
};

static const struct config_section keys_lua_plugin = {
    .title = "Lua plugins",
    .doc = "A Lua file. In `plugins`, `NAME` alone is short for `{lua: NAME}`.",
    .size = sizeof(struct keys_lua_plugin),
    .keys = lua_plugin_keys,
    .key_count = KEYS_COUNT(lua_plugin_keys),
};

static const struct config_key static_handler_keys[] = {
    {.name = "static",
     .type = KEY_TEXT,
     .required = true,
     .offset = offsetof(struct keys_static_handler, folder),
     .format = &format_folder,
     .doc = "The folder whose files are served.",
     .example = "www"},
    {.name = "index",
     .type = KEY_TEXT,
     .offset = offsetof(struct keys_static_handler, index),
     .fallback = "index.html",
     .format = &format_leaf,
     .doc = "The file that stands for a folder."},
    {.name = "cache_control",
     .type = KEY_TEXT,
     .offset = offsetof(struct keys_static_handler, cache_control),
     .fallback = "no-cache",
     .format = &format_header,
     .doc =
         "The `Cache-Control` field of each file. `no-cache` lets clients keep a file but ask each "
         "time whether it has changed.",
     .example = "public, max-age=60"},
    {.name = "precompressed",
     .type = KEY_SWITCH,
     .offset = offsetof(struct keys_static_handler, precompressed),
     .fallback = "on",
     .doc = "Whether `NAME.gz` beside `NAME` is sent to clients that accept gzip."},
};

static const struct config_section keys_static_handler = {
    .title = "Static files",
    .doc = "A folder of files, for GET and HEAD.",
    .size = sizeof(struct keys_static_handler),
    .keys = static_handler_keys,
    .key_count = KEYS_COUNT(static_handler_keys),
};

static const struct config_key access_log_keys[] = {
    {.name = "access_log",
     .type = KEY_TEXT,
     .offset = offsetof(struct keys_access_log, path),
     .fallback = "-",
     .format = &format_output,
     .doc = "The file that lines are appended to; `\"-\"`, in quotes, is standard output.",
     .example = "access.jsonl"},
};

static const struct config_section keys_access_log = {
    .title = "Access log",
    .doc =
        "A built-in plugin that writes one line of JSON for each request and session when it "
        "ends. First in the chain, it is the last to hear, so its line tells what the client got "
        "in the end. In `plugins`, `access_log` alone writes to standard output.",
    .size = sizeof(struct keys_access_log),
    .keys = access_log_keys,
    .key_count = KEYS_COUNT(access_log_keys),
};

const struct config_plugin_form keys_forms[] = {
    {.word = "lua",
     .kind = CONFIG_PLUGIN_LUA,
     .in_chain = true,
     .is_handler = true,
     .section = &keys_lua_plugin,
     .name_offset = offsetof(struct keys_lua_plugin, name),
     .find = plugin_find_lua},
    {.word = "native",
     .kind = CONFIG_PLUGIN_NATIVE,
     .in_chain = true,
     .is_handler = true,
     .section = &keys_native_plugin,
     .name_offset = offsetof(struct keys_native_plugin, name),
     .find = plugin_find_native},
    {.word = "static",
     .kind = CONFIG_PLUGIN_STATIC,
     .is_handler = true,
     .section = &keys_static_handler,
     .name_offset = offsetof(struct keys_static_handler, folder),
     .find = plugin_find_path},
    {.word = "access_log",
     .kind = CONFIG_PLUGIN_ACCESS_LOG,
     .in_chain = true,
     .section = &keys_access_log,
     .name_offset = offsetof(struct keys_access_log, path),
     .bare = true,
     .find = plugin_find_path},
    {.word = "proxy",
     .kind = CONFIG_PLUGIN_PROXY,
     .is_handler = true,
     .section = &keys_proxy_handler,
     .name_offset = offsetof(struct keys_proxy_handler, upstream),
     .find = plugin_find_upstream},
    {.word = "upstream_admin",
     .kind = CONFIG_PLUGIN_UPSTREAM_ADMIN,
     .is_handler = true,
     .section = &keys_upstream_admin,
     .name_offset = offsetof(struct keys_upstream_admin, upstream),
     .find = plugin_find_upstream_or_all},
    {.word = "jwt",
     .kind = CONFIG_PLUGIN_JWT,
     .in_chain = true,
     .section = &keys_jwt,
     .name_offset = offsetof(struct keys_jwt, key_file),
     .find = plugin_find_path},
    {.word = "metrics",
     .kind = CONFIG_PLUGIN_METRICS,
     .is_handler = true,
     .section = &keys_metrics,
     .name_offset = offsetof(struct keys_metrics, format),
     .find = plugin_find_path},
};

const size_t keys_form_count = KEYS_COUNT(keys_forms);
