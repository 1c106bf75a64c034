/* How far words are apart, and which of them is worth suggesting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/suggest.h"

static void test_distance_counts_single_changes(void **state)
{
    (void)state;
    assert_int_equal(suggest_distance("", ""), 0);
    assert_int_equal(suggest_distance("", "abc"), 3);
    assert_int_equal(suggest_distance("abc", ""), 3);
    assert_int_equal(suggest_distance("echo", "echo"), 0);
    assert_int_equal(suggest_distance("ecoh", "echo"), 1);
    assert_int_equal(suggest_distance("eco", "echo"), 1);
    assert_int_equal(suggest_distance("exho", "echo"), 1);
    assert_int_equal(suggest_distance("eecho", "echo"), 1);
    assert_int_equal(suggest_distance("kitten", "sitting"), 3);
}

static void test_words_over_64_bytes_are_far(void **state)
{
    (void)state;
    char word[66];
    memset(word, 'a', sizeof(word));
    word[64] = '\0';
    assert_int_equal(suggest_distance(word, word), 0);
    word[64] = 'a';
    word[65] = '\0';
    assert_true(suggest_distance(word, word) == SIZE_MAX);
}

static const char *nearest(const char *word, const char *const *candidates)
{
    struct suggestion s = {.word = word};
    for (; *candidates != NULL; candidates++) {
        suggest_offer(&s, *candidates);
    }
    return s.nearest;
}

static void test_suggests_the_nearest_within_a_third(void **state)
{
    (void)state;
    static const char *const keys[] = {"level", "listen", "log_level", "lua", NULL};
    assert_string_equal(nearest("listne", keys), "listen");
    assert_string_equal(nearest("loglevel", keys), "log_level");
    assert_string_equal(nearest("lue", keys), "lua");
    assert_null(nearest("upstreams", keys));
    assert_null(nearest("", keys));
    assert_null(nearest("x", keys));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance_counts_single_changes),
        cmocka_unit_test(test_words_over_64_bytes_are_far),
        cmocka_unit_test(test_suggests_the_nearest_within_a_third),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
