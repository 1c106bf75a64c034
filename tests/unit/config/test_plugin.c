/* Plugins and handlers: their forms, their files, their settings as JSON. */
#include "config/config_fixture.h"

static struct config *load_handler(const char *handler)
{
    char yaml[1024];
    snprintf(yaml, sizeof(yaml), LISTEN "routes:\n  - path: /\n    handler: %s\n", handler);
    return load_good(yaml);
}

static void expect_handler_error(const char *handler, const char *said)
{
    char yaml[1024];
    char line[1024];
    snprintf(yaml, sizeof(yaml), LISTEN "routes:\n  - path: /\n    handler: %s\n", handler);
    snprintf(line, sizeof(line), "t.yaml:4:%s\n", said);
    expect_errors(yaml, line);
}

static void test_chain_keeps_its_order(void **state)
{
    (void)state;
    struct config *c = load_good("plugin_path: [more, plugins]\n" LISTEN "routes:\n"
                                 "  - path: /\n"
                                 "    plugins: [rate_limit, {lua: chat, config: {a: 1}}, echo]\n"
                                 "    handler: {lua: echo}\n");
    const struct config_route *r = &c->routes[0];
    assert_int_equal(r->plugin_count, 3);
    assert_int_equal(r->plugins[0].kind, CONFIG_PLUGIN_LUA);
    assert_string_equal(r->plugins[0].name, "rate_limit");
    assert_string_equal(r->plugins[0].file, "plugins/rate_limit.lua");
    assert_string_equal(r->plugins[0].settings_json, "{}");
    assert_int_equal(r->plugins[0].line, 5);
    assert_string_equal(r->plugins[1].file, "more/chat.lua");
    assert_string_equal(r->plugins[1].settings_json, "{\"a\":1}");
    assert_string_equal(r->plugins[2].file, "more/echo.lua"); /* the first folder wins */
    assert_string_equal(r->handler.file, "more/echo.lua");
    assert_int_equal(r->handler.line, 6);
    config_release(&c);
}

static void test_access_log_is_built_in(void **state)
{
    (void)state;
    struct config *c = load_good(LISTEN "routes:\n"
                                        "  - path: /\n"
                                        "    plugins: [access_log, {access_log: www/a.jsonl}]\n"
                                        "    handler: {lua: echo}\n");
    const struct config_route *r = &c->routes[0];
    assert_int_equal(r->plugins[0].kind, CONFIG_PLUGIN_ACCESS_LOG);
    assert_string_equal(r->plugins[0].name, "access_log");
    assert_string_equal(r->plugins[0].file, "-");
    assert_string_equal(r->plugins[0].settings_json, "{}");
    assert_int_equal(r->plugins[1].kind, CONFIG_PLUGIN_ACCESS_LOG);
    assert_string_equal(r->plugins[1].name, "www/a.jsonl");
    assert_string_equal(r->plugins[1].file, "www/a.jsonl");
    assert_string_equal(r->plugins[1].settings_json, "{}");
    config_release(&c);
}

static void test_static_settings_come_with_defaults(void **state)
{
    (void)state;
    struct config *c = load_handler("{static: www}");
    const struct config_plugin *h = &c->routes[0].handler;
    assert_int_equal(h->kind, CONFIG_PLUGIN_STATIC);
    assert_string_equal(h->name, "www");
    assert_string_equal(h->file, "www");
    assert_string_equal(
        h->settings_json,
        "{\"index\":\"index.html\",\"cache_control\":\"no-cache\",\"precompressed\":true}");
    config_release(&c);
    c = load_handler("{static: www, cache_control: \"public, max-age=60\", index: main.html, "
                     "precompressed: off}");
    assert_string_equal(c->routes[0].handler.settings_json,
                        "{\"index\":\"main.html\",\"cache_control\":\"public, max-age=60\","
                        "\"precompressed\":false}");
    config_release(&c);
}

