/* Paths in one form, or none; and queries as forms write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/uri.h"

struct row {
    const char *raw;
    const char *path; /* NULL: refused */
};

static const struct row PATHS[] = {
    {"/", "/"},
    {"/a", "/a"},
    {"/a/", "/a/"},
    {"/a/b.c", "/a/b.c"},
    {"/%61%2E%7e", "/a.~"},
    {"/a%20b+c", "/a b+c"},
    {"/%C3%a9", "/\xc3\xa9"},
    {"//", "/"},
    {"//a///b//", "/a/b/"},
    {"/.", "/"},
    {"/./", "/"},
    {"/a/.", "/a/"},
    {"/a/./b", "/a/b"},
    {"/a/..", "/"},
    {"/a/../", "/"},
    {"/a/b/..", "/a/"},
    {"/a/b/../c", "/a/c"},
    {"/a/b/../../c", "/c"},
    {"/a//../b", "/b"},
    {"/a/%2e/b", "/a/b"},
    {"/a/%2e%2E/b", "/b"},
    {"/a/.%2e/b", "/b"},
    {"/...", "/..."},
    {"/a/..b", "/a/..b"},
    {"/a/b../c", "/a/b../c"},
    {"/.a", "/.a"},
    {"/%252e%252e/a", "/%2e%2e/a"}, /* decoded once, never twice */
    {"/a%252fb", "/a%2fb"},
    {"/a\\..\\b", "/a\\..\\b"},
    {"/a;b=c/..;/d", "/a;b=c/..;/d"},
    {"/a%2Fb", "/a%2Fb"},
    {"/a%2fb/", "/a%2Fb/"},
    {"/%2f", "/%2F"},
    {"/%2F%2f/a", "/%2F%2F/a"},
    {"/a%2Fb/../c", "/c"}, /* also where it does not stay */
    {"/a%2F...%2F.b", "/a%2F...%2F.b"},
    {"/a%252Fb", "/a%2Fb"}, /* the same text, no encoded slash */
    {"", NULL},
    {"a", NULL},
    {"*", NULL},
    {"..", NULL},
    {"/..", NULL},
    {"/../", NULL},
    {"/../a", NULL},
    {"//..", NULL},
    {"/./..", NULL},
    {"/a/../..", NULL},
    {"/a/../../a", NULL},
    {"/%2e%2e", NULL},
    {"/%2e%2e/a", NULL},
    {"/%2e./a", NULL},
    {"/a%2f..%2f..", NULL},
    {"/a%2f../b", NULL},
    {"/..%2fa", NULL},
    {"/.%2Fa", NULL},
    {"/a%2F%2e%2E%2Fb", NULL},
    {"/a%2F./b", NULL},
    {"/a%2F%2e", NULL},
    {"/%2e%2Fa/..", NULL},
    {"/%00", NULL},
    {"/a%00.html", NULL},
    {"/%", NULL},
    {"/%4", NULL},
    {"/%g1", NULL},
    {"/%1g", NULL},
    {"/%%41", NULL},
    {"/%u0041", NULL},
    {"/a/%4/b", NULL},
    {"/%-1", NULL},
    {"/% 1", NULL},
};

/* From and to memory of exactly the input's size, so that ASan sees a byte too many. */
static void test_normalizes_paths_within_their_own_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof PATHS / sizeof PATHS[0]; i++) {
        struct span raw = span_of(PATHS[i].raw);
        uint8_t *in = malloc(raw.size + 1);
        uint8_t *out = malloc(raw.size + (raw.size == 0));
        size_t size = 0;
        const char *why = "";
        assert_true(in != NULL && out != NULL);
        memcpy(in, raw.data, raw.size);
        bool has_slash = strcasestr(PATHS[i].raw, "%2f") != NULL;
        bool slash = !has_slash;
        enum weir_err err =
            uri_normalize_path((struct span){in, raw.size}, out, &size, &slash, &why);
        bool is_right = PATHS[i].path == NULL
                            ? err == WEIR_EPROTO && strlen(why) > 0
                            : err == WEIR_OK && slash == has_slash &&
                                  span_equal((struct span){out, size}, span_of(PATHS[i].path));
        if (!is_right) {
            fail_msg("%s gave %s \"%.*s\"", PATHS[i].raw, weir_err_name(err), (int)size,
                     (char *)out);
        }
        free(in);
        free(out);
    }
}

static void test_a_normal_path_stays_as_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof PATHS / sizeof PATHS[0]; i++) {
        uint8_t out[64];
        size_t size;
        const char *why;
        if (PATHS[i].path == NULL || strchr(PATHS[i].path, '%') != NULL) {
            continue; /* a decoded "%" is data, and would be decoded again */
        }
        bool slash = true;
        assert_int_equal(uri_normalize_path(span_of(PATHS[i].path), out, &size, &slash, &why),
                         WEIR_OK);
        assert_false(slash);
        assert_true(span_equal((struct span){out, size}, span_of(PATHS[i].path)));
    }
}

static void test_refuses_a_raw_nul(void **state)
{
    uint8_t out[8];
    size_t size;
    const char *why;
    (void)state;
    bool slash;
    assert_int_equal(uri_normalize_path(SPAN("/a\0b"), out, &size, &slash, &why), WEIR_EPROTO);
}

static void test_decodes_in_place(void **state)
{
    uint8_t text[] = "%41b%00%2f";
    size_t size;
    (void)state;
    assert_int_equal(uri_decode((struct span){text, sizeof text - 1}, text, &size), WEIR_OK);
    assert_int_equal(size, 4);
    assert_memory_equal(text, "Ab\0/", 4);
    assert_int_equal(uri_decode(SPAN("%4"), text, &size), WEIR_EPROTO);
    assert_int_equal(uri_decode(SPAN(""), text, &size), WEIR_OK);
    assert_int_equal(size, 0);
}

static void test_walks_queries(void **state)
{
    static const char *const wanted[][2] = {{"a", "1"}, {"b", ""},    {"c", ""},
                                            {"", "d"},  {"e", "f=g"}, {"a", "%20+"}};
    struct span rest = SPAN("&a=1&b&&c=&=d&e=f=g&a=%20+&");
    struct span name;
    struct span value;
    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        assert_true(uri_query_next(&rest, &name, &value));
        assert_true(span_equal(name, span_of(wanted[i][0])));
        assert_true(span_equal(value, span_of(wanted[i][1])));
    }
    assert_false(uri_query_next(&rest, &name, &value));
    rest = (struct span){NULL, 0};
    assert_false(uri_query_next(&rest, &name, &value));
}

static void test_decodes_queries_leniently(void **state)
{
    static const char *const rows[][2] = {
        {"a+b%20c", "a b c"}, {"%2B", "+"},   {"100%", "100%"}, {"%4", "%4"},
        {"%zz", "%zz"},       {"%%41", "%A"}, {"", ""}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t out[16];
        size_t size = uri_decode_query(span_of(rows[i][0]), out);
        assert_true(span_equal((struct span){out, size}, span_of(rows[i][1])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalizes_paths_within_their_own_size),
        cmocka_unit_test(test_a_normal_path_stays_as_it_is),
        cmocka_unit_test(test_refuses_a_raw_nul),
        cmocka_unit_test(test_decodes_in_place),
        cmocka_unit_test(test_walks_queries),
        cmocka_unit_test(test_decodes_queries_leniently),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
