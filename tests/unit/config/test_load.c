/* Keys into structs: defaults, types, ranges, and the exact words for each mistake. */
#include "config/config_fixture.h"

static void test_smallest_file_has_all_defaults(void **state)
{
    (void)state;
    struct config *c =
        load_good(LISTEN "routes: [{path: /, websocket: on, handler: {static: www}}]\n");
    assert_in_range(c->workers, 1, 1024);
    assert_int_equal(c->shutdown_timeout_ms, 10000);
    assert_int_equal(c->log_level, CONFIG_LOG_INFO);
    assert_int_equal(c->plugin_path.count, 1);
    assert_string_equal(c->plugin_path.items[0], "plugins");
    assert_int_equal(c->listen_count, 1);
    assert_int_equal(c->listen[0].backlog, 4096);
    assert_null(c->listen[0].tls);
    assert_false(c->listen[0].proxy_protocol);
    assert_int_equal(c->listen[0].line, 1);
    assert_int_equal(c->http.max_line_size, 8192);
    assert_int_equal(c->http.max_header_size, 16384);
    assert_int_equal(c->http.max_headers, 100);
    assert_int_equal(c->http.header_timeout_ms, 10000);
    assert_int_equal(c->http.idle_timeout_ms, 60000);
    assert_int_equal(c->http.body_timeout_ms, 30000);
    assert_int_equal(c->http.max_body_size, 1048576);
    assert_int_equal(c->http.trusted_proxies.count, 0);
    assert_int_equal(c->lua.cpu_limit_ms, 100);
    assert_int_equal(c->lua.memory_limit, 64 * 1048576);
    assert_int_equal(c->route_count, 1);
    assert_int_equal(c->routes[0].line, 2);
    assert_int_equal(c->routes[0].hosts.count, 0);
    const struct config_websocket *w = c->routes[0].websocket;
    assert_int_equal(w->keep_alive_interval_ms, 30000);
    assert_int_equal(w->keep_alive_timeout_ms, 15000);
    assert_int_equal(w->receive_buffer_size, 65536);
    assert_int_equal(w->max_message_size, 1048576);
    assert_int_equal(w->max_queue_size, 1048576);
    assert_int_equal(w->write_timeout_ms, 30000);
    assert_int_equal(w->close_timeout_ms, 5000);
    assert_int_equal(w->allowed_origins.count, 0);
    assert_int_equal(w->subprotocols.count, 0);
    assert_false(w->compression.enabled);
    config_release(&c);
}

static void test_route_takes_the_body_limit_of_http_unless_it_has_its_own(void **state)
{
    (void)state;
    struct config *c = load_good("routes:\n"
                                 "  - {path: /, handler: {static: www}}\n"
                                 "  - {path: /up, max_body_size: 5GiB, handler: {static: www}}\n"
                                 "  - {path: /none, max_body_size: 0, handler: {static: www}}\n"
                                 "http: {max_body_size: 7KiB}\n" LISTEN);
    assert_int_equal(c->http.max_body_size, 7168);
    assert_int_equal(c->routes[0].max_body_size, 7168);
    assert_int_equal(c->routes[1].max_body_size, 5ull << 30);
    assert_int_equal(c->routes[2].max_body_size, 0);
    config_release(&c);
    c = load_good(LISTEN ROUTES);
    assert_int_equal(c->routes[0].max_body_size, 1048576);
    config_release(&c);
}

static void test_compression_on_is_the_mapping_with_defaults(void **state)
{
    (void)state;
    static const char *const forms[] = {"on", "{}", "true", "{level: 1}"};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        char yaml[256];
        snprintf(yaml, sizeof(yaml),
                 LISTEN "routes: [{path: /, websocket: {compression: %s}, handler: {lua: echo}}]",
                 forms[i]);
        struct config *c = load_good(yaml);
        const struct config_compression *z = &c->routes[0].websocket->compression;
        assert_true(z->enabled);
        assert_false(z->server_context_takeover);
        assert_false(z->client_context_takeover);
        assert_int_equal(z->server_max_window_bits, 15);
        assert_int_equal(z->client_max_window_bits, 15);
        assert_int_equal(z->level, 1);
        assert_int_equal(z->min_size, 256);
        config_release(&c);
    }
}

