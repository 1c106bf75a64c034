/* Metrics: what is a series, what its numbers do, and the text that Prometheus reads (its
 * documentation, "Exposition formats", version 0.0.4); from several threads too (run it under
 * TSan). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/metrics.h"

enum {
    THREADS = 4,
    ROUNDS = 5000
};

static int forget(void **state)
{
    (void)state;
    metrics_reset();
    return 0;
}

static struct metric *make(enum metric_kind kind, const char *name, const char *help)
{
    struct metric *metric = NULL;
    assert_int_equal(metrics_series(kind, name, help, NULL, 0, NULL, 0, &metric), WEIR_OK);
    return metric;
}

static struct metric *labelled(const char *name, const char *label, const char *value)
{
    struct metric *metric = NULL;
    struct metric_label labels[] = {{span_of(label), span_of(value)}};
    assert_int_equal(metrics_series(METRIC_COUNTER, name, "h", labels, 1, NULL, 0, &metric),
                     WEIR_OK);
    return metric;
}

static void assert_text(const char *expected)
{
    struct buffer out = {0};
    assert_int_equal(metrics_text(&out), WEIR_OK);
    assert_int_equal(buffer_append(&out, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    assert_string_equal((const char *)out.data, expected);
    buffer_free(&out);
}

static void test_writes_a_counter_and_a_gauge(void **state)
{
    (void)state;
    struct metric *jobs = make(METRIC_COUNTER, "jobs_total", "Jobs that were done.");
    struct metric *depth = make(METRIC_GAUGE, "depth", "");
    metric_add(jobs, 1);
    metric_add(jobs, 2.5);
    metric_set(depth, 7);
    metric_add(depth, -9);
    assert_text("# HELP jobs_total Jobs that were done.\n# TYPE jobs_total counter\n"
                "jobs_total 3.5\n"
                "# HELP depth \n# TYPE depth gauge\n"
                "depth -2\n");
}

static void test_a_counter_never_falls_nor_is_set(void **state)
{
    (void)state;
    struct metric *jobs = make(METRIC_COUNTER, "jobs_total", "h");
    metric_add(jobs, 5);
    metric_add(jobs, -1);
    metric_add(jobs, NAN);
    metric_set(jobs, 1);
    metric_observe(jobs, 1);
    assert_text("# HELP jobs_total h\n# TYPE jobs_total counter\njobs_total 5\n");
}

static void test_writes_a_histogram_with_buckets_that_add_up(void **state)
{
    static const double buckets[] = {0.1, 1, 2.5};
    struct metric *took = NULL;
    struct metric_label labels[] = {{SPAN("path"), SPAN("/")}};
    (void)state;
    assert_int_equal(
        metrics_series(METRIC_HISTOGRAM, "took", "Seconds.", labels, 1, buckets, 3, &took),
        WEIR_OK);
    metric_observe(took, 0.1);
    metric_observe(took, 0.5);
    metric_observe(took, 2);
    metric_observe(took, 100);
    assert_text("# HELP took Seconds.\n# TYPE took histogram\n"
                "took_bucket{path=\"/\",le=\"0.1\"} 1\n"
                "took_bucket{path=\"/\",le=\"1\"} 2\n"
                "took_bucket{path=\"/\",le=\"2.5\"} 3\n"
                "took_bucket{path=\"/\",le=\"+Inf\"} 4\n"
                "took_sum{path=\"/\"} 102.6\n"
                "took_count{path=\"/\"} 4\n");
}

static void test_writes_a_histogram_without_labels(void **state)
{
    (void)state;
    metric_observe(make(METRIC_HISTOGRAM, "took", "h"), NAN);
    assert_text("# HELP took h\n# TYPE took histogram\n"
                "took_bucket{le=\"+Inf\"} 1\ntook_sum NaN\ntook_count 1\n");
}

static void test_escapes_help_and_label_values(void **state)
{
    struct metric *metric = NULL;
    struct metric_label labels[] = {{SPAN("l"), SPAN("a\\b\"c\nd")}};
    (void)state;
    assert_int_equal(metrics_series(METRIC_GAUGE, "g", "a\\b\"c\nd", labels, 1, NULL, 0, &metric),
                     WEIR_OK);
    assert_text("# HELP g a\\\\b\"c\\nd\n# TYPE g gauge\ng{l=\"a\\\\b\\\"c\\nd\"} 0\n");
}

static void test_what_is_not_utf_8_is_replaced(void **state)
{
    (void)state;
    labelled("n", "l", "\xc3\xa4\xff\xc3");
    labelled("n", "l", "\xed\xa0\x80\xf0\x9f\x98\x80\xc0\x80");
    assert_text("# HELP n h\n# TYPE n counter\n"
                "n{l=\"\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\"} 0\n"
                "n{l=\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80"
                "\xef\xbf\xbd\xef\xbf\xbd\"} 0\n");
}

static void test_a_family_is_known_before_it_has_a_series(void **state)
{
    const struct metric_label bad = {SPAN("a-b"), SPAN("")};
    (void)state;
    assert_int_equal(metrics_declare(METRIC_COUNTER, "n", "h", NULL, 0, NULL, 0), WEIR_OK);
    assert_int_equal(metrics_declare(METRIC_COUNTER, "n", "other", NULL, 0, NULL, 0), WEIR_OK);
    assert_int_equal(metrics_declare(METRIC_GAUGE, "n", "h", NULL, 0, NULL, 0), WEIR_EINVAL);
    assert_int_equal(metrics_declare(METRIC_GAUGE, "a-b", "h", NULL, 0, NULL, 0), WEIR_EINVAL);
    assert_int_equal(metrics_declare(METRIC_GAUGE, "m", "h", &bad, 1, NULL, 0), WEIR_EINVAL);
    assert_text("# HELP n h\n# TYPE n counter\n");
}

static void test_numbers_read_back_as_they_were(void **state)
{
    (void)state;
    metric_set(make(METRIC_GAUGE, "a", "h"), 0.1);
    metric_set(make(METRIC_GAUGE, "b", "h"), 0.1 + 0.2);
    metric_set(make(METRIC_GAUGE, "c", "h"), -INFINITY);
    metric_set(make(METRIC_GAUGE, "d", "h"), 9007199254740991);
    assert_text("# HELP a h\n# TYPE a gauge\na 0.1\n"
                "# HELP b h\n# TYPE b gauge\nb 0.30000000000000004\n"
                "# HELP c h\n# TYPE c gauge\nc -Inf\n"
                "# HELP d h\n# TYPE d gauge\nd 9007199254740991\n");
}

static void test_the_same_labels_in_any_order_are_one_series(void **state)
{
    struct metric_label one[] = {{SPAN("b"), SPAN("2")}, {SPAN("a"), SPAN("1")}};
    struct metric_label other[] = {{SPAN("a"), SPAN("1")}, {SPAN("b"), SPAN("2")}};
    struct metric *first = NULL;
    struct metric *second = NULL;
    (void)state;
    assert_int_equal(metrics_series(METRIC_COUNTER, "n", "h", one, 2, NULL, 0, &first), WEIR_OK);
    assert_int_equal(metrics_series(METRIC_COUNTER, "n", "h", other, 2, NULL, 0, &second), WEIR_OK);
    assert_ptr_equal(first, second);
    assert_text("# HELP n h\n# TYPE n counter\nn{a=\"1\",b=\"2\"} 0\n");
}

static void test_other_values_and_names_are_other_series(void **state)
{
    (void)state;
    struct metric *first = labelled("n", "l", "1");
    assert_ptr_not_equal(first, labelled("n", "l", "2"));
    assert_ptr_not_equal(first, labelled("m", "l", "1"));
    assert_ptr_equal(first, labelled("n", "l", "1"));
    assert_text("# HELP n h\n# TYPE n counter\nn{l=\"1\"} 0\nn{l=\"2\"} 0\n"
                "# HELP m h\n# TYPE m counter\nm{l=\"1\"} 0\n");
}

static void test_a_value_cannot_pass_for_other_labels(void **state)
{
    struct metric *metric = NULL;
    struct metric_label labels[] = {{SPAN("a"), SPAN("1")}, {SPAN("b"), SPAN("2")}};
    (void)state;
    assert_int_equal(metrics_series(METRIC_COUNTER, "n", "h", labels, 2, NULL, 0, &metric),
                     WEIR_OK);
    assert_ptr_not_equal(metric, labelled("n", "a", "1\",b=\"2"));
}

static void test_a_name_keeps_its_kind(void **state)
{
    struct metric *metric = NULL;
    (void)state;
    make(METRIC_COUNTER, "n", "h");
    assert_int_equal(metrics_series(METRIC_GAUGE, "n", "h", NULL, 0, NULL, 0, &metric),
                     WEIR_EINVAL);
    assert_null(metric);
}

static void test_refuses_names_that_prometheus_would(void **state)
{
    static const char *const names[] = {"", "1a", "a-b", "a b", "\xc3\xa4"};
    struct metric *metric = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(metrics_series(METRIC_GAUGE, names[i], "h", NULL, 0, NULL, 0, &metric),
                         WEIR_EINVAL);
    }
    assert_non_null(make(METRIC_GAUGE, "_a:b1", "h"));
}

static void test_refuses_label_names_that_prometheus_would(void **state)
{
    static const char *const names[] = {"", "1a", "a:b", "__a", "le"};
    struct metric *metric = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct metric_label label = {span_of(names[i]), SPAN("v")};
        assert_int_equal(metrics_series(METRIC_HISTOGRAM, "n", "h", &label, 1, NULL, 0, &metric),
                         WEIR_EINVAL);
    }
    struct metric_label twice[] = {{SPAN("a"), SPAN("1")}, {SPAN("a"), SPAN("2")}};
    assert_int_equal(metrics_series(METRIC_GAUGE, "n", "h", twice, 2, NULL, 0, &metric),
                     WEIR_EINVAL);
    assert_text("");
}

static void test_refuses_buckets_that_do_not_ascend(void **state)
{
    static const double bad[][2] = {{1, 1}, {2, 1}, {1, INFINITY}, {NAN, 1}};
    struct metric *metric = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(metrics_series(METRIC_HISTOGRAM, "n", "h", NULL, 0, bad[i], 2, &metric),
                         WEIR_EINVAL);
    }
}

static void test_labels_of_peers_cannot_eat_the_memory(void **state)
{
    struct metric *metric = NULL;
    struct metric_label label = {SPAN("l"), SPAN("one more")};
    (void)state;
    for (unsigned i = 0; i < METRIC_SERIES_MAX; i++) {
        char value[16];
        snprintf(value, sizeof value, "%u", i);
        labelled("n", "l", value);
    }
    assert_int_equal(metrics_series(METRIC_COUNTER, "n", "h", &label, 1, NULL, 0, &metric),
                     WEIR_ELIMIT);
    assert_non_null(labelled("n", "l", "0"));
}

static void test_refuses_more_labels_than_its_limit(void **state)
{
    struct metric_label labels[METRIC_LABELS_MAX + 1];
    struct metric *metric = NULL;
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};
    (void)state;
    for (size_t i = 0; i <= METRIC_LABELS_MAX; i++) {
        labels[i] = (struct metric_label){span_of(names[i]), SPAN("")};
    }
    assert_int_equal(
        metrics_series(METRIC_GAUGE, "n", "h", labels, METRIC_LABELS_MAX, NULL, 0, &metric),
        WEIR_OK);
    assert_int_equal(
        metrics_series(METRIC_GAUGE, "n", "h", labels, METRIC_LABELS_MAX + 1, NULL, 0, &metric),
        WEIR_ELIMIT);
}

static void *count(void *context)
{
    static const double buckets[] = {10};
    struct metric *took = NULL;
    (void)context;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char value[16];
        snprintf(value, sizeof value, "%u", i % 10);
        metric_add(labelled("n", "l", value), 1);
        assert_int_equal(metrics_series(METRIC_HISTOGRAM, "took", "h", NULL, 0, buckets, 1, &took),
                         WEIR_OK);
        metric_observe(took, i % 2 == 0 ? 1 : 11);
        if (i % 1000 == 0) {
            struct buffer out = {0};
            assert_int_equal(metrics_text(&out), WEIR_OK);
            buffer_free(&out);
        }
    }
    return NULL;
}

static void test_threads_lose_nothing(void **state)
{
    pthread_t threads[THREADS];
    struct buffer out = {0};
    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(metrics_text(&out), WEIR_OK);
    assert_int_equal(buffer_append(&out, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    for (unsigned i = 0; i < 10; i++) {
        char line[64];
        snprintf(line, sizeof line, "n{l=\"%u\"} %d\n", i, THREADS * ROUNDS / 10);
        assert_non_null(strstr((const char *)out.data, line));
    }
    assert_non_null(strstr((const char *)out.data, "took_bucket{le=\"10\"} 10000\n"));
    assert_non_null(strstr((const char *)out.data, "took_sum 120000\ntook_count 20000\n"));
    buffer_free(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, forget, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_writes_a_counter_and_a_gauge),
        TEST(test_a_counter_never_falls_nor_is_set),
        TEST(test_writes_a_histogram_with_buckets_that_add_up),
        TEST(test_writes_a_histogram_without_labels),
        TEST(test_escapes_help_and_label_values),
        TEST(test_what_is_not_utf_8_is_replaced),
        TEST(test_a_family_is_known_before_it_has_a_series),
        TEST(test_numbers_read_back_as_they_were),
        TEST(test_the_same_labels_in_any_order_are_one_series),
        TEST(test_other_values_and_names_are_other_series),
        TEST(test_a_value_cannot_pass_for_other_labels),
        TEST(test_a_name_keeps_its_kind),
        TEST(test_refuses_names_that_prometheus_would),
        TEST(test_refuses_label_names_that_prometheus_would),
        TEST(test_refuses_buckets_that_do_not_ascend),
        TEST(test_labels_of_peers_cannot_eat_the_memory),
        TEST(test_refuses_more_labels_than_its_limit),
        TEST(test_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
