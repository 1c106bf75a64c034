/* Upstreams from a configuration's text to servers, keys and reports, with a name server and a
 * backend on loopback. */
#include <jansson.h>
#include <stdlib.h>

#include "net/name_server.h"
#include "upstream/fake_backend.h"
#include "upstream/group.h"
#include "upstream/loop_fixture.h"
#include "upstream/upstream.h"
#include "upstream/upstreams.h"

static const struct record records[] = {{.name = "web.test", .ipv4 = {"10.0.0.7", "10.0.0.8"}},
                                        {.name = NULL}};

static struct config *config;
static struct upstreams *upstreams;
static struct buffer errors;

static int set_up(void **state)
{
    (void)state;
    errors = (struct buffer){0};
    return loop_set_up();
}

static int tear_down(void **state)
{
    (void)state;
    if (upstreams != NULL) {
        upstreams_stop(upstreams);
    }
    upstreams_free(&upstreams);
    config_release(&config);
    buffer_free(&errors);
    loop_turn(loop, false);
    loop_tear_down();
    return 0;
}

static enum weir_err load(const char *text)
{
    char all[4096];
    int size = snprintf(all, sizeof all,
                        "listen: [{address: '127.0.0.1:5000'}]\n%s\n"
                        "routes: [{path: /, handler: {static: '%s'}}]\n",
                        text, WEIR_SOURCE_DIR "/gateway");
    enum weir_err err = config_load_text("conf.yaml", all, (size_t)size, &errors, &config);
    if (err != WEIR_OK) {
        fail_msg("%.*s", (int)errors.size, (const char *)errors.data);
    }
    return upstreams_new(config, "conf.yaml", &errors, &upstreams);
}

static void load_well(const char *text)
{
    assert_int_equal(load(text), WEIR_OK);
}

static struct roster *roster_of(const char *name)
{
    struct upstream_group *group = upstreams_group(upstreams, name);
    assert_non_null(group);
    return group_roster(group);
}

/* --- making --- */

static void test_has_servers_with_addresses_at_once_and_names_pending(void **state)
{
    (void)state;
    load_well("upstreams:\n"
              "  a: {servers: [{address: '10.0.0.1:80'}, {address: '[::1]:81'}]}\n"
              "  b: {servers: [{address: 'web.test:80'}, {address: 'unix:/run/b.sock'}]}\n");
    assert_int_equal(upstreams_count(upstreams), 2);
    struct roster *a = roster_of("a");
    struct roster *b = roster_of("b");
    assert_false(a->pending);
    assert_int_equal(a->count, 2);
    assert_string_equal(a->servers[0]->text, "10.0.0.1:80");
    assert_string_equal(a->servers[1]->text, "[::1]:81");
    assert_true(b->pending);
    assert_int_equal(b->count, 1);
    assert_string_equal(b->servers[0]->text, "unix:/run/b.sock");
    roster_release(&a);
    roster_release(&b);
}

static void test_finds_upstreams_by_their_whole_name(void **state)
{
    (void)state;
    load_well("upstreams: {chat: {servers: [{address: '10.0.0.1:80'}]}}\n");
    assert_non_null(upstreams_group(upstreams, "chat"));
    assert_null(upstreams_group(upstreams, "cha"));
    assert_null(upstreams_group(upstreams, "chat2"));
    assert_true(upstreams_has(upstreams, SPAN("chat")));
    assert_false(upstreams_has(upstreams, SPAN("")));
}

static void test_is_empty_where_nothing_is_configured(void **state)
{
    (void)state;
    load_well("");
    assert_int_equal(upstreams_count(upstreams), 0);
    assert_int_equal(upstreams_start(upstreams, loop), WEIR_OK);
}

