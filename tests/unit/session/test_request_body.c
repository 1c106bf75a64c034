/* Bodies of requests on their way in: who gets them, when the client is told to go on, and what
 * happens to those that nobody wants. */
#include "client_fixture.h"

static struct buffer body;
static unsigned pieces;
static unsigned lasts;

static int body_make(void **state)
{
    pieces = 0;
    lasts = 0;
    return fixture_make(state);
}

static int body_free(void **state)
{
    buffer_free(&body);
    return fixture_free(state);
}

static void gather(struct plug *plug, struct weir_request *request, struct span piece, bool last)
{
    assert_int_equal(lasts, 0);
    assert_int_equal(buffer_append(&body, piece), WEIR_OK);
    pieces++;
    lasts += last;
    if (last) {
        note(plug->f, "%c:body(%.*s) ", plug->name, SPAN_ARGS(buffer_span(&body)));
        assert_int_equal(request_reply(request, 200, NULL, 0, buffer_span(&body)), WEIR_OK);
    }
}

static enum weir_verdict want_and_reply(struct plug *plug, struct weir_request *request)
{
    request_want_body(request, plug->seat);
    return WEIR_REPLY;
}

static enum weir_verdict want_and_wait(struct plug *plug, struct weir_request *request)
{
    request_want_body(request, plug->seat);
    return WEIR_WAIT;
}

static void wants(struct fixture *f, unsigned seat)
{
    f->plugs[seat].does.request = want_and_reply;
    f->plugs[seat].does.body = gather;
}

/* Feeds `wire` split in two at every byte, each time to a new connection. */
static void expect_body(struct fixture *f, const char *wire, const char *wanted)
{
    size_t size = strlen(wire);
    for (size_t split = 0; split < size; split++) {
        struct client *client = connect_client(f, 0);
        body.size = 0;
        lasts = 0;
        client_send(f, client, (struct span){(const uint8_t *)wire, split});
        turns(f);
        client_send(f, client, span_from(span_of(wire), split));
        turns(f);
        assert_int_equal(lasts, 1);
        assert_string_equal(body_of(received(client)), wanted);
        assert_int_equal(body.size, strlen(wanted));
        assert_false(client->ended);
        client_closes(f, client);
        client->ended = false;
        f->journal.size = 0;
    }
}

#define LENGTH_HEAD "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n"
#define CHUNKED_HEAD "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
#define CHUNKS "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: t\r\n\r\n"

static void test_body_of_a_length_arrives_however_it_is_split(void **state)
{
    struct fixture *f = *state;
    wants(f, 1);
    expect_body(f, LENGTH_HEAD "\r\nhello world", "hello world");
}

static void test_chunked_body_arrives_however_it_is_split(void **state)
{
    struct fixture *f = *state;
    wants(f, 2);
    expect_body(f, CHUNKED_HEAD "\r\n" CHUNKS, "hello world");
}

static void test_body_arrives_while_the_plugin_waits(void **state)
{
    struct fixture *f = *state;
    wants(f, 1);
    f->plugs[1].does.request = want_and_wait;
    expect_body(f, LENGTH_HEAD "\r\nhello world", "hello world");
}

static void test_body_counts_and_unwinds(void **state)
{
    struct fixture *f = *state;
    wants(f, 0);
    struct client *client = connect_client(f, 0);
    client_says(f, client, CHUNKED_HEAD "\r\n" CHUNKS);
    expect_journal(f, "a:request a:body(hello world) a:done(200,gateway) ");
    assert_int_equal(f->ending.bytes_in, 11);
    assert_int_equal(f->ending.bytes_out, 11);
}

static void test_request_behind_a_body_is_the_next_one(void **state)
{
    struct fixture *f = *state;
    wants(f, 1);
    struct client *client = connect_client(f, 0);
    client_says(f, client, LENGTH_HEAD "\r\nhello world" GET_HEAD);
    expect_journal(f, "a:request b:request b:body(hello world) b:done(200,gateway) "
                      "a:done(200,gateway) a:request b:request ");
}

static void test_unwanted_body_is_read_away(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    client_says(f, client, LENGTH_HEAD "\r\nhello world" CHUNKED_HEAD "\r\n" CHUNKS GET_HEAD);
    assert_int_equal(count_of(received(client), "HTTP/1.1 200 OK"), 3);
    assert_false(client->ended);
}

/* --- 100 Continue (RFC 9110, section 10.1.1) --- */

#define EXPECT_HEAD LENGTH_HEAD "Expect: 100-continue\r\n\r\n"

