/* Cookies that name a server and cannot be made up, and ids that are learned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "upstream/learned.h"
#include "upstream/sticky.h"
#include "upstream/upstream.h"
#include "upstream_fixture.h"

static struct upstream_fixture fixture;
static struct config_sticky sticky;
static struct upstream_group group;
static struct upstream upstream;
static struct upstream_worker *worker;
static struct upstream_server server;

static int set_up(void **state)
{
    static char cookie[] = "weir_backend";
    (void)state;
    upstream_fixture_init(&fixture, 1);
    sticky = (struct config_sticky){.cookie = cookie};
    fixture.config.sticky = &sticky;
    memset(&group, 0, sizeof group);
    group.config = &fixture.config;
    assert_int_equal(sticky_cookie_key("secret", group.cookie_key), WEIR_OK);
    memset(&server, 0, sizeof server);
    server.id = 0x0123456789abcdef;
    worker = calloc(1, sizeof *worker);
    worker->loop = loop_new();
    memset(&upstream, 0, sizeof upstream);
    upstream.group = &group;
    upstream.worker = worker;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    learned_ids_free(&group.learned);
    loop_free(&worker->loop);
    free(worker);
    return 0;
}

/* The whole field value, terminated. */
static void write_cookie(bool secure, char out[256])
{
    struct buffer text = {0};
    assert_int_equal(sticky_cookie_write(&upstream, &server, secure, &text), WEIR_OK);
    assert_true(text.size < 256);
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
    buffer_free(&text);
}

/* The cookie's value alone. */
static struct span write_value(char out[256])
{
    write_cookie(false, out);
    char *value = strchr(out, '=') + 1;
    *strchr(value, ';') = '\0';
    return span_of(value);
}

static void test_a_cookie_leads_back_to_its_server(void **state)
{
    char text[256];
    (void)state;
    struct span value = write_value(text);
    assert_int_equal(value.size, 16 + 1 + 32);
    assert_memory_equal(value.data, "0123456789abcdef.", 17);
    assert_true(sticky_cookie_read(&upstream, value) == server.id);
}

static void test_a_cookie_that_was_changed_anywhere_is_not_believed(void **state)
{
    char text[256];
    (void)state;
    struct span value = write_value(text);
    char *bytes = strchr(text, '=') + 1;
    for (size_t i = 0; i < value.size; i++) {
        char before = bytes[i];
        bytes[i] = before == '0' ? '1' : '0';
        assert_int_equal(sticky_cookie_read(&upstream, value), 0);
        bytes[i] = before;
    }
    assert_true(sticky_cookie_read(&upstream, value) == server.id);
    for (size_t size = 0; size < value.size; size++) {
        assert_int_equal(sticky_cookie_read(&upstream, (struct span){value.data, size}), 0);
    }
    bytes[value.size] = '0';
    assert_int_equal(sticky_cookie_read(&upstream, (struct span){value.data, value.size + 1}), 0);
}

static void test_digits_are_written_in_one_way_only(void **state)
{
    char text[256];
    (void)state;
    struct span value = write_value(text);
    char *bytes = strchr(text, '=') + 1;
    bytes[10] = 'A';
    assert_int_equal(sticky_cookie_read(&upstream, value), 0);
}

static void test_a_cookie_of_another_secret_is_not_believed(void **state)
{
    char text[256];
    (void)state;
    struct span value = write_value(text);
    assert_int_equal(sticky_cookie_key("other secret", group.cookie_key), WEIR_OK);
    assert_int_equal(sticky_cookie_read(&upstream, value), 0);
    assert_int_equal(sticky_cookie_key("secret", group.cookie_key), WEIR_OK);
    assert_true(sticky_cookie_read(&upstream, value) == server.id);
}

static void test_a_cookie_of_another_upstream_is_not_believed(void **state)
{
    static char other[] = "other";
    char text[256];
    (void)state;
    struct span value = write_value(text);
    fixture.config.name = other;
    assert_int_equal(sticky_cookie_read(&upstream, value), 0);
}

static void test_attributes_are_as_configured(void **state)
{
    char text[256];
    (void)state;
    write_cookie(false, text);
    assert_string_equal(strchr(text, ';'), "; Path=/; HttpOnly; SameSite=Lax");
    assert_memory_equal(text, "weir_backend=", 13);
    write_cookie(true, text);
    assert_string_equal(strchr(text, ';'), "; Path=/; HttpOnly; SameSite=Lax; Secure");
    sticky.max_age_ms = 3600 * 1000 + 999;
    sticky.same_site = CONFIG_SAME_SITE_STRICT;
    write_cookie(false, text);
    assert_string_equal(strchr(text, ';'), "; Path=/; HttpOnly; SameSite=Strict; Max-Age=3600");
    sticky.max_age_ms = 1; /* 0 would delete it */
    sticky.same_site = CONFIG_SAME_SITE_NONE;
    write_cookie(true, text);
    assert_string_equal(strchr(text, ';'), "; Path=/; HttpOnly; SameSite=None; Max-Age=1; Secure");
}

static void test_a_learned_id_leads_to_its_server_while_it_is_used(void **state)
{
    (void)state;
    group.learned = learned_ids_new(1000, 10);
    sticky_learn(&upstream, SPAN("sid"), &server);
    assert_true(sticky_recall(&upstream, SPAN("sid")) == server.id);
    assert_int_equal(sticky_recall(&upstream, SPAN("other")), 0);
    loop_skip_ms(worker->loop, 900);
    assert_true(sticky_recall(&upstream, SPAN("sid")) == server.id);
    loop_skip_ms(worker->loop, 1000);
    assert_int_equal(sticky_recall(&upstream, SPAN("sid")), 0);
}

static void test_an_empty_id_is_none(void **state)
{
    (void)state;
    group.learned = learned_ids_new(1000, 10);
    sticky_learn(&upstream, SPAN(""), &server);
    assert_int_equal(learned_ids_count(group.learned), 0);
    assert_int_equal(sticky_recall(&upstream, SPAN("")), 0);
}

static void test_an_upstream_that_does_not_learn_knows_nothing(void **state)
{
    (void)state;
    sticky_learn(&upstream, SPAN("sid"), &server);
    assert_int_equal(sticky_recall(&upstream, SPAN("sid")), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_cookie_leads_back_to_its_server),
        CASE(test_a_cookie_that_was_changed_anywhere_is_not_believed),
        CASE(test_digits_are_written_in_one_way_only),
        CASE(test_a_cookie_of_another_secret_is_not_believed),
        CASE(test_a_cookie_of_another_upstream_is_not_believed),
        CASE(test_attributes_are_as_configured),
        CASE(test_a_learned_id_leads_to_its_server_while_it_is_used),
        CASE(test_an_empty_id_is_none),
        CASE(test_an_upstream_that_does_not_learn_knows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