static void test_websocket_is_off_unless_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool accepts;
    } rows[] = {{"", false},
                {"websocket: off, ", false},
                {"websocket: false, ", false},
                {"websocket: on, ", true},
                {"websocket: {}, ", true}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char yaml[256];
        snprintf(yaml, sizeof(yaml), LISTEN "routes: [{path: /, %shandler: {lua: echo}}]",
                 rows[i].text);
        struct config *c = load_good(yaml);
        assert_int_equal(c->routes[0].websocket != NULL, rows[i].accepts);
        config_release(&c);
    }
}

static void test_reads_every_kind_of_value(void **state)
{
    (void)state;
    struct config *c =
        load_good("workers: 2\n"
                  "shutdown_timeout: 0\n"
                  "log_level: debug\n"
                  "plugin_path: [more, plugins]\n"
                  "listen:\n"
                  "  - address: '[::1]:5000'\n"
                  "  - address: unix:/tmp/weir.sock\n"
                  "    backlog: 7\n"
                  "routes:\n"
                  "  - host: [Example.com, '*.example.com']\n"
                  "    path: /a\n"
                  "    websocket:\n"
                  "      keep_alive_interval: off\n"
                  "      keep_alive_timeout: 0\n"
                  "      subprotocols: chat.v1\n"
                  "      allowed_origins: [https://example.com, 'https://*.b.org:8443']\n"
                  "    handler: {lua: chat}\n"
                  "  - {path: /a, handler: {static: www}}\n");
    assert_int_equal(c->workers, 2);
    assert_int_equal(c->shutdown_timeout_ms, 0);
    assert_int_equal(c->log_level, CONFIG_LOG_DEBUG);
    assert_string_equal(c->plugin_path.items[0], "more");
    assert_int_equal(c->listen_count, 2);
    assert_string_equal(c->listen[1].address, "unix:/tmp/weir.sock");
    assert_int_equal(c->listen[1].backlog, 7);
    assert_int_equal(c->listen[1].line, 7);
    const struct config_route *r = &c->routes[0];
    assert_int_equal(r->hosts.count, 2);
    assert_string_equal(r->hosts.items[1], "*.example.com");
    assert_int_equal(r->websocket->keep_alive_interval_ms, 0);
    assert_int_equal(r->websocket->keep_alive_timeout_ms, 0);
    assert_string_equal(r->websocket->subprotocols.items[0], "chat.v1");
    assert_string_equal(r->websocket->allowed_origins.items[1], "https://*.b.org:8443");
    assert_string_equal(r->handler.file, "more/chat.lua");
    assert_int_equal(r->line, 10);
    config_release(&c);
}

static void test_every_problem_is_listed_by_place(void **state)
{
    (void)state;
    expect_errors(
        "log_level: loud\n"
        "wrokers: 4\n"
        "listen:\n"
        "  - address: 0.0.0.0\n"
        "    backlog: none\n"
        "routes:\n"
        "  - path: ws\n"
        "    websocket:\n"
        "      keep_alive_intervall: 30s\n"
        "      max_message_size: 1MB\n"
        "    handler: {lua: ecoh}\n"
        "  - path: /\n",
        "t.yaml:1:12: log_level: `loud` is not one of `debug`, `info`, `warn` or `error`\n"
        "t.yaml:2:1: wrokers: unknown key, did you mean `workers`?\n"
        "t.yaml:4:14: listen[0].address: `0.0.0.0` has no port; write HOST:PORT, "
        "[IPV6]:PORT or unix:PATH\n"
        "t.yaml:5:14: listen[0].backlog: `none` is not a whole number\n"
        "t.yaml:7:11: routes[0].path: `ws` does not start with `/`\n"
        "t.yaml:9:7: routes[0].websocket.keep_alive_intervall: unknown key, did you mean "
        "`keep_alive_interval`?\n"
        "t.yaml:10:25: routes[0].websocket.max_message_size: `1MB` has an unknown unit; "
        "sizes are bytes, or have KiB, MiB or GiB\n"
        "t.yaml:11:20: routes[0].handler.lua: plugin `ecoh` not found in plugins; did you "
        "mean `echo`?\n"
        "t.yaml:12:5: routes[1]: missing key `handler`\n");
}

static void test_names_every_missing_key(void **state)
{
    (void)state;
    expect_errors("workers: 1\n", "t.yaml:1:1: missing key `listen`\n"
                                  "t.yaml:1:1: missing key `routes`\n");
    expect_errors("listen: [{}]\nroutes: [{}]\n",
                  "t.yaml:1:10: listen[0]: missing key `address`\n"
                  "t.yaml:2:10: routes[0]: missing key `path`\n"
                  "t.yaml:2:10: routes[0]: missing key `handler`\n");
    expect_errors("listen: []\nroutes: []\n",
                  "t.yaml:1:9: listen: is empty; at least one is needed\n"
                  "t.yaml:2:9: routes: is empty; at least one is needed\n");
}

