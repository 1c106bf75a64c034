/* Settings of plugins: keys, types, fallbacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/settings.h"

static struct settings *must_open(const char *json)
{
    char error[200] = "";
    struct settings *settings = NULL;
    assert_int_equal(settings_open(json, error, sizeof(error), &settings), WEIR_OK);
    assert_string_equal(error, "");
    return settings;
}

static void test_reads_texts_and_switches(void **state)
{
    (void)state;
    char error[200] = "";
    const char *text = NULL;
    bool value = false;
    struct settings *s = must_open("{\"name\":\"\xc3\xa4 \\\"b\\\"\",\"on\":true,\"off\":false}");
    assert_int_equal(settings_text(s, "name", "none", error, sizeof(error), &text), WEIR_OK);
    assert_string_equal(text, "\xc3\xa4 \"b\"");
    assert_int_equal(settings_switch(s, "on", false, error, sizeof(error), &value), WEIR_OK);
    assert_true(value);
    assert_int_equal(settings_switch(s, "off", true, error, sizeof(error), &value), WEIR_OK);
    assert_false(value);
    settings_close(&s);
    assert_null(s);
    settings_close(&s);
}

static void test_missing_keys_give_the_fallback(void **state)
{
    (void)state;
    char error[200] = "";
    const char *text = NULL;
    bool value = false;
    struct settings *s = must_open("{}");
    assert_int_equal(settings_text(s, "name", "none", error, sizeof(error), &text), WEIR_OK);
    assert_string_equal(text, "none");
    assert_int_equal(settings_text(s, "name", NULL, error, sizeof(error), &text), WEIR_OK);
    assert_null(text);
    assert_int_equal(settings_switch(s, "on", true, error, sizeof(error), &value), WEIR_OK);
    assert_true(value);
    settings_close(&s);
}

static void test_wrong_types_are_named(void **state)
{
    (void)state;
    static const char *const VALUES[] = {"1", "null", "[]", "{}", "1.5"};
    for (size_t i = 0; i < sizeof(VALUES) / sizeof(VALUES[0]); i++) {
        char json[64] = "{\"key\":";
        strcat(strcat(json, VALUES[i]), "}");
        char error[200] = "";
        const char *text = NULL;
        bool value = false;
        struct settings *s = must_open(json);
        assert_int_equal(settings_text(s, "key", "", error, sizeof(error), &text), WEIR_EINVAL);
        assert_string_equal(error, "`key` is not a text");
        assert_null(text);
        assert_int_equal(settings_switch(s, "key", true, error, sizeof(error), &value),
                         WEIR_EINVAL);
        assert_string_equal(error, "`key` is not on or off");
        assert_false(value);
        settings_close(&s);
    }
}

static void test_refuses_what_is_no_object(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {
        "",
        "{",
        "[]",
        "\"a\"",
        "{} x",
        "{\"a\":1,\"a\":2}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\xff\"}",
    };
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        char error[200] = "";
        struct settings *settings = NULL;
        assert_int_equal(settings_open(TEXTS[i], error, sizeof(error), &settings), WEIR_EINVAL);
        assert_non_null(strstr(error, "the settings are not "));
        assert_null(settings);
    }
}

static void test_unknown_keys_are_named(void **state)
{
    (void)state;
    static const char *const KEYS[] = {"a", "b"};
    char error[200] = "";
    struct settings *s = must_open("{\"b\":1,\"a\":2}");
    assert_int_equal(settings_allow(s, KEYS, 2, error, sizeof(error)), WEIR_OK);
    assert_int_equal(settings_allow(s, KEYS, 1, error, sizeof(error)), WEIR_EINVAL);
    assert_string_equal(error, "unknown setting `b`");
    settings_close(&s);
    s = must_open("{}");
    assert_int_equal(settings_allow(s, KEYS, 0, error, sizeof(error)), WEIR_OK);
    settings_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_texts_and_switches),
        cmocka_unit_test(test_missing_keys_give_the_fallback),
        cmocka_unit_test(test_wrong_types_are_named),
        cmocka_unit_test(test_refuses_what_is_no_object),
        cmocka_unit_test(test_unknown_keys_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
