/* What a plugin may do with a request: read its body, accept its upgrade, look at repeated fields.
 */
#include "lua/fakes.h"

static const char BODY_PLUGIN[] =
    "return {on_request = function(req)\n"
    "    local body, word = req:body(tonumber(req.query.max))\n"
    "    assert(not body or body == req:body())\n"
    "    if req.query.pass then return end\n"
    "    local ok, closed = req:reply(200, nil, (body or 'nil') .. ' ' .. tostring(word))\n"
    "    weir.log.info(word)\n"
    "end}";

static struct weir_request *new_request(struct weir_session **session, const char *query,
                                        enum request_framing framing, uint64_t length)
{
    *session = fake_session();
    (*session)->request->query = query;
    (*session)->request->framing = framing;
    (*session)->request->body_length = length;
    (*session)->request->is_plain = true;
    return (*session)->request;
}

static void give(struct fake_loaded *plugin, struct weir_request *request, const char *piece,
                 int last)
{
    struct weir_bytes bytes = {(const uint8_t *)piece, strlen(piece)};
    fake_ops()->on_body(plugin->self, request, 0, bytes, last);
}

static void end(struct fake_loaded *plugin, struct weir_session *session)
{
    struct weir_ending ending = {.struct_size = sizeof ending, .closed_by = "client", .words = ""};
    fake_ops()->on_done(plugin->self, session->request, 0, &ending);
    fake_session_free(session);
}

static void test_a_body_comes_in_pieces(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load(BODY_PLUGIN);
    struct weir_session *session;
    struct weir_request *request = new_request(&session, "", REQUEST_CHUNKED, 0);
    assert_int_equal(fake_ops()->on_request(plugin.self, request, 0), WEIR_WAIT);
    assert_true(request->body_wanted);
    give(&plugin, request, "one ", 0);
    give(&plugin, request, "two", 0);
    fake_advance(10);
    assert_int_equal(request->resumed, 0);
    give(&plugin, request, "", 1);
    assert_int_equal(request->resumed, 0); /* not within on_body */
    fake_advance(0);
    assert_int_equal(request->verdict, WEIR_REPLY);
    assert_string_equal(request->reply, "one two nil");
    end(&plugin, session);
    fake_unload(&plugin);
}

static void test_a_request_without_a_body_does_not_wait(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load(BODY_PLUGIN);
    struct weir_session *session;
    struct weir_request *request = new_request(&session, "pass=1", REQUEST_NO_BODY, 0);
    assert_int_equal(fake_ops()->on_request(plugin.self, request, 0), WEIR_NEXT);
    assert_false(request->body_wanted);
    end(&plugin, session);
    fake_unload(&plugin);
}

static void test_both_sides_of_the_largest_body(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load(BODY_PLUGIN);
    struct weir_session *session;
    struct weir_request *request = new_request(&session, "max=5", REQUEST_LENGTH, 5);
    assert_int_equal(fake_ops()->on_request(plugin.self, request, 0), WEIR_WAIT);
    give(&plugin, request, "12345", 1);
    fake_advance(0);
    assert_string_equal(request->reply, "12345 nil");
    end(&plugin, session);

    request = new_request(&session, "max=5", REQUEST_LENGTH, 6);
    assert_int_equal(fake_ops()->on_request(plugin.self, request, 0), WEIR_REPLY);
    assert_string_equal(request->reply, "nil too large");
    assert_false(request->body_wanted);
    end(&plugin, session);

    request = new_request(&session, "max=5", REQUEST_CHUNKED, 0);
    assert_int_equal(fake_ops()->on_request(plugin.self, request, 0), WEIR_WAIT);
    give(&plugin, request, "12345", 0);
    give(&plugin, request, "6", 0);
    give(&plugin, request, "7", 1);
    fake_advance(0);
    assert_string_equal(request->reply, "nil too large");
    assert_int_equal(request->resumed, 1);
    end(&plugin, session);
    fake_unload(&plugin);
}

static void test_a_body_that_was_read_must_be_answered(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load(BODY_PLUGIN);
    struct weir_session *session;
    struct weir_request *request = new_request(&session, "pass=1", REQUEST_LENGTH, 1);
    assert_int_equal(fake_ops()->on_request(plugin.self, request, 0), WEIR_WAIT);
    give(&plugin, request, "x", 1);
    fake_advance(0);
    assert_int_equal(request->replied_status, 500);
    end(&plugin, session);
    fake_unload(&plugin);
}

