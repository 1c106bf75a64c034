/* The handlers that forward to upstreams: names that lead somewhere, settings as JSON, and the
 * words for each mistake. */
#include "config/config_fixture.h"

#define UPSTREAMS LISTEN "upstreams: {chat: {servers: ['a:1']}, api: {servers: ['b:1']}}\n"

static void write_handler(const char *handler, char *out, size_t size)
{
    snprintf(out, size, UPSTREAMS "routes:\n  - path: /\n    handler: %s\n", handler);
}

static struct config *load_handler(const char *handler)
{
    char yaml[1024];
    write_handler(handler, yaml, sizeof(yaml));
    return load_good(yaml);
}

/* `column` is that of HANDLER, counted from 0. */
struct mistake {
    const char *handler;
    size_t column;
    const char *said;
};

static void expect_mistake(const struct mistake *mistake)
{
    char yaml[1024];
    char said[1024];
    write_handler(mistake->handler, yaml, sizeof(yaml));
    snprintf(said, sizeof(said), "t.yaml:5:%zu: routes[0].handler.%s\n",
             strlen("    handler: ") + mistake->column + 1, mistake->said);
    expect_errors(yaml, said);
}

static void test_proxy_settings_come_with_defaults(void **state)
{
    (void)state;
    struct config *c = load_handler("{proxy: chat}");
    const struct config_plugin *h = &c->routes[0].handler;
    assert_int_equal(h->kind, CONFIG_PLUGIN_PROXY);
    assert_string_equal(h->name, "chat");
    assert_string_equal(h->file, "chat");
    assert_int_equal(h->line, 5);
    assert_string_equal(
        h->settings_json,
        "{\"host\":\"pass\",\"forwarded\":\"both\","
        "\"request_headers\":{\"remove\":[],\"set\":{},\"add\":{}},"
        "\"response_headers\":{\"remove\":[],\"set\":{},\"add\":{}},"
        "\"read_timeout\":60000,\"idle_timeout\":600000,\"max_head_size\":65536,"
        "\"max_message_size\":16777216,\"ping_interval\":30000,\"ping_timeout\":15000,"
        "\"close_timeout\":5000,\"lost_code\":\"1014\",\"compression\":false}");
    assert_null(c->routes[0].websocket);
    config_release(&c);
}

static void test_proxy_settings_are_passed_on(void **state)
{
    (void)state;
    struct config *c = load_handler(
        "{proxy: api, host: server, strip_prefix: /api, add_prefix: /v2, forwarded: off, "
        "request_headers: {set: {X-B: '\"q\"', X-A: b c}, add: {Via: 1.1 weir}}, "
        "response_headers: {remove: [Server, X-Powered-By]}, ping_interval: off, "
        "ping_timeout: off, lost_code: 1012, compression: on}");
    const struct config_plugin *h = &c->routes[0].handler;
    assert_string_equal(h->name, "api");
    assert_string_equal(
        h->settings_json,
        "{\"host\":\"server\",\"strip_prefix\":\"/api\",\"add_prefix\":\"/v2\","
        "\"forwarded\":\"off\","
        "\"request_headers\":{\"remove\":[],\"set\":{\"X-B\":\"\\\"q\\\"\",\"X-A\":\"b c\"},"
        "\"add\":{\"Via\":\"1.1 weir\"}},"
        "\"response_headers\":{\"remove\":[\"Server\",\"X-Powered-By\"],\"set\":{},\"add\":{}},"
        "\"read_timeout\":60000,\"idle_timeout\":600000,\"max_head_size\":65536,"
        "\"max_message_size\":16777216,\"ping_interval\":0,\"ping_timeout\":0,"
        "\"close_timeout\":5000,\"lost_code\":\"1012\",\"compression\":true}");
    config_release(&c);
}