static void test_client_is_told_to_continue_when_the_body_is_wanted(void **state)
{
    struct fixture *f = *state;
    wants(f, 1);
    struct client *client = connect_client(f, 0);
    client_says(f, client, EXPECT_HEAD);
    assert_string_equal(received(client), "HTTP/1.1 100 Continue\r\n\r\n");
    client_says(f, client, "hello world");
    assert_string_equal(body_of(received(client)), "hello world");
    assert_false(client->ended);
}

static void test_client_that_did_not_wait_is_told_once(void **state)
{
    struct fixture *f = *state;
    wants(f, 1);
    struct client *client = connect_client(f, 0);
    client_says(f, client, EXPECT_HEAD "hello world");
    assert_int_equal(count_of(received(client), "100 Continue"), 1);
    expect_journal(f, "a:request b:request b:body(hello world) b:done(200,gateway) "
                      "a:done(200,gateway) ");
}

static void test_answer_without_the_body_ends_the_connection_of_one_that_waits(void **state)
{
    struct fixture *f = *state;
    struct client *client = connect_client(f, 0);
    client_says(f, client, EXPECT_HEAD);
    const char *answer = received(client);
    assert_false(contains(answer, "100 Continue"));
    assert_true(contains(answer, "HTTP/1.1 200 OK"));
    assert_true(contains(answer, "Connection: close\r\n"));
    assert_true(client->ended);
}

/* --- bodies that go wrong --- */

static void test_body_over_the_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    f->route_config.max_body_size = 11;
    wants(f, 1);
    struct client *client = connect_client(f, 0);
    client_says(f, client, CHUNKED_HEAD "\r\n" CHUNKS);
    assert_true(contains(received(client), "HTTP/1.1 200 OK"));
    f->route_config.max_body_size = 10;
    body.size = 0;
    lasts = 0;
    client_says(f, client, CHUNKED_HEAD "\r\n" CHUNKS);
    assert_true(contains(received(client), "HTTP/1.1 413 "));
    assert_true(client->ended);
    assert_int_equal(lasts, 0);
    client = connect_client(f, 1);
    f->journal.size = 0;
    client_says(f, client, LENGTH_HEAD "\r\n");
    assert_true(contains(received(client), "HTTP/1.1 413 "));
    expect_journal(f, ""); /* refused by its head */
}

static void test_malformed_chunks_are_refused_and_unwound(void **state)
{
    struct fixture *f = *state;
    wants(f, 1);
    struct client *client = connect_client(f, 0);
    client_says(f, client, CHUNKED_HEAD "\r\n5\r\nhello\r\n");
    client_says(f, client, "nonsense\r\n");
    assert_true(contains(received(client), "HTTP/1.1 400 "));
    assert_true(client->ended);
    expect_journal(f, "a:request b:request b:done(400,gateway) a:done(400,gateway) ");
}

static void test_malformed_chunks_beside_the_head_are_refused_unasked(void **state)
{
    struct fixture *f = *state;
    wants(f, 1);
    struct client *client = connect_client(f, 0);
    client_says(f, client, CHUNKED_HEAD "\r\n5\r\nhello\r\nnonsense\r\n");
    assert_true(contains(received(client), "HTTP/1.1 400 "));
    assert_true(client->ended);
    expect_journal(f, "");
}

static void test_client_that_goes_within_its_body_unwinds(void **state)
{
    struct fixture *f = *state;
    wants(f, 1);
    struct client *client = connect_client(f, 0);
    client_says(f, client, LENGTH_HEAD "\r\nhello");
    client_closes(f, client);
    expect_journal(f, "a:request b:request b:done(0,client) a:done(0,client) ");
    assert_int_equal(f->ending.bytes_in, 5);
    assert_int_equal(lasts, 0);
}

#define BODY_TEST(function) cmocka_unit_test_setup_teardown(function, body_make, body_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BODY_TEST(test_body_of_a_length_arrives_however_it_is_split),
        BODY_TEST(test_chunked_body_arrives_however_it_is_split),
        BODY_TEST(test_body_arrives_while_the_plugin_waits),
        BODY_TEST(test_body_counts_and_unwinds),
        BODY_TEST(test_request_behind_a_body_is_the_next_one),
        BODY_TEST(test_unwanted_body_is_read_away),
        BODY_TEST(test_client_is_told_to_continue_when_the_body_is_wanted),
        BODY_TEST(test_client_that_did_not_wait_is_told_once),
        BODY_TEST(test_answer_without_the_body_ends_the_connection_of_one_that_waits),
        BODY_TEST(test_body_over_the_limit_is_refused),
        BODY_TEST(test_malformed_chunks_are_refused_and_unwound),
        BODY_TEST(test_malformed_chunks_beside_the_head_are_refused_unasked),
        BODY_TEST(test_client_that_goes_within_its_body_unwinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
