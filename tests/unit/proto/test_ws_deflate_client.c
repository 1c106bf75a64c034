/* permessage-deflate as a client: what is offered, and which answers to it hold (RFC 7692, sections
 * 5.1 and 7.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ws_deflate.h"

static const struct ws_deflate_params LEAST = {false, false, 15, 15};
static const struct ws_deflate_params ALL = {true, true, 12, 10};

static void expect_offer(struct ws_deflate_params wish, const char *wanted)
{
    struct buffer out = {0};
    assert_int_equal(buffer_append(&out, SPAN("x: ")), WEIR_OK);
    assert_int_equal(ws_deflate_offer(&out, &wish), WEIR_OK);
    assert_int_equal(out.size, 3 + strlen(wanted));
    assert_memory_equal(out.data + 3, wanted, strlen(wanted));
    buffer_free(&out);
}

static void expect_agreed(const struct ws_deflate_params *wish, const char *answer,
                          struct ws_deflate_params wanted)
{
    struct ws_deflate_params agreed = {0};
    if (!ws_deflate_accept(span_of(answer), wish, &agreed)) {
        fail_msg("refused: %s", answer);
    }
    assert_int_equal(agreed.server_no_context_takeover, wanted.server_no_context_takeover);
    assert_int_equal(agreed.client_no_context_takeover, wanted.client_no_context_takeover);
    assert_int_equal(agreed.server_max_window_bits, wanted.server_max_window_bits);
    assert_int_equal(agreed.client_max_window_bits, wanted.client_max_window_bits);
}

static void expect_refused(const struct ws_deflate_params *wish, const char *answer)
{
    struct ws_deflate_params agreed;
    if (ws_deflate_accept(span_of(answer), wish, &agreed)) {
        fail_msg("accepted: %s", answer);
    }
}

static void test_offers_what_is_wished(void **state)
{
    (void)state;
    expect_offer(LEAST, "permessage-deflate");
    expect_offer((struct ws_deflate_params){true, false, 15, 15},
                 "permessage-deflate; server_no_context_takeover");
    expect_offer((struct ws_deflate_params){false, false, 14, 9},
                 "permessage-deflate; server_max_window_bits=14; client_max_window_bits=9");
    expect_offer(ALL, "permessage-deflate; server_no_context_takeover; "
                      "client_no_context_takeover; server_max_window_bits=12; "
                      "client_max_window_bits=10");
}

/* What we offer must be an offer for our own server, and its answer one for our own client. */
static void test_both_sides_understand_each_other(void **state)
{
    const struct ws_deflate_params wishes[] = {
        LEAST, ALL, {true, false, 9, 15}, {false, true, 15, 9}};
    const struct ws_deflate_params servers[] = {LEAST, ALL, {false, false, 9, 9}};
    (void)state;
    for (size_t i = 0; i < 12; i++) {
        const struct ws_deflate_params *wish = &wishes[i % 4];
        struct buffer offer = {0};
        struct ws_deflate_params theirs;
        struct ws_deflate_params ours;
        char answer[WS_DEFLATE_RESPONSE_BYTES];
        assert_int_equal(ws_deflate_offer(&offer, wish), WEIR_OK);
        assert_true(ws_deflate_negotiate(buffer_span(&offer), &servers[i / 4], &theirs, answer));
        assert_true(ws_deflate_accept(span_of(answer), wish, &ours));
        assert_int_equal(ours.server_no_context_takeover, theirs.server_no_context_takeover);
        assert_int_equal(ours.client_no_context_takeover, theirs.client_no_context_takeover);
        assert_int_equal(ours.server_max_window_bits, theirs.server_max_window_bits);
        assert_int_equal(ours.client_max_window_bits, theirs.client_max_window_bits);
        buffer_free(&offer);
    }
}

static void test_takes_what_a_server_may_add(void **state)
{
    (void)state;
    expect_agreed(&LEAST, "permessage-deflate", LEAST);
    expect_agreed(&LEAST, " , permessage-deflate ,", LEAST);
    expect_agreed(&LEAST, "permessage-deflate; server_no_context_takeover",
                  (struct ws_deflate_params){true, false, 15, 15});
    expect_agreed(&LEAST, "permessage-deflate;client_no_context_takeover",
                  (struct ws_deflate_params){false, true, 15, 15});
    expect_agreed(&LEAST, "permessage-deflate; server_max_window_bits=15", LEAST);
    expect_agreed(&LEAST, "permessage-deflate; server_max_window_bits=\"9\"",
                  (struct ws_deflate_params){false, false, 9, 15});
}

static void test_inflates_the_smallest_window_with_the_next(void **state)
{
    (void)state;
    expect_agreed(&LEAST, "permessage-deflate; server_max_window_bits=8",
                  (struct ws_deflate_params){false, false, 9, 15});
}

static void test_holds_to_its_own_hints(void **state)
{
    const struct ws_deflate_params wish = {false, true, 15, 10};
    (void)state;
    expect_agreed(&wish, "permessage-deflate", wish);
    expect_agreed(&wish, "permessage-deflate; client_max_window_bits=10", wish);
    expect_agreed(&wish, "permessage-deflate; client_max_window_bits=9",
                  (struct ws_deflate_params){false, true, 15, 9});
}

static void test_insists_on_what_it_asked_for(void **state)
{
    const struct ws_deflate_params flag = {true, false, 15, 15};
    const struct ws_deflate_params window = {false, false, 10, 15};
    (void)state;
    expect_refused(&flag, "permessage-deflate");
    expect_refused(&flag, "permessage-deflate; client_no_context_takeover");
    expect_agreed(&flag, "permessage-deflate; server_no_context_takeover", flag);
    expect_refused(&window, "permessage-deflate");
    expect_refused(&window, "permessage-deflate; server_max_window_bits=11");
    expect_agreed(&window, "permessage-deflate; server_max_window_bits=10", window);
}

static void test_is_limited_only_as_far_as_it_offered(void **state)
{
    const struct ws_deflate_params wish = {false, false, 15, 10};
    (void)state;
    expect_refused(&LEAST, "permessage-deflate; client_max_window_bits=15");
    expect_refused(&LEAST, "permessage-deflate; client_max_window_bits=10");
    expect_refused(&LEAST, "permessage-deflate; client_max_window_bits");
    expect_refused(&wish, "permessage-deflate; client_max_window_bits");
    expect_refused(&wish, "permessage-deflate; client_max_window_bits=11");
    expect_refused(&wish, "permessage-deflate; client_max_window_bits=8");
}

static void test_refuses_malformed_answers(void **state)
{
    static const char *const wrong[] = {
        "",
        ",",
        ";",
        "x-webkit-deflate-frame",
        "Permessage-Deflate",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate; x",
        "permessage-deflate; x=1",
        "permessage-deflate;",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        expect_refused(&LEAST, wrong[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offers_what_is_wished),
        cmocka_unit_test(test_both_sides_understand_each_other),
        cmocka_unit_test(test_takes_what_a_server_may_add),
        cmocka_unit_test(test_inflates_the_smallest_window_with_the_next),
        cmocka_unit_test(test_holds_to_its_own_hints),
        cmocka_unit_test(test_insists_on_what_it_asked_for),
        cmocka_unit_test(test_is_limited_only_as_far_as_it_offered),
        cmocka_unit_test(test_refuses_malformed_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
