/* Settings of the proxy: defaults, every key, and what a header must not hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "config/config.h"
#include "handlers/proxy/settings.h"

static struct proxy_settings *must_read(const char *json)
{
    char error[200] = "";
    struct proxy_settings *settings = NULL;
    enum weir_err err = proxy_settings_read("chat", json, error, sizeof(error), &settings);
    assert_string_equal(error, "");
    assert_int_equal(err, WEIR_OK);
    assert_string_equal(settings->upstream, "chat");
    return settings;
}

static void expect_refused(const char *json, const char *said)
{
    char error[200] = "";
    struct proxy_settings *settings = NULL;
    assert_int_equal(proxy_settings_read("chat", json, error, sizeof(error), &settings),
                     WEIR_EINVAL);
    assert_string_equal(error, said);
    assert_null(settings);
}

/* What a route with `handler: HANDLER` gives its proxy. */
static struct proxy_settings *through_config(const char *handler)
{
    char yaml[1024];
    struct buffer errors = {0};
    struct config *config = NULL;
    snprintf(yaml, sizeof(yaml),
             "plugin_path: []\nlisten: [{address: '127.0.0.1:5000'}]\n"
             "upstreams: {chat: {servers: ['127.0.0.1:3000']}}\n"
             "routes: [{path: /, handler: %s}]\n",
             handler);
    enum weir_err err = config_load_text("t.yaml", yaml, strlen(yaml), &errors, &config);
    if (err != WEIR_OK) {
        print_error("%.*s", (int)errors.size, (const char *)errors.data);
    }
    assert_int_equal(err, WEIR_OK);
    const struct config_plugin *plugin = &config->routes[0].handler;
    assert_int_equal(plugin->kind, CONFIG_PLUGIN_PROXY);
    assert_string_equal(plugin->name, "chat");
    struct proxy_settings *settings = must_read(plugin->settings_json);
    config_release(&config);
    buffer_free(&errors);
    return settings;
}

static void expect_defaults(struct proxy_settings *s)
{
    assert_int_equal(s->host, PROXY_HOST_PASS);
    assert_null(s->host_text);
    assert_string_equal(s->strip_prefix, "");
    assert_string_equal(s->add_prefix, "");
    assert_int_equal(s->forwarded, PROXY_FORWARDED_BOTH);
    assert_int_equal(s->request_headers.count, 0);
    assert_int_equal(s->response_headers.count, 0);
    assert_int_equal(s->read_timeout_ms, 60000);
    assert_int_equal(s->idle_timeout_ms, 600000);
    assert_int_equal(s->max_head_size, 65536);
    assert_int_equal(s->max_message_size, 16777216);
    assert_int_equal(s->ping_interval_ms, 30000);
    assert_int_equal(s->ping_timeout_ms, 15000);
    assert_int_equal(s->close_timeout_ms, 5000);
    assert_int_equal(s->lost_code, 1014);
    assert_false(s->compression);
    proxy_settings_free(&s);
    assert_null(s);
}

static void test_defaults_are_those_of_the_configuration(void **state)
{
    (void)state;
    expect_defaults(must_read("{}"));
    expect_defaults(through_config("{proxy: chat}"));
}

static void test_reads_every_key(void **state)
{
    (void)state;
    struct proxy_settings *s = through_config(
        "{proxy: chat, host: 'app.example.com:8080', strip_prefix: /api, add_prefix: /v2/x, "
        "forwarded: x-forwarded, read_timeout: 1h, idle_timeout: 2h, max_head_size: 8KiB, "
        "max_message_size: 1, ping_interval: off, ping_timeout: off, close_timeout: 10ms, "
        "lost_code: 1012, compression: on}");
    assert_int_equal(s->host, PROXY_HOST_TEXT);
    assert_string_equal(s->host_text, "app.example.com:8080");
    assert_string_equal(s->strip_prefix, "/api");
    assert_string_equal(s->add_prefix, "/v2/x");
    assert_int_equal(s->forwarded, PROXY_FORWARDED_X);
    assert_int_equal(s->read_timeout_ms, 3600000);
    assert_int_equal(s->idle_timeout_ms, 7200000);
    assert_int_equal(s->max_head_size, 8192);
    assert_int_equal(s->max_message_size, 1);
    assert_int_equal(s->ping_interval_ms, 0);
    assert_int_equal(s->ping_timeout_ms, 0);
    assert_int_equal(s->close_timeout_ms, 10);
    assert_int_equal(s->lost_code, 1012);
    assert_true(s->compression);
    proxy_settings_free(&s);
}

