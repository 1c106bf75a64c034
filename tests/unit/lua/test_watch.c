/* What is said of a plugin at its limits: one line a second, and a metric that counts every time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/metrics.h"
#include "lua/limits.h"

/* Reaches a limit until a line is due, whatever the time of day; how often it was not. */
static uint64_t until_due(struct limits_watch *watch, enum lua_limit limit, uint64_t *left_out)
{
    uint64_t times = 0;
    while (!limits_reached(watch, limit, left_out)) {
        times++;
    }
    return times;
}

static void expect_metric(const char *plugin, const char *limit, uint64_t value)
{
    struct buffer text = {0};
    char wanted[160];
    snprintf(wanted, sizeof wanted,
             "weir_plugin_limits_reached_total{limit=\"%s\",plugin=\"%s\"} %llu\n", limit, plugin,
             (unsigned long long)value);
    assert_int_equal(metrics_text(&text), WEIR_OK);
    assert_int_equal(buffer_append(&text, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    if (strstr((const char *)text.data, wanted) == NULL) {
        fail_msg("no %s in\n%s", wanted, (const char *)text.data);
    }
    buffer_free(&text);
}

static void test_a_line_a_second_tells_of_those_left_out(void **state)
{
    (void)state;
    uint64_t left_out = 99;
    struct limits_watch *watch = limits_watch_new("one");
    assert_non_null(watch);
    assert_true(limits_reached(watch, LUA_LIMIT_CPU, &left_out));
    assert_int_equal(left_out, 0);
    uint64_t times = until_due(watch, LUA_LIMIT_CPU, &left_out);
    assert_true(times > 0);
    assert_int_equal(left_out, times);
    expect_metric("one", "cpu_limit", times + 2);
    limits_watch_free(&watch);
}

static void test_limits_and_plugins_do_not_silence_each_other(void **state)
{
    (void)state;
    uint64_t left_out = 99;
    struct limits_watch *one = limits_watch_new("two");
    struct limits_watch *other = limits_watch_new("three");
    for (int limit = LUA_LIMIT_CPU; limit < LUA_LIMIT_COUNT; limit++) {
        assert_true(limits_reached(one, (enum lua_limit)limit, &left_out));
        assert_true(limits_reached(other, (enum lua_limit)limit, &left_out));
        assert_int_equal(left_out, 0);
    }
    expect_metric("two", "max_http_requests", 1);
    expect_metric("three", "memory_limit", 1);
    limits_watch_free(&one);
    limits_watch_free(&other);
}

static void test_the_end_of_the_line(void **state)
{
    (void)state;
    char text[LIMITS_LEFT_OUT_BYTES];
    limits_write_left_out(0, text);
    assert_string_equal(text, "");
    limits_write_left_out(12, text);
    assert_string_equal(text, " (and 12 more since the last such line)");
    limits_write_left_out(UINT64_MAX, text);
    assert_non_null(strstr(text, "line)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_a_second_tells_of_those_left_out),
        cmocka_unit_test(test_limits_and_plugins_do_not_silence_each_other),
        cmocka_unit_test(test_the_end_of_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
