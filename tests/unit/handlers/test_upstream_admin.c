/* The operator's handler: who may ask, what is shown and set, and what is refused. The upstreams
 * are stood in for: tests/unit/upstream/ has the real ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "handlers/fake_request.h"
#include "handlers/upstream_admin.h"
#include "proto/uri.h"
#include "upstream/upstreams.h"

enum {
    SEAT = 3
};

/* --- a request's other sides --- */

static const char *remote;
static const char *host;
static const char *origin; /* NULL: the field is not there */

const char *request_remote(const struct weir_request *request)
{
    (void)request;
    return remote;
}

struct span request_host(const struct weir_request *request)
{
    (void)request;
    return span_of(host);
}

struct span request_header(const struct weir_request *request, struct span name)
{
    (void)request;
    assert_true(span_equal_nocase(name, SPAN("origin")));
    return origin != NULL ? span_of(origin) : (struct span){NULL, 0};
}

static bool append_decoded(struct buffer *out, struct span raw)
{
    if (buffer_reserve(out, raw.size + 1) != WEIR_OK) {
        return false;
    }
    out->size += uri_decode_query(raw, out->data + out->size);
    return true;
}

bool request_query_next(struct span *rest, struct buffer *name, struct buffer *value)
{
    struct span raw_name;
    struct span raw_value;
    return uri_query_next(rest, &raw_name, &raw_value) && append_decoded(name, raw_name) &&
           append_decoded(value, raw_value);
}

/* --- upstreams: one, `chat`, with `server_count` servers of every name --- */

static size_t server_count;
static unsigned sets;
static unsigned reports;
static char asked_upstream[64];
static char asked_server[64];
static enum config_server_state asked_state;
static enum weir_err report_result;

static struct upstreams *the_upstreams(void)
{
    return (struct upstreams *)(void *)&server_count; /* an address is all that it is used for */
}

static void keep(char out[64], struct span text)
{
    snprintf(out, 64, "%.*s", SPAN_ARGS(text));
}

bool upstreams_has(const struct upstreams *upstreams, struct span name)
{
    assert_ptr_equal(upstreams, the_upstreams());
    return span_equal(name, SPAN("chat"));
}

size_t upstreams_set_state(struct upstreams *upstreams, struct span upstream, struct span server,
                           enum config_server_state state)
{
    assert_ptr_equal(upstreams, the_upstreams());
    sets++;
    keep(asked_upstream, upstream);
    keep(asked_server, server);
    asked_state = state;
    return server_count;
}

enum weir_err upstreams_report(struct upstreams *upstreams, struct span upstream,
                               struct buffer *out)
{
    assert_ptr_equal(upstreams, the_upstreams());
    reports++;
    keep(asked_upstream, upstream);
    return report_result == WEIR_OK ? buffer_append(out, SPAN("{\"upstreams\":[]}"))
                                    : report_result;
}

/* --- one request --- */

static const struct weir_plugin_ops *ops;
static void *plugin;
static struct weir_request request;
static char error[256];

static int set_up(void **state)
{
    (void)state;
    ops = upstream_admin_ops();
    remote = "127.0.0.1";
    host = "weir.example.com:8080";
    origin = NULL;
    server_count = 1;
    sets = 0;
    reports = 0;
    report_result = WEIR_OK;
    upstream_admin_use(the_upstreams());
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buffer_free(&request.body);
    if (plugin != NULL) {
        ops->unload(plugin);
        plugin = NULL;
    }
    return 0;
}

static int try_load(const char *name, const char *settings)
{
    struct weir_plugin_config config = {
        .struct_size = sizeof config, .name = name, .file = "", .settings_json = settings};
    error[0] = '\0';
    return ops->load(&config, &plugin, error, sizeof error);
}

static void load(const char *name, const char *settings)
{
    assert_int_equal(try_load(name, settings), 0);
}

static void ask(const char *method, const char *query)
{
    buffer_free(&request.body);
    request = (struct weir_request){.method = method, .path = "/upstreams", .query = query};
    assert_int_equal(ops->on_request(plugin, &request, SEAT), WEIR_REPLY);
    assert_true(request.is_ended);
}

