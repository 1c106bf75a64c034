/* What the client sees, and the server's record, when a backend fails: each kind of failure at each
 * point of an exchange. */
#include "proxy_fixture.h"
#include "upstream/server.h"

#define GET "GET /x HTTP/1.1\r\nHost: example.com\r\n\r\n"
#define POST "POST /x HTTP/1.1\r\nHost: example.com\r\nContent-Length: 2\r\n\r\nhi"
#define OK2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static unsigned errors(void)
{
    return (unsigned)atomic_load(&px.worker->items[0].roster->servers[0]->errors);
}

/* --- no connection --- */

static void test_answers_502_when_no_backend_listens(void **state)
{
    (void)state;
    start();
    stop_listening();
    struct client *client = client_asks(0, GET);
    expect_status(client, 502);
    assert_false(client->ended);
    assert_string_equal(px.record.name, "back");
    assert_int_equal(px.record.status, 0);
    assert_int_equal(px.record.tries, 1);
    assert_memory_equal(px.record.server, "unix:/tmp/weir-proxy-", 21);
    assert_int_equal(px.record.connect_us, 0);
}

static void test_tells_of_no_server_where_none_was_tried(void **state)
{
    (void)state;
    start();
    server_set_state(px.worker->items[0].roster->servers[0], CONFIG_SERVER_DOWN, 0);
    struct client *client = client_asks(0, GET);
    expect_status(client, 503);
    assert_int_equal(px.record.tries, 0);
    assert_string_equal(px.record.server, "");
}

static void test_reads_away_the_body_of_a_request_that_failed(void **state)
{
    (void)state;
    start();
    stop_listening();
    struct client *client = client_asks(0, POST);
    expect_status(client, 502);
    client_asks(0, GET);
    expect_status(client, 502);
}

static void test_lets_the_dial_go_when_the_client_goes(void **state)
{
    (void)state;
    start();
    connect_client(px.f, 0);
    client_send(px.f, &px.f->clients[0], SPAN(GET));
    assert_true(loop_turn(px.f->worker.loop, false)); /* the request is read, and dials */
    client_closes(px.f, &px.f->clients[0]);
    run();
    assert_int_equal(upstream_worker_busy(px.worker), 0);
}

/* --- before a head --- */

static void test_answers_502_to_a_backend_that_hangs_up(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, GET);
    end_closes(0);
    expect_status(client, 502);
    assert_int_equal(px.accepted, 1); /* it was fresh: no second try */
    assert_int_equal(errors(), 1);
}

static void test_answers_502_to_half_a_head(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, GET);
    end_says(0, "HTTP/1.1 200 OK\r\nContent-Le");
    end_closes(0);
    expect_status(client, 502);
}

static void test_answers_502_to_what_is_no_response(void **state)
{
    static const char *const answers[] = {
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
    };
    (void)state;
    start_with("{}", "    ejection: off\n");
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        px.accepted = 0;
        struct client *client = client_asks(0, GET);
        end_says(0, answers[i]);
        expect_status(client, 502);
        assert_false(client->ended);
        assert_true(px.ends[0].ended);
        assert_int_equal(errors(), i + 1);
        close(px.ends[0].fd);
        px.ends[0] = (struct backend_end){.fd = -1, .in = px.ends[0].in};
    }
}

