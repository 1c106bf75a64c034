/* Error bodies: who gets which, and that no word of a request comes back as markup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/http_error.h"

static bool gets_html(const char *accept)
{
    struct buffer out = {0};
    const char *type = "";
    assert_int_equal(http_error_body(&out, 404, "x", span_of(accept), &type), WEIR_OK);
    bool is_html = strcmp(type, "text/html; charset=utf-8") == 0;
    assert_true(is_html || strcmp(type, "application/json") == 0);
    assert_int_equal(out.data[0], is_html ? '<' : '{');
    buffer_free(&out);
    return is_html;
}

static void test_gives_html_to_who_prefers_it(void **state)
{
    (void)state;
    assert_true(gets_html("text/html"));
    assert_true(gets_html("TEXT/*"));
    assert_true(gets_html("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
    assert_true(gets_html("application/json;q=0.1, text/html;q=0.101"));
    assert_true(gets_html("*/*, application/json;q=0.5"));
    assert_true(gets_html("text/html;level=1 ; q=0.9, application/json; q=0.8"));
    assert_true(gets_html("application/json;q=0.8, text/html;q=x"));
}

static void test_gives_json_to_all_others(void **state)
{
    (void)state;
    assert_false(gets_html(""));
    assert_false(gets_html("*/*"));
    assert_false(gets_html("application/json"));
    assert_false(gets_html("text/html, application/json"));
    assert_false(gets_html("text/html;q=0"));
    assert_false(gets_html("text/html;q=0.0, */*"));
    assert_false(gets_html("*/*;q=0.9, text/html;q=0.5"));
    assert_false(gets_html("image/png"));
    assert_false(gets_html(",;,=;q=;"));
}

static void test_escapes_markup(void **state)
{
    struct buffer out = {0};
    const char *type;
    (void)state;
    assert_int_equal(http_error_body(&out, 400, "<a href=\"'&'\">", SPAN("text/html"), &type),
                     WEIR_OK);
    assert_int_equal(buffer_append(&out, SPAN("\0")), WEIR_OK);
    assert_non_null(strstr((char *)out.data, "<p>&lt;a href=&quot;&#39;&amp;&#39;&quot;&gt;</p>"));
    assert_non_null(strstr((char *)out.data, "<h1>400 Bad Request</h1>"));
    buffer_free(&out);
}

static void test_escapes_json(void **state)
{
    struct buffer out = {0};
    const char *type;
    (void)state;
    assert_int_equal(http_error_body(&out, 400, "a\"b\\c\n\x01</", SPAN(""), &type), WEIR_OK);
    assert_true(
        span_equal(buffer_span(&out), SPAN("{\"status\":400,\"error\":\"Bad Request\","
                                           "\"message\":\"a\\\"b\\\\c\\u000a\\u0001</\"}\n")));
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_html_to_who_prefers_it),
        cmocka_unit_test(test_gives_json_to_all_others),
        cmocka_unit_test(test_escapes_markup),
        cmocka_unit_test(test_escapes_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
