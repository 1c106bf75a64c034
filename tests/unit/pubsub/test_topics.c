/* The table of topics: names, places, and walks during which subscriptions come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pubsub/topics.h"

enum {
    MANY = 1000
};

static struct topic *make(struct topics *topics, uint64_t hash, const char *name)
{
    struct topic *topic = NULL;
    assert_int_equal(topics_make(topics, hash, span_of(name), &topic), WEIR_OK);
    return topic;
}

static void leave(struct topics *topics, struct subscription *subscription)
{
    topics_leave(subscription);
    topics_drop_unused(topics, subscription->topic);
}

static void test_names_of_one_hash_are_told_apart(void **state)
{
    struct topics topics = {0};
    struct subscription a = {0};
    struct subscription b = {0};
    (void)state;
    assert_null(topics_find(&topics, 7, SPAN("a")));
    assert_int_equal(topics_join(make(&topics, 7, "a"), &a), WEIR_OK);
    assert_int_equal(topics_join(make(&topics, 7, "b"), &b), WEIR_OK);
    assert_ptr_equal(make(&topics, 7, "a"), a.topic);
    assert_ptr_equal(topics_find(&topics, 7, SPAN("b")), b.topic);
    assert_ptr_not_equal(a.topic, b.topic);
    assert_null(topics_find(&topics, 7, SPAN("ab")));
    assert_int_equal(topics.count, 2);
    leave(&topics, &a);
    assert_null(topics_find(&topics, 7, SPAN("a")));
    assert_non_null(topics_find(&topics, 7, SPAN("b")));
    leave(&topics, &b);
    topics_free(&topics);
}

static void test_many_topics_are_found_while_the_table_grows(void **state)
{
    struct topics topics = {0};
    static struct subscription subscriptions[MANY];
    char name[16];
    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "topic-%u", i);
        assert_int_equal(topics_join(make(&topics, i % 300, name), &subscriptions[i]), WEIR_OK);
    }
    assert_true(topics.bucket_count >= MANY);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "topic-%u", i);
        assert_ptr_equal(topics_find(&topics, i % 300, span_of(name)), subscriptions[i].topic);
        leave(&topics, &subscriptions[i]);
        assert_null(topics_find(&topics, i % 300, span_of(name)));
    }
    topics_free(&topics);
}

static void expect_places(const struct topic *topic)
{
    assert_int_equal(topic->size, topic->count);
    for (uint32_t place = 0; place < topic->size; place++) {
        assert_int_equal(topic->subscriptions[place]->place, place);
    }
}

static void test_the_array_stays_dense(void **state)
{
    struct topics topics = {0};
    struct subscription subscriptions[9];
    (void)state;
    struct topic *topic = make(&topics, 1, "t");
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(topics_join(topic, &subscriptions[i]), WEIR_OK);
    }
    topics_leave(&subscriptions[0]);
    topics_leave(&subscriptions[8]);
    topics_leave(&subscriptions[4]);
    assert_int_equal(topic->count, 6);
    expect_places(topic);
    for (unsigned i = 1; i < 8; i++) {
        if (i != 4) {
            topics_leave(&subscriptions[i]);
        }
    }
    assert_true(topics_drop_unused(&topics, topic));
    topics_free(&topics);
}

static void test_a_walk_keeps_places_and_its_end_closes_holes(void **state)
{
    struct topics topics = {0};
    struct subscription subscriptions[4];
    struct subscription late;
    (void)state;
    struct topic *topic = make(&topics, 1, "t");
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(topics_join(topic, &subscriptions[i]), WEIR_OK);
    }
    topics_walk_begin(topic);
    topics_leave(&subscriptions[1]);
    assert_null(topic->subscriptions[1]);
    assert_ptr_equal(topic->subscriptions[3], &subscriptions[3]);
    assert_int_equal(topics_join(topic, &late), WEIR_OK);
    assert_ptr_equal(topic->subscriptions[4], &late);
    topics_walk_end(topic);
    assert_int_equal(topic->count, 4);
    expect_places(topic);
    topics_walk_begin(topic);
    topics_leave(&subscriptions[0]);
    topics_leave(&subscriptions[2]);
    topics_leave(&subscriptions[3]);
    topics_leave(&late);
    assert_false(topics_drop_unused(&topics, topic));
    topics_walk_end(topic);
    assert_true(topics_drop_unused(&topics, topic));
    topics_free(&topics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_one_hash_are_told_apart),
        cmocka_unit_test(test_many_topics_are_found_while_the_table_grows),
        cmocka_unit_test(test_the_array_stays_dense),
        cmocka_unit_test(test_a_walk_keeps_places_and_its_end_closes_holes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