static void test_limits_the_head(void **state)
{
    char head[300];
    (void)state;
    start_with("{\"max_head_size\": 256}", "");
    for (unsigned over = 0; over < 2; over++) {
        static const char start_of_head[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ";
        int rest = 256 + (int)over - (int)sizeof start_of_head + 1 - 4;
        snprintf(head, sizeof head, "%s%0*d\r\n\r\n", start_of_head, rest, 0);
        assert_int_equal(strlen(head), 256 + over);
        struct client *client = client_asks(0, GET);
        end_says(0, head);
        expect_status(client, over ? 502 : 200);
    }
}

static void test_limits_interim_responses(void **state)
{
    (void)state;
    start_with("{}", "");
    struct client *client = client_asks(0, GET);
    for (unsigned i = 0; i < 16; i++) {
        end_says(0, "HTTP/1.1 103 Early Hints\r\n\r\n");
    }
    assert_int_equal(count_of(received(client), "HTTP/1.1 103 "), 16);
    end_says(0, "HTTP/1.1 103 Early Hints\r\n\r\n");
    expect_status(client, 502);
}

static void test_answers_504_to_a_silent_backend(void **state)
{
    (void)state;
    start_with("{\"read_timeout\": 5000}", "");
    struct client *client = client_asks(0, GET);
    pass_backend_ms(4800);
    assert_string_equal(received(client), "");
    pass_backend_ms(400);
    expect_status(client, 504);
    assert_true(px.ends[0].ended);
    assert_int_equal(errors(), 1);
}

static void test_counts_the_silence_from_the_last_byte(void **state)
{
    (void)state;
    start_with("{\"read_timeout\": 5000}", "");
    struct client *client = client_asks(0, GET);
    pass_backend_ms(4000);
    end_says(0, "HTTP/1.1 200 OK\r\n");
    pass_backend_ms(4000);
    assert_string_equal(received(client), "");
    pass_backend_ms(1200);
    expect_status(client, 504);
}

/* The client's own patience (body_timeout) is for that. */
static void test_does_not_blame_the_backend_for_a_slow_upload(void **state)
{
    (void)state;
    start_with("{\"read_timeout\": 5000}", "");
    client_asks(0, "POST /x HTTP/1.1\r\nHost: e\r\nContent-Length: 2\r\n\r\n");
    pass_backend_ms(20000);
    client_asks(0, "hi");
    assert_true(contains(end_received(0), "\r\n\r\nhi"));
    end_says(0, OK2);
    expect_status(&px.f->clients[0], 200);
}

static void test_blames_the_backend_that_never_says_continue(void **state)
{
    (void)state;
    start_with("{\"read_timeout\": 5000}", "");
    struct client *client = client_asks(0, "POST /x HTTP/1.1\r\nHost: e\r\nContent-Length: 2\r\n"
                                           "Expect: 100-continue\r\n\r\n");
    pass_backend_ms(5200);
    expect_status(client, 504);
    assert_true(client->ended); /* the body is in doubt */
}

/* --- within a body --- */

static void test_cuts_a_response_whose_rest_does_not_come(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, GET);
    end_says(0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    end_closes(0);
    assert_string_equal(body_of(received(client)), "he");
    assert_true(client->ended);
}

static void test_cuts_chunks_whose_end_does_not_come(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, GET);
    end_says(0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n");
    end_closes(0);
    assert_string_equal(body_of(received(client)), "2\r\nhe\r\n");
    assert_true(client->ended);
}

static void test_cuts_chunks_that_go_wrong(void **state)
{
    (void)state;
    start();
    struct client *client = client_asks(0, GET);
    end_says(0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\nxyz\r\n");
    assert_string_equal(body_of(received(client)), "2\r\nhe\r\n");
    assert_true(client->ended);
    assert_true(px.ends[0].ended);
}

static void test_cuts_a_body_that_stalls(void **state)
{
    (void)state;
    start_with("{\"read_timeout\": 5000}", "");
    struct client *client = client_asks(0, GET);
    end_says(0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    pass_backend_ms(5200);
    assert_string_equal(body_of(received(client)), "he");
    assert_true(client->ended);
    assert_true(px.ends[0].ended);
}

/* --- second tries --- */

/* A connection in the pool, whose next request the backend hangs up on. */
static struct client *ask_twice(const char *second)
{
    struct client *client = client_asks(0, GET);
    end_says(0, OK2);
    expect_status(client, 200);
    end_received(0);
    client_asks(0, second);
    assert_int_equal(px.accepted, 1);
    return client;
}

static void test_tries_again_when_a_kept_connection_is_dead(void **state)
{
    (void)state;
    start();
    struct client *client = ask_twice(GET);
    end_closes(0);
    assert_int_equal(px.accepted, 2);
    assert_true(contains(end_received(1), "GET /x "));
    end_says(1, OK2);
    expect_status(client, 200);
    assert_int_equal(errors(), 0);
    assert_int_equal(px.record.tries, 2);
}

static void test_tries_again_only_once(void **state)
{
    (void)state;
    start();
    struct client *client = ask_twice(GET);
    end_closes(0);
    end_closes(1);
    assert_int_equal(px.accepted, 2);
    expect_status(client, 502);
}

static void test_never_repeats_a_post(void **state)
{
    (void)state;
    start();
    struct client *client = ask_twice("POST /x HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n");
    end_closes(0);
    expect_status(client, 502);
    assert_int_equal(px.accepted, 1);
}

static void test_never_repeats_a_body_that_has_begun(void **state)
{
    (void)state;
    start();
    struct client *client = ask_twice("PUT /x HTTP/1.1\r\nHost: e\r\nContent-Length: 4\r\n\r\nhi");
    end_closes(0);
    expect_status(client, 502);
    assert_int_equal(px.accepted, 1);
}

static void test_never_repeats_after_a_part_of_an_answer(void **state)
{
    (void)state;
    start();
    struct client *client = ask_twice(GET);
    end_says(0, "H");
    end_closes(0);
    expect_status(client, 502);
    assert_int_equal(px.accepted, 1);
}

static void test_repeats_a_body_that_waits_for_continue(void **state)
{
    (void)state;
    start();
    struct client *client = ask_twice("PUT /x HTTP/1.1\r\nHost: e\r\nContent-Length: 2\r\n"
                                      "Expect: 100-continue\r\n\r\n");
    end_closes(0);
    assert_int_equal(px.accepted, 2);
    end_says(1, "HTTP/1.1 100 Continue\r\n\r\n");
    client_asks(0, "hi");
    assert_string_equal(body_of(end_received(1)), "hi");
    end_says(1, OK2);
    assert_true(contains(received(client), "HTTP/1.1 200 OK\r\n"));
}

/* --- what counts against a server --- */

static void test_tells_the_servers_record(void **state)
{
    static const struct {
        const char *status;
        bool counts;
    } cases[] = {{"200", false}, {"404", false}, {"500", true}, {"501", false},
                 {"502", true},  {"503", true},  {"504", true}, {"505", false}};
    unsigned wanted = 0;
    (void)state;
    start_with("{}", "    ejection: off\n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char answer[64];
        snprintf(answer, sizeof answer, "HTTP/1.1 %s X\r\nContent-Length: 0\r\n\r\n",
                 cases[i].status);
        client_asks(0, GET);
        end_says(0, answer);
        wanted += cases[i].counts;
        assert_int_equal(errors(), wanted);
    }
}

/* --- the client goes --- */

static void test_lets_the_backend_know_that_the_client_has_gone(void **state)
{
    (void)state;
    start();
    client_asks(0, GET);
    client_closes(px.f, &px.f->clients[0]);
    run();
    assert_true(px.ends[0].ended);
    assert_int_equal(upstream_worker_busy(px.worker), 0);
}

static void test_lets_the_backend_know_within_an_upload(void **state)
{
    (void)state;
    start();
    client_asks(0, "POST /x HTTP/1.1\r\nHost: e\r\nContent-Length: 10\r\n\r\nhello");
    client_closes(px.f, &px.f->clients[0]);
    run();
    assert_true(px.ends[0].ended);
}

static void test_lets_the_backend_know_within_a_download(void **state)
{
    (void)state;
    start();
    client_asks(0, GET);
    end_says(0, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    client_closes(px.f, &px.f->clients[0]);
    run();
    assert_true(px.ends[0].ended);
}

static void test_takes_a_client_that_ends_its_direction_to_be_gone(void **state)
{
    (void)state;
    start();
    client_asks(0, GET);
    shutdown(px.f->clients[0].fd, SHUT_WR);
    run();
    assert_true(px.ends[0].ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROXY_TEST(test_answers_502_when_no_backend_listens),
        PROXY_TEST(test_tells_of_no_server_where_none_was_tried),
        PROXY_TEST(test_reads_away_the_body_of_a_request_that_failed),
        PROXY_TEST(test_lets_the_dial_go_when_the_client_goes),
        PROXY_TEST(test_answers_502_to_a_backend_that_hangs_up),
        PROXY_TEST(test_answers_502_to_half_a_head),
        PROXY_TEST(test_answers_502_to_what_is_no_response),
        PROXY_TEST(test_limits_the_head),
        PROXY_TEST(test_limits_interim_responses),
        PROXY_TEST(test_answers_504_to_a_silent_backend),
        PROXY_TEST(test_counts_the_silence_from_the_last_byte),
        PROXY_TEST(test_does_not_blame_the_backend_for_a_slow_upload),
        PROXY_TEST(test_blames_the_backend_that_never_says_continue),
        PROXY_TEST(test_cuts_a_response_whose_rest_does_not_come),
        PROXY_TEST(test_cuts_chunks_whose_end_does_not_come),
        PROXY_TEST(test_cuts_chunks_that_go_wrong),
        PROXY_TEST(test_cuts_a_body_that_stalls),
        PROXY_TEST(test_tries_again_when_a_kept_connection_is_dead),
        PROXY_TEST(test_tries_again_only_once),
        PROXY_TEST(test_never_repeats_a_post),
        PROXY_TEST(test_never_repeats_a_body_that_has_begun),
        PROXY_TEST(test_never_repeats_after_a_part_of_an_answer),
        PROXY_TEST(test_repeats_a_body_that_waits_for_continue),
        PROXY_TEST(test_tells_the_servers_record),
        PROXY_TEST(test_lets_the_backend_know_that_the_client_has_gone),
        PROXY_TEST(test_lets_the_backend_know_within_an_upload),
        PROXY_TEST(test_lets_the_backend_know_within_a_download),
        PROXY_TEST(test_takes_a_client_that_ends_its_direction_to_be_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
