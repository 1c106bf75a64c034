/* The growable buffer: what it holds, how it grows, and that a failure changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"

static void test_starts_empty_and_owns_nothing(void **state)
{
    struct buffer b = {0};
    (void)state;
    assert_int_equal(buffer_append(&b, (struct span){NULL, 0}), WEIR_OK);
    assert_null(b.data);
    assert_int_equal(buffer_span(&b).size, 0);
    buffer_free(&b);
}

static void test_appends_in_order(void **state)
{
    struct buffer b = {0};
    (void)state;
    assert_int_equal(buffer_append(&b, SPAN("ab")), WEIR_OK);
    assert_int_equal(buffer_printf(&b, "%d-%s", 42, "x"), WEIR_OK);
    assert_int_equal(buffer_append(&b, SPAN("\0c")), WEIR_OK);
    assert_true(span_equal(buffer_span(&b), SPAN("ab42-x\0c")));
    buffer_free(&b);
    assert_null(b.data);
    assert_int_equal(b.capacity, 0);
}

static void test_keeps_all_bytes_while_it_grows(void **state)
{
    struct buffer b = {0};
    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        uint8_t byte = (uint8_t)(i * 7);
        assert_int_equal(buffer_append(&b, (struct span){&byte, 1}), WEIR_OK);
        assert_true(b.capacity >= b.size);
    }
    assert_int_equal(b.size, 5000);
    for (unsigned i = 0; i < 5000; i++) {
        assert_int_equal(b.data[i], (uint8_t)(i * 7));
    }
    buffer_free(&b);
}

static void test_grows_by_at_least_half(void **state)
{
    struct buffer b = {0};
    (void)state;
    assert_int_equal(buffer_reserve(&b, 1000), WEIR_OK);
    size_t capacity = b.capacity;
    b.size = capacity;
    assert_int_equal(buffer_reserve(&b, 1), WEIR_OK);
    assert_true(b.capacity >= capacity + capacity / 2);
    buffer_free(&b);
}

static void test_prints_more_than_it_has_room_for(void **state)
{
    struct buffer b = {0};
    (void)state;
    assert_int_equal(buffer_printf(&b, "%0500d", 7), WEIR_OK);
    assert_int_equal(b.size, 500);
    assert_int_equal(b.data[499], '7');
    assert_int_equal(buffer_printf(&b, "%s", ""), WEIR_OK);
    assert_int_equal(b.size, 500);
    buffer_free(&b);
}

static void test_refuses_sizes_that_cannot_be(void **state)
{
    struct buffer b = {0};
    (void)state;
    assert_int_equal(buffer_append(&b, SPAN("abc")), WEIR_OK);
    assert_int_equal(buffer_reserve(&b, SIZE_MAX), WEIR_ENOMEM);
    assert_int_equal(buffer_reserve(&b, SIZE_MAX / 2), WEIR_ENOMEM);
    assert_true(span_equal(buffer_span(&b), SPAN("abc")));
    buffer_free(&b);
}

static void test_drops_from_the_front(void **state)
{
    struct buffer b = {0};
    (void)state;
    assert_int_equal(buffer_append(&b, SPAN("abcdef")), WEIR_OK);
    buffer_drop(&b, 0);
    assert_int_equal(b.size, 6);
    buffer_drop(&b, 4);
    assert_true(span_equal(buffer_span(&b), SPAN("ef")));
    buffer_drop(&b, 2);
    assert_int_equal(b.size, 0);
    buffer_drop(&b, 5);
    assert_int_equal(b.size, 0);
    buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_empty_and_owns_nothing),
        cmocka_unit_test(test_appends_in_order),
        cmocka_unit_test(test_keeps_all_bytes_while_it_grows),
        cmocka_unit_test(test_grows_by_at_least_half),
        cmocka_unit_test(test_prints_more_than_it_has_room_for),
        cmocka_unit_test(test_refuses_sizes_that_cannot_be),
        cmocka_unit_test(test_drops_from_the_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
