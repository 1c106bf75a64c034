/* weir.http.request: what it asks for, who waits for it, and what becomes of it when they end. */
#include "lua/fakes.h"

#define REQUEST "weir.http.request{url = 'http://a/'"

static int reset(void **state)
{
    (void)state;
    memset(fake_calls, 0, sizeof fake_calls);
    fake_cancelled = 0;
    return 0;
}

static struct fake_loaded load_on_message(const char *body)
{
    char text[2048];
    snprintf(text, sizeof text, "return {on_message = function(conn, data) %s end}", body);
    return fake_load(text);
}

static void test_a_request_parks_its_session_alone_until_the_answer(void **state)
{
    (void)state;
    struct fake_loaded plugin = load_on_message("local answer = " REQUEST "}"
                                                "conn:send(answer.status .. answer.body)");
    struct weir_session *one = fake_session();
    struct weir_session *two = fake_session();
    assert_int_equal(fake_message(&plugin, one, "x"), WEIR_WAIT);
    assert_int_equal(fake_message(&plugin, two, "y"), WEIR_WAIT);
    fake_answer(1, 200, "second");
    assert_string_equal(two->sent[0].data, "200second");
    assert_int_equal(two->resumed, 1);
    assert_int_equal(two->verdict, WEIR_NEXT);
    assert_int_equal(one->resumed, 0);
    fake_answer(0, 404, "");
    assert_string_equal(one->sent[0].data, "404");
    assert_int_equal(one->resumed, 1);
    fake_end(&plugin, one, 1000, "");
    fake_end(&plugin, two, 1000, "");
    assert_int_equal(fake_cancelled, 0);
    fake_unload(&plugin);
}

