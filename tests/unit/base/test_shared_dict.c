/* Shared dictionaries: values, times to live, the size bound with what goes first, atomic
 * increases and token buckets, and all of it from several threads (run it under TSan too). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/shared_dict.h"

enum {
    SMALL = 64 * 1024, /* one shard, so that the order of leaving is exact */
    LARGE = 4 * 1024 * 1024,
    NOW = 1000,
    THREADS = 4,
    ROUNDS = 5000
};

static int make_small(void **state)
{
    *state = shared_dict_new(SMALL);
    return *state == NULL;
}

static int make_large(void **state)
{
    *state = shared_dict_new(LARGE);
    return *state == NULL;
}

static int free_dict(void **state)
{
    struct shared_dict *dict = *state;
    shared_dict_free(&dict);
    assert_null(dict);
    return 0;
}

static struct shared_value text(const char *bytes)
{
    return (struct shared_value){.kind = SHARED_BYTES, .bytes = span_of(bytes)};
}

static struct shared_value number(double value)
{
    return (struct shared_value){.kind = SHARED_NUMBER, .number = value};
}

static void set_for(struct shared_dict *dict, const char *key, const char *value, uint64_t ttl_ms,
                    uint64_t now_ms)
{
    struct shared_value v = text(value);
    assert_int_equal(shared_dict_set(dict, span_of(key), &v, ttl_ms, false, now_ms), WEIR_OK);
}

static bool has(struct shared_dict *dict, const char *key, uint64_t now_ms)
{
    struct shared_value value;
    struct buffer out = {0};
    assert_int_equal(shared_dict_get(dict, span_of(key), now_ms, &value, &out), WEIR_OK);
    buffer_free(&out);
    return value.kind != SHARED_NONE;
}

static void assert_text(struct shared_dict *dict, const char *key, const char *expected)
{
    struct shared_value value;
    struct buffer out = {0};
    assert_int_equal(shared_dict_get(dict, span_of(key), NOW, &value, &out), WEIR_OK);
    assert_int_equal(value.kind, SHARED_BYTES);
    assert_int_equal(value.bytes.size, strlen(expected));
    assert_memory_equal(value.bytes.data, expected, value.bytes.size);
    buffer_free(&out);
}

static double number_at(struct shared_dict *dict, const char *key)
{
    struct shared_value value;
    struct buffer out = {0};
    assert_int_equal(shared_dict_get(dict, span_of(key), NOW, &value, &out), WEIR_OK);
    assert_int_equal(value.kind, SHARED_NUMBER);
    buffer_free(&out);
    return value.number;
}

/* --- values --- */

static void test_keeps_texts_numbers_and_booleans(void **state)
{
    struct shared_value value = number(-2.5);
    struct buffer out = {0};
    set_for(*state, "text", "hello", 0, NOW);
    set_for(*state, "empty", "", 0, NOW);
    assert_int_equal(shared_dict_set(*state, SPAN("number"), &value, 0, false, NOW), WEIR_OK);
    value = (struct shared_value){.kind = SHARED_BOOLEAN, .boolean = true};
    assert_int_equal(shared_dict_set(*state, SPAN("yes"), &value, 0, false, NOW), WEIR_OK);
    assert_text(*state, "text", "hello");
    assert_text(*state, "empty", "");
    assert_true(number_at(*state, "number") == -2.5);
    assert_int_equal(shared_dict_get(*state, SPAN("yes"), NOW, &value, &out), WEIR_OK);
    assert_int_equal(value.kind, SHARED_BOOLEAN);
    assert_true(value.boolean);
    assert_false(has(*state, "other", NOW));
    buffer_free(&out);
}

static void test_replaces_a_value_by_one_of_another_size_and_kind(void **state)
{
    struct shared_value value = number(7);
    set_for(*state, "k", "short", 0, NOW);
    set_for(*state, "k", "rather longer than that", 0, NOW);
    assert_text(*state, "k", "rather longer than that");
    assert_int_equal(shared_dict_set(*state, SPAN("k"), &value, 0, false, NOW), WEIR_OK);
    assert_true(number_at(*state, "k") == 7);
}

static void test_only_new_leaves_what_is_there(void **state)
{
    struct shared_value value = text("second");
    assert_int_equal(shared_dict_set(*state, SPAN("k"), &value, 0, true, NOW), WEIR_OK);
    value = text("third");
    assert_int_equal(shared_dict_set(*state, SPAN("k"), &value, 0, true, NOW), WEIR_AGAIN);
    assert_text(*state, "k", "second");
}

