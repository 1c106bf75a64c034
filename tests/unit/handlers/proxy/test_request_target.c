/* Targets as backends get them: untouched without prefixes, and with them changed where the router
 * would see the change and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "handlers/proxy/request_target.h"

static void expect(const char *target, const char *strip, const char *add, const char *wanted)
{
    struct buffer out = {0};
    assert_int_equal(request_target_write(&out, span_of(target), span_of(strip), span_of(add)),
                     WEIR_OK);
    if (!span_equal(buffer_span(&out), span_of(wanted))) {
        print_error("%s: got %.*s, wanted %s\n", target, (int)out.size, (const char *)out.data,
                    wanted);
    }
    assert_true(span_equal(buffer_span(&out), span_of(wanted)));
    buffer_free(&out);
}

static void test_passes_a_target_byte_for_byte_without_prefixes(void **state)
{
    (void)state;
    expect("/", "", "", "/");
    expect("/a//b/c/%2e%2Ex/%2F%3a?x=%20&&y/../", "", "", "/a//b/c/%2e%2Ex/%2F%3a?x=%20&&y/../");
    expect("/a?", "", "", "/a?");
    expect("/?a/../b", "", "", "/?a/../b");
    expect("//host/path", "", "", "//host/path");
    expect("*", "", "", "*");
}

static void test_turns_an_absolute_target_into_a_path(void **state)
{
    (void)state;
    expect("http://example.com/a/b?q", "", "", "/a/b?q");
    expect("HTTPS://example.com:443/a%2Fb", "", "", "/a%2Fb");
    expect("http://example.com", "", "", "/");
    expect("ws://[::1]:80?q=/x", "", "", "/?q=/x");
    expect("http://example.com/api/x", "/api", "/v2", "/v2/x");
}

static void test_strips_a_prefix_at_the_end_of_a_segment_only(void **state)
{
    (void)state;
    expect("/api/users?a=/api", "/api", "", "/users?a=/api");
    expect("/api/users", "/api/", "", "/users");
    expect("/api", "/api", "", "/");
    expect("/api/", "/api", "", "/");
    expect("/api?x", "/api", "", "/?x");
    expect("/apix/users", "/api", "", "/apix/users");
    expect("/ap", "/api", "", "/ap");
    expect("/other", "/api", "", "/other");
    expect("/api/api/x", "/api", "", "/api/x");
    expect("/a/b/c", "/a/b", "", "/c");
    expect("/a", "/", "", "/a");
}

static void test_finds_the_prefix_however_it_is_written(void **state)
{
    (void)state;
    expect("/%61pi/x", "/api", "", "/x");
    expect("/a%70%69", "/api", "", "/");
    expect("//api///x", "/api", "", "/x");
    expect("/a//b/x", "/a/b", "", "/x");
    expect("/API/x", "/api", "", "/API/x");
    expect("/%zzapi", "/%zzapi", "", "/");
    expect("/api%", "/api", "", "/api%");
}

static void test_takes_no_encoded_slash_for_a_slash(void **state)
{
    (void)state;
    expect("/api%2Fx", "/api", "", "/api%2Fx");
    expect("/a%2Fb/x", "/a/b", "", "/a%2Fb/x");
}

static void test_keeps_escapes_behind_the_prefix(void **state)
{
    (void)state;
    expect("/api/%2F%3a%c3%a4+%20?%2F", "/api", "", "/%2F%3a%c3%a4+%20?%2F");
    expect("/api/a//b", "/api", "", "/a//b");
}

static void test_puts_a_prefix_in_front(void **state)
{
    (void)state;
    expect("/x?q", "", "/v2", "/v2/x?q");
    expect("/x", "", "/v2/", "/v2/x");
    expect("/", "", "/v2", "/v2/");
    expect("/api/x", "/api", "/v2", "/v2/x");
    expect("/api/x", "/api", "/v2/", "/v2/x");
    expect("/api", "/api", "/v2", "/v2");
    expect("/api", "/api", "/v2/", "/v2/");
    expect("/api?q", "/api", "/v2", "/v2?q");
    expect("/other", "/api", "/v2", "/v2/other");
    expect("/x", "", "/", "/x");
}

/* Else a backend that resolves them would leave the prefix that the operator has set. */
static void test_resolves_dot_segments_without_prefixes_too(void **state)
{
    (void)state;
    expect("/admin/../a%2Fb?x/../y", "", "", "/a%2Fb?x/../y");
    expect("/a//b/../c/./%2e%2E/%2F%3a", "", "", "/a/%2F%3a");
}

static void test_resolves_dot_segments_before_it_changes_a_path(void **state)
{
    (void)state;
    expect("/api/../api/x", "/api", "", "/x");
    expect("/api/a/../b", "/api", "/v2", "/v2/b");
    expect("/x/..", "", "/v2", "/v2/");
    expect("/a/../../x", "", "/v2", "/v2/x");
    expect("/%2e%2E/x", "", "/v2", "/v2/x");
    expect("/a/%2e/b/.", "", "/v2", "/v2/a/b/");
    expect("/a//b/../%41", "", "/v2", "/v2/a/%41");
    expect("/a/.../..b/.c/d..", "", "/v2", "/v2/a/.../..b/.c/d..");
    expect("/a/%2e%2e%2e/x", "", "/v2", "/v2/a/%2e%2e%2e/x");
    expect("/..?a/../b", "", "/v2", "/v2/?a/../b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes_a_target_byte_for_byte_without_prefixes),
        cmocka_unit_test(test_turns_an_absolute_target_into_a_path),
        cmocka_unit_test(test_strips_a_prefix_at_the_end_of_a_segment_only),
        cmocka_unit_test(test_finds_the_prefix_however_it_is_written),
        cmocka_unit_test(test_takes_no_encoded_slash_for_a_slash),
        cmocka_unit_test(test_keeps_escapes_behind_the_prefix),
        cmocka_unit_test(test_puts_a_prefix_in_front),
        cmocka_unit_test(test_resolves_dot_segments_without_prefixes_too),
        cmocka_unit_test(test_resolves_dot_segments_before_it_changes_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
