/* Bodies for a handler that forwards them: how they are framed, where reading stops, what is behind
 * them, and whose limit holds. */
#include "client_fixture.h"

#include "session/request_internal.h"

static bool pauses; /* after each piece */

static void note_piece(struct plug *plug, struct weir_request *request, struct span piece,
                       bool last)
{
    note(plug->f, "(%.*s)%s ", SPAN_ARGS(piece), last ? "." : "");
    if (last) {
        struct span trailers = request_trailers(request);
        note(plug->f, "[%.*s] ", SPAN_ARGS(trailers));
    }
    if (pauses) {
        request_pause_body(request, true);
    }
}

static enum weir_verdict take_and_wait(struct plug *plug, struct weir_request *request)
{
    request_take_body(request, plug->seat);
    return WEIR_WAIT;
}

static int take_make(void **state)
{
    fixture_make(state);
    struct fixture *f = *state;
    pauses = false;
    f->plugs[2].does.request = take_and_wait;
    f->plugs[2].does.body = note_piece;
    return 0;
}

static struct weir_request *request_of(struct fixture *f)
{
    return f->plugs[2].request;
}

static struct client *ask(struct fixture *f, const char *request)
{
    struct client *client = connect_client(f, 0);
    client_says(f, client, request);
    return client;
}

static void answer(struct fixture *f)
{
    assert_int_equal(request_reply(request_of(f), 200, NULL, 0, SPAN("ok")), WEIR_OK);
    turns(f);
}

#define LENGTH_HEAD "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n"
#define CHUNKED_HEAD "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
#define ASKED "a:request b:request c:request "
#define DONE "c:done(200,gateway) b:done(200,gateway) a:done(200,gateway) "

/* --- framing --- */

