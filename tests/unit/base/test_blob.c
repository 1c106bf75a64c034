/* base/blob: a byte run that costs one pointer while it is empty. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/blob.h"

static void test_null_is_empty(void **state)
{
    struct blob *blob = NULL;
    (void)state;
    assert_int_equal(blob_size(blob), 0);
    assert_int_equal(blob_span(blob).size, 0);
    blob_free(&blob);
    assert_null(blob);
}

static void test_appends_in_order(void **state)
{
    struct blob *blob = NULL;
    (void)state;
    assert_int_equal(blob_append(&blob, SPAN("abc")), WEIR_OK);
    assert_int_equal(blob_append(&blob, SPAN("")), WEIR_OK);
    assert_int_equal(blob_append(&blob, SPAN("defgh")), WEIR_OK);
    assert_true(span_equal(blob_span(blob), SPAN("abcdefgh")));
    blob_free(&blob);
    assert_null(blob);
}

static void test_reserves_exactly_what_the_first_call_asks_for(void **state)
{
    struct blob *blob = NULL;
    (void)state;
    assert_int_equal(blob_reserve(&blob, 1000), WEIR_OK);
    assert_int_equal(blob->capacity, 1000);
    assert_int_equal(blob_size(blob), 0);
    const struct blob *before = blob;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(blob_append(&blob, SPAN("x")), WEIR_OK);
    }
    assert_ptr_equal(blob, before);
    assert_int_equal(blob->capacity, 1000);
    blob_free(&blob);
}

static void test_grows_by_half_at_least(void **state)
{
    struct blob *blob = NULL;
    (void)state;
    assert_int_equal(blob_reserve(&blob, 100), WEIR_OK);
    blob->size = 100;
    assert_int_equal(blob_append(&blob, SPAN("x")), WEIR_OK);
    assert_int_equal(blob->capacity, 150);
    assert_int_equal(blob_size(blob), 101);
    blob_free(&blob);
}

static void test_refuses_what_cannot_be_and_stays_as_it_was(void **state)
{
    struct blob *blob = NULL;
    (void)state;
    assert_int_equal(blob_append(&blob, SPAN("abc")), WEIR_OK);
    assert_int_equal(blob_reserve(&blob, SIZE_MAX - 1), WEIR_ENOMEM);
    assert_true(span_equal(blob_span(blob), SPAN("abc")));
    blob_free(&blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null_is_empty),
        cmocka_unit_test(test_appends_in_order),
        cmocka_unit_test(test_reserves_exactly_what_the_first_call_asks_for),
        cmocka_unit_test(test_grows_by_half_at_least),
        cmocka_unit_test(test_refuses_what_cannot_be_and_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