static void test_keys_of_later_versions_are_unknown(void **state)
{
    (void)state;
    expect_errors(LISTEN ROUTES "admin: {}\n", "t.yaml:3:1: admin: unknown key\n");
}

/* Each row: a key's value that has the wrong type, and what is said of it. */
static void test_wrong_types_say_what_is_expected(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *said;
    } rows[] = {
        {"workers: [1]", "1:10: workers: expected a whole number, found a list"},
        {"workers: '4'", "1:10: workers: `4` is in quotes, so it is a string and not a number"},
        {"workers:", "1:9: workers: expected a whole number, found nothing"},
        {"log_level: {}",
         "1:12: log_level: expected `debug`, `info`, `warn` or `error`, found a mapping"},
        {"log_level: wran",
         "1:12: log_level: `wran` is not one of `debug`, `info`, `warn` or `error`; did you mean "
         "`warn`?"},
        {"shutdown_timeout: 30",
         "1:19: shutdown_timeout: `30` has no unit; durations have ms, s, m "
         "or h"},
        {"shutdown_timeout: on", "1:19: shutdown_timeout: `on` does not begin with a number; "
                                 "durations have ms, s, m or h"},
        {"http: on", "1:7: http: expected a mapping, found `on`"},
        {"http: {max_headers: 1.5}", "1:21: http.max_headers: `1.5` is not a whole number"},
        {"http: {trusted_proxies: {}}",
         "1:25: http.trusted_proxies: expected a string or a list of strings, found a mapping"},
        {"http: {trusted_proxies: [[]]}",
         "1:26: http.trusted_proxies[0]: expected a string, found a list"},
        {"http: {trusted_proxies: [10]}", "1:26: http.trusted_proxies[0]: expected a string, found "
                                          "`10`; put it in quotes if it is one"},
        {"http: {trusted_proxies: ['']}",
         "1:26: http.trusted_proxies[0]: expected a string, found an empty one"},
        {"http: {trusted_proxies: [1.1.1.1, 1.1.1.1]}",
         "1:35: http.trusted_proxies[1]: `1.1.1.1` is listed twice"},
        {"lua: {memory_limit: 1.5GiB}",
         "1:21: lua.memory_limit: `1.5GiB` has an unknown unit; sizes "
         "are bytes, or have KiB, MiB or GiB"},
        {"lua: {memory_limit: {}}",
         "1:21: lua.memory_limit: expected a size like `64KiB`, found a mapping"},
        {"plugin_path: nowhere",
         "1:14: plugin_path: `nowhere` cannot be read: No such file or directory"},
        {"plugin_path: [www/index.html]", "1:15: plugin_path[0]: `www/index.html` is not a folder"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char yaml[512];
        char said[512];
        snprintf(yaml, sizeof(yaml), "%s\n" LISTEN ROUTES, rows[i].line);
        snprintf(said, sizeof(said), "t.yaml:%s\n", rows[i].said);
        expect_errors(yaml, said);
    }
}

static void test_wrong_types_inside_routes(void **state)
{
    (void)state;
    expect_errors(LISTEN "routes: {}\n",
                  "t.yaml:2:9: routes: expected a list of mappings, found a mapping\n");
    expect_errors("listen: 5000\n" ROUTES,
                  "t.yaml:1:9: listen: expected a list of mappings, found `5000`\n");
    expect_errors(LISTEN "routes:\n  - /ws\n",
                  "t.yaml:3:5: routes[0]: expected a mapping, found `/ws`\n");
    expect_errors(
        LISTEN "routes: [{path: /, websocket: yes, plugins: x, handler: echo}]\n",
        "t.yaml:2:31: routes[0].websocket: expected `on`, `off` or a mapping, found `yes`\n"
        "t.yaml:2:45: routes[0].plugins: expected a list of plugins, found `x`\n"
        "t.yaml:2:57: routes[0].handler: expected a mapping like `{lua: NAME}` or `{static: "
        "FOLDER}`, found `echo`\n");
    expect_errors(
        LISTEN "routes: [{path: /, websocket: 'on', handler: {static: www}}]\n",
        "t.yaml:2:31: routes[0].websocket: expected `on`, `off` or a mapping, found `on`\n");
    expect_errors(LISTEN "routes:\n  - path: /\n    websocket:\n    handler: {static: www}\n",
                  "t.yaml:4:15: routes[0].websocket: expected `on`, `off` or a mapping, found "
                  "nothing\n");
    expect_errors("listen: [{address: '[::]:1', proxy_protocol: 1}]\n" ROUTES,
                  "t.yaml:1:46: listen[0].proxy_protocol: expected `on` or `off`, found `1`\n");
}