static void test_none_deletes(void **state)
{
    struct shared_value none = {.kind = SHARED_NONE};
    set_for(*state, "k", "v", 0, NOW);
    assert_int_equal(shared_dict_set(*state, SPAN("k"), &none, 0, false, NOW), WEIR_OK);
    assert_false(has(*state, "k", NOW));
    assert_int_equal(shared_dict_set(*state, SPAN("k"), &none, 0, false, NOW), WEIR_OK);
}

static void test_keys_may_hold_any_bytes_up_to_their_limit(void **state)
{
    static uint8_t bytes[SHARED_DICT_KEY_MAX + 1];
    struct shared_value value = text("v");
    struct buffer out = {0};
    struct span longest = {bytes, SHARED_DICT_KEY_MAX};
    struct span longer = {bytes, SHARED_DICT_KEY_MAX + 1};
    assert_int_equal(shared_dict_set(*state, longest, &value, 0, false, NOW), WEIR_OK);
    assert_int_equal(shared_dict_set(*state, longer, &value, 0, false, NOW), WEIR_ELIMIT);
    assert_int_equal(shared_dict_get(*state, longest, NOW, &value, &out), WEIR_OK);
    assert_int_equal(value.kind, SHARED_BYTES);
    assert_int_equal(shared_dict_get(*state, longer, NOW, &value, &out), WEIR_OK);
    assert_int_equal(value.kind, SHARED_NONE);
    buffer_free(&out);
}

/* --- time --- */

static void test_an_entry_expires_when_its_time_is_over(void **state)
{
    uint64_t ttl_ms = 99;
    set_for(*state, "k", "v", 50, NOW);
    assert_true(has(*state, "k", NOW + 49));
    assert_true(shared_dict_ttl(*state, SPAN("k"), NOW + 20, &ttl_ms));
    assert_int_equal(ttl_ms, 30);
    assert_false(has(*state, "k", NOW + 50));
    assert_false(shared_dict_ttl(*state, SPAN("k"), NOW + 50, &ttl_ms));
}

static void test_expire_gives_another_time_and_zero_for_ever(void **state)
{
    uint64_t ttl_ms = 99;
    set_for(*state, "k", "v", 50, NOW);
    assert_true(shared_dict_expire(*state, SPAN("k"), 80, NOW + 40));
    assert_true(has(*state, "k", NOW + 119));
    assert_true(shared_dict_expire(*state, SPAN("k"), 0, NOW + 119));
    assert_true(shared_dict_ttl(*state, SPAN("k"), UINT64_MAX, &ttl_ms));
    assert_int_equal(ttl_ms, 0);
    assert_false(shared_dict_expire(*state, SPAN("other"), 80, NOW));
}

static void test_a_time_that_no_clock_reaches_is_for_ever(void **state)
{
    set_for(*state, "k", "v", UINT64_MAX, NOW);
    assert_true(has(*state, "k", UINT64_MAX));
}

static void test_setting_anew_sets_the_time_anew(void **state)
{
    set_for(*state, "k", "v", 50, NOW);
    set_for(*state, "k", "w", 0, NOW + 10);
    assert_true(has(*state, "k", NOW + 1000));
}

/* --- the size bound --- */

static void test_the_least_recently_used_goes(void **state)
{
    char key[16];
    set_for(*state, "used", "v", 0, NOW);
    set_for(*state, "forgotten", "v", 0, NOW);
    for (unsigned stored = 0; stored < 5000; stored++) {
        snprintf(key, sizeof key, "%u", stored);
        set_for(*state, key, "some value", 0, NOW);
        assert_true(has(*state, "used", NOW));
    }
    assert_false(has(*state, "forgotten", NOW));
    assert_false(has(*state, "0", NOW));
    assert_true(has(*state, "4999", NOW));
}

static void count_key(void *context, struct span key)
{
    (void)key;
    (*(size_t *)context)++;
}

static void test_entries_with_what_they_cost_stay_within_the_size(void **state)
{
    char key[16];
    char value[1000];
    size_t count = 0;
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (unsigned i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "%03u", i);
        set_for(*state, key, value, 0, NOW);
    }
    assert_int_equal(shared_dict_keys(*state, 0, NOW, count_key, &count), WEIR_OK);
    assert_in_range(count, SMALL / 1200, SMALL / 1002);
}

static void test_refuses_what_can_never_fit_and_keeps_what_is_there(void **state)
{
    char *huge = calloc(1, SMALL);
    struct shared_value value = {.kind = SHARED_BYTES, .bytes = {(uint8_t *)huge, SMALL}};
    set_for(*state, "k", "v", 0, NOW);
    assert_int_equal(shared_dict_set(*state, SPAN("k"), &value, 0, false, NOW), WEIR_ELIMIT);
    assert_text(*state, "k", "v");
    value.bytes.size = SMALL / 2;
    assert_int_equal(shared_dict_set(*state, SPAN("k"), &value, 0, false, NOW), WEIR_OK);
    free(huge);
}

