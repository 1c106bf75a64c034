/* The handler for Prometheus: who may ask, what is answered, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "base/traffic.h"
#include "handlers/fake_request.h"
#include "handlers/metrics.h"

static const char *remote;
static const struct weir_plugin_ops *ops;
static void *plugin;
static struct weir_request request;
static char error[256];

const char *request_remote(const struct weir_request *asked)
{
    (void)asked;
    return remote;
}

static int set_up(void **state)
{
    (void)state;
    ops = metrics_ops();
    remote = "127.0.0.1";
    metrics_reset();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buffer_free(&request.body);
    metrics_reset();
    if (plugin != NULL) {
        ops->unload(plugin);
        plugin = NULL;
    }
    return 0;
}

static int load(const char *name, const char *settings)
{
    struct weir_plugin_config config = {
        .struct_size = sizeof config, .name = name, .file = "", .settings_json = settings};
    error[0] = '\0';
    return ops->load(&config, &plugin, error, sizeof error);
}

static void expect(const char *method, unsigned status)
{
    buffer_free(&request.body);
    request = (struct weir_request){.method = method, .path = "/metrics", .query = ""};
    assert_int_equal(ops->on_request(plugin, &request, 1), WEIR_REPLY);
    assert_int_equal(request.status, status);
}

static bool shows(const char *text)
{
    assert_int_equal(buffer_append(&request.body, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    bool found = strstr((const char *)request.body.data, text) != NULL;
    request.body.size--;
    return found;
}

static void test_shows_the_workers_counts_and_the_plugins_metrics(void **state)
{
    struct traffic *traffic = traffic_join();
    struct metric *jobs = NULL;
    (void)state;
    assert_int_equal(metrics_series(METRIC_COUNTER, "jobs_total", "Jobs.", NULL, 0, NULL, 0, &jobs),
                     WEIR_OK);
    metric_add(jobs, 3);
    traffic_add(traffic, TRAFFIC_SESSIONS_OPENED, 5);
    traffic_add(traffic, TRAFFIC_SESSIONS_CLOSED, 2);
    traffic_add(traffic, TRAFFIC_MESSAGES_IN, 7);
    assert_int_equal(load("prometheus", "{}"), 0);
    expect("GET", 200);
    assert_string_equal(request.fields, "Content-Type: text/plain; version=0.0.4; charset=utf-8\n"
                                        "Cache-Control: no-store\n");
    assert_true(shows("# TYPE weir_sessions gauge\nweir_sessions 3\n"));
    assert_true(shows("# TYPE weir_sessions_total counter\nweir_sessions_total 5\n"));
    assert_true(shows("# TYPE weir_messages_total counter\n"
                      "weir_messages_total{direction=\"in\"} 7\n"
                      "weir_messages_total{direction=\"out\"} 0\n"));
    assert_true(shows("# HELP jobs_total Jobs.\n# TYPE jobs_total counter\njobs_total 3\n"));
    traffic_leave(&traffic);
}

static void test_answers_this_machine_unless_told(void **state)
{
    (void)state;
    assert_int_equal(load("prometheus", "{}"), 0);
    expect("HEAD", 200);
    remote = "10.1.2.3";
    expect("GET", 403);
    ops->unload(plugin);
    assert_int_equal(load("prometheus", "{\"allow\":[\"10.0.0.0/8\"]}"), 0);
    expect("GET", 200);
    remote = "127.0.0.1";
    expect("GET", 403);
}

static void test_refuses_other_methods(void **state)
{
    (void)state;
    assert_int_equal(load("prometheus", "{}"), 0);
    expect("POST", 405);
    assert_non_null(strstr(request.fields, "Allow: GET, HEAD\n"));
}

static void test_refuses_other_formats_and_settings(void **state)
{
    (void)state;
    assert_int_equal(load("statsd", "{}"), -1);
    assert_string_equal(error, "there is no format `statsd`; it is `prometheus`");
    assert_int_equal(load("prometheus", "{\"allow\":[\"here\"]}"), -1);
    assert_string_equal(error, "`allow`: here is neither an address nor a block");
    assert_int_equal(load("prometheus", "{\"alow\":[]}"), -1);
    assert_non_null(strstr(error, "alow"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shows_the_workers_counts_and_the_plugins_metrics),
        TEST(test_answers_this_machine_unless_told),
        TEST(test_refuses_other_methods),
        TEST(test_refuses_other_formats_and_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