static void test_settings_have_the_types_of_the_core_schema(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"{}", "{}"},
        {"{a: hi, b: \"5\", c: 5, d: -1.50, e: true, f: off, g: null, h: ~, i: ''}",
         "{\"a\":\"hi\",\"b\":\"5\",\"c\":5,\"d\":-1.50,\"e\":true,\"f\":false,\"g\":null,\"h\":"
         "null,"
         "\"i\":\"\"}"},
        {"{a: [1, [x, {y: z}], []], b: {c: {}}}",
         "{\"a\":[1,[\"x\",{\"y\":\"z\"}],[]],\"b\":{\"c\":{}}}"},
        {"{a: 007, b: +7, c: -007, d: 0, e: 0x1f, f: 0o17, g: 0xFFFFFFFFFFFFFFFF}",
         "{\"a\":7,\"b\":7,\"c\":-7,\"d\":0,\"e\":31,\"f\":15,\"g\":18446744073709551615}"},
        {"{a: .5, b: 5., c: +1.e3, d: -.5e-3, e: 00.5}",
         "{\"a\":0.5,\"b\":5.0,\"c\":1.0e3,\"d\":-0.5e-3,\"e\":0.5}"},
        {"{\"q\\\"\\\\\\n\\x7f\": \"\\t\\u00e9\"}", "{\"q\\\"\\\\\\u000a\\u007f\":\"\\u0009é\"}"},
        {"{5: x, on: y}", "{\"5\":\"x\",\"on\":\"y\"}"},
        {"{a: True, b: FALSE, c: Yes, d: 1_000, e: 0x}",
         "{\"a\":true,\"b\":false,\"c\":\"Yes\",\"d\":\"1_000\",\"e\":\"0x\"}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char handler[512];
        snprintf(handler, sizeof(handler), "{lua: echo, config: %s}", rows[i][0]);
        struct config *c = load_handler(handler);
        assert_string_equal(c->routes[0].handler.settings_json, rows[i][1]);
        config_release(&c);
    }
}

static void test_settings_refuse_what_json_cannot_say(void **state)
{
    (void)state;
    expect_handler_error("{lua: echo, config: {a: [.inf]}}",
                         "39: routes[0].handler.config.a[0]: `.inf` is a number that JSON has not");
    expect_handler_error("{lua: echo, config: {a: 0x10000000000000000}}",
                         "38: routes[0].handler.config.a: `0x10000000000000000` is too large");
    expect_handler_error("{lua: echo, config: [1]}",
                         "34: routes[0].handler.config: expected a mapping, found a list");
    expect_handler_error("{lua: echo, config: {a: ! x, b: *x}}",
                         "46: routes[0].handler.config.b: alias `*x` has no anchor before it");
}

static void test_missing_plugins_name_the_nearest_file(void **state)
{
    (void)state;
    expect_handler_error("{lua: ecoh}", "20: routes[0].handler.lua: plugin `ecoh` not found in "
                                        "plugins; did you mean `echo`?");
    expect_handler_error("{lua: notes}", "20: routes[0].handler.lua: plugin `notes` not found in "
                                         "plugins");
    expect_errors(
        "plugin_path: [more, plugins]\n" LISTEN
        "routes: [{path: /, plugins: [acces_log], handler: {lua: xyz}}]\n",
        "t.yaml:3:30: routes[0].plugins[0]: plugin `acces_log` not found in more, plugins; "
        "did you mean `access_log`?\n"
        "t.yaml:3:57: routes[0].handler.lua: plugin `xyz` not found in more, plugins\n");
    expect_errors(
        "plugin_path: []\n" LISTEN "routes: [{path: /, handler: {lua: echo}}]\n",
        "t.yaml:3:35: routes[0].handler.lua: plugin `echo` not found in plugin_path, which "
        "is empty\n");
}

static void test_limits_of_a_plugin_go_before_those_of_all(void **state)
{
    (void)state;
    struct config *c = load_good(
        LISTEN "routes:\n"
               "  - path: /\n"
               "    plugins: [echo, {lua: echo, cpu_limit: 5ms, max_parked: 0, trusted: on}]\n"
               "    handler: {lua: echo, memory_limit: 2MiB, max_timers: 9, max_http_requests: 1}\n"
               "lua: {cpu_limit: 7ms, max_timers: 8}\n");
    const struct config_route *r = &c->routes[0];
    const struct config_lua *all = &c->lua;
    assert_int_equal(all->max_parked, 10000);
    assert_memory_equal(&r->plugins[0].lua, all, sizeof *all);
    assert_false(r->plugins[0].trusted);
    assert_int_equal(r->plugins[1].lua.cpu_limit_ms, 5);
    assert_int_equal(r->plugins[1].lua.max_parked, 0);
    assert_int_equal(r->plugins[1].lua.max_timers, 8);
    assert_true(r->plugins[1].trusted);
    assert_string_equal(r->plugins[1].settings_json, "{}"); /* they are not the plugin's business */
    assert_int_equal(r->handler.lua.cpu_limit_ms, 7);
    assert_int_equal(r->handler.lua.memory_limit, 2 << 20);
    assert_int_equal(r->handler.lua.max_timers, 9);
    assert_int_equal(r->handler.lua.max_http_requests, 1);
    assert_false(r->handler.trusted);
    config_release(&c);
}