static void test_a_name_that_leads_nowhere_names_the_nearest(void **state)
{
    (void)state;
    static const struct mistake rows[] = {
        {"{proxy: caht}", 8, "proxy: there is no upstream `caht`; did you mean `chat`?"},
        {"{proxy: video}", 8, "proxy: there is no upstream `video`"},
        {"{proxy: Chat}", 8, "proxy: there is no upstream `Chat`; did you mean `chat`?"},
        {"{proxy: all}", 8, "proxy: there is no upstream `all`"},
        {"{proxy: 'a b'}", 8,
         "proxy: `a b` has characters that a token may not have (RFC 9110, section 5.6.2)"},
        {"{proxy: [chat]}", 8, "proxy: expected a string, found a list"},
        {"{upstream_admin: apj}", 17,
         "upstream_admin: there is no upstream `apj`; did you mean `api`?"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_mistake(&rows[i]);
    }
    expect_errors(LISTEN "routes: [{path: /, handler: {proxy: chat}}]\n",
                  "t.yaml:2:37: routes[0].handler.proxy: there is no upstream `chat`\n");
}

static void test_the_order_of_upstreams_and_routes_does_not_matter(void **state)
{
    (void)state;
    expect_good("routes: [{path: /, handler: {proxy: chat}}]\n"
                "upstreams: {chat: {servers: ['a:1']}}\n" LISTEN);
}

static void test_a_broken_upstream_is_still_there(void **state)
{
    (void)state;
    expect_errors(LISTEN "upstreams: {chat: {servers: ['a']}}\n"
                         "routes: [{path: /, handler: {proxy: chat}}]\n",
                  "t.yaml:2:30: upstreams.chat.servers[0].address: `a` has no port; write "
                  "HOST:PORT, [IPV6]:PORT or unix:PATH\n");
}

static void test_many_wrong_names_are_counted(void **state)
{
    (void)state;
    struct buffer yaml = {0};
    struct buffer errors = {0};
    struct config *config = NULL;
    assert_int_equal(buffer_printf(&yaml, UPSTREAMS "routes:\n"), WEIR_OK);
    for (int i = 0; i < 203; i++) {
        assert_int_equal(buffer_printf(&yaml, "  - {path: /%d, handler: {proxy: x}}\n", i),
                         WEIR_OK);
    }
    assert_int_equal(config_load_text("t", (const char *)yaml.data, yaml.size, &errors, &config),
                     WEIR_EINVAL);
    assert_int_equal(buffer_append(&errors, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    assert_non_null(strstr((const char *)errors.data, "t: and 3 more problems\n"));
    buffer_free(&errors);
    buffer_free(&yaml);
}

static void test_proxy_is_a_handler_and_no_plugin(void **state)
{
    (void)state;
    expect_errors(UPSTREAMS "routes:\n"
                            "  - path: /\n"
                            "    plugins: [{proxy: chat}, {upstream_admin: all}]\n"
                            "    handler: {proxy: chat, static: www}\n",
                  "t.yaml:5:16: routes[0].plugins[0]: `proxy` can only be a handler\n"
                  "t.yaml:5:31: routes[0].plugins[1]: `upstream_admin` can only be a handler\n"
                  "t.yaml:6:15: routes[0].handler: names both `static` and `proxy`\n");
}

static void test_host_is_a_word_or_a_host(void **state)
{
    (void)state;
    static const char *const good[] = {"pass",   "server",     "a.example",
                                       "a:8080", "'[::1]:80'", "1.2.3.4"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char handler[128];
        snprintf(handler, sizeof(handler), "{proxy: chat, host: %s}", good[i]);
        struct config *c = load_handler(handler);
        config_release(&c);
    }
    static const struct mistake rows[] = {
        {"{proxy: chat, host: 'http://a'}", 20,
         "host: `http://a` is not `pass`, `server` or a host, like example.com or "
         "example.com:8080"},
        {"{proxy: chat, host: 'a:0'}", 20,
         "host: `a:0` is not `pass`, `server` or a host, like example.com or example.com:8080"},
        {"{proxy: chat, host: '*.a'}", 20,
         "host: `*.a` is not `pass`, `server` or a host, like example.com or example.com:8080"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_mistake(&rows[i]);
    }
}

static void test_prefixes_are_whole_segments(void **state)
{
    (void)state;
    static const struct mistake rows[] = {
        {"{proxy: chat, strip_prefix: api}", 28, "strip_prefix: `api` does not start with `/`"},
        {"{proxy: chat, strip_prefix: /}", 28,
         "strip_prefix: `/` ends with `/`; a prefix is whole segments, like `/api`"},
        {"{proxy: chat, add_prefix: /v2/}", 26,
         "add_prefix: `/v2/` ends with `/`; a prefix is whole segments, like `/api`"},
        {"{proxy: chat, add_prefix: '/a?b'}", 26,
         "add_prefix: `/a?b` has `?` or `#`; a route matches the path alone"},
        {"{proxy: chat, add_prefix: /\xc3\xa4}", 26,
         "add_prefix: `/\xc3\xa4` has a character that the target of a request may not have"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_mistake(&rows[i]);
    }
}

static void test_refuses_fields_that_are_not_the_users_to_change(void **state)
{
    (void)state;
    static const char *const own[] = {"Content-Length", "transfer-encoding", "Connection",
                                      "KEEP-ALIVE",     "Proxy-Connection",  "TE",
                                      "Trailer",        "Upgrade",           "Expect"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        char handler[128];
        char said[256];
        snprintf(handler, sizeof(handler), "{proxy: chat, response_headers: {set: {%s: a}}}",
                 own[i]);
        snprintf(said, sizeof(said),
                 "response_headers.set.%s: `%s` cannot be changed: it frames the message or is for "
                 "one hop, so Weir writes it itself",
                 own[i], own[i]);
        expect_mistake(&(struct mistake){handler, 39, said});
    }
    static const struct mistake rows[] = {
        {"{proxy: chat, request_headers: {set: {Host: a}}}", 38,
         "request_headers.set.Host: `Host` cannot be changed here; the key `host` of the proxy "
         "sets it"},
        {"{proxy: chat, request_headers: {add: {sec-websocket-key: a}}}", 38,
         "request_headers.add.sec-websocket-key: `sec-websocket-key` cannot be changed: it belongs "
         "to the WebSocket handshake"},
        {"{proxy: chat, request_headers: {remove: [X-A, upgrade]}}", 46,
         "request_headers.remove[1]: `upgrade` cannot be changed: it frames the message or is for "
         "one hop, so Weir writes it itself"},
        {"{proxy: chat, request_headers: {remove: X A}}", 40,
         "request_headers.remove: `X A` is not the name of a header field (RFC 9110, section 5.1)"},
        {"{proxy: chat, request_headers: {set: {'X:': a}}}", 38,
         "request_headers.set.X:: `X:` is not the name of a header field (RFC 9110, section 5.1)"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_mistake(&rows[i]);
    }
}

static void test_refuses_header_values_that_are_no_texts(void **state)
{
    (void)state;
    static const struct mistake rows[] = {
        {"{proxy: chat, request_headers: {set: {A: \"b\\r\\nC: d\"}}}", 41,
         "request_headers.set.A: `b\\x0D\\x0AC: d` has a control character"},
        {"{proxy: chat, request_headers: {set: {A: 1}}}", 41,
         "request_headers.set.A: expected a string, found `1`; put it in quotes if it is one"},
        {"{proxy: chat, request_headers: {set: {A: [b]}}}", 41,
         "request_headers.set.A: expected a string, found a list"},
        {"{proxy: chat, request_headers: {set: {A: ''}}}", 41,
         "request_headers.set.A: expected a string, found an empty one"},
        {"{proxy: chat, request_headers: {set: [A]}}", 37,
         "request_headers.set: expected a mapping of names to strings, found a list"},
        {"{proxy: chat, request_headers: {set: {A: b, a: c}}}", 44,
         "request_headers.set.a: `a` is listed twice"},
        {"{proxy: chat, request_headers: {sets: {A: b}}}", 32,
         "request_headers.sets: unknown key, did you mean `set`?"},
        {"{proxy: chat, request_headers: on}", 31,
         "request_headers: expected a mapping, found `on`"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_mistake(&rows[i]);
    }
}

static void test_refuses_other_values_of_the_proxy(void **state)
{
    (void)state;
    static const struct mistake rows[] = {
        {"{proxy: chat, forwarded: x-forward}", 25,
         "forwarded: `x-forward` is not one of `off`, `x-forwarded`, `forwarded` or `both`; did "
         "you mean `x-forwarded`?"},
        {"{proxy: chat, lost_code: 1000}", 25,
         "lost_code: `1000` is not one of `1014` or `1012`; "
         "did you mean `1014`?"},
        {"{proxy: chat, read_timeout: off}", 28,
         "read_timeout: `off` does not begin with a number; durations have ms, s, m or h"},
        {"{proxy: chat, max_head_size: 1023}", 29,
         "max_head_size: `1023` is out of range: 1KiB to 1MiB"},
        {"{proxy: chat, ping_interval: off, ping_timeout: 1s}", 48,
         "ping_timeout: has no effect with `ping_interval: off`"},
        {"{proxy: chat, reed_timeout: 1s}", 14,
         "reed_timeout: unknown key, did you mean `read_timeout`?"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_mistake(&rows[i]);
    }
}

static void test_upstream_admin_serves_this_machine_unless_told(void **state)
{
    (void)state;
    struct config *c = load_handler("{upstream_admin: all}");
    const struct config_plugin *h = &c->routes[0].handler;
    assert_int_equal(h->kind, CONFIG_PLUGIN_UPSTREAM_ADMIN);
    assert_string_equal(h->name, "all");
    assert_string_equal(h->settings_json, "{\"allow\":[\"127.0.0.0/8\",\"::1\"]}");
    config_release(&c);
    c = load_handler("{upstream_admin: api, allow: 10.0.0.0/8}");
    assert_string_equal(c->routes[0].handler.name, "api");
    assert_string_equal(c->routes[0].handler.settings_json, "{\"allow\":[\"10.0.0.0/8\"]}");
    config_release(&c);
    c = load_handler("{upstream_admin: api, allow: []}");
    assert_string_equal(c->routes[0].handler.settings_json, "{\"allow\":[]}");
    config_release(&c);
    expect_mistake(&(struct mistake){
        "{upstream_admin: api, allow: localhost}", 29,
        "allow: `localhost` is not an IP address or CIDR block, like 10.0.0.0/8 or ::1"});
}

static void test_ranges_end_where_they_say(void **state)
{
    (void)state;
    static const struct range_row rows[] = {
        {"read_timeout: ", {"9ms", "10ms", "24h", "25h"}, "}}]", "10ms to 24h"},
        {"idle_timeout: ", {"9ms", "10ms", "168h", "169h"}, "}}]", "10ms to 168h"},
        {"max_head_size: ", {"1023", "1KiB", "1MiB", "1048577"}, "}}]", "1KiB to 1MiB"},
        {"max_message_size: ", {"0", "1", "1GiB", "1073741825"}, "}}]", "1B to 1GiB"},
        {"ping_interval: ", {"9ms", "10ms", "24h", "25h"}, "}}]", "10ms to 24h"},
        {"ping_timeout: ", {"9ms", "10ms", "24h", "25h"}, "}}]", "10ms to 24h"},
        {"close_timeout: ", {"9ms", "10ms", "1h", "61m"}, "}}]", "10ms to 1h"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_range(UPSTREAMS "routes: [{path: /, handler: {proxy: chat, ", &rows[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_end_where_they_say),
        cmocka_unit_test(test_proxy_settings_come_with_defaults),
        cmocka_unit_test(test_proxy_settings_are_passed_on),
        cmocka_unit_test(test_a_name_that_leads_nowhere_names_the_nearest),
        cmocka_unit_test(test_the_order_of_upstreams_and_routes_does_not_matter),
        cmocka_unit_test(test_a_broken_upstream_is_still_there),
        cmocka_unit_test(test_many_wrong_names_are_counted),
        cmocka_unit_test(test_proxy_is_a_handler_and_no_plugin),
        cmocka_unit_test(test_host_is_a_word_or_a_host),
        cmocka_unit_test(test_prefixes_are_whole_segments),
        cmocka_unit_test(test_refuses_fields_that_are_not_the_users_to_change),
        cmocka_unit_test(test_refuses_header_values_that_are_no_texts),
        cmocka_unit_test(test_refuses_other_values_of_the_proxy),
        cmocka_unit_test(test_upstream_admin_serves_this_machine_unless_told),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_remove);
}