static void expect(const char *method, const char *query, unsigned status)
{
    ask(method, query);
    if (request.status != status) {
        fail_msg("%s ?%s: %u instead of %u", method, query, request.status, status);
    }
}

static void expect_body(const char *body)
{
    assert_int_equal(request.body.size, strlen(body));
    assert_memory_equal(request.body.data, body, strlen(body));
}

/* --- showing --- */

static void test_shows_all_upstreams(void **state)
{
    (void)state;
    load("all", "{}");
    expect("GET", "", 200);
    assert_string_equal(asked_upstream, "");
    expect_body("{\"upstreams\":[]}");
    assert_string_equal(request.fields,
                        "Content-Type: application/json\nCache-Control: no-store\n");
    expect("HEAD", "", 200);
}

static void test_shows_the_upstream_that_was_asked_for(void **state)
{
    (void)state;
    load("all", "{}");
    expect("GET", "upstream=ch%61t", 200);
    assert_string_equal(asked_upstream, "chat");
    expect("GET", "upstream=other", 404);
    assert_int_equal(reports, 1);
}

static void test_shows_only_the_upstream_of_its_name(void **state)
{
    (void)state;
    load("chat", "{}");
    expect("GET", "", 200);
    assert_string_equal(asked_upstream, "chat");
    expect("GET", "upstream=chat", 200);
    expect("GET", "upstream=other", 404);
}

static void test_answers_500_where_memory_is_out(void **state)
{
    (void)state;
    load("all", "{}");
    report_result = WEIR_ENOMEM;
    expect("GET", "", 500);
}

/* --- setting --- */

static void test_sets_each_state_and_says_what_changed(void **state)
{
    (void)state;
    load("all", "{}");
    server_count = 2;
    expect("POST", "upstream=chat&server=10.0.0.1:80&state=draining", 200);
    assert_string_equal(asked_upstream, "chat");
    assert_string_equal(asked_server, "10.0.0.1:80");
    assert_int_equal(asked_state, CONFIG_SERVER_DRAINING);
    expect_body("{\"upstream\":\"chat\",\"server\":\"10.0.0.1:80\",\"state\":\"draining\","
                "\"changed\":2}\n");
    expect("PUT", "server=%5B::1%5D:80&state=down", 200);
    assert_string_equal(asked_upstream, "");
    assert_string_equal(asked_server, "[::1]:80");
    assert_int_equal(asked_state, CONFIG_SERVER_DOWN);
    expect_body("{\"server\":\"[::1]:80\",\"state\":\"down\",\"changed\":2}\n");
    expect("POST", "state=up&server=web:80", 200);
    assert_int_equal(asked_state, CONFIG_SERVER_UP);
}

static void test_answers_404_where_nothing_matches(void **state)
{
    (void)state;
    load("all", "{}");
    server_count = 0;
    expect("POST", "upstream=chat&server=10.0.0.9:80&state=up", 404);
    assert_int_equal(sets, 1);
}

static void test_sets_nothing_in_an_upstream_that_is_not_its_own(void **state)
{
    (void)state;
    load("chat", "{}");
    expect("POST", "upstream=other&server=10.0.0.1:80&state=up", 404);
    assert_int_equal(sets, 0);
    expect("POST", "server=10.0.0.1:80&state=up", 200);
    assert_string_equal(asked_upstream, "chat");
}

/* --- refusing --- */

static void test_answers_400_to_a_query_that_says_nothing_clear(void **state)
{
    (void)state;
    load("all", "{}");
    expect("POST", "", 400);
    expect("POST", "server=10.0.0.1:80", 400);
    expect("POST", "state=up", 400);
    expect("POST", "server=&state=up", 400);
    expect("POST", "server=a:80&state=UP", 400);
    expect("POST", "server=a:80&state=upp", 400);
    expect("POST", "server=a:80&state=up&state=down", 400);
    expect("POST", "server=a:80&state=up&sever=b", 400);
    expect("GET", "server=a:80&state=up", 400); /* a link must not change anything */
    expect("GET", "state=up", 400);
    expect("GET", "colour=blue", 400);
    assert_int_equal(sets + reports, 0);
}