/* --- numbers --- */

static void test_increase_begins_with_the_initial_number(void **state)
{
    const double initial = 10;
    double sum = 0;
    assert_int_equal(shared_dict_increase(*state, SPAN("n"), 2, &initial, 50, NOW, &sum), WEIR_OK);
    assert_true(sum == 12);
    assert_int_equal(shared_dict_increase(*state, SPAN("n"), -3, &initial, 50, NOW, &sum), WEIR_OK);
    assert_true(sum == 9);
    assert_true(number_at(*state, "n") == 9);
    assert_false(has(*state, "n", NOW + 50));
}

static void test_increase_refuses_what_is_no_number(void **state)
{
    const double initial = 0;
    double sum = 42;
    set_for(*state, "k", "12", 0, NOW);
    assert_int_equal(shared_dict_increase(*state, SPAN("k"), 1, &initial, 0, NOW, &sum),
                     WEIR_EINVAL);
    assert_true(sum == 42);
    assert_text(*state, "k", "12");
}

static void test_increase_without_an_initial_number_makes_nothing(void **state)
{
    double sum = 42;
    assert_int_equal(shared_dict_increase(*state, SPAN("n"), 2, NULL, 50, NOW, &sum), WEIR_AGAIN);
    assert_true(sum == 42);
    assert_false(has(*state, "n", NOW));
}

/* --- token buckets --- */

static void test_a_bucket_gives_its_burst_and_then_its_rate(void **state)
{
    uint64_t wait_ms = 99;
    for (unsigned i = 0; i < 3; i++) {
        assert_true(shared_dict_take(*state, SPAN("b"), 10, 3, 1, NOW, &wait_ms));
        assert_int_equal(wait_ms, 0);
    }
    assert_false(shared_dict_take(*state, SPAN("b"), 10, 3, 1, NOW, &wait_ms));
    assert_int_equal(wait_ms, 100);
    assert_false(shared_dict_take(*state, SPAN("b"), 10, 3, 1, NOW + 25, &wait_ms));
    assert_int_equal(wait_ms, 75);
    assert_false(shared_dict_take(*state, SPAN("b"), 10, 3, 1, NOW + 99, &wait_ms));
    assert_true(shared_dict_take(*state, SPAN("b"), 10, 3, 1, NOW + 100, &wait_ms));
    assert_false(shared_dict_take(*state, SPAN("b"), 10, 3, 2, NOW + 200, &wait_ms));
    assert_int_equal(wait_ms, 100);
}

static void test_a_bucket_fills_no_higher_than_its_burst(void **state)
{
    uint64_t wait_ms = 0;
    assert_true(shared_dict_take(*state, SPAN("b"), 1, 2, 2, NOW, &wait_ms));
    assert_true(shared_dict_take(*state, SPAN("b"), 1, 2, 2, NOW + 60000, &wait_ms));
    assert_false(shared_dict_take(*state, SPAN("b"), 1, 2, 1, NOW + 60000, &wait_ms));
}

static void test_more_than_the_burst_is_never_there(void **state)
{
    uint64_t wait_ms = 99;
    assert_false(shared_dict_take(*state, SPAN("b"), 10, 3, 3.5, NOW, &wait_ms));
    assert_int_equal(wait_ms, 0);
    assert_true(shared_dict_take(*state, SPAN("still"), 0, 1, 1, NOW, &wait_ms));
    assert_false(shared_dict_take(*state, SPAN("still"), 0, 1, 1, NOW + 60000, &wait_ms));
    assert_int_equal(wait_ms, 0);
}

static void test_an_earlier_clock_neither_fills_nor_empties_a_bucket(void **state)
{
    uint64_t wait_ms = 0;
    assert_true(shared_dict_take(*state, SPAN("b"), 10, 2, 1, NOW, &wait_ms));
    assert_true(shared_dict_take(*state, SPAN("b"), 10, 2, 1, NOW - 500, &wait_ms));
    assert_false(shared_dict_take(*state, SPAN("b"), 10, 2, 1, NOW, &wait_ms));
}

static void test_a_full_bucket_leaves_the_dictionary(void **state)
{
    uint64_t wait_ms = 0;
    assert_true(shared_dict_take(*state, SPAN("b"), 10, 5, 1, NOW, &wait_ms));
    assert_true(has(*state, "b", NOW + 99));
    assert_false(has(*state, "b", NOW + 100));
}

/* --- keys --- */

static void note_key(void *context, struct span key)
{
    unsigned *seen = context;
    assert_int_equal(key.size, 1);
    *seen |= 1u << (key.data[0] - 'a');
}

