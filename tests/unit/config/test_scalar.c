/* Values of single keys: what is read, what is refused, and how it is written back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/scalar.h"

static void test_switches(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
        bool on;
    } rows[] = {{"on", true, true},     {"true", true, true},  {"off", true, false},
                {"false", true, false}, {"yes", false, false}, {"On", false, false},
                {"1", false, false},    {"", false, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool on = !rows[i].on;
        assert_int_equal(scalar_read_switch(rows[i].text, &on), rows[i].valid);
        assert_int_equal(on, rows[i].valid ? rows[i].on : !rows[i].on);
    }
}

static void test_durations(void **state)
{
    (void)state;
    uint64_t ms = 7;
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {
        {"0", 0},       {"0s", 0},       {"250ms", 250}, {"30s", 30000},
        {"5m", 300000}, {"1h", 3600000}, {"007s", 7000}, {"5124095576030h", 18446744073708000000u}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_null(scalar_read_duration(good[i].text, &ms));
        assert_true(ms == good[i].ms);
    }
    assert_string_equal(scalar_read_duration("30", &ms), "has no unit");
    assert_string_equal(scalar_read_duration("30 s", &ms), "has an unknown unit");
    assert_string_equal(scalar_read_duration("30S", &ms), "has an unknown unit");
    assert_string_equal(scalar_read_duration("1.5s", &ms), "has an unknown unit");
    assert_string_equal(scalar_read_duration("1d", &ms), "has an unknown unit");
    assert_string_equal(scalar_read_duration("s", &ms), "does not begin with a number");
    assert_string_equal(scalar_read_duration("-1s", &ms), "does not begin with a number");
    assert_string_equal(scalar_read_duration("", &ms), "does not begin with a number");
    assert_string_equal(scalar_read_duration("5124095576031h", &ms), "is too large");
    assert_string_equal(scalar_read_duration("99999999999999999999s", &ms), "is too large");
}

static void test_sizes(void **state)
{
    (void)state;
    uint64_t bytes = 7;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"512", 512},
                {"512B", 512},
                {"64KiB", 65536},
                {"1MiB", 1048576},
                {"2GiB", 2147483648u},
                {"17179869183GiB", 18446744072635809792u}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_null(scalar_read_size(good[i].text, &bytes));
        assert_true(bytes == good[i].bytes);
    }
    assert_string_equal(scalar_read_size("1M", &bytes), "has an unknown unit");
    assert_string_equal(scalar_read_size("1MB", &bytes), "has an unknown unit");
    assert_string_equal(scalar_read_size("64kib", &bytes), "has an unknown unit");
    assert_string_equal(scalar_read_size("KiB", &bytes), "does not begin with a number");
    assert_string_equal(scalar_read_size("17179869184GiB", &bytes), "is too large");
}

static void test_counts(void **state)
{
    (void)state;
    uint64_t count = 0;
    assert_null(scalar_read_count("4096", &count));
    assert_int_equal(count, 4096);
    assert_string_equal(scalar_read_count("4k", &count), "is not a whole number");
    assert_string_equal(scalar_read_count("-4", &count), "is not a whole number");
    assert_string_equal(scalar_read_count("1.0", &count), "is not a whole number");
    assert_string_equal(scalar_read_count("", &count), "is not a whole number");
    assert_string_equal(scalar_read_count("99999999999999999999", &count), "is too large");
}

static void test_writes_the_largest_whole_unit(void **state)
{
    (void)state;
    char text[SCALAR_BYTES];
    static const uint64_t ms[] = {0, 1, 999, 1000, 1500, 60000, 90000, 3600000, 86400000};
    static const char *const durations[] = {"0",  "1ms", "999ms", "1s", "1500ms",
                                            "1m", "90s", "1h",    "24h"};
    for (size_t i = 0; i < sizeof(ms) / sizeof(ms[0]); i++) {
        scalar_write_duration(ms[i], text);
        assert_string_equal(text, durations[i]);
    }
    static const uint64_t bytes[] = {0, 1, 1023, 1024, 65536, 1048576, 1073741824};
    static const char *const sizes[] = {"0", "1B", "1023B", "1KiB", "64KiB", "1MiB", "1GiB"};
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        scalar_write_size(bytes[i], text);
        assert_string_equal(text, sizes[i]);
    }
}

static void test_kinds_are_of_the_core_schema(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum scalar_kind kind;
    } rows[] = {
        {"", SCALAR_NULL},        {"~", SCALAR_NULL},       {"null", SCALAR_NULL},
        {"Null", SCALAR_NULL},    {"nULL", SCALAR_TEXT},    {"true", SCALAR_SWITCH},
        {"FALSE", SCALAR_SWITCH}, {"on", SCALAR_SWITCH},    {"off", SCALAR_SWITCH},
        {"On", SCALAR_TEXT},      {"yes", SCALAR_TEXT},     {"0", SCALAR_INTEGER},
        {"-19", SCALAR_INTEGER},  {"+7", SCALAR_INTEGER},   {"007", SCALAR_INTEGER},
        {"0o17", SCALAR_INTEGER}, {"0x1F", SCALAR_INTEGER}, {"0o8", SCALAR_TEXT},
        {"0x", SCALAR_TEXT},      {"0xG", SCALAR_TEXT},     {"-0x1", SCALAR_TEXT},
        {"1.5", SCALAR_FLOAT},    {".5", SCALAR_FLOAT},     {"5.", SCALAR_FLOAT},
        {"-1e3", SCALAR_FLOAT},   {"1.e+3", SCALAR_FLOAT},  {"1e", SCALAR_TEXT},
        {".", SCALAR_TEXT},       {"-", SCALAR_TEXT},       {"+", SCALAR_TEXT},
        {".e3", SCALAR_TEXT},     {"1.2.3", SCALAR_TEXT},   {"1_000", SCALAR_TEXT},
        {".inf", SCALAR_FLOAT},   {"-.INF", SCALAR_FLOAT},  {".NaN", SCALAR_FLOAT},
        {"inf", SCALAR_TEXT},     {"12:30", SCALAR_TEXT},   {"hello", SCALAR_TEXT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (scalar_kind_of(rows[i].text) != rows[i].kind) {
            fail_msg("kind of `%s`", rows[i].text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_switches),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_writes_the_largest_whole_unit),
        cmocka_unit_test(test_kinds_are_of_the_core_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
