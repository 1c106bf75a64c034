/* Dates of HTTP fields, in their three forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "proto/http_date.h"

/* 2026-11-22 00:00:00 UTC */
#define NOW 1795305600

static void expect_date(const char *text, int64_t seconds)
{
    int64_t got = 0;
    if (http_date_parse(span_of(text), NOW, &got) != WEIR_OK) {
        fail_msg("%s was refused", text);
    }
    if (got != seconds) {
        fail_msg("%s is %lld, not %lld", text, (long long)got, (long long)seconds);
    }
}

static void expect_refusal(const char *text)
{
    int64_t got = 0;
    if (http_date_parse(span_of(text), NOW, &got) != WEIR_EPROTO) {
        fail_msg("%s was taken", text);
    }
}

static void test_three_forms_of_rfc_9110_are_the_same_date(void **state)
{
    (void)state;
    expect_date("Sun, 06 Nov 1994 08:49:37 GMT", 784111777);
    expect_date("Sunday, 06-Nov-94 08:49:37 GMT", 784111777);
    expect_date("Sun Nov  6 08:49:37 1994", 784111777);
    expect_date("Wed Nov 16 08:49:37 1994", 784111777 + 10 * 86400);
}

static void test_edges_of_the_calendar(void **state)
{
    (void)state;
    expect_date("Thu, 01 Jan 1970 00:00:00 GMT", 0);
    expect_date("Wed, 31 Dec 1969 23:59:59 GMT", -1);
    expect_date("Tue, 29 Feb 2000 12:00:00 GMT", 951825600);
    expect_date("Thu, 29 Feb 2024 00:00:00 GMT", 1709164800);
    expect_date("Fri, 31 Dec 9999 23:59:59 GMT", 253402300799);
    expect_date("Sat, 31 Dec 2016 23:59:60 GMT", 1483228800); /* a leap second */
}

static void test_every_day_of_a_cycle_reads_back_as_written(void **state)
{
    (void)state;
    char text[CLOCK_HTTP_DATE_BYTES];
    for (uint64_t day = 0; day < 366 * 101; day++) {
        clock_http_date(day * 86400 + day % 86400, text);
        expect_date(text, (int64_t)(day * 86400 + day % 86400));
    }
}

static void test_refuses_days_and_times_that_do_not_exist(void **state)
{
    (void)state;
    expect_refusal("Thu, 00 Nov 2026 00:00:00 GMT");
    expect_refusal("Thu, 31 Nov 2026 00:00:00 GMT");
    expect_refusal("Thu, 32 Dec 2026 00:00:00 GMT");
    expect_refusal("Mon, 29 Feb 2100 00:00:00 GMT");
    expect_refusal("Thu, 29 Feb 2026 00:00:00 GMT");
    expect_refusal("Sun, 06 Nov 1994 24:00:00 GMT");
    expect_refusal("Sun, 06 Nov 1994 23:60:00 GMT");
    expect_refusal("Sun, 06 Nov 1994 23:59:61 GMT");
    expect_refusal("Sun, 06-Nov-94 00:00:00 GMT");
    expect_refusal("Sunday, 31-Nov-94 00:00:00 GMT");
    expect_refusal("Sun Nov 31 00:00:00 1994");
}

static void test_refuses_other_zones_cases_and_spacing(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {
        "",
        "0",
        "784111777",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Xun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nox 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 19941 08:49:37 GMT",
        "Sun,06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 Nov 1994 08:49:37  GMT",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, -6 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06 Nov 94 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov 06 08:49:37 94",
        "Sun Nov  6 08:49:37 1994 GMT",
    };
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        expect_refusal(TEXTS[i]);
    }
}

static void test_refuses_every_truncation(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                        "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994"};
    for (size_t i = 0; i < 3; i++) {
        struct span text = span_of(TEXTS[i]);
        for (size_t size = 0; size < text.size; size++) {
            int64_t got = 0;
            assert_int_equal(http_date_parse((struct span){text.data, size}, NOW, &got),
                             WEIR_EPROTO);
        }
    }
}

static void test_two_digit_years_are_at_most_fifty_years_ahead(void **state)
{
    (void)state;
    expect_date("Sunday, 22-Nov-76 00:00:00 GMT", 3373228800); /* 2076, fifty years to the second */
    expect_date("Sunday, 22-Nov-76 00:00:01 GMT", 217468801);  /* 1976 */
    expect_date("Monday, 01-Jan-77 00:00:00 GMT", 220924800);  /* 1977 */
    expect_date("Monday, 01-Jan-00 00:00:00 GMT", 946684800);  /* 2000 */
    expect_date("Monday, 01-Jan-26 00:00:00 GMT", 1767225600); /* 2026 */
    expect_date("Thursday, 01-Jan-99 00:00:00 GMT", 915148800); /* 1999 */
}

static void test_two_digit_years_follow_the_clock_into_the_next_century(void **state)
{
    (void)state;
    int64_t got = 0;
    int64_t in_2095 = 3960316800;
    assert_int_equal(http_date_parse(SPAN("Friday, 01-Jan-10 00:00:00 GMT"), in_2095, &got),
                     WEIR_OK);
    assert_int_equal(got, 4417977600); /* 2110 */
    assert_int_equal(http_date_parse(SPAN("Friday, 01-Jan-94 00:00:00 GMT"), in_2095, &got),
                     WEIR_OK);
    assert_int_equal(got, 3913142400); /* 2094 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_forms_of_rfc_9110_are_the_same_date),
        cmocka_unit_test(test_edges_of_the_calendar),
        cmocka_unit_test(test_every_day_of_a_cycle_reads_back_as_written),
        cmocka_unit_test(test_refuses_days_and_times_that_do_not_exist),
        cmocka_unit_test(test_refuses_other_zones_cases_and_spacing),
        cmocka_unit_test(test_refuses_every_truncation),
        cmocka_unit_test(test_two_digit_years_are_at_most_fifty_years_ahead),
        cmocka_unit_test(test_two_digit_years_follow_the_clock_into_the_next_century),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
