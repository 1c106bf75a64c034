/* From request paths to paths in the folder, and to Locations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "handlers/static_path.h"

static void expect_path(const char *path, const char *route, const char *text, bool is_folder)
{
    struct static_path made;
    if (!static_path_make(span_of(path), route, &made)) {
        fail_msg("%s on route %s was refused", path, route);
    }
    assert_string_equal(made.text, text);
    assert_int_equal(made.size, strlen(text));
    assert_int_equal(made.is_folder, is_folder);
}

static void expect_refusal(const char *path, const char *route)
{
    struct static_path made;
    if (static_path_make(span_of(path), route, &made)) {
        fail_msg("%s on route %s became %s", path, route, made.text);
    }
}

static void test_root_route_cuts_the_slash_alone(void **state)
{
    (void)state;
    expect_path("/", "/", "", true);
    expect_path("/a", "/", "a", false);
    expect_path("/a/b.html", "/", "a/b.html", false);
    expect_path("/a/b/", "/", "a/b", true);
    expect_path("/a b\\c:d", "/", "a b\\c:d", false);
}

static void test_other_routes_are_cut_off(void **state)
{
    (void)state;
    expect_path("/files/a", "/files", "a", false);
    expect_path("/files/a", "/files/", "a", false);
    expect_path("/files/a/", "/files", "a", true);
    expect_path("/files/", "/files", "", true);
    expect_path("/files", "/files", "", false);
    expect_path("/x/y/z", "/x/y", "z", false);
}

static void test_paths_beside_the_route_are_refused(void **state)
{
    (void)state;
    expect_refusal("/filesystem", "/files");
    expect_refusal("/file", "/files");
    expect_refusal("/other/a", "/files");
    expect_refusal("", "/");
    expect_refusal("a", "/");
}

static void test_dot_segments_are_refused(void **state)
{
    (void)state;
    expect_refusal("/..", "/");
    expect_refusal("/../a", "/");
    expect_refusal("/a/../b", "/");
    expect_refusal("/a/..", "/");
    expect_refusal("/a/./b", "/");
    expect_refusal("/.", "/");
    expect_refusal("/files/../a", "/files");
}

static void test_empty_segments_are_refused(void **state)
{
    (void)state;
    expect_refusal("//", "/");
    expect_refusal("//etc/passwd", "/");
    expect_refusal("/a//b", "/");
    expect_refusal("/a//", "/");
    expect_refusal("/files//etc/passwd", "/files");
}

static void test_dot_files_are_refused_but_well_known(void **state)
{
    (void)state;
    expect_refusal("/.git/config", "/");
    expect_refusal("/a/.env", "/");
    expect_refusal("/...", "/");
    expect_refusal("/.well-knownx/a", "/");
    expect_refusal("/.well-known/.secret", "/");
    expect_path("/.well-known/security.txt", "/", ".well-known/security.txt", false);
    expect_path("/a/.well-known/", "/", "a/.well-known", true);
    expect_path("/a./b..c", "/", "a./b..c", false);
}

static void test_nul_is_refused(void **state)
{
    (void)state;
    struct static_path made;
    assert_false(static_path_make(SPAN("/a\0b"), "/", &made));
    assert_false(static_path_make(SPAN("/a\0"), "/", &made));
}

static void test_longest_path_fits_and_the_next_does_not(void **state)
{
    (void)state;
    static char path[STATIC_PATH_BYTES + 1];
    struct static_path made;
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    assert_true(static_path_make((struct span){(uint8_t *)path, STATIC_PATH_BYTES}, "/", &made));
    assert_int_equal(made.size, STATIC_PATH_BYTES - 1);
    assert_int_equal(strlen(made.text), STATIC_PATH_BYTES - 1);
    assert_false(
        static_path_make((struct span){(uint8_t *)path, STATIC_PATH_BYTES + 1}, "/", &made));
}

static void test_enter_and_extend_append(void **state)
{
    (void)state;
    struct static_path path;
    assert_true(static_path_make(SPAN("/"), "/", &path));
    assert_true(static_path_enter(&path, "index.html"));
    assert_string_equal(path.text, "index.html");
    assert_true(static_path_extend(&path, ".gz"));
    assert_string_equal(path.text, "index.html.gz");
    assert_true(static_path_make(SPAN("/a/"), "/", &path));
    assert_true(static_path_enter(&path, "b"));
    assert_string_equal(path.text, "a/b");
}

static void test_enter_and_extend_leave_a_path_that_has_no_room(void **state)
{
    (void)state;
    struct static_path path = {.size = STATIC_PATH_BYTES - 4};
    memset(path.text, 'a', path.size);
    assert_false(static_path_enter(&path, "abc"));
    assert_int_equal(strlen(path.text), STATIC_PATH_BYTES - 4);
    assert_false(static_path_extend(&path, "abcd"));
    assert_int_equal(path.size, STATIC_PATH_BYTES - 4);
    assert_true(static_path_extend(&path, "abc"));
    assert_int_equal(strlen(path.text), STATIC_PATH_BYTES - 1);
    assert_false(static_path_enter(&path, ""));
    assert_int_equal(strlen(path.text), STATIC_PATH_BYTES - 1);
}

static void expect_location(const char *path, const char *query, const char *location)
{
    struct buffer out = {0};
    assert_int_equal(static_path_location(span_of(path), span_of(query), &out), WEIR_OK);
    assert_int_equal(buffer_append(&out, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    assert_string_equal((const char *)out.data, location);
    buffer_free(&out);
}

static void test_location_is_the_folder_with_its_query(void **state)
{
    (void)state;
    expect_location("/docs", "", "/docs/");
    expect_location("/a/b-c_d.e~f", "x=1&y=%20", "/a/b-c_d.e~f/?x=1&y=%20");
}

static void test_location_is_encoded(void **state)
{
    (void)state;
    expect_location("/a b", "", "/a%20b/");
    expect_location("/a?b#c%d", "", "/a%3Fb%23c%25d/");
    expect_location("/\xc3\xa4", "", "/%C3%A4/");
    expect_location("/a\r\nSet-Cookie: x", "", "/a%0D%0ASet-Cookie%3A%20x/");
    expect_location("/javascript:x", "", "/javascript%3Ax/");
}

static void test_location_never_names_a_host(void **state)
{
    (void)state;
    expect_location("//evil.example", "", "/evil.example/");
    expect_location("///evil.example", "", "/evil.example/");
    expect_location("/\\evil.example", "", "/%5Cevil.example/");
    expect_location("/\t/evil.example", "", "/%09/evil.example/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root_route_cuts_the_slash_alone),
        cmocka_unit_test(test_other_routes_are_cut_off),
        cmocka_unit_test(test_paths_beside_the_route_are_refused),
        cmocka_unit_test(test_dot_segments_are_refused),
        cmocka_unit_test(test_empty_segments_are_refused),
        cmocka_unit_test(test_dot_files_are_refused_but_well_known),
        cmocka_unit_test(test_nul_is_refused),
        cmocka_unit_test(test_longest_path_fits_and_the_next_does_not),
        cmocka_unit_test(test_enter_and_extend_append),
        cmocka_unit_test(test_enter_and_extend_leave_a_path_that_has_no_room),
        cmocka_unit_test(test_location_is_the_folder_with_its_query),
        cmocka_unit_test(test_location_is_encoded),
        cmocka_unit_test(test_location_never_names_a_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
