/* The negotiation of permessage-deflate: all four parameters both ways (RFC 7692, section 7.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ws_deflate.h"

static const struct ws_deflate_params most = {
    .server_max_window_bits = 15,
    .client_max_window_bits = 15,
};

static void expect_answer(const char *offers, const struct ws_deflate_params *ours,
                          const char *wanted, struct ws_deflate_params params)
{
    struct ws_deflate_params agreed = {0};
    char response[WS_DEFLATE_RESPONSE_BYTES] = "untouched";
    bool accepted = ws_deflate_negotiate(span_of(offers), ours, &agreed, response);
    if (!accepted) {
        fail_msg("declined: %s", offers);
    }
    assert_string_equal(response, wanted);
    assert_int_equal(agreed.server_no_context_takeover, params.server_no_context_takeover);
    assert_int_equal(agreed.client_no_context_takeover, params.client_no_context_takeover);
    assert_int_equal(agreed.server_max_window_bits, params.server_max_window_bits);
    assert_int_equal(agreed.client_max_window_bits, params.client_max_window_bits);
}

static void expect_declined(const char *offers)
{
    struct ws_deflate_params agreed;
    char response[WS_DEFLATE_RESPONSE_BYTES];
    if (ws_deflate_negotiate(span_of(offers), &most, &agreed, response)) {
        fail_msg("accepted: %s as %s", offers, response);
    }
}

static void test_accepts_a_plain_offer(void **unused)
{
    (void)unused;
    expect_answer("permessage-deflate", &most, "permessage-deflate",
                  (struct ws_deflate_params){false, false, 15, 15});
    expect_answer(" ,  permessage-deflate , x-webkit-deflate-frame", &most, "permessage-deflate",
                  (struct ws_deflate_params){false, false, 15, 15});
}

static void test_accepts_what_browsers_offer(void **unused)
{
    (void)unused;
    expect_answer("permessage-deflate; client_max_window_bits", &most, "permessage-deflate",
                  (struct ws_deflate_params){false, false, 15, 15});
}

static void test_takes_the_offered_flags(void **unused)
{
    (void)unused;
    expect_answer("permessage-deflate; server_no_context_takeover", &most,
                  "permessage-deflate; server_no_context_takeover",
                  (struct ws_deflate_params){true, false, 15, 15});
    expect_answer("permessage-deflate;client_no_context_takeover", &most,
                  "permessage-deflate; client_no_context_takeover",
                  (struct ws_deflate_params){false, true, 15, 15});
}

static void test_always_asks_for_our_own_flags(void **unused)
{
    (void)unused;
    const struct ws_deflate_params ours = {true, true, 15, 15};
    expect_answer("permessage-deflate", &ours,
                  "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                  ours);
    expect_answer(
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover", &ours,
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover", ours);
}

static void test_answers_the_lesser_server_window(void **unused)
{
    (void)unused;
    const struct ws_deflate_params ours = {false, false, 12, 15};
    expect_answer("permessage-deflate; server_max_window_bits=10", &ours,
                  "permessage-deflate; server_max_window_bits=10",
                  (struct ws_deflate_params){false, false, 10, 15});
    expect_answer("permessage-deflate; server_max_window_bits=15", &ours,
                  "permessage-deflate; server_max_window_bits=12",
                  (struct ws_deflate_params){false, false, 12, 15});
    expect_answer("permessage-deflate", &ours, "permessage-deflate; server_max_window_bits=12",
                  (struct ws_deflate_params){false, false, 12, 15});
    expect_answer("permessage-deflate; server_max_window_bits=15", &most,
                  "permessage-deflate; server_max_window_bits=15",
                  (struct ws_deflate_params){false, false, 15, 15});
    expect_answer("permessage-deflate; server_max_window_bits=9", &most,
                  "permessage-deflate; server_max_window_bits=9",
                  (struct ws_deflate_params){false, false, 9, 15});
}

static void test_answers_the_lesser_client_window_where_it_is_offered(void **unused)
{
    (void)unused;
    const struct ws_deflate_params ours = {false, false, 15, 12};
    expect_answer("permessage-deflate; client_max_window_bits", &ours,
                  "permessage-deflate; client_max_window_bits=12",
                  (struct ws_deflate_params){false, false, 15, 12});
    expect_answer("permessage-deflate; client_max_window_bits=10", &ours,
                  "permessage-deflate; client_max_window_bits=10",
                  (struct ws_deflate_params){false, false, 15, 10});
    expect_answer("permessage-deflate; client_max_window_bits=14", &ours,
                  "permessage-deflate; client_max_window_bits=12",
                  (struct ws_deflate_params){false, false, 15, 12});
    expect_answer("permessage-deflate; client_max_window_bits=8", &ours,
                  "permessage-deflate; client_max_window_bits=8",
                  (struct ws_deflate_params){false, false, 15, 9});
}

static void test_cannot_limit_a_client_that_does_not_offer_it(void **unused)
{
    (void)unused;
    const struct ws_deflate_params ours = {false, false, 15, 9};
    expect_answer("permessage-deflate", &ours, "permessage-deflate",
                  (struct ws_deflate_params){false, false, 15, 15});
}

static void test_declines_a_server_window_that_zlib_has_not(void **unused)
{
    (void)unused;
    expect_declined("permessage-deflate; server_max_window_bits=8");
    expect_answer("permessage-deflate; server_max_window_bits=8, permessage-deflate", &most,
                  "permessage-deflate", (struct ws_deflate_params){false, false, 15, 15});
}

static void test_takes_quoted_values(void **unused)
{
    (void)unused;
    expect_answer("permessage-deflate; server_max_window_bits=\"10\"; client_max_window_bits=\"9\"",
                  &most, "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9",
                  (struct ws_deflate_params){false, false, 10, 9});
}

static void test_takes_spaces_around_everything(void **unused)
{
    (void)unused;
    expect_answer("permessage-deflate\t;  server_max_window_bits = 10 ; client_max_window_bits\t",
                  &most, "permessage-deflate; server_max_window_bits=10",
                  (struct ws_deflate_params){false, false, 10, 15});
}

static void test_the_longest_answer_fits(void **unused)
{
    (void)unused;
    const struct ws_deflate_params ours = {true, true, 10, 10};
    expect_answer("permessage-deflate; client_max_window_bits", &ours,
                  "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
                  "server_max_window_bits=10; client_max_window_bits=10",
                  ours);
}

static void test_declines_wrong_parameters(void **unused)
{
    (void)unused;
    static const char *const wrong[] = {
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_no_context_takeover=",
        "server_max_window_bits",
        "server_max_window_bits=",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=09",
        "server_max_window_bits=010",
        "server_max_window_bits=+10",
        "server_max_window_bits=-9",
        "server_max_window_bits=1 0",
        "server_max_window_bits=10.0",
        "server_max_window_bits=0",
        "server_max_window_bits=99999999999999999999",
        "server_max_window_bits=\"10",
        "server_max_window_bits=10\"",
        "server_max_window_bits=\"",
        "server_max_window_bits=\"\"",
        "client_max_window_bits=",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=x",
        "unknown",
        "unknown=1",
        "Server_No_Context_Takeover",
        "",
        "=",
        "=10",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char offer[128];
        snprintf(offer, sizeof offer, "permessage-deflate; %s", wrong[i]);
        expect_declined(offer);
        snprintf(offer, sizeof offer, "permessage-deflate; %s; client_max_window_bits", wrong[i]);
        expect_declined(offer);
    }
}

static void test_declines_duplicate_parameters(void **unused)
{
    (void)unused;
    expect_declined("permessage-deflate; server_no_context_takeover; server_no_context_takeover");
    expect_declined("permessage-deflate; client_no_context_takeover; client_no_context_takeover");
    expect_declined("permessage-deflate; server_max_window_bits=10; server_max_window_bits=10");
    expect_declined("permessage-deflate; client_max_window_bits; client_max_window_bits=10");
    expect_declined("permessage-deflate; client_max_window_bits=10; client_max_window_bits");
}

static void test_declines_other_extensions(void **unused)
{
    (void)unused;
    expect_declined("");
    expect_declined(",,");
    expect_declined(";");
    expect_declined("permessage-bzip2");
    expect_declined("permessage-deflate2");
    expect_declined("x-webkit-deflate-frame, mux; max-channels=4");
    expect_declined("mux; permessage-deflate");
    expect_declined("mux; name=\"a, permessage-deflate\"");
}

static void test_picks_the_first_acceptable_of_several_offers(void **unused)
{
    (void)unused;
    expect_answer("permessage-foo, permessage-deflate; unknown, "
                  "permessage-deflate; server_max_window_bits=11, permessage-deflate",
                  &most, "permessage-deflate; server_max_window_bits=11",
                  (struct ws_deflate_params){false, false, 11, 15});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts_a_plain_offer),
        cmocka_unit_test(test_accepts_what_browsers_offer),
        cmocka_unit_test(test_takes_the_offered_flags),
        cmocka_unit_test(test_always_asks_for_our_own_flags),
        cmocka_unit_test(test_answers_the_lesser_server_window),
        cmocka_unit_test(test_answers_the_lesser_client_window_where_it_is_offered),
        cmocka_unit_test(test_cannot_limit_a_client_that_does_not_offer_it),
        cmocka_unit_test(test_declines_a_server_window_that_zlib_has_not),
        cmocka_unit_test(test_takes_quoted_values),
        cmocka_unit_test(test_takes_spaces_around_everything),
        cmocka_unit_test(test_the_longest_answer_fits),
        cmocka_unit_test(test_declines_wrong_parameters),
        cmocka_unit_test(test_declines_duplicate_parameters),
        cmocka_unit_test(test_declines_other_extensions),
        cmocka_unit_test(test_picks_the_first_acceptable_of_several_offers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