static void test_every_word_has_its_meaning(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        enum proxy_forwarded forwarded;
    } rows[] = {{"off", PROXY_FORWARDED_OFF},
                {"x-forwarded", PROXY_FORWARDED_X},
                {"forwarded", PROXY_FORWARDED_RFC},
                {"both", PROXY_FORWARDED_BOTH}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char handler[100];
        snprintf(handler, sizeof(handler), "{proxy: chat, forwarded: %s}", rows[i].word);
        struct proxy_settings *s = through_config(handler);
        assert_int_equal(s->forwarded, rows[i].forwarded);
        proxy_settings_free(&s);
    }
    struct proxy_settings *s = through_config("{proxy: chat, host: server, lost_code: 1014}");
    assert_int_equal(s->host, PROXY_HOST_SERVER);
    assert_null(s->host_text);
    assert_int_equal(s->lost_code, 1014);
    proxy_settings_free(&s);
    s = through_config("{proxy: chat, host: pass}");
    assert_int_equal(s->host, PROXY_HOST_PASS);
    proxy_settings_free(&s);
}

static void expect_change(const struct header_changes *changes, size_t index,
                          enum header_change_kind kind, const char *name, const char *value)
{
    assert_true(index < changes->count);
    const struct header_change *change = &changes->items[index];
    assert_int_equal(change->kind, kind);
    assert_true(span_equal(change->name, span_of(name)));
    assert_true(span_equal(change->value, span_of(value)));
}

static void test_header_changes_come_in_the_order_of_their_doing(void **state)
{
    (void)state;
    struct proxy_settings *s = through_config(
        "{proxy: chat, request_headers: {add: {Z: \"1, \\\"2\\\"\", A: b}, remove: [X-B, x-a], "
        "set: {Q: r}}, response_headers: {remove: Server}}");
    assert_int_equal(s->request_headers.count, 5);
    expect_change(&s->request_headers, 0, HEADER_REMOVE, "X-B", "");
    expect_change(&s->request_headers, 1, HEADER_REMOVE, "x-a", "");
    expect_change(&s->request_headers, 2, HEADER_SET, "Q", "r");
    expect_change(&s->request_headers, 3, HEADER_ADD, "Z", "1, \"2\"");
    expect_change(&s->request_headers, 4, HEADER_ADD, "A", "b");
    assert_int_equal(s->response_headers.count, 1);
    expect_change(&s->response_headers, 0, HEADER_REMOVE, "Server", "");
    proxy_settings_free(&s);
}

static void test_refuses_what_would_break_a_header(void **state)
{
    (void)state;
    expect_refused("{\"request_headers\":{\"set\":{\"A\":\"b\\r\\nC: d\"}}}",
                   "`A` cannot stand in a header");
    expect_refused("{\"response_headers\":{\"add\":{\"A:\":\"b\"}}}",
                   "`A:` cannot stand in a header");
    expect_refused("{\"response_headers\":{\"remove\":[\"\"]}}", "`` cannot stand in a header");
    expect_refused("{\"host\":\"a\\nb\"}", "`host` cannot stand in a header");
}

static void test_refuses_wrong_types_and_unknown_keys(void **state)
{
    (void)state;
    expect_refused("[]", "the settings are not a JSON object");
    expect_refused("{\"hosts\":1}", "unknown setting `hosts`");
    expect_refused("{\"host\":1}", "`host` is not a text");
    expect_refused("{\"forwarded\":\"some\"}", "`forwarded` is not one of its words");
    expect_refused("{\"lost_code\":\"1000\"}", "`lost_code` is not one of its words");
    expect_refused("{\"read_timeout\":\"1s\"}",
                   "`read_timeout` is not a whole number of at least 0");
    expect_refused("{\"compression\":1}", "`compression` is not on or off");
    expect_refused("{\"request_headers\":[]}", "`request_headers` is not an object");
    expect_refused("{\"request_headers\":{\"sets\":{}}}", "unknown setting `sets`");
    expect_refused("{\"request_headers\":{\"set\":[]}}", "`set` is not an object");
    expect_refused("{\"request_headers\":{\"add\":{\"A\":1}}}", "`add.A` is not a text");
    expect_refused("{\"response_headers\":{\"remove\":{}}}", "`remove` is not a list");
}

static void test_freeing_nothing_is_fine(void **state)
{
    (void)state;
    struct proxy_settings *none = NULL;
    proxy_settings_free(&none);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_those_of_the_configuration),
        cmocka_unit_test(test_reads_every_key),
        cmocka_unit_test(test_every_word_has_its_meaning),
        cmocka_unit_test(test_header_changes_come_in_the_order_of_their_doing),
        cmocka_unit_test(test_refuses_what_would_break_a_header),
        cmocka_unit_test(test_refuses_wrong_types_and_unknown_keys),
        cmocka_unit_test(test_freeing_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