static void test_the_end_of_the_client_or_the_plugin_ends_the_wait(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load(BODY_PLUGIN);
    struct weir_session *session;
    struct weir_request *request = new_request(&session, "", REQUEST_LENGTH, 9);
    assert_int_equal(fake_ops()->on_request(plugin.self, request, 0), WEIR_WAIT);
    give(&plugin, request, "some", 0);
    end(&plugin, session);
    fake_advance(0);

    request = new_request(&session, "", REQUEST_LENGTH, 9);
    assert_int_equal(fake_ops()->on_request(plugin.self, request, 0), WEIR_WAIT);
    give(&plugin, request, "some", 0);
    end(&plugin, session);
    fake_unload(&plugin);
}

static void test_accept_says_what_the_answer_has(void **state)
{
    (void)state;
    static const struct {
        const char *call;
        enum weir_verdict verdict;
        const char *prepared;
    } rows[] = {
        {"req:accept()", WEIR_ACCEPT, "(any)\n"},
        {"req:accept{subprotocol = 'chat.v1', headers = {['x-a'] = {'1', 2}}}", WEIR_ACCEPT,
         "chat.v1\nx-a: 1\nx-a: 2\n"},
        {"req:accept{subprotocol = ''}", WEIR_ACCEPT, "\n"},
        {"(function() local ok, word = req:accept{subprotocol = 'chat.v2'}\n"
         "assert(ok == nil and word == 'not offered') end)()",
         WEIR_NEXT, ""},
        {"(function() assert(not pcall(req.accept, req, {headers = {Upgrade = 'x'}}))\n"
         "assert(not pcall(req.accept, req, {subprotocol = 1}))\n"
         "assert(not pcall(req.accept, req, 'x')) end)()",
         WEIR_NEXT, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "return {on_request = function(req) local _ = %s end}",
                 rows[i].call);
        struct fake_loaded plugin = fake_load(text);
        struct weir_session *session = fake_session();
        assert_int_equal(fake_ops()->on_request(plugin.self, session->request, 0), rows[i].verdict);
        if (rows[i].prepared != NULL) {
            assert_string_equal(session->request->reply, rows[i].prepared);
        }
        end(&plugin, session);
        fake_unload(&plugin);
    }
}

static void test_accept_is_for_requests_that_ask_for_websocket(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load("return {on_request = function(req) req:accept() end}");
    struct weir_session *session;
    struct weir_request *request = new_request(&session, "", REQUEST_NO_BODY, 0);
    assert_int_equal(fake_ops()->on_request(plugin.self, request, 0), WEIR_REPLY);
    assert_int_equal(request->replied_status, 500);
    end(&plugin, session);
    fake_unload(&plugin);
}

static void test_accept_is_for_on_request(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("return {on_message = function(conn)\n"
                  "    local ok, words = pcall(conn.request.accept, conn.request)\n"
                  "    assert(not ok and words:find('for on_request'))\n"
                  "    assert(conn.request:body() == '')\n"
                  "    conn:send('done')\n"
                  "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_NEXT);
    assert_string_equal(session->sent[0].data, "done");
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_header_values_lists_what_headers_joins(void **state)
{
    (void)state;
    static const char *const headers[] = {"X-Many", "a", "Other", "o", "x-many", "b, c", NULL};
    struct fake_loaded plugin =
        fake_load("return {on_request = function(req)\n"
                  "    local all = req:header_values('X-MANY')\n"
                  "    assert(#all == 2 and all[1] == 'a' and all[2] == 'b, c')\n"
                  "    assert(#req:header_values('none') == 0)\n"
                  "    assert(req.headers['X-many'] == 'a, b, c')\n"
                  "    return false\n"
                  "end}");
    struct weir_session *session = fake_session();
    session->request->headers = headers;
    assert_int_equal(fake_ops()->on_request(plugin.self, session->request, 0), WEIR_DROP);
    end(&plugin, session);
    fake_unload(&plugin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_body_comes_in_pieces),
        cmocka_unit_test(test_a_request_without_a_body_does_not_wait),
        cmocka_unit_test(test_both_sides_of_the_largest_body),
        cmocka_unit_test(test_a_body_that_was_read_must_be_answered),
        cmocka_unit_test(test_the_end_of_the_client_or_the_plugin_ends_the_wait),
        cmocka_unit_test(test_accept_says_what_the_answer_has),
        cmocka_unit_test(test_accept_is_for_requests_that_ask_for_websocket),
        cmocka_unit_test(test_accept_is_for_on_request),
        cmocka_unit_test(test_header_values_lists_what_headers_joins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