static void test_tells_file_and_line_of_tls_files_that_do_not_serve(void **state)
{
    (void)state;
    assert_int_equal(load("upstreams:\n"
                          "  good: {servers: [{address: '10.0.0.1:80'}]}\n"
                          "  bad:\n"
                          "    tls: {ca: '" WEIR_SOURCE_DIR "/CMakeLists.txt'}\n"
                          "    servers: [{address: '10.0.0.1:80'}]\n"),
                     WEIR_EINVAL);
    assert_null(upstreams);
    assert_int_equal(buffer_append(&errors, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    const char *text = (const char *)errors.data;
    assert_int_equal(strncmp(text, "conf.yaml:", 10), 0);
    assert_non_null(strstr(text, ": upstreams.bad.tls: "));
    assert_non_null(strstr(text, "CMakeLists.txt"));
    assert_null(strstr(text, "upstreams.good"));
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static void test_makes_a_tls_client_where_servers_speak_tls(void **state)
{
    (void)state;
    load_well("upstreams:\n"
              "  a: {tls: on, servers: [{address: '10.0.0.1:80'}]}\n"
              "  b: {servers: [{address: '10.0.0.1:80'}]}\n");
    assert_non_null(upstreams_group(upstreams, "a")->tls);
    assert_null(upstreams_group(upstreams, "b")->tls);
}

/* --- keys --- */

static const char sticky_text[] =
    "upstreams:\n"
    "  a: {balance: sticky, sticky: {cookie: c, secret: a secret of enough letters}, servers: "
    "[{address: '10.0.0.1:80'}]}\n"
    "  b: {balance: sticky, sticky: {cookie: c, secret: a secret of other letters.}, servers: "
    "[{address: '10.0.0.1:80'}]}\n"
    "  c: {balance: sticky, sticky: {cookie: c}, servers: [{address: '10.0.0.1:80'}]}\n"
    "  d: {balance: sticky, sticky: {learn: engine.io}, servers: [{address: '10.0.0.1:80'}]}\n";

static const uint8_t *key_of(const char *name)
{
    return upstreams_group(upstreams, name)->cookie_key;
}

static void test_keys_are_of_the_secret_or_new_at_each_start(void **state)
{
    (void)state;
    uint8_t a[32];
    uint8_t c[32];
    load_well(sticky_text);
    memcpy(a, key_of("a"), sizeof a);
    memcpy(c, key_of("c"), sizeof c);
    assert_memory_not_equal(a, key_of("b"), sizeof a);
    upstreams_free(&upstreams);
    config_release(&config);
    load_well(sticky_text);
    assert_memory_equal(a, key_of("a"), sizeof a);
    assert_memory_not_equal(c, key_of("c"), sizeof c);
}

static void test_ids_are_learned_only_where_that_is_configured(void **state)
{
    (void)state;
    load_well(sticky_text);
    assert_non_null(upstreams_group(upstreams, "d")->learned);
    assert_null(upstreams_group(upstreams, "a")->learned);
}

/* --- running --- */

static void test_resolves_names_and_checks_health_until_it_is_stopped(void **state)
{
    (void)state;
    char text[1024];
    struct name_server names;
    struct fake_backend backend;
    bool done = false;
    assert_int_equal(name_server_open(&names, records), 0);
    assert_int_equal(fake_backend_open(&backend), 0);
    unsigned descriptors = loop_descriptors();
    const struct sockaddr_in *v4 =
        (const struct sockaddr_in *)(const void *)&backend.address.address;
    snprintf(text, sizeof text,
             "resolver: {nameservers: ['%s']}\nupstreams:\n"
             "  a: {servers: [{address: 'web.test:80'}]}\n"
             "  b: {health_check: {interval: 1s}, servers: [{address: '127.0.0.1:%d'}]}\n",
             names.address, ntohs(v4->sin_port));
    load_well(text);
    assert_int_equal(upstreams_start(upstreams, loop), WEIR_OK);
    LOOP_UNTIL(done && backend.accepted > 0, {
        struct roster *roster = roster_of("a");
        done = roster->count == 2 && !roster->pending;
        roster_release(&roster);
        name_server_work(&names);
        fake_backend_work(&backend);
    });
    upstreams_stop(upstreams);
    upstreams_stop(upstreams); /* once more is fine */
    LOOP_UNTIL(backend.peer_count == 0, fake_backend_work(&backend));
    assert_int_equal(loop_descriptors(), descriptors);
    fake_backend_close(&backend);
    name_server_close(&names);
}

static void test_can_be_freed_without_a_start(void **state)
{
    (void)state;
    load_well("upstreams: {a: {servers: [{address: 'web.test:80'}]}}\n");
    upstreams_stop(upstreams);
    upstreams_free(&upstreams);
    assert_null(upstreams);
    upstreams_free(&upstreams); /* nothing is fine */
}

/* --- the operator --- */

static const char two_text[] = "upstreams:\n"
                               "  a: {servers: [{address: '10.0.0.1:80'}, {address: '10.0.0.2:80', "
                               "state: draining, weight: 7, "
                               "max_connections: 9, backup: on}]}\n"
                               "  b: {servers: [{address: '10.0.0.1:80'}]}\n";

static bool takes_new(const char *name, size_t index)
{
    struct roster *roster = roster_of(name);
    bool takes = server_takes_new(roster->servers[index], 1);
    roster_release(&roster);
    return takes;
}

static size_t set(const char *upstream, const char *server, enum config_server_state to)
{
    return upstreams_set_state(upstreams, span_of(upstream), span_of(server), to);
}

static void test_sets_the_state_of_what_was_named_and_nothing_else(void **state)
{
    (void)state;
    load_well(two_text);
    assert_int_equal(set("a", "10.0.0.1:80", CONFIG_SERVER_DOWN), 1);
    assert_false(takes_new("a", 0));
    assert_true(takes_new("b", 0));
    assert_int_equal(set("", "10.0.0.1:80", CONFIG_SERVER_DOWN), 2);
    assert_false(takes_new("b", 0));
    assert_int_equal(set("", "10.0.0.1:80", CONFIG_SERVER_UP), 2);
    assert_int_equal(set("a", "10.0.0.2:80", CONFIG_SERVER_UP), 1);
    assert_true(takes_new("a", 1));
    assert_int_equal(set("", "10.0.0.3:80", CONFIG_SERVER_DOWN), 0);
    assert_int_equal(set("", "10.0.0.1", CONFIG_SERVER_DOWN), 0);
    assert_int_equal(set("c", "10.0.0.1:80", CONFIG_SERVER_DOWN), 0);
    assert_int_equal(set("", "", CONFIG_SERVER_DOWN), 0);
    assert_true(takes_new("a", 0));
}

static unsigned woken;

static void deliver(struct mailbox_letter *letter, void *receiver)
{
    struct upstream *member = receiver;
    (void)letter;
    atomic_store(&member->woken, false);
    woken++;
}

static void test_wakes_who_waits_when_the_operator_changes_a_state(void **state)
{
    struct upstream member = {.wake_letter = {.deliver = deliver}};
    (void)state;
    load_well(two_text);
    struct upstream_group *group = upstreams_group(upstreams, "a");
    member.mailbox = mailbox_new(loop, &member);
    assert_non_null(member.mailbox);
    list_init(&member.membership);
    group_join(group, &member);
    assert_true(group_queue_enter(group));
    woken = 0;
    assert_int_equal(set("b", "10.0.0.1:80", CONFIG_SERVER_DOWN), 1);
    assert_int_equal(set("a", "10.0.0.1:80", CONFIG_SERVER_DOWN), 1);
    LOOP_UNTIL(woken > 0, (void)0);
    assert_int_equal(set("", "10.0.0.1:80", CONFIG_SERVER_UP), 2);
    LOOP_UNTIL(woken > 1, (void)0);
    assert_int_equal(woken, 2);
    group_queue_leave(group);
    group_leave(group, &member);
    mailbox_free(&member.mailbox);
}

static json_t *report(const char *upstream)
{
    struct buffer out = {0};
    json_error_t problem;
    assert_int_equal(buffer_append(&out, SPAN("before")), WEIR_OK);
    assert_int_equal(upstreams_report(upstreams, span_of(upstream), &out), WEIR_OK);
    assert_memory_equal(out.data, "before", 6);
    json_t *object =
        json_loadb((const char *)out.data + 6, out.size - 6, JSON_REJECT_DUPLICATES, &problem);
    assert_non_null(object);
    buffer_free(&out);
    return object;
}

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

static long long number_at(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void test_reports_every_server_with_its_figures(void **state)
{
    (void)state;
    load_well(two_text);
    struct roster *roster = roster_of("a");
    assert_true(server_lease(roster->servers[1]));
    server_failed(roster->servers[1], 1);
    roster_release(&roster);
    json_t *object = report("");
    const json_t *list = json_object_get(object, "upstreams");
    assert_int_equal(json_array_size(list), 2);
    const json_t *a = json_array_get(list, 0);
    assert_string_equal(text_at(a, "name"), "a");
    assert_true(json_is_false(json_object_get(a, "pending")));
    assert_int_equal(number_at(a, "waiting"), 0);
    assert_int_equal(json_array_size(json_object_get(a, "servers")), 2);
    const json_t *second = json_array_get(json_object_get(a, "servers"), 1);
    assert_string_equal(text_at(second, "address"), "10.0.0.2:80");
    assert_string_equal(text_at(second, "configured"), "10.0.0.2:80");
    assert_int_equal(strlen(text_at(second, "id")), 16);
    assert_string_equal(text_at(second, "state"), "draining");
    assert_true(json_is_true(json_object_get(second, "healthy")));
    assert_true(json_is_false(json_object_get(second, "takes_new")));
    assert_true(json_is_true(json_object_get(second, "backup")));
    assert_int_equal(number_at(second, "weight"), 7);
    assert_int_equal(number_at(second, "max_connections"), 9);
    assert_int_equal(number_at(second, "active"), 1);
    assert_int_equal(number_at(second, "requests"), 1);
    assert_int_equal(number_at(second, "errors"), 1);
    assert_int_equal(number_at(second, "failures"), 1);
    assert_int_equal(number_at(second, "ejections"), 0);
    assert_int_equal(number_at(second, "ejected_for_ms"), 0);
    json_decref(object);
}

static void test_reports_one_upstream_or_none(void **state)
{
    (void)state;
    load_well(two_text);
    json_t *object = report("b");
    const json_t *list = json_object_get(object, "upstreams");
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(text_at(json_array_get(list, 0), "name"), "b");
    json_decref(object);
    object = report("c");
    assert_int_equal(json_array_size(json_object_get(object, "upstreams")), 0);
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_has_servers_with_addresses_at_once_and_names_pending),
        TEST(test_finds_upstreams_by_their_whole_name),
        TEST(test_is_empty_where_nothing_is_configured),
        TEST(test_tells_file_and_line_of_tls_files_that_do_not_serve),
        TEST(test_makes_a_tls_client_where_servers_speak_tls),
        TEST(test_keys_are_of_the_secret_or_new_at_each_start),
        TEST(test_ids_are_learned_only_where_that_is_configured),
        TEST(test_resolves_names_and_checks_health_until_it_is_stopped),
        TEST(test_can_be_freed_without_a_start),
        TEST(test_sets_the_state_of_what_was_named_and_nothing_else),
        TEST(test_wakes_who_waits_when_the_operator_changes_a_state),
        TEST(test_reports_every_server_with_its_figures),
        TEST(test_reports_one_upstream_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