static void test_root_must_be_a_mapping(void **state)
{
    (void)state;
    expect_errors("", "t.yaml:1:1: the configuration is empty\n");
    expect_errors("# nothing\n", "t.yaml:1:1: the configuration is empty\n");
    expect_errors("- a\n", "t.yaml:1:1: expected a mapping of keys, found a list\n");
    expect_errors("a\n", "t.yaml:1:1: expected a mapping of keys, found `a`\n");
}

/* Every number with a range: the two ends are taken and what lies beyond is not. */
static void test_ranges_end_where_they_say(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;      /* %s is the value */
        const char *values[4]; /* below, least, most, above; NULL: there is none */
        const char *range;
    } rows[] = {
        {"workers: %s\n" LISTEN ROUTES, {"0", "1", "1024", "1025"}, "1 to 1024"},
        {"shutdown_timeout: %s\n" LISTEN ROUTES, {NULL, "0", "1h", "3600001ms"}, "0 to 1h"},
        {"listen: [{address: 'a:1', backlog: %s}]\n" ROUTES,
         {"0", "1", "65535", "65536"},
         "1 to 65535"},
        {"http: {max_line_size: %s, max_header_size: 64KiB}\n" LISTEN ROUTES,
         {"63", "64", "64KiB", "65537"},
         "64B to 64KiB"},
        {"http: {max_header_size: %s, max_line_size: 64}\n" LISTEN ROUTES,
         {"127", "128", "64KiB", "65KiB"},
         "128B to 64KiB"},
        {"http: {max_headers: %s}\n" LISTEN ROUTES, {"0", "1", "256", "257"}, "1 to 256"},
        {"http: {header_timeout: %s}\n" LISTEN ROUTES, {"9ms", "10ms", "1h", "61m"}, "10ms to 1h"},
        {"http: {idle_timeout: %s}\n" LISTEN ROUTES, {"0", "10ms", "24h", "25h"}, "10ms to 24h"},
        {"http: {body_timeout: %s}\n" LISTEN ROUTES, {"9ms", "10ms", "1h", "61m"}, "10ms to 1h"},
        {"http: {max_body_size: %s}\n" LISTEN ROUTES,
         {NULL, "0", "1024GiB", "1025GiB"},
         "0 to 1024GiB"},
        {LISTEN "routes: [{path: /, max_body_size: %s, handler: {static: www}}]\n",
         {NULL, "0", "1024GiB", "1025GiB"},
         "0 to 1024GiB"},
        {"lua: {cpu_limit: %s}\n" LISTEN ROUTES, {"0", "1ms", "1m", "61s"}, "1ms to 1m"},
        {"lua: {memory_limit: %s}\n" LISTEN ROUTES,
         {"1023KiB", "1MiB", "64GiB", "65GiB"},
         "1MiB to 64GiB"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t j = 0; j < 4; j++) {
            char yaml[512];
            const char *value = rows[i].values[j];
            if (value == NULL) {
                continue;
            }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(yaml, sizeof(yaml), rows[i].yaml, value);
#pragma GCC diagnostic pop
            if (j == 1 || j == 2) {
                expect_good(yaml);
                continue;
            }
            struct buffer errors = {0};
            struct config *config = NULL;
            char said[128];
            assert_int_equal(config_load_text("t", yaml, strlen(yaml), &errors, &config),
                             WEIR_EINVAL);
            assert_int_equal(buffer_append(&errors, (struct span){(const uint8_t *)"", 1}),
                             WEIR_OK);
            snprintf(said, sizeof(said), "`%s` is out of range: %s\n", value, rows[i].range);
            assert_non_null(strstr((const char *)errors.data, said));
            buffer_free(&errors);
        }
    }
}

