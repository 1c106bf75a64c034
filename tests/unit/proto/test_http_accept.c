/* Accept-Encoding: when a gzip body may be sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/http_accept.h"

static bool prefers(const char *first, const char *second)
{
    struct http_accept_encoding accept = {0};
    http_accept_encoding_add(&accept, span_of(first));
    if (second != NULL) {
        http_accept_encoding_add(&accept, span_of(second));
    }
    return http_accept_encoding_prefers_gzip(&accept);
}

static void expect(bool wanted, const char *value)
{
    if (prefers(value, NULL) != wanted) {
        fail_msg("Accept-Encoding: %s", value);
    }
}

static void test_no_field_means_plain(void **state)
{
    (void)state;
    struct http_accept_encoding accept = {0};
    assert_false(http_accept_encoding_prefers_gzip(&accept));
    expect(false, "");
}

static void test_named_gzip_is_taken(void **state)
{
    (void)state;
    expect(true, "gzip");
    expect(true, "GZip");
    expect(true, "x-gzip");
    expect(true, "gzip, deflate, br");
    expect(true, "deflate , gzip;q=0.001");
    expect(true, "gzip ; q=1.000");
    expect(true, "gzip;Q=0.5");
}

static void test_quality_zero_forbids(void **state)
{
    (void)state;
    expect(false, "gzip;q=0");
    expect(false, "gzip;q=0.0");
    expect(false, "gzip; q=0.000");
    expect(false, "gzip;q=0, *");
    expect(false, "*;q=0");
}

static void test_wildcard_stands_for_gzip_where_it_is_not_named(void **state)
{
    (void)state;
    expect(true, "*");
    expect(true, "br, *;q=0.1");
    expect(true, "*;q=0, gzip");
}

static void test_identity_that_is_wanted_more_wins(void **state)
{
    (void)state;
    expect(false, "gzip;q=0.5, identity");
    expect(false, "gzip;q=0.5, identity;q=0.501");
    expect(true, "gzip;q=0.5, identity;q=0.5");
    expect(true, "gzip;q=0.5, identity;q=0");
    expect(false, "identity");
    expect(false, "identity;q=0");
}

static void test_other_codings_are_not_gzip(void **state)
{
    (void)state;
    expect(false, "br");
    expect(false, "gzipped");
    expect(false, "gzi");
    expect(false, "xgzip");
}

static void test_broken_items_are_passed_over(void **state)
{
    (void)state;
    expect(false, "gzip;q=2");
    expect(false, "gzip;q=");
    expect(false, "gzip;q");
    expect(false, "gzip;level=9");
    expect(false, "gzip;q=0.5;x=1");
    expect(false, "gz ip");
    expect(false, ";q=1");
    expect(true, "gz ip, gzip");
}

static void test_several_fields_count_together(void **state)
{
    (void)state;
    assert_true(prefers("br", "gzip"));
    assert_true(prefers("gzip", "br"));
    assert_false(prefers("gzip;q=0.2", "identity;q=0.3"));
    assert_false(prefers("*", "gzip;q=0"));
}

static void expect_weight(const char *text, unsigned thousandths)
{
    unsigned got = 9999;
    assert_true(http_accept_weight_parse(span_of(text), &got));
    assert_int_equal(got, thousandths);
}

static void test_weights_have_up_to_three_decimals(void **state)
{
    (void)state;
    expect_weight("0", 0);
    expect_weight("0.", 0);
    expect_weight("1", 1000);
    expect_weight("1.", 1000);
    expect_weight("1.0", 1000);
    expect_weight("1.000", 1000);
    expect_weight("0.5", 500);
    expect_weight("0.25", 250);
    expect_weight("0.001", 1);
    expect_weight("0.999", 999);
}

static void test_refuses_other_weights(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {"",   "2",    "1.1", "1.001", "0.0001", "1.0000",
                                        ".5", "-0.5", "0,5", "0.x",   "00.5",   "01",
                                        "+1", " 1",   "1 ",  "0.5 ",  "1e0",    "0.-1"};
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        unsigned got = 9999;
        if (http_accept_weight_parse(span_of(TEXTS[i]), &got)) {
            fail_msg("`%s` was taken", TEXTS[i]);
        }
        assert_int_equal(got, 9999);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_field_means_plain),
        cmocka_unit_test(test_named_gzip_is_taken),
        cmocka_unit_test(test_quality_zero_forbids),
        cmocka_unit_test(test_wildcard_stands_for_gzip_where_it_is_not_named),
        cmocka_unit_test(test_identity_that_is_wanted_more_wins),
        cmocka_unit_test(test_other_codings_are_not_gzip),
        cmocka_unit_test(test_broken_items_are_passed_over),
        cmocka_unit_test(test_several_fields_count_together),
        cmocka_unit_test(test_weights_have_up_to_three_decimals),
        cmocka_unit_test(test_refuses_other_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
