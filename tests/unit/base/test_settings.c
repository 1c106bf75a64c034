/* Settings of plugins: keys, types, fallbacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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

static void test_reads_whole_numbers(void **state)
{
    (void)state;
    char error[200] = "";
    uint64_t number = 7;
    struct settings *s = must_open("{\"none\":0,\"most\":9223372036854775807,\"below\":-1,"
                                   "\"part\":1.0,\"text\":\"1\",\"null\":null}");
    assert_int_equal(settings_number(s, "none", 5, error, sizeof(error), &number), WEIR_OK);
    assert_int_equal(number, 0);
    assert_int_equal(settings_number(s, "most", 5, error, sizeof(error), &number), WEIR_OK);
    assert_int_equal(number, INT64_MAX);
    assert_int_equal(settings_number(s, "absent", UINT64_MAX, error, sizeof(error), &number),
                     WEIR_OK);
    assert_true(number == UINT64_MAX);
    static const char *const WRONG[] = {"below", "part", "text", "null"};
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        char said[100];
        snprintf(said, sizeof(said), "`%s` is not a whole number of at least 0", WRONG[i]);
        assert_int_equal(settings_number(s, WRONG[i], 5, error, sizeof(error), &number),
                         WEIR_EINVAL);
        assert_string_equal(error, said);
        assert_true(number == UINT64_MAX);
    }
    settings_close(&s);
}

static void test_reads_lists_of_texts_in_order(void **state)
{
    (void)state;
    char error[200] = "";
    const char **texts = NULL;
    size_t count = 9;
    struct settings *s = must_open("{\"few\":[\"b\",\"\",\"a\",\"b\"],\"none\":[],\"text\":\"a\","
                                   "\"mixed\":[\"a\",1]}");
    assert_int_equal(settings_texts(s, "few", error, sizeof(error), &texts, &count), WEIR_OK);
    assert_int_equal(count, 4);
    assert_string_equal(texts[0], "b");
    assert_string_equal(texts[1], "");
    assert_string_equal(texts[2], "a");
    assert_string_equal(texts[3], "b");
    free(texts);
    static const char *const EMPTY[] = {"none", "absent"};
    for (size_t i = 0; i < 2; i++) {
        count = 9;
        assert_int_equal(settings_texts(s, EMPTY[i], error, sizeof(error), &texts, &count),
                         WEIR_OK);
        assert_int_equal(count, 0);
        assert_null(texts);
    }
    assert_int_equal(settings_texts(s, "text", error, sizeof(error), &texts, &count), WEIR_EINVAL);
    assert_string_equal(error, "`text` is not a list");
    assert_int_equal(settings_texts(s, "mixed", error, sizeof(error), &texts, &count), WEIR_EINVAL);
    assert_string_equal(error, "`mixed` holds something that is not a text");
    assert_null(texts);
    settings_close(&s);
}

static void test_reads_objects_of_texts_as_they_were_written(void **state)
{
    (void)state;
    char error[200] = "";
    struct settings_pair *pairs = NULL;
    size_t count = 9;
    struct settings *s = must_open("{\"few\":{\"z\":\"1\",\"a\":\"2\",\"m\":\"\"},\"none\":{},"
                                   "\"list\":[],\"mixed\":{\"a\":\"1\",\"b\":true}}");
    assert_int_equal(settings_pairs(s, "few", error, sizeof(error), &pairs, &count), WEIR_OK);
    assert_int_equal(count, 3);
    assert_string_equal(pairs[0].name, "z");
    assert_string_equal(pairs[0].text, "1");
    assert_string_equal(pairs[1].name, "a");
    assert_string_equal(pairs[1].text, "2");
    assert_string_equal(pairs[2].name, "m");
    assert_string_equal(pairs[2].text, "");
    free(pairs);
    static const char *const EMPTY[] = {"none", "absent"};
    for (size_t i = 0; i < 2; i++) {
        count = 9;
        assert_int_equal(settings_pairs(s, EMPTY[i], error, sizeof(error), &pairs, &count),
                         WEIR_OK);
        assert_int_equal(count, 0);
        assert_null(pairs);
    }
    assert_int_equal(settings_pairs(s, "list", error, sizeof(error), &pairs, &count), WEIR_EINVAL);
    assert_string_equal(error, "`list` is not an object");
    assert_int_equal(settings_pairs(s, "mixed", error, sizeof(error), &pairs, &count), WEIR_EINVAL);
    assert_string_equal(error, "`mixed.b` is not a text");
    assert_null(pairs);
    settings_close(&s);
}

static void test_an_inner_object_outlives_its_outer(void **state)
{
    (void)state;
    char error[200] = "";
    const char *text = NULL;
    struct settings *inside = NULL;
    struct settings *s = must_open("{\"in\":{\"a\":\"deep\"},\"list\":[]}");
    assert_int_equal(settings_inside(s, "list", error, sizeof(error), &inside), WEIR_EINVAL);
    assert_string_equal(error, "`list` is not an object");
    assert_null(inside);
    assert_int_equal(settings_inside(s, "absent", error, sizeof(error), &inside), WEIR_OK);
    assert_int_equal(settings_allow(inside, NULL, 0, error, sizeof(error)), WEIR_OK);
    settings_close(&inside);
    assert_int_equal(settings_inside(s, "in", error, sizeof(error), &inside), WEIR_OK);
    settings_close(&s);
    assert_int_equal(settings_text(inside, "a", "", error, sizeof(error), &text), WEIR_OK);
    assert_string_equal(text, "deep");
    settings_close(&inside);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_whole_numbers),
        cmocka_unit_test(test_reads_lists_of_texts_in_order),
        cmocka_unit_test(test_reads_objects_of_texts_as_they_were_written),
        cmocka_unit_test(test_an_inner_object_outlives_its_outer),
        cmocka_unit_test(test_reads_texts_and_switches),
        cmocka_unit_test(test_missing_keys_give_the_fallback),
        cmocka_unit_test(test_wrong_types_are_named),
        cmocka_unit_test(test_refuses_what_is_no_object),
        cmocka_unit_test(test_unknown_keys_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