static void test_keys_are_those_that_have_not_expired(void **state)
{
    unsigned seen = 0;
    set_for(*state, "a", "", 0, NOW);
    set_for(*state, "b", "", 10, NOW);
    set_for(*state, "c", "", 20, NOW);
    assert_int_equal(shared_dict_keys(*state, 0, NOW + 10, note_key, &seen), WEIR_OK);
    assert_int_equal(seen, 1u | 4u);
}

static void test_keys_gives_no_more_than_asked_for(void **state)
{
    char key[16];
    size_t count = 0;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "%u", i);
        set_for(*state, key, "v", 0, NOW);
    }
    assert_int_equal(shared_dict_keys(*state, 7, NOW, count_key, &count), WEIR_OK);
    assert_int_equal(count, 7);
    count = 0;
    assert_int_equal(shared_dict_keys(*state, 0, NOW, count_key, &count), WEIR_OK);
    assert_int_equal(count, 100);
}

/* --- threads --- */

struct crowd {
    struct shared_dict *dict;
    unsigned id;
    unsigned taken;
};

static void *increase_and_take(void *context)
{
    struct crowd *me = context;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char key[16];
        const double initial = 0;
        double sum = 0;
        uint64_t wait_ms = 0;
        struct shared_value value = text("some value");
        struct buffer out = {0};
        snprintf(key, sizeof key, "%u", (i * 7 + me->id) % 100);
        assert_int_equal(shared_dict_increase(me->dict, SPAN("n"), 1, &initial, 0, NOW, &sum),
                         WEIR_OK);
        assert_int_equal(shared_dict_set(me->dict, span_of(key), &value, 0, false, NOW), WEIR_OK);
        assert_int_equal(shared_dict_get(me->dict, span_of(key), NOW, &value, &out), WEIR_OK);
        assert_int_equal(value.bytes.size, 10);
        me->taken += shared_dict_take(me->dict, SPAN("b"), 0, ROUNDS, 1, NOW, &wait_ms);
        buffer_free(&out);
    }
    return NULL;
}

static void test_threads_lose_no_increase_and_take_no_token_twice(void **state)
{
    pthread_t threads[THREADS];
    struct crowd crowd[THREADS];
    unsigned taken = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        crowd[i] = (struct crowd){.dict = *state, .id = i};
        assert_int_equal(pthread_create(&threads[i], NULL, increase_and_take, &crowd[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        taken += crowd[i].taken;
    }
    assert_true(number_at(*state, "n") == THREADS * ROUNDS);
    assert_int_equal(taken, ROUNDS);
}

#define SMALL_TEST(name) cmocka_unit_test_setup_teardown(name, make_small, free_dict)
#define LARGE_TEST(name) cmocka_unit_test_setup_teardown(name, make_large, free_dict)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LARGE_TEST(test_keeps_texts_numbers_and_booleans),
        LARGE_TEST(test_replaces_a_value_by_one_of_another_size_and_kind),
        LARGE_TEST(test_only_new_leaves_what_is_there),
        LARGE_TEST(test_none_deletes),
        LARGE_TEST(test_keys_may_hold_any_bytes_up_to_their_limit),
        LARGE_TEST(test_an_entry_expires_when_its_time_is_over),
        LARGE_TEST(test_expire_gives_another_time_and_zero_for_ever),
        LARGE_TEST(test_a_time_that_no_clock_reaches_is_for_ever),
        LARGE_TEST(test_setting_anew_sets_the_time_anew),
        SMALL_TEST(test_the_least_recently_used_goes),
        SMALL_TEST(test_entries_with_what_they_cost_stay_within_the_size),
        SMALL_TEST(test_refuses_what_can_never_fit_and_keeps_what_is_there),
        LARGE_TEST(test_increase_begins_with_the_initial_number),
        LARGE_TEST(test_increase_without_an_initial_number_makes_nothing),
        LARGE_TEST(test_increase_refuses_what_is_no_number),
        LARGE_TEST(test_a_bucket_gives_its_burst_and_then_its_rate),
        LARGE_TEST(test_a_bucket_fills_no_higher_than_its_burst),
        LARGE_TEST(test_more_than_the_burst_is_never_there),
        LARGE_TEST(test_an_earlier_clock_neither_fills_nor_empties_a_bucket),
        LARGE_TEST(test_a_full_bucket_leaves_the_dictionary),
        LARGE_TEST(test_keys_are_those_that_have_not_expired),
        LARGE_TEST(test_keys_gives_no_more_than_asked_for),
        LARGE_TEST(test_threads_lose_no_increase_and_take_no_token_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
