/* The dictionaries of the process: one for each name, which stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/shared_dict.h"
#include "base/shared_dicts.h"

static int forget(void **state)
{
    (void)state;
    shared_dicts_reset();
    return 0;
}

static void test_a_name_leads_to_its_dictionary(void **state)
{
    size_t kept = 0;
    (void)state;
    assert_null(shared_dicts_find(SPAN("a")));
    assert_int_equal(shared_dicts_declare("a", 65536, &kept), WEIR_OK);
    assert_int_equal(shared_dicts_declare("b", 65536, &kept), WEIR_OK);
    assert_int_equal(kept, 65536);
    assert_non_null(shared_dicts_find(SPAN("a")));
    assert_ptr_not_equal(shared_dicts_find(SPAN("a")), shared_dicts_find(SPAN("b")));
    assert_null(shared_dicts_find(SPAN("c")));
}

static void test_declaring_again_keeps_the_dictionary_and_its_size(void **state)
{
    const struct shared_value value = {.kind = SHARED_NUMBER, .number = 1};
    struct shared_value found;
    struct buffer out = {0};
    size_t kept = 0;
    (void)state;
    assert_int_equal(shared_dicts_declare("a", 65536, &kept), WEIR_OK);
    struct shared_dict *dict = shared_dicts_find(SPAN("a"));
    assert_int_equal(shared_dict_set(dict, SPAN("k"), &value, 0, false, 1), WEIR_OK);
    assert_int_equal(shared_dicts_declare("a", 1 << 20, &kept), WEIR_OK);
    assert_int_equal(kept, 65536);
    assert_ptr_equal(shared_dicts_find(SPAN("a")), dict);
    assert_int_equal(shared_dict_get(dict, SPAN("k"), 1, &found, &out), WEIR_OK);
    assert_int_equal(found.kind, SHARED_NUMBER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_name_leads_to_its_dictionary, forget, forget),
        cmocka_unit_test_setup_teardown(test_declaring_again_keeps_the_dictionary_and_its_size,
                                        forget, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