static void test_asks_as_it_was_told(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        load_on_message("weir.http.request{url = 'https://a/b', method = 'PUT', body = data,"
                        "headers = {['X-List'] = {'a', 2}}, timeout = 1.5, max_response = 99,"
                        "verify = false, ca = '/ca.pem'}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "bytes"), WEIR_WAIT);
    assert_string_equal(fake_calls[0].wished, "PUT https://a/b|X-List: a|X-List: 2|bytes|"
                                              "1500 99 0 /ca.pem");
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_asks_with_defaults(void **state)
{
    (void)state;
    struct fake_loaded plugin = load_on_message(REQUEST "}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_WAIT);
    assert_string_equal(fake_calls[0].wished, " http://a/||10000 1048576 1 ");
    assert_int_equal(fake_holds, 0);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_headers_are_found_in_any_case_and_one_by_one(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        load_on_message("local answer = " REQUEST "}"
                        "local h = answer.headers "
                        "conn:send(table.concat({h['x-one'], h['X-ONE'], tostring(h.none)}, ' ')) "
                        "conn:send(table.concat(answer:header_values('SET-COOKIE'), '|')) "
                        "conn:send(#answer:header_values('none') .. '')");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_WAIT);
    fake_answer(0, 200, "");
    assert_string_equal(session->sent[0].data, "1 1 nil");
    assert_string_equal(session->sent[1].data, "a=1|b=2");
    assert_string_equal(session->sent[2].data, "0");
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_failures_are_nil_and_words(void **state)
{
    (void)state;
    struct fake_loaded plugin = load_on_message("local answer, why = weir.http.request{url = data}"
                                                "conn:send(tostring(answer) .. ': ' .. why)");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "http://a/"), WEIR_WAIT);
    fake_answer(0, 0, "timeout");
    assert_string_equal(session->sent[0].data, "nil: timeout");
    assert_int_equal(fake_message(&plugin, session, "bad"), WEIR_NEXT); /* without a wait */
    assert_string_equal(session->sent[1].data, "nil: no valid URL");
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void throws(const char *code, const char *words)
{
    char text[512];
    snprintf(text, sizeof text,
             "local ok, why = pcall(function() return %s end) conn:send(tostring(why))", code);
    struct fake_loaded plugin = load_on_message(text);
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_NEXT);
    if (strstr(session->sent[0].data, words) == NULL) {
        fail_msg("%s: %s", code, session->sent[0].data);
    }
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_wrong_arguments_are_errors(void **state)
{
    (void)state;
    throws("weir.http.request('http://a/')", "table expected");
    throws("weir.http.request{}", "url is missing");
    throws("weir.http.request{url = 1}", "url must be a string");
    throws(REQUEST ", time_out = 1}", "no option time_out");
    throws(REQUEST ", [1] = 1}", "no option 1");
    throws(REQUEST ", timeout = 0}", "timeout must be");
    throws(REQUEST ", timeout = 3601}", "timeout must be");
    throws(REQUEST ", timeout = 0/0}", "timeout must be");
    throws(REQUEST ", timeout = '1'}", "timeout must be");
    throws(REQUEST ", max_response = -1}", "max_response must be");
    throws(REQUEST ", max_response = 1.5}", "max_response must be");
    throws(REQUEST ", verify = 'no'}", "verify must be true or false");
    throws(REQUEST ", headers = 'X: y'}", "headers must be a table");
    throws(REQUEST ", headers = {'X: y'}}", "names and values");
    throws(REQUEST ", headers = {x = {}, y = {true}}}", "a string or a number");
    assert_int_equal(fake_open_calls(), 0);
}

static void test_does_not_wait_where_nothing_can(void **state)
{
    (void)state;
    throws("table.sort({1, 2}, function() " REQUEST "} end)", "cannot wait here");
    struct fake_loaded plugin = fake_load_with(REQUEST "} return {}", "{}");
    assert_null(plugin.self);
    assert_non_null(strstr(plugin.error, "cannot wait here"));
    assert_int_equal(fake_open_calls(), 0);
    fake_unload(&plugin);
}

static void test_a_session_that_ends_cancels_its_request(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        load_on_message("if data == 'tell' then return conn:send(was) end "
                        "local answer, why = " REQUEST "}"
                        "was = tostring(why) .. ' ' .. tostring(select(2, conn:send('x')))");
    struct weir_session *session = fake_session();
    struct weir_session *other = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_WAIT);
    assert_int_equal(fake_message(&plugin, other, "y"), WEIR_WAIT);
    fake_end(&plugin, session, 1006, "");
    assert_int_equal(fake_cancelled, 1);
    assert_int_equal(fake_open_calls(), 1);
    fake_advance(1); /* it goes on with "closed" */
    assert_int_equal(fake_message(&plugin, other, "tell"), WEIR_NEXT);
    assert_string_equal(other->sent[0].data, "closed closed");
    fake_answer(1, 200, "");
    assert_int_equal(other->resumed, 1);
    fake_end(&plugin, other, 1000, "");
    fake_unload(&plugin);
}

static void test_a_request_outlives_its_session_where_it_is_told_to(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("return {on_message = function(conn) " REQUEST ", outlive = true}"
                  "    told = true"
                  " end,"
                  " on_open = function(conn) conn:send(tostring(told)) end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_WAIT);
    assert_int_equal(fake_holds, 1); /* a stop waits for it */
    fake_end(&plugin, session, 1006, "");
    assert_int_equal(fake_cancelled, 0);
    fake_answer(0, 200, "");
    assert_int_equal(fake_holds, 0);
    struct weir_session *later = fake_session();
    assert_int_equal(fake_ops()->on_open(plugin.self, later, 0), WEIR_NEXT);
    assert_string_equal(later->sent[0].data, "true");
    fake_end(&plugin, later, 1000, "");
    fake_unload(&plugin);
}

static void test_on_close_may_ask(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("return {on_close = function(conn) local answer = " REQUEST "}"
                  "    told = answer.body"
                  " end,"
                  " on_open = function(conn) conn:send(tostring(told)) end}");
    struct weir_session *session = fake_session();
    fake_end(&plugin, session, 1000, "");
    assert_int_equal(fake_cancelled, 0);
    fake_answer(0, 200, "heard");
    struct weir_session *later = fake_session();
    assert_int_equal(fake_ops()->on_open(plugin.self, later, 0), WEIR_NEXT);
    assert_string_equal(later->sent[0].data, "heard");
    fake_end(&plugin, later, 1000, ""); /* asks again, and is dropped with the plugin */
    assert_int_equal(fake_holds, 1);
    fake_unload(&plugin);
    assert_int_equal(fake_cancelled, 1);
    assert_int_equal(fake_holds, 0);
}

static void test_a_request_of_http_waits_and_ends_alike(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("return {on_request = function(req) local answer, why = " REQUEST "}"
                  "    return req:reply(200, nil, answer and answer.body or why)"
                  " end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_request(plugin.self, session->request, 0), WEIR_WAIT);
    fake_answer(0, 200, "hello");
    assert_int_equal(session->request->resumed, 1);
    assert_int_equal(session->request->verdict, WEIR_REPLY);
    assert_string_equal(session->request->reply, "hello");
    fake_end(&plugin, session, 1000, "");
    struct weir_session *gone = fake_session();
    assert_int_equal(fake_ops()->on_request(plugin.self, gone->request, 0), WEIR_WAIT);
    const struct weir_ending ending = {.struct_size = sizeof ending};
    fake_ops()->on_done(plugin.self, gone->request, 0, &ending);
    assert_int_equal(fake_cancelled, 1);
    fake_advance(1);
    assert_int_equal(gone->request->resumed, 0);
    fake_session_free(gone);
    fake_unload(&plugin);
}

static void test_timers_and_coroutines_may_ask(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("weir.timer.at(1, function()"
                  "    local co = coroutine.wrap(function()"
                  "        coroutine.yield(" REQUEST "}.body)"
                  "    end)"
                  "    told = co()"
                  " end)"
                  "return {on_open = function(conn)"
                  "    weir.spawn(function() told = told .. " REQUEST "}.body end)"
                  " end,"
                  " on_message = function(conn) conn:send(told) end}");
    fake_advance(1000);
    fake_answer(0, 200, "timer");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_open(plugin.self, session, 0), WEIR_NEXT);
    fake_advance(1);
    fake_answer(0, 200, " spawn");
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_NEXT);
    assert_string_equal(session->sent[0].data, "timer spawn");
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_asks_again_and_again_in_one_callback(void **state)
{
    (void)state;
    struct fake_loaded plugin = load_on_message("for i = 1, 3 do conn:send(" REQUEST "}.body) end");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_WAIT);
    fake_answer(0, 200, "1");
    fake_answer(0, 200, "2");
    assert_int_equal(session->resumed, 0);
    fake_answer(0, 200, "3");
    assert_int_equal(session->resumed, 1);
    assert_string_equal(session->sent[2].data, "3");
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_a_failure_after_the_answer_fails_the_session(void **state)
{
    (void)state;
    struct fake_loaded plugin = load_on_message("error(" REQUEST "}.body)");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_WAIT);
    fake_answer(0, 200, "late");
    assert_int_equal(session->failed, 1);
    assert_int_equal(session->verdict, WEIR_CLOSE);
    fake_end(&plugin, session, 1011, "");
    fake_unload(&plugin);
}

static void test_an_answer_that_no_memory_is_left_for_fails_its_session_alone(void **state)
{
    (void)state;
    lua_host_set_terms(&(struct lua_terms){.limits = {.cpu_limit_ms = 1000,
                                                      .memory_limit_bytes = 1 << 20,
                                                      .max_parked = 10,
                                                      .max_http_requests = 2}});
    struct fake_loaded plugin = load_on_message("local a = " REQUEST "} conn:send(#a.body .. '')");
    struct weir_session *session = fake_session();
    struct weir_session *other = fake_session();
    char *big = malloc(2 << 20);
    memset(big, 'x', 2 << 20);
    big[(2 << 20) - 1] = '\0';
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_WAIT);
    fake_answer(0, 200, big);
    free(big);
    assert_int_equal(session->failed, 1);
    assert_int_equal(fake_message(&plugin, other, "x"), WEIR_WAIT);
    fake_answer(0, 200, "ok");
    assert_string_equal(other->sent[0].data, "2");
    fake_end(&plugin, session, 1011, "");
    fake_end(&plugin, other, 1000, "");
    fake_unload(&plugin);
}

static void test_requests_under_way_are_bounded(void **state)
{
    (void)state;
    lua_host_set_terms(&(struct lua_terms){.limits = {.cpu_limit_ms = 1000,
                                                      .memory_limit_bytes = 4 << 20,
                                                      .max_parked = 10,
                                                      .max_http_requests = 2}});
    struct fake_loaded plugin = load_on_message("local answer, why = " REQUEST "}"
                                                "conn:send(answer and 'ok' or why)");
    struct weir_session *sessions[4];
    for (size_t i = 0; i < 4; i++) {
        sessions[i] = fake_session();
    }
    assert_int_equal(fake_message(&plugin, sessions[0], "x"), WEIR_WAIT);
    assert_int_equal(fake_message(&plugin, sessions[1], "x"), WEIR_WAIT);
    assert_int_equal(fake_message(&plugin, sessions[2], "x"), WEIR_NEXT);
    assert_string_equal(sessions[2]->sent[0].data, "too many requests");
    fake_answer(0, 200, "");
    assert_int_equal(fake_message(&plugin, sessions[3], "x"), WEIR_WAIT);
    for (size_t i = 0; i < 4; i++) {
        fake_end(&plugin, sessions[i], 1000, "");
    }
    fake_unload(&plugin);
    assert_int_equal(fake_open_calls(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_request_parks_its_session_alone_until_the_answer, reset),
        cmocka_unit_test_setup(test_asks_as_it_was_told, reset),
        cmocka_unit_test_setup(test_asks_with_defaults, reset),
        cmocka_unit_test_setup(test_headers_are_found_in_any_case_and_one_by_one, reset),
        cmocka_unit_test_setup(test_failures_are_nil_and_words, reset),
        cmocka_unit_test_setup(test_wrong_arguments_are_errors, reset),
        cmocka_unit_test_setup(test_does_not_wait_where_nothing_can, reset),
        cmocka_unit_test_setup(test_a_session_that_ends_cancels_its_request, reset),
        cmocka_unit_test_setup(test_a_request_outlives_its_session_where_it_is_told_to, reset),
        cmocka_unit_test_setup(test_on_close_may_ask, reset),
        cmocka_unit_test_setup(test_a_request_of_http_waits_and_ends_alike, reset),
        cmocka_unit_test_setup(test_timers_and_coroutines_may_ask, reset),
        cmocka_unit_test_setup(test_asks_again_and_again_in_one_callback, reset),
        cmocka_unit_test_setup(test_a_failure_after_the_answer_fails_the_session, reset),
        cmocka_unit_test_setup(test_an_answer_that_no_memory_is_left_for_fails_its_session_alone,
                               reset),
        cmocka_unit_test_setup(test_requests_under_way_are_bounded, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