static void test_answers_405_with_what_is_allowed(void **state)
{
    (void)state;
    static const char *const methods[] = {"DELETE", "OPTIONS", "PATCH", "get"};
    load("all", "{}");
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        expect(methods[i], "server=a:80&state=up", 405);
        assert_non_null(strstr(request.fields, "Allow: GET, HEAD, POST, PUT\n"));
    }
    assert_int_equal(sets, 0);
}

static void expect_from(const char *address, unsigned status)
{
    remote = address;
    expect("GET", "", status);
    expect("POST", "server=a:80&state=up", status);
}

static void test_answers_only_clients_on_this_machine_by_default(void **state)
{
    (void)state;
    load("all", "{}");
    expect_from("127.0.0.1", 200);
    expect_from("127.255.255.255", 200);
    expect_from("128.0.0.0", 403);
    expect_from("126.255.255.255", 403);
    expect_from("::1", 200);
    expect_from("::2", 403);
    expect_from("10.0.0.1", 403);
}

static void test_answers_only_clients_that_are_allowed(void **state)
{
    (void)state;
    load("all", "{\"allow\": [\"10.1.0.0/16\", \"2001:db8::7\"]}");
    expect_from("10.1.0.0", 200);
    expect_from("10.1.255.255", 200);
    expect_from("10.2.0.0", 403);
    expect_from("2001:db8::7", 200);
    expect_from("2001:db8::8", 403);
    expect_from("127.0.0.1", 403);
    expect_from("unknown", 403);
    expect_from("", 403);
    expect_from("unix", 403);
}

static void test_asks_for_the_address_before_anything_else(void **state)
{
    (void)state;
    load("all", "{}");
    remote = "10.0.0.1";
    expect("DELETE", "", 403);
    expect("GET", "colour=blue", 403);
}

static void test_sets_nothing_for_pages_of_other_sites(void **state)
{
    (void)state;
    static const char query[] = "server=a:80&state=down";
    load("all", "{}");
    origin = "https://evil.example.com";
    expect("POST", query, 403);
    expect("PUT", query, 403);
    origin = "null";
    expect("POST", query, 403);
    origin = "http://weir.example.com";
    expect("POST", query, 403); /* another port is another origin */
    assert_int_equal(sets, 0);
    origin = "http://WEIR.example.com:8080";
    expect("POST", query, 200);
    origin = "https://evil.example.com";
    expect("GET", "", 200); /* what it shows, the browser does not give to that page */
}

/* --- loading --- */

static void test_refuses_settings_that_it_does_not_know(void **state)
{
    (void)state;
    static const char *const bad[] = {"{\"alow\": []}",           "{\"allow\": \"127.0.0.1\"}",
                                      "{\"allow\": [\"local\"]}", "{\"allow\": [\"10.0.0.0/33\"]}",
                                      "{\"allow\": [7]}",         "[]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(try_load("all", bad[i]), -1);
        assert_true(strlen(error) > 0);
        assert_null(plugin);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_shows_all_upstreams),
        TEST(test_shows_the_upstream_that_was_asked_for),
        TEST(test_shows_only_the_upstream_of_its_name),
        TEST(test_answers_500_where_memory_is_out),
        TEST(test_sets_each_state_and_says_what_changed),
        TEST(test_answers_404_where_nothing_matches),
        TEST(test_sets_nothing_in_an_upstream_that_is_not_its_own),
        TEST(test_answers_400_to_a_query_that_says_nothing_clear),
        TEST(test_answers_405_with_what_is_allowed),
        TEST(test_answers_only_clients_on_this_machine_by_default),
        TEST(test_answers_only_clients_that_are_allowed),
        TEST(test_asks_for_the_address_before_anything_else),
        TEST(test_sets_nothing_for_pages_of_other_sites),
        TEST(test_refuses_settings_that_it_does_not_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