static void test_websocket_ranges_end_where_they_say(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        const char *values[4];
        const char *range;
    } rows[] = {
        {"keep_alive_interval", {"9ms", "10ms", "24h", "25h"}, "10ms to 24h"},
        {"keep_alive_timeout", {"9ms", "10ms", "24h", "25h"}, "10ms to 24h"},
        {"receive_buffer_size", {"1023", "1KiB", "256KiB", "257KiB"}, "1KiB to 256KiB"},
        {"max_message_size", {"0", "1", "1GiB", "2GiB"}, "1B to 1GiB"},
        {"max_queue_size", {"1023", "1KiB", "1GiB", "2GiB"}, "1KiB to 1GiB"},
        {"write_timeout", {"0", "10ms", "24h", "25h"}, "10ms to 24h"},
        {"close_timeout", {"9ms", "10ms", "1h", "61m"}, "10ms to 1h"},
        {"compression: {server_max_window_bits", {"8", "9", "15", "16"}, "9 to 15"},
        {"compression: {client_max_window_bits", {"8", "9", "15", "16"}, "9 to 15"},
        {"compression: {level", {"0", "1", "9", "10"}, "1 to 9"},
        {"compression: {min_size", {NULL, "0", "1GiB", "2GiB"}, "0 to 1GiB"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t j = 0; j < 4; j++) {
            char yaml[512];
            char said[256];
            const char *value = rows[i].values[j];
            bool nested = strchr(rows[i].key, '{') != NULL;
            if (value == NULL) {
                continue;
            }
            snprintf(yaml, sizeof(yaml),
                     LISTEN "routes:\n - path: /\n   handler: {static: www}\n"
                            "   websocket: {%s: %s%s}\n",
                     rows[i].key, value, nested ? "}" : "");
            if (j == 1 || j == 2) {
                expect_good(yaml);
                continue;
            }
            size_t column = strlen("   websocket: {: ") + strlen(rows[i].key) + 1;
            const char *leaf = nested ? strchr(rows[i].key, '{') + 1 : rows[i].key;
            snprintf(said, sizeof(said),
                     "t.yaml:5:%zu: routes[0].websocket.%s%s: `%s` is out of range: %s\n", column,
                     nested ? "compression." : "", leaf, value, rows[i].range);
            expect_errors(yaml, said);
        }
    }
}

static void test_long_and_strange_values_are_cut_and_escaped(void **state)
{
    (void)state;
    expect_errors(
        LISTEN ROUTES "log_level: \"a\\nt.yaml:1:1: forged\\e[31m\"\n",
        "t.yaml:3:12: log_level: `a\\x0At.yaml:1:1: forged\\x1B[31m` is not one of `debug`, "
        "`info`, `warn` or `error`\n");
    expect_errors(
        LISTEN ROUTES "workers: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
        "t.yaml:3:10: workers: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` is "
        "not a whole number\n");
}

static void test_lists_two_hundred_problems_and_counts_the_rest(void **state)
{
    (void)state;
    struct buffer yaml = {0};
    struct buffer errors = {0};
    struct config *config = NULL;
    assert_int_equal(buffer_printf(&yaml, LISTEN ROUTES), WEIR_OK);
    for (int i = 0; i < 203; i++) {
        assert_int_equal(buffer_printf(&yaml, "nonsense_%d: 1\n", i), WEIR_OK);
    }
    assert_int_equal(config_load_text("t", (const char *)yaml.data, yaml.size, &errors, &config),
                     WEIR_EINVAL);
    assert_int_equal(buffer_append(&errors, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    assert_non_null(strstr((const char *)errors.data, "t:202:1: nonsense_199: unknown key\n"
                                                      "t: and 3 more problems\n"));
    buffer_free(&errors);
    buffer_free(&yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smallest_file_has_all_defaults),
        cmocka_unit_test(test_route_takes_the_body_limit_of_http_unless_it_has_its_own),
        cmocka_unit_test(test_compression_on_is_the_mapping_with_defaults),
        cmocka_unit_test(test_websocket_is_off_unless_asked_for),
        cmocka_unit_test(test_reads_every_kind_of_value),
        cmocka_unit_test(test_every_problem_is_listed_by_place),
        cmocka_unit_test(test_names_every_missing_key),
        cmocka_unit_test(test_keys_of_later_versions_are_unknown),
        cmocka_unit_test(test_wrong_types_say_what_is_expected),
        cmocka_unit_test(test_wrong_types_inside_routes),
        cmocka_unit_test(test_root_must_be_a_mapping),
        cmocka_unit_test(test_ranges_end_where_they_say),
        cmocka_unit_test(test_websocket_ranges_end_where_they_say),
        cmocka_unit_test(test_long_and_strange_values_are_cut_and_escaped),
        cmocka_unit_test(test_lists_two_hundred_problems_and_counts_the_rest),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_remove);
}
