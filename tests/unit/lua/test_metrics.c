/* weir.metrics as plugins see it: declaring, counting, and the words for what goes wrong. */
#include "lua/fakes.h"

#include "base/metrics.h"

static int forget(void **state)
{
    (void)state;
    metrics_reset();
    return 0;
}

/* A file runs twice, once to check it; what counts is done in a callback. */
static void runs(const char *text)
{
    char whole[4096];
    snprintf(whole, sizeof whole,
             "return {on_message = function(conn) local m = weir.metrics\n%s\nend}", text);
    struct fake_loaded plugin = fake_load(whole);
    struct weir_session *session = fake_session();
    fake_message(&plugin, session, "go");
    assert_int_equal(session->failed, 0);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

/* All of the text but the families of the host's own, whose names begin with weir_. */
static void assert_text(const char *expected)
{
    struct buffer out = {0};
    struct buffer plugins = {0};
    assert_int_equal(metrics_text(&out), WEIR_OK);
    for (struct span rest = buffer_span(&out); rest.size > 0;) {
        struct span line = {rest.data, span_find(rest, '\n') + 1};
        if (memmem(line.data, line.size, "weir_", 5) == NULL) {
            assert_int_equal(buffer_append(&plugins, line), WEIR_OK);
        }
        rest = span_from(rest, line.size);
    }
    assert_int_equal(buffer_append(&plugins, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    assert_string_equal((const char *)plugins.data, expected);
    buffer_free(&out);
    buffer_free(&plugins);
}

static void test_counts_sets_and_observes(void **state)
{
    (void)state;
    runs("local jobs = m.counter('jobs_total', 'Jobs.')\n"
         "assert(jobs:add() == true and jobs:add(2) == true)\n"
         "local depth = m.gauge('depth', 'Depth.')\n"
         "depth:set(5)\n"
         "depth:add(-2)\n"
         "local took = m.histogram('took', 'Seconds.', nil, {0.5, 1})\n"
         "assert(took:observe(0.7) == true)\n"
         "assert(getmetatable(jobs) == 'metric')");
    assert_text("# HELP jobs_total Jobs.\n# TYPE jobs_total counter\njobs_total 3\n"
                "# HELP depth Depth.\n# TYPE depth gauge\ndepth 3\n"
                "# HELP took Seconds.\n# TYPE took histogram\n"
                "took_bucket{le=\"0.5\"} 0\ntook_bucket{le=\"1\"} 1\n"
                "took_bucket{le=\"+Inf\"} 1\ntook_sum 0.7\ntook_count 1\n");
}

static void test_labels_tell_series_apart(void **state)
{
    (void)state;
    runs("local jobs = m.counter('jobs_total', 'Jobs.', {'room', 'ok'})\n"
         "jobs:add(1, {'a', true})\n"
         "jobs:add(1, {'b', false})\n"
         "jobs:add(1, {'a', 'true'})\n"
         "jobs:add(1, {1, 2})");
    assert_text("# HELP jobs_total Jobs.\n# TYPE jobs_total counter\n"
                "jobs_total{ok=\"true\",room=\"a\"} 2\n"
                "jobs_total{ok=\"false\",room=\"b\"} 1\n"
                "jobs_total{ok=\"2\",room=\"1\"} 1\n");
}

static void test_a_histogram_has_the_usual_buckets(void **state)
{
    struct buffer out = {0};
    (void)state;
    runs("m.histogram('took', 'Seconds.', {'l'}):observe(0.02, {'x'})");
    assert_int_equal(metrics_text(&out), WEIR_OK);
    assert_int_equal(buffer_append(&out, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    assert_non_null(strstr((const char *)out.data, "took_bucket{l=\"x\",le=\"0.01\"} 0\n"
                                                   "took_bucket{l=\"x\",le=\"0.025\"} 1\n"));
    assert_non_null(strstr((const char *)out.data, "took_bucket{l=\"x\",le=\"10\"} 1\n"));
    buffer_free(&out);
}

static void test_the_same_name_is_the_same_metric(void **state)
{
    (void)state;
    runs("m.counter('n', 'N.'):add()");
    runs("m.counter('n', 'N.'):add()");
    assert_text("# HELP n N.\n# TYPE n counter\nn 2\n");
}

static void test_too_many_series_are_a_value_and_not_an_error(void **state)
{
    (void)state;
    runs("local n = m.counter('n', 'N.', {'l'})\n"
         "local count = 0\n"
         "while n:add(1, {count + 1}) do count = count + 1 end\n"
         "assert(count > 9900 and count <= 10000, count)\n"
         "local ok, why = n:add(1, {'one more'})\n"
         "assert(ok == nil and why == 'too many')\n"
         "assert(n:add(1, {1}))");
}

static void test_wrong_declarations_are_errors(void **state)
{
    (void)state;
    runs("m.counter('there', 'T.')\n"
         "for _, call in ipairs{\n"
         "    {m.counter}, {m.counter, 'a'}, {m.counter, 'a-b', 'h'}, {m.gauge, 'there', 'h'},\n"
         "    {m.counter, 'weir_sessions', 'h'},\n"
         "    {m.counter, 'a', 'h', 'l'}, {m.counter, 'a', 'h', {1}}, {m.counter, 'a', 'h', "
         "{'l-'}},\n"
         "    {m.counter, 'a', 'h', {'l', 'l'}}, {m.histogram, 'a', 'h', {'le'}},\n"
         "    {m.counter, 'a', 'h', {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'}},\n"
         "    {m.histogram, 'a', 'h', {}, {2, 1}}, {m.histogram, 'a', 'h', {}, {'x'}}} do\n"
         "    assert(not pcall(table.unpack(call)), call[2])\n"
         "end");
    assert_text("# HELP there T.\n# TYPE there counter\nthere 0\n");
}

static void test_wrong_calls_are_errors(void **state)
{
    (void)state;
    runs("local c, g, h = m.counter('c', ''), m.gauge('g', ''), m.histogram('h', '', nil, {})\n"
         "local l = m.counter('l', '', {'x'})\n"
         "for i, call in ipairs{\n"
         "    {c.add, c, -1}, {c.add, c, 0 / 0}, {c.set, c, 1}, {c.observe, c, 1},\n"
         "    {c.add, c, 1, {'x'}}, {g.observe, g, 1}, {g.set, g}, {h.add, h, 1},\n"
         "    {h.set, h, 1}, {h.observe, h}, {l.add, l}, {l.add, l, 1, {}},\n"
         "    {l.add, l, 1, {'x', 'y'}}, {l.add, l, 1, {{}}}, {c.add, {}}} do\n"
         "    assert(not pcall(table.unpack(call)), i)\n"
         "end");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, forget, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_counts_sets_and_observes),
        TEST(test_labels_tell_series_apart),
        TEST(test_a_histogram_has_the_usual_buckets),
        TEST(test_the_same_name_is_the_same_metric),
        TEST(test_too_many_series_are_a_value_and_not_an_error),
        TEST(test_wrong_declarations_are_errors),
        TEST(test_wrong_calls_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
