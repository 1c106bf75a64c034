/* The table of close reasons keeps the rules that its readers count on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/close_reason.h"

static void test_each_reason_tells_who_ended_it(void **state)
{
    (void)state;
    assert_string_equal(close_reason_closed_by(WEIR_CLOSE_CLIENT), "client");
    assert_string_equal(close_reason_closed_by(WEIR_CLOSE_RESET), "client");
    assert_string_equal(close_reason_closed_by(WEIR_CLOSE_ABORTED), "client");
    assert_string_equal(close_reason_closed_by(WEIR_CLOSE_HANDLER), "gateway");
    assert_string_equal(close_reason_closed_by(WEIR_CLOSE_DROPPED), "gateway");
    assert_string_equal(close_reason_closed_by(WEIR_CLOSE_TUNNEL_IDLE), "gateway");
    assert_string_equal(close_reason_closed_by(WEIR_CLOSE_BACKEND), "backend");
    assert_string_equal(close_reason_closed_by(WEIR_CLOSE_BACKEND_LOST), "backend");
    assert_string_equal(close_reason_closed_by(WEIR_CLOSE_BACKEND_PROTOCOL), "backend");
    assert_string_equal(close_reason_closed_by(WEIR_CLOSE_BACKEND_BODY), "backend");
    assert_string_equal(close_reason_closed_by(WEIR_CLOSE_BACKEND_TIMEOUT), "backend");
}

static void test_each_code_may_stand_in_a_close_frame(void **state)
{
    (void)state;
    for (int reason = 0; reason < WEIR_CLOSE_COUNT; reason++) {
        uint16_t code = close_reason_code((enum close_reason)reason);
        /* RFC 6455, section 7.4.1: 1004..1006 never do. */
        assert_true(code == 0 || (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014));
    }
    assert_int_equal(close_reason_code(WEIR_CLOSE_SHUTDOWN), 1001);
    assert_int_equal(close_reason_code(WEIR_CLOSE_BACKEND_LOST), 1014);
}

static void test_words_and_labels_are_all_different(void **state)
{
    (void)state;
    for (int a = 0; a < WEIR_CLOSE_COUNT; a++) {
        assert_true(strlen(close_reason_words((enum close_reason)a)) > 0);
        for (int b = 0; b < a; b++) {
            assert_string_not_equal(close_reason_words((enum close_reason)a),
                                    close_reason_words((enum close_reason)b));
            assert_string_not_equal(close_reason_label((enum close_reason)a),
                                    close_reason_label((enum close_reason)b));
        }
    }
    assert_string_equal(close_reason_label(WEIR_CLOSE_BACKEND_LOST), "BACKEND_LOST");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_reason_tells_who_ended_it),
        cmocka_unit_test(test_each_code_may_stand_in_a_close_frame),
        cmocka_unit_test(test_words_and_labels_are_all_different),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
