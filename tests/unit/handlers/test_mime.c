/* Media types by extension. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "handlers/mime.h"

static void expect(const char *name, const char *type)
{
    assert_string_equal(mime_type(span_of(name)), type);
}

static void test_table_is_sorted_so_that_each_row_is_found(void **state)
{
    (void)state;
    static const char *const ROWS[][2] = {
#define X(extension, type) {extension, type},
#include "handlers/mime.tbl"
#undef X
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        char name[64] = "folder.x/name.";
        strcat(name, ROWS[i][0]);
        expect(name, ROWS[i][1]);
        assert_true(i == 0 || strcmp(ROWS[i - 1][0], ROWS[i][0]) < 0);
    }
}

static void test_text_is_utf_8(void **state)
{
    (void)state;
    expect("index.html", "text/html; charset=utf-8");
    expect("a/b/style.css", "text/css; charset=utf-8");
    expect("app.js", "text/javascript; charset=utf-8");
    expect("app.mjs", "text/javascript; charset=utf-8");
    expect("logo.png", "image/png");
    expect("data.json", "application/json");
    expect("page.wasm", "application/wasm");
}

static void test_extension_is_behind_the_last_dot_and_has_no_case(void **state)
{
    (void)state;
    expect("a.tar.gz", "application/gzip");
    expect("INDEX.HTML", "text/html; charset=utf-8");
    expect("a.hTmL", "text/html; charset=utf-8");
    expect(".css", "text/css; charset=utf-8");
}

static void test_unknown_names_are_bytes(void **state)
{
    (void)state;
    expect("", "application/octet-stream");
    expect("html", "application/octet-stream");
    expect("a.", "application/octet-stream");
    expect("a.unheardof", "application/octet-stream");
    expect("a.htmlx", "application/octet-stream");
    expect("a.htm ", "application/octet-stream");
    expect("a.html/b", "application/octet-stream");
    expect("a.fifteenletters", "application/octet-stream");
    expect("a.sixteen_letters_and_more", "application/octet-stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_sorted_so_that_each_row_is_found),
        cmocka_unit_test(test_text_is_utf_8),
        cmocka_unit_test(test_extension_is_behind_the_last_dot_and_has_no_case),
        cmocka_unit_test(test_unknown_names_are_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