static void test_framing_is_told_with_the_whole_length(void **state)
{
    struct fixture *f = *state;
    uint64_t length = 0;
    struct client *client = ask(f, LENGTH_HEAD);
    assert_int_equal(request_framing(request_of(f), &length), REQUEST_LENGTH);
    assert_int_equal(length, 11);
    client_says(f, client, "hello ");
    assert_int_equal(request_framing(request_of(f), &length), REQUEST_LENGTH);
    assert_int_equal(length, 11); /* however much of it has come */
    client_says(f, client, "world");
    assert_int_equal(request_framing(request_of(f), &length), REQUEST_LENGTH);
    assert_int_equal(length, 11);
    answer(f);
    client_says(f, client, CHUNKED_HEAD);
    assert_int_equal(request_framing(request_of(f), &length), REQUEST_CHUNKED);
    client_says(f, client, "0\r\n\r\n");
    answer(f);
    client_says(f, client, GET_HEAD);
    assert_int_equal(request_framing(request_of(f), &length), REQUEST_NO_BODY);
    answer(f);
    client_says(f, client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(request_framing(request_of(f), &length), REQUEST_NO_BODY);
}

/* --- back-pressure --- */

static void test_paused_body_stays_until_it_goes_on(void **state)
{
    struct fixture *f = *state;
    pauses = true;
    struct client *client = ask(f, CHUNKED_HEAD "1\r\na\r\n1\r\nb\r\n");
    expect_journal(f, ASKED "(a) ");
    assert_false(request_of(f)->connection->stream.reading);
    client_says(f, client, "0\r\n\r\n");
    expect_journal(f, "");
    request_pause_body(request_of(f), false);
    turns(f);
    expect_journal(f, "(b) ");
    pauses = false;
    request_pause_body(request_of(f), false);
    turns(f);
    expect_journal(f, "(). [] ");
}

static void test_paused_body_is_not_late(void **state)
{
    struct fixture *f = *state;
    struct client *client = ask(f, LENGTH_HEAD "hello");
    request_pause_body(request_of(f), true);
    turns(f);
    pass_ms(f, 3 * f->config.http.body_timeout_ms);
    assert_string_equal(received(client), "");
    request_pause_body(request_of(f), false);
    turns(f);
    pass_ms(f, f->config.http.body_timeout_ms / 2);
    assert_string_equal(received(client), "");
    pass_ms(f, f->config.http.body_timeout_ms);
    assert_true(contains(received(client), "HTTP/1.1 408 "));
}

static void test_pause_does_not_end_a_wait(void **state)
{
    struct fixture *f = *state;
    f->plugs[0].does.request = wait_request; /* and wants no body: input is held */
    struct client *client = ask(f, LENGTH_HEAD "hello");
    request_pause_body(f->plugs[0].request, true);
    request_pause_body(f->plugs[0].request, false);
    turns(f);
    assert_int_equal(f->plugs[0].request->bytes_in, 0);
    request_resume(f->plugs[0].request, 0, WEIR_NEXT);
    turns(f);
    expect_journal(f, ASKED "(hello) ");
    client_closes(f, client);
}

static void test_body_that_was_paused_is_read_away_behind_an_early_answer(void **state)
{
    struct fixture *f = *state;
    pauses = true;
    struct client *client = ask(f, CHUNKED_HEAD "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n");
    answer(f);
    client_says(f, client, "0\r\n\r\n" GET_HEAD);
    expect_journal(f, ASKED "(a) (b) (c) (). [] " DONE ASKED);
    assert_false(client->ended);
}

static void test_next_request_is_not_paused(void **state)
{
    struct fixture *f = *state;
    pauses = true;
    struct client *client = ask(f, LENGTH_HEAD "hello world");
    request_pause_body(request_of(f), true); /* behind the last byte: nothing is left to pause */
    answer(f);
    pauses = false;
    client_says(f, client, LENGTH_HEAD "hello world");
    expect_journal(f, ASKED "(hello world). [] " DONE ASKED "(hello world). [] ");
}

/* --- trailers --- */

static void test_trailers_are_kept_however_they_are_split(void **state)
{
    static const char wire[] = CHUNKED_HEAD "5\r\nhello\r\n0\r\nSum: 1\r\nEmpty:\r\n\r\n";
    struct fixture *f = *state;
    for (size_t split = strlen(CHUNKED_HEAD); split < sizeof wire - 1; split++) {
        struct client *client = connect_client(f, 0);
        client_send(f, client, (struct span){(const uint8_t *)wire, split});
        turns(f);
        client_send(f, client, span_from(span_of(wire), split));
        turns(f);
        assert_true(contains((const char *)f->journal.data, "(). [Sum: 1\r\nEmpty:\r\n] "));
        assert_int_equal(request_of(f)->bytes_in, 5);
        f->journal.size = 0;
        client_closes(f, client);
        client->ended = false;
        f->journal.size = 0;
    }
}

static void test_nobody_keeps_trailers_of_a_body_that_nobody_wants(void **state)
{
    struct fixture *f = *state;
    f->plugs[2].does.request = accept_or_hello;
    struct client *client = ask(f, CHUNKED_HEAD "0\r\n");
    client_says(f, client, "Sum: 1\r\n");
    assert_int_equal(request_trailers(request_of(f)).size, 0);
    assert_null(request_of(f)->extra);
    client_says(f, client, "\r\n");
    assert_false(client->ended);
}

/* --- limits --- */

static void test_length_up_to_the_routes_limit_is_taken(void **state)
{
    struct fixture *f = *state;
    f->route_config.max_body_size = 11;
    struct client *client = ask(f, LENGTH_HEAD "hello world");
    expect_journal(f, ASKED "(hello world). [] ");
    answer(f);
    assert_true(contains(received(client), "HTTP/1.1 200 "));
    f->route_config.max_body_size = 10;
    client_says(f, client, LENGTH_HEAD "hello world");
    assert_true(contains(received(client), "HTTP/1.1 413 "));
    assert_true(client->ended);
}

static void test_chunks_up_to_the_routes_limit_are_taken(void **state)
{
    struct fixture *f = *state;
    f->route_config.max_body_size = 5;
    struct client *client = ask(f, CHUNKED_HEAD);
    client_says(f, client, "5\r\nhello\r\n0\r\nTrailer: longer than that\r\n\r\n");
    answer(f);
    assert_true(contains(received(client), "HTTP/1.1 200 "));
    client_says(f, client, CHUNKED_HEAD);
    client_says(f, client, "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n");
    assert_true(contains(received(client), "HTTP/1.1 413 "));
    assert_true(client->ended);
}

static void test_limit_is_that_of_the_route_of_the_path(void **state)
{
    struct fixture *f = *state;
    static struct config_route wide;
    static struct route routes[2];
    wide = f->route_config;
    wide.path = (char *)(uintptr_t) "/up";
    wide.max_body_size = 11;
    f->route_config.max_body_size = 10;
    routes[0] = f->route;
    routes[1] = f->route;
    routes[1].config = &wide;
    f->generation.routes = routes;
    f->generation.route_count = 2;
    struct client *client = ask(f, LENGTH_HEAD);
    assert_true(contains(received(client), "HTTP/1.1 413 "));
    client_closes(f, client);
    client->ended = false;
    client = ask(f, "POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world");
    expect_journal(f, ASKED "(hello world). [] ");
}

/* --- encoded slashes (decision 007) --- */

#define SLASH_HEAD "GET /a%2Fb HTTP/1.1\r\nHost: x\r\n\r\n"

static void test_encoded_slash_is_refused_where_nothing_is_forwarded(void **state)
{
    struct fixture *f = *state;
    struct client *client = ask(f, SLASH_HEAD);
    assert_true(contains(received(client), "HTTP/1.1 400 "));
    assert_true(client->ended);
    expect_journal(f, "");
}

static void test_encoded_slash_reaches_a_handler_that_forwards(void **state)
{
    struct fixture *f = *state;
    f->route_config.handler.kind = CONFIG_PLUGIN_PROXY;
    ask(f, SLASH_HEAD);
    expect_journal(f, ASKED);
    assert_true(span_equal(request_path(request_of(f)), SPAN("/a%2Fb")));
    assert_true(span_equal(request_target(request_of(f)), SPAN("/a%2Fb")));
}

/* With the routes `/` and `/admin`, both of which forward. */
static void expect_around(struct fixture *f, const char *path, bool is_taken)
{
    static struct config_route guarded;
    static struct route routes[2];
    char head[128];
    f->route_config.handler.kind = CONFIG_PLUGIN_PROXY;
    guarded = f->route_config;
    guarded.path = (char *)(uintptr_t) "/admin";
    routes[0] = f->route;
    routes[1] = f->route;
    routes[1].config = &guarded;
    f->generation.routes = routes;
    f->generation.route_count = 2;
    snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    struct client *client = ask(f, head);
    assert_int_equal(contains(received(client), "HTTP/1.1 400 "), !is_taken);
    expect_journal(f, is_taken ? ASKED : "");
}

static void test_encoded_slash_leads_around_no_route(void **state)
{
    expect_around(*state, "/admin%2Fx", false);
}

static void test_encoded_slash_in_front_leads_around_no_route(void **state)
{
    expect_around(*state, "/%2fadmin", false);
}

static void test_encoded_slash_within_a_route_passes(void **state)
{
    expect_around(*state, "/admin/a%2Fb", true);
}

static void test_encoded_slash_beside_a_route_passes(void **state)
{
    expect_around(*state, "/administer%2Fx", true);
}

#define TAKE_TEST(function) cmocka_unit_test_setup_teardown(function, take_make, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TAKE_TEST(test_framing_is_told_with_the_whole_length),
        TAKE_TEST(test_paused_body_stays_until_it_goes_on),
        TAKE_TEST(test_paused_body_is_not_late),
        TAKE_TEST(test_pause_does_not_end_a_wait),
        TAKE_TEST(test_body_that_was_paused_is_read_away_behind_an_early_answer),
        TAKE_TEST(test_next_request_is_not_paused),
        TAKE_TEST(test_trailers_are_kept_however_they_are_split),
        TAKE_TEST(test_nobody_keeps_trailers_of_a_body_that_nobody_wants),
        TAKE_TEST(test_length_up_to_the_routes_limit_is_taken),
        TAKE_TEST(test_chunks_up_to_the_routes_limit_are_taken),
        TAKE_TEST(test_limit_is_that_of_the_route_of_the_path),
        TAKE_TEST(test_encoded_slash_is_refused_where_nothing_is_forwarded),
        TAKE_TEST(test_encoded_slash_reaches_a_handler_that_forwards),
        TAKE_TEST(test_encoded_slash_leads_around_no_route),
        TAKE_TEST(test_encoded_slash_in_front_leads_around_no_route),
        TAKE_TEST(test_encoded_slash_within_a_route_passes),
        TAKE_TEST(test_encoded_slash_beside_a_route_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
