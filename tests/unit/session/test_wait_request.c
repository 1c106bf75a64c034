/* WAIT of on_request: the request is parked at one seat and goes on from there with any verdict;
 * what came behind it waits too, be it another request or the frames of a session to be. */
#include "client_fixture.h"

#include "session/session_internal.h"

static enum weir_verdict pass_on(struct plug *plug, struct weir_request *request)
{
    (void)plug;
    (void)request;
    return WEIR_NEXT;
}

static void test_request_waits_at_each_seat_and_goes_on(void **state)
{
    struct fixture *f = *state;
    static const char *const before[SEATS] = {"a:request ", "a:request b:request ",
                                              "a:request b:request c:request "};
    static const char *const after[SEATS] = {
        "b:request c:request c:done(200,gateway) b:done(200,gateway) a:done(200,gateway) ",
        "c:request c:done(200,gateway) b:done(200,gateway) a:done(200,gateway) ",
        "c:done(426,gateway) b:done(426,gateway) a:done(426,gateway) "};
    for (unsigned seat = 0; seat < SEATS; seat++) {
        f->plugs[seat].does.request = wait_request;
        struct client *client = connect_client(f, seat);
        client_says(f, client, GET_HEAD);
        expect_journal(f, before[seat]);
        assert_string_equal(received(client), "");
        request_resume(f->plugs[seat].request, seat, WEIR_NEXT);
        turns(f);
        expect_journal(f, after[seat]);
        f->plugs[seat].does.request = pass_on;
        f->plugs[2].does.request = accept_or_hello;
    }
}

static void test_request_resumes_with_each_verdict(void **state)
{
    struct fixture *f = *state;
    f->plugs[1].does.request = wait_request;
    struct client *client = connect_client(f, 0);
    client_says(f, client, GET_HEAD);
    assert_int_equal(request_reply(f->plugs[1].request, 401, NULL, 0, SPAN("who")), WEIR_OK);
    request_resume(f->plugs[1].request, 1, WEIR_REPLY);
    turns(f);
    assert_string_equal(body_of(received(client)), "who");
    expect_journal(f, "a:request b:request b:done(401,gateway) a:done(401,gateway) ");

    client_says(f, client, GET_HEAD);
    request_resume(f->plugs[1].request, 1, WEIR_DROP);
    turns(f);
    assert_true(client->ended);
    expect_journal(f, "a:request b:request b:done(0,gateway) a:done(0,gateway) ");

    client = connect_client(f, 1);
    client_says(f, client, UPGRADE_HEAD);
    request_resume(f->plugs[1].request, 1, WEIR_ACCEPT);
    turns(f);
    assert_true(contains(received(client), "HTTP/1.1 101 "));
    send_text(f, client, "hi");
    expect_journal(f, "a:request b:request a:open b:open a:message(hi) b:message(hi) ");
}

/* A client that does not wait for the answer has its frames kept until there is a session. */
static void test_frames_behind_an_upgrade_that_waits_are_kept(void **state)
{
    struct fixture *f = *state;
    struct buffer out = {0};
    f->plugs[0].does.request = wait_request;
    struct client *client = connect_client(f, 0);
    assert_int_equal(buffer_append(&out, SPAN(UPGRADE_HEAD)), WEIR_OK);
    add_frame(&out, WS_FIN | WS_TEXT, SPAN("early"));
    client_send(f, client, buffer_span(&out));
    buffer_free(&out);
    turns(f);
    expect_journal(f, "a:request ");
    request_resume(f->plugs[0].request, 0, WEIR_NEXT);
    turns(f);
    expect_journal(f, "b:request c:request a:open b:open c:open "
                      "a:message(early) b:message(early) c:message(early) ");
}

