/* What plugins' callbacks are given, and what their results mean to the chain. */
#include "lua/fakes.h"

static void test_echoes_text_and_binary(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load("local echo = {}\n"
                                          "function echo.on_message(conn, data, kind)\n"
                                          "    assert(conn:send(data, kind) == true)\n"
                                          "end\n"
                                          "return echo\n");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_open(plugin.self, session, 0), WEIR_NEXT);
    assert_int_equal(fake_message(&plugin, session, "hello"), WEIR_NEXT);
    assert_int_equal(fake_message_kind(&plugin, session, "\xff\x01", WEIR_BINARY), WEIR_NEXT);
    assert_int_equal(session->sent_count, 2);
    assert_string_equal(session->sent[0].data, "hello");
    assert_int_equal(session->sent[0].kind, WEIR_TEXT);
    assert_int_equal(session->sent[1].kind, WEIR_BINARY);
    assert_int_equal(session->sent[1].size, 2);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_message_results_are_verdicts(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load("return {on_message = function(conn, data)\n"
                                          "    if data == 'nil' then return nil end\n"
                                          "    if data == 'true' then return true end\n"
                                          "    if data == 'false' then return false end\n"
                                          "    if data == 'text' then return 'changed' end\n"
                                          "    return data .. '!', 'binary'\n"
                                          "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "nil"), WEIR_NEXT);
    assert_int_equal(fake_message(&plugin, session, "true"), WEIR_NEXT);
    assert_int_equal(fake_message(&plugin, session, "false"), WEIR_DROP);
    assert_int_equal(session->passed_count, 0);
    assert_int_equal(fake_message(&plugin, session, "text"), WEIR_DROP);
    assert_int_equal(fake_message_kind(&plugin, session, "a", WEIR_TEXT), WEIR_DROP);
    assert_int_equal(session->passed_count, 2);
    assert_string_equal(session->passed[0].data, "changed");
    assert_int_equal(session->passed[0].kind, WEIR_TEXT);
    assert_string_equal(session->passed[1].data, "a!");
    assert_int_equal(session->passed[1].kind, WEIR_BINARY);
    assert_int_equal(session->failed, 0);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_wrong_message_result_fails_the_session(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load("return {on_message = function() return {} end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_CLOSE);
    assert_int_equal(session->failed, 1);
    fake_end(&plugin, session, 1011, "");
    fake_unload(&plugin);
}

static enum weir_verdict send_outwards(struct fake_loaded *plugin, struct weir_session *session,
                                       const char *text)
{
    struct weir_message message = {WEIR_TEXT, {(const uint8_t *)text, strlen(text)}};
    return fake_ops()->on_send(plugin->self, session, 0, &message);
}

static void test_send_filter_passes_changes_or_drops(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load("return {on_send = function(conn, data, kind)\n"
                                          "    if data == 'drop' then return end\n"
                                          "    if data == 'same kind' then return data, kind end\n"
                                          "    if data == 'equal' then return 'eq' .. 'ual' end\n"
                                          "    if data == 'binary' then return data, 'binary' end\n"
                                          "    if data == 'change' then return 'changed' end\n"
                                          "    return data\n"
                                          "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(send_outwards(&plugin, session, "same"), WEIR_NEXT);
    assert_int_equal(send_outwards(&plugin, session, "same kind"), WEIR_NEXT);
    assert_int_equal(send_outwards(&plugin, session, "equal"), WEIR_NEXT);
    assert_int_equal(send_outwards(&plugin, session, "drop"), WEIR_DROP);
    assert_int_equal(session->sent_count, 0);
    assert_int_equal(send_outwards(&plugin, session, "binary"), WEIR_DROP);
    assert_int_equal(session->sent[0].kind, WEIR_BINARY);
    assert_int_equal(send_outwards(&plugin, session, "change"), WEIR_DROP);
    assert_string_equal(session->sent[1].data, "changed");
    assert_int_equal(session->sent_count, 2);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

/* The filter is in front of the handler, in the same chain and, for the second session, even in the
 * same Lua state: its callback runs within the handler's. */
static void test_filter_runs_within_the_handlers_send(void **state)
{
    (void)state;
    struct fake_loaded filter =
        fake_load("return {on_send = function(conn, data) return '<' .. data .. '>' end}");
    struct fake_loaded both =
        fake_load("return {on_message = function(conn, data) conn:send(data) end,\n"
                  "        on_send = function(conn, data) return data:upper() end}");
    struct weir_session *session = fake_session();
    session->chain[0] = (struct fake_plugin){fake_ops(), filter.self};
    struct weir_message message = {WEIR_TEXT, {(const uint8_t *)"abc", 3}};
    assert_int_equal(fake_ops()->on_message(both.self, session, 1, &message), WEIR_NEXT);
    assert_string_equal(session->sent[0].data, "<abc>");
    session->chain[0] = (struct fake_plugin){fake_ops(), both.self};
    fake_ops()->on_close(filter.self, session, 0,
                         &(struct weir_ending){.code = 1000, .closed_by = "", .words = ""});
    assert_int_equal(fake_ops()->on_message(both.self, session, 1, &message), WEIR_NEXT);
    assert_string_equal(session->sent[1].data, "ABC");
    fake_ops()->on_close(both.self, session, 1,
                         &(struct weir_ending){.code = 1000, .closed_by = "", .words = ""});
    fake_end(&both, session, 1000, "");
    fake_unload(&both);
    fake_unload(&filter);
}

static void test_open_false_closes(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load("return {on_open = function(conn)\n"
                                          "    return conn.request.query.room == 'two'\n"
                                          "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_open(plugin.self, session, 0), WEIR_CLOSE);
    fake_end(&plugin, session, 1000, "");
    session = fake_session();
    session->request->query = "room=two";
    assert_int_equal(fake_ops()->on_open(plugin.self, session, 0), WEIR_NEXT);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_request_fields(void **state)
{
    (void)state;
    static const char *const headers[] = {"Cookie", "a=1",   "X-Two",  "first", "cookie",
                                          "b=2",    "X-TWO", "second", NULL};
    struct fake_loaded plugin = fake_load(
        "return {on_request = function(req)\n"
        "    assert(req.method == 'GET' and req.path == '/ws/a b')\n"
        "    assert(req.target == '/ws/a%20b?room=one' and req.host == 'example.com:5000')\n"
        "    assert(req.query.room == 'one' and req.query.empty == '' and req.query.none == nil)\n"
        "    assert(req.query == req.query and req.headers == req.headers)\n"
        "    assert(req.query_string == 'room=one&empty=&room=two')\n"
        "    assert(req.headers.cookie == 'a=1; b=2' and req.headers['Cookie'] == 'a=1; b=2')\n"
        "    assert(req.headers['x-two'] == 'first, second' and req.headers.none == nil)\n"
        "    assert(req.headers[1] == nil)\n"
        "    local names = {}\n"
        "    for name in pairs(req.headers) do names[#names + 1] = name end\n"
        "    table.sort(names)\n"
        "    assert(table.concat(names, ' ') == 'cookie x-two')\n"
        "    assert(req.scheme == 'ws' and req.remote == '192.0.2.7' and req.id == 77)\n"
        "    assert(req.remote_port == 40000 and req.subprotocol == 'chat.v1')\n"
        "    assert(req.client_subject == 'CN=someone' and req.user == 'ada' and req.http_version "
        "== '1.1')\n"
        "    assert(req.route == '/ws' and req.is_websocket == true and req.nothing == nil)\n"
        "    assert(not pcall(function() req.path = '/' end))\n"
        "    return false\n"
        "end}");
    struct weir_session *session = fake_session();
    session->request->headers = headers;
    assert_int_equal(fake_ops()->on_request(plugin.self, session->request, 0), WEIR_DROP);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_request_becomes_conn_request(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("local seen\n"
                  "return {on_request = function(req) seen = req end,\n"
                  "        on_open = function(conn)\n"
                  "            return conn.request == seen and conn.request.path == '/ws/a b'\n"
                  "        end,\n"
                  "        on_close = function(conn) assert(conn.request == seen) end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_request(plugin.self, session->request, 0), WEIR_NEXT);
    assert_int_equal(fake_ops()->on_open(plugin.self, session, 0), WEIR_NEXT);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_reply_with_fields_and_lists(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("return {on_request = function(req)\n"
                  "    return req:reply(401, {['set-cookie'] = {'a=1', 'b=2'}}, 'sign in')\n"
                  "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_request(plugin.self, session->request, 0), WEIR_REPLY);
    assert_int_equal(session->request->replied_status, 401);
    assert_string_equal(session->request->reply, "set-cookie: a=1\nset-cookie: b=2\nsign in");
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_reply_counts_without_return(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("return {on_request = function(req) req:reply(200, {['x-n'] = 7}) end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_request(plugin.self, session->request, 0), WEIR_REPLY);
    assert_string_equal(session->request->reply, "x-n: 7\n");
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_failing_request_gets_500(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load("return {on_request = function() error('no') end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_request(plugin.self, session->request, 0), WEIR_REPLY);
    assert_int_equal(session->request->replied_status, 500);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

/* Each of these is an error that names the argument, and none of them ends the callback. */
static void test_wrong_arguments_are_errors_that_name_them(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("local function fails(words, f, ...)\n"
                  "    local ok, err = pcall(f, ...)\n"
                  "    assert(not ok and err:find(words, 1, true), tostring(err))\n"
                  "end\n"
                  "return {on_request = function(req)\n"
                  "    fails('status', req.reply, req, 99)\n"
                  "    fails('headers', req.reply, req, 200, 'x')\n"
                  "    fails('value', req.reply, req, 200, {a = true})\n"
                  "    fails('value', req.reply, req, 200, {a = {{}}})\n"
                  "    fails('key', req.reply, req, 200, {'x'})\n"
                  "    fails('req', req.reply, {}, 200)\n"
                  "end, on_message = function(conn)\n"
                  "    fails('data', conn.send, conn)\n"
                  "    fails('data', conn.send, conn, 7)\n"
                  "    fails('kind', conn.send, conn, 'x', 'txt')\n"
                  "    fails('kind', conn.send, conn, 'x', 1)\n"
                  "    fails('conn', conn.send, 'x')\n"
                  "    fails('code', conn.close, conn, 'x')\n"
                  "    fails('code', conn.close, conn, 1005)\n"
                  "    fails('code', conn.close, conn, -1)\n"
                  "    fails('reason', conn.close, conn, 1000, {})\n"
                  "    fails('reason', conn.close, conn, 1000, ('x'):rep(124))\n"
                  "    fails('data', conn.ping, conn, ('x'):rep(126))\n"
                  "    fails('serve', function() for _ in conn:messages() do end end)\n"
                  "    fails('read-only', function() conn.id = 1 end)\n"
                  "    fails('seconds', weir.sleep, -1)\n"
                  "    fails('seconds', weir.sleep, 0 / 0)\n"
                  "    fails('seconds', weir.sleep, '1')\n"
                  "    fails('delay', weir.timer.at, nil, print)\n"
                  "    fails('fn', weir.timer.at, 1, 'x')\n"
                  "    fails('interval', weir.timer.every, 0, print)\n"
                  "    return false\n"
                  "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_request(plugin.self, session->request, 0), WEIR_NEXT);
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_DROP);
    assert_int_equal(session->failed, 0);
    assert_int_equal(session->sent_count, 0);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_send_tells_full_closed_and_not_utf8(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load("return {on_message = function(conn, data)\n"
                                          "    local ok, word = conn:send('x')\n"
                                          "    return ok == nil and word == data\n"
                                          "end}");
    struct weir_session *session = fake_session();
    session->send_result = WEIR_ELIMIT;
    assert_int_equal(fake_message(&plugin, session, "full"), WEIR_NEXT);
    session->send_result = WEIR_EINVAL;
    assert_int_equal(fake_message(&plugin, session, "not utf-8"), WEIR_NEXT);
    session->send_result = WEIR_ECLOSED;
    assert_int_equal(fake_message(&plugin, session, "closed"), WEIR_NEXT);
    assert_int_equal(session->failed, 0);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_conn_fields_and_data(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load(
        "return {on_open = function(conn)\n"
        "    conn.data.name = 'Ann'\n"
        "    assert(conn.remote == '192.0.2.7' and conn:buffered() == 12 and conn.subprotocol == "
        "'chat.v1')\n"
        "    assert(math.type(conn.id) == 'integer' and conn.close_code == nil)\n"
        "    assert(conn.close_reason == nil and conn.nothing == nil)\n"
        "    assert(tostring(conn) == 'conn ' .. conn.id)\n"
        "    assert(getmetatable(conn) == 'conn')\n"
        "end, on_message = function(conn)\n"
        "    return conn.data.name == 'Ann' and conn.data == conn.data and conn:ping('p')\n"
        "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_open(plugin.self, session, 0), WEIR_NEXT);
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_NEXT);
    assert_int_equal(session->pings, 1);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_close_hears_code_reason_and_ending(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load(
        "local count = 0\n"
        "return {on_close = function(conn, code, reason, ending)\n"
        "    "
        "    assert(code == 4001 and reason == 'bye' and conn.close_code == 4001)\n"
        "    assert(conn.close_reason == 'bye' and ending.code == 4001)\n"
        "    assert(ending.reason == 'bye' and ending.status == 101)\n"
        "    assert(ending.closed_by == 'client' and ending.words == 'it closed')\n"
        "    assert(ending.duration == 1.5 and ending.messages_in == 3)\n"
        "    assert(ending.messages_out == 4 and ending.bytes_in == 5 and ending.bytes_out == 6)\n"
        "    assert(select(2, conn:send('x')) == 'closed')\n"
        "    conn.data.good, count = true, count + 1\n"
        "end, on_message = function(conn) return count == 1 end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_DROP);
    fake_end(&plugin, session, 4001, "bye");
    session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_NEXT);
    fake_end(&plugin, session, 4001, "bye");
    fake_unload(&plugin);
}

static void test_done_hears_the_request_and_its_ending(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("local old\n"
                  "return {on_request = function(req)\n"
                  "    if old then assert(old.path == nil and old:reply(200) == nil) end\n"
                  "    return old ~= nil\n"
                  "end, on_done = function(req, ending)\n"
                  "    assert(req.path == '/ws/a b' and ending.status == 404)\n"
                  "    old = req\n"
                  "end}");
    struct weir_session *session = fake_session();
    struct weir_ending ending = {
        .struct_size = sizeof ending, .status = 404, .closed_by = "client", .words = ""};
    assert_int_equal(fake_ops()->on_request(plugin.self, session->request, 0), WEIR_DROP);
    fake_ops()->on_done(plugin.self, session->request, 0, &ending);
    assert_null(session->request->seats[0]);
    assert_int_equal(fake_ops()->on_request(plugin.self, session->request, 0), WEIR_NEXT);
    fake_ops()->on_done(plugin.self, session->request, 0, &ending);
    fake_session_free(session);
    fake_unload(&plugin);
}

static void test_conn_that_lua_keeps_is_closed_not_freed(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load(
        "local kept\n"
        "return {on_message = function(conn)\n"
        "    if kept then\n"
        "        collectgarbage()\n"
        "        local ok, word = kept:send('x')\n"
        "        assert(ok == nil and word == 'closed' and select(2, kept:ping()) == 'closed')\n"
        "        assert(select(2, kept:close()) == 'closed' and kept.remote == nil)\n"
        "        assert(kept.request == nil and kept:buffered() == 0 and kept.data.name == 'Ann')\n"
        "        assert(kept.close_code == 1001 and kept.close_reason == '' and kept.id)\n"
        "        return false\n"
        "    end\n"
        "    conn.data.name, kept = 'Ann', conn\n"
        "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_NEXT);
    fake_end(&plugin, session, 1001, "");
    session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_DROP);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_drain_is_heard(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("return {on_drain = function(conn) conn:send('again') end}");
    struct weir_session *session = fake_session();
    fake_ops()->on_drain(plugin.self, session, 0);
    assert_string_equal(session->sent[0].data, "again");
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_plugin_without_callbacks_passes_everything(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load("return {}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_request(plugin.self, session->request, 0), WEIR_NEXT);
    assert_int_equal(fake_ops()->on_open(plugin.self, session, 0), WEIR_NEXT);
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_NEXT);
    assert_int_equal(send_outwards(&plugin, session, "x"), WEIR_NEXT);
    fake_ops()->on_drain(plugin.self, session, 0);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void fails_to_load(const char *text, const char *words)
{
    struct fake_loaded plugin = fake_load_with(text, "{}");
    assert_null(plugin.plugin);
    if (strstr(plugin.error, words) == NULL) {
        fail_msg("%s: expected \"%s\" in \"%s\"", text, words, plugin.error);
    }
}

static void test_load_errors_name_file_and_line(void **state)
{
    (void)state;
    fails_to_load("local a = 1\nlocal b = = 2\n", ".lua:2: unexpected symbol near '='");
    fails_to_load("\n\nerror('at the top')", ".lua:3: at the top");
    fails_to_load("", "must return a table of callbacks, not a nil");
    fails_to_load("return 7", "must return a table of callbacks, not a number");
    fails_to_load("return {on_message = 'x'}", "on_message must be a function, not a string");
    fails_to_load("return {serve = print, on_message = print}", "either serve or on_message");
    fails_to_load("return {on_mesage = print}", "unknown callback on_mesage;");
    fails_to_load("while true do end", "CPU limit");
    fails_to_load("\x1bLua", "attempt to load a binary chunk");
    fails_to_load("coroutine.yield()", "outside a coroutine");
    fails_to_load("weir.sleep(1)", "cannot wait here");
}

static void test_missing_file_is_an_error(void **state)
{
    (void)state;
    struct weir_plugin_config config = {.struct_size = sizeof config,
                                        .name = "none",
                                        .file = "/tmp/weir-no-such-file.lua",
                                        .settings_json = "{}"};
    void *plugin = NULL;
    char error[256] = "";
    assert_int_equal(fake_ops()->load(&config, &plugin, error, sizeof error), -1);
    assert_non_null(strstr(error, "weir-no-such-file.lua"));
}

static void test_settings_are_weir_config(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load_with(
        "assert(weir.config.name == 'x' and weir.config.list[2] == 2 and weir.config.on == true)\n"
        "assert(weir.worker.count >= 1)\n"
        "return {}",
        "{\"name\":\"x\",\"list\":[1,2],\"on\":true}");
    assert_non_null(plugin.self);
    fake_unload(&plugin);
}

static void test_json_returns_errors(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("local json = weir.json\n"
                  "assert(json == weir.json)\n"
                  "assert(json.decode('{\"a\":[1,null]}').a[2] == json.null)\n"
                  "assert(json.encode({a = 1}) == '{\"a\":1}')\n"
                  "local value, err = json.decode('{')\n"
                  "assert(value == nil and type(err) == 'string')\n"
                  "value, err = json.encode({print})\n"
                  "assert(value == nil and type(err) == 'string')\n"
                  "local now = weir.now()\n"
                  "assert(math.type(now) == 'float' and math.abs(now - os.time()) < 2)\n"
                  "return {}");
    fake_unload(&plugin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echoes_text_and_binary),
        cmocka_unit_test(test_message_results_are_verdicts),
        cmocka_unit_test(test_wrong_message_result_fails_the_session),
        cmocka_unit_test(test_send_filter_passes_changes_or_drops),
        cmocka_unit_test(test_filter_runs_within_the_handlers_send),
        cmocka_unit_test(test_open_false_closes),
        cmocka_unit_test(test_request_fields),
        cmocka_unit_test(test_request_becomes_conn_request),
        cmocka_unit_test(test_reply_with_fields_and_lists),
        cmocka_unit_test(test_reply_counts_without_return),
        cmocka_unit_test(test_failing_request_gets_500),
        cmocka_unit_test(test_wrong_arguments_are_errors_that_name_them),
        cmocka_unit_test(test_send_tells_full_closed_and_not_utf8),
        cmocka_unit_test(test_conn_fields_and_data),
        cmocka_unit_test(test_close_hears_code_reason_and_ending),
        cmocka_unit_test(test_done_hears_the_request_and_its_ending),
        cmocka_unit_test(test_conn_that_lua_keeps_is_closed_not_freed),
        cmocka_unit_test(test_drain_is_heard),
        cmocka_unit_test(test_plugin_without_callbacks_passes_everything),
        cmocka_unit_test(test_load_errors_name_file_and_line),
        cmocka_unit_test(test_missing_file_is_an_error),
        cmocka_unit_test(test_settings_are_weir_config),
        cmocka_unit_test(test_json_returns_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