static void test_native_plugins_are_shared_objects(void **state)
{
    (void)state;
    struct config *c = load_good("plugin_path: [plugins, more]\n" LISTEN "routes:\n"
                                 "  - path: /\n"
                                 "    plugins: [{native: auth, config: {a: 1}}]\n"
                                 "    handler: {native: auth}\n");
    const struct config_route *r = &c->routes[0];
    assert_int_equal(r->plugins[0].kind, CONFIG_PLUGIN_NATIVE);
    assert_string_equal(r->plugins[0].name, "auth");
    assert_string_equal(r->plugins[0].file, "more/auth.so");
    assert_string_equal(r->plugins[0].settings_json, "{\"a\":1}");
    assert_string_equal(r->handler.settings_json, "{}");
    config_release(&c);
    expect_errors("plugin_path: [plugins, more]\n" LISTEN
                  "routes: [{path: /, plugins: [auth], handler: {native: aut}}]\n",
                  "t.yaml:3:30: routes[0].plugins[0]: plugin `auth` not found in plugins, more\n"
                  "t.yaml:3:55: routes[0].handler.native: plugin `aut` not found in plugins, more; "
                  "did you mean `auth`?\n");
    expect_handler_error("{native: auth.so}", "23: routes[0].handler.native: `auth.so` is a file "
                                              "name; write it without its ending");
}

static void test_refuses_what_is_no_form(void **state)
{
    (void)state;
    expect_handler_error(
        "{}",
        "14: routes[0].handler: names no plugin; expected `lua`, `native`, `static`, `proxy`, "
        "`upstream_admin` or `metrics`");
    expect_handler_error(
        "{laa: echo}", "15: routes[0].handler: unknown kind of plugin `laa`, did you mean `lua`?");
    expect_handler_error("{proxy: chat}",
                         "22: routes[0].handler.proxy: there is no upstream `chat`");
    expect_handler_error("{wasm: auth}",
                         "15: routes[0].handler: unknown kind of plugin `wasm`, "
                         "expected `lua`, `native`, `static`, `proxy`, `upstream_admin` "
                         "or `metrics`");
    expect_handler_error("{lua: echo, static: www}",
                         "26: routes[0].handler: names both `lua` and `static`");
    expect_handler_error("{lua: echo, confg: {}}",
                         "26: routes[0].handler.confg: unknown key, did you mean `config`?");
    expect_handler_error("{static: www, config: {}}", "28: routes[0].handler.config: unknown key");
    expect_handler_error("{static: nowhere}", "23: routes[0].handler.static: `nowhere` cannot be "
                                              "read: No such file or directory");
    expect_handler_error("{lua: ../echo}", "20: routes[0].handler.lua: `../echo` is not a plugin "
                                           "name: letters, digits, `_`, `-` and `.`, and no path");
    expect_handler_error("{access_log: a.log}",
                         "15: routes[0].handler: `access_log` can only be in `plugins`");
    expect_handler_error("{lua: on}",
                         "20: routes[0].handler.lua: expected a string, found `on`; put "
                         "it in quotes if it is one");
}

static void test_refuses_handlers_in_the_chain(void **state)
{
    (void)state;
    expect_errors(LISTEN "routes:\n"
                         "  - path: /\n"
                         "    plugins: [{static: www}, [x], echo.lua, '']\n"
                         "    handler: {lua: echo}\n",
                  "t.yaml:4:16: routes[0].plugins[0]: `static` can only be a handler\n"
                  "t.yaml:4:30: routes[0].plugins[1]: expected a plugin's name or a mapping like "
                  "`{lua: NAME}`, found a list\n"
                  "t.yaml:4:35: routes[0].plugins[2]: `echo.lua` is a file name; write it without "
                  "its ending\n"
                  "t.yaml:4:45: routes[0].plugins[3]: expected a string, found an empty one\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain_keeps_its_order),
        cmocka_unit_test(test_access_log_is_built_in),
        cmocka_unit_test(test_static_settings_come_with_defaults),
        cmocka_unit_test(test_settings_have_the_types_of_the_core_schema),
        cmocka_unit_test(test_settings_refuse_what_json_cannot_say),
        cmocka_unit_test(test_missing_plugins_name_the_nearest_file),
        cmocka_unit_test(test_limits_of_a_plugin_go_before_those_of_all),
        cmocka_unit_test(test_native_plugins_are_shared_objects),
        cmocka_unit_test(test_refuses_what_is_no_form),
        cmocka_unit_test(test_refuses_handlers_in_the_chain),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_remove);
}