static void test_resuming_another_seat_or_twice_does_nothing(void **state)
{
    struct fixture *f = *state;
    f->plugs[1].does.request = wait_request;
    f->plugs[2].does.request = wait_request;
    struct client *client = connect_client(f, 0);
    client_says(f, client, GET_HEAD);
    request_resume(f->plugs[1].request, 0, WEIR_DROP);
    request_resume(f->plugs[1].request, 2, WEIR_DROP);
    request_resume(f->plugs[1].request, 1, WEIR_NEXT);
    request_resume(f->plugs[1].request, 1, WEIR_DROP);
    turns(f);
    expect_journal(f, "a:request b:request c:request ");
    assert_false(client->ended);
}

static void test_pipelined_requests_wait_for_the_one_before(void **state)
{
    struct fixture *f = *state;
    f->plugs[0].does.request = wait_request;
    struct client *client = connect_client(f, 0);
    client_says(f, client, GET_HEAD GET_HEAD GET_HEAD);
    expect_journal(f, "a:request ");
    for (unsigned left = 3; left > 0; left--) {
        request_resume(f->plugs[0].request, 0, WEIR_NEXT);
        turns(f);
        assert_int_equal(count_of(received(client), "HTTP/1.1 200 OK"), 1);
        expect_journal(f, left > 1 ? "b:request c:request c:done(200,gateway) "
                                     "b:done(200,gateway) a:done(200,gateway) a:request "
                                   : "b:request c:request c:done(200,gateway) "
                                     "b:done(200,gateway) a:done(200,gateway) ");
    }
}

static void test_client_that_goes_while_its_request_waits_unwinds_after_the_answer(void **state)
{
    struct fixture *f = *state;
    f->plugs[1].does.request = wait_request;
    struct client *client = connect_client(f, 0);
    client_says(f, client, GET_HEAD);
    client_closes(f, client);
    expect_journal(f, "a:request b:request ");
    request_resume(f->plugs[1].request, 1, WEIR_NEXT);
    turns(f);
    assert_int_equal(f->worker.connection_count, 0);
}

static void test_stopping_cuts_a_request_that_waits(void **state)
{
    struct fixture *f = *state;
    f->plugs[1].does.request = wait_request;
    struct client *client = connect_client(f, 0);
    client_says(f, client, GET_HEAD);
    connection_cut_all(&f->worker);
    expect_journal(f, "a:request b:request b:done(0,gateway) a:done(0,gateway) ");
    turns(f);
    assert_true(client->ended);
}

/* The request's wait is over, the opening's has begun: input stays held. */
static void test_opening_that_waits_after_a_request_that_waited_still_holds_input(void **state)
{
    struct fixture *f = *state;
    f->plugs[1].does.request = wait_request;
    f->plugs[0].does.open = wait_open;
    struct client *client = connect_client(f, 0);
    client_says(f, client, UPGRADE_HEAD);
    request_resume(f->plugs[1].request, 1, WEIR_NEXT);
    turns(f);
    assert_true(contains(received(client), "HTTP/1.1 101 "));
    f->journal.size = 0;
    struct connection *connection = f->plugs[0].session->connection;
    assert_true(connection->hold_input);
    assert_false(connection->stream.reading);
    send_texts(f, client, "one|two");
    expect_journal(f, "");
    session_resume(f->plugs[0].session, 0, WEIR_NEXT);
    turns(f);
    expect_journal(f, "b:open c:open a:message(one) b:message(one) c:message(one) "
                      "a:message(two) b:message(two) c:message(two) ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_request_waits_at_each_seat_and_goes_on),
        TEST(test_request_resumes_with_each_verdict),
        TEST(test_frames_behind_an_upgrade_that_waits_are_kept),
        TEST(test_resuming_another_seat_or_twice_does_nothing),
        TEST(test_pipelined_requests_wait_for_the_one_before),
        TEST(test_client_that_goes_while_its_request_waits_unwinds_after_the_answer),
        TEST(test_stopping_cuts_a_request_that_waits),
        TEST(test_opening_that_waits_after_a_request_that_waited_still_holds_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
