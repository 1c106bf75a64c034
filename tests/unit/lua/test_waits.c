/* Callbacks that wait: weir.sleep, weir.timer, and serve with its messages(). */
#include "lua/fakes.h"

static void test_sleep_parks_the_message_and_resumes_with_its_verdict(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load("return {on_message = function(conn, data)\n"
                                          "    weir.sleep(0.25)\n"
                                          "    conn:send(data)\n"
                                          "    return data ~= 'drop'\n"
                                          "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "one"), WEIR_WAIT);
    fake_advance(249);
    assert_int_equal(session->sent_count, 0);
    assert_int_equal(session->resumed, 0);
    fake_advance(1);
    assert_string_equal(session->sent[0].data, "one");
    assert_int_equal(session->resumed, 1);
    assert_int_equal(session->verdict, WEIR_NEXT);
    assert_int_equal(fake_message(&plugin, session, "drop"), WEIR_WAIT);
    fake_advance(250);
    assert_int_equal(session->resumed, 2);
    assert_int_equal(session->verdict, WEIR_DROP);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_message_changed_after_a_wait_is_passed(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load("return {on_message = function(conn, data)\n"
                                          "    weir.sleep(0)\n"
                                          "    return data .. '!', 'binary'\n"
                                          "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "one"), WEIR_WAIT);
    fake_advance(0);
    assert_string_equal(session->passed[0].data, "one!");
    assert_int_equal(session->passed[0].kind, WEIR_BINARY);
    assert_int_equal(session->verdict, WEIR_DROP);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_failure_after_a_wait_fails_the_session(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("return {on_message = function() weir.sleep(1) error('late') end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "one"), WEIR_WAIT);
    fake_advance(1000);
    assert_int_equal(session->failed, 1);
    assert_int_equal(session->verdict, WEIR_CLOSE);
    fake_end(&plugin, session, 1011, "");
    fake_unload(&plugin);
}

static void test_requests_wait_apart_from_each_other(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load("return {on_request = function(req)\n"
                                          "    weir.sleep(tonumber(req.query.wait))\n"
                                          "    return req:reply(200, nil, req.query.wait)\n"
                                          "end}");
    struct weir_session *slow = fake_session();
    struct weir_session *quick = fake_session();
    slow->request->query = "wait=2";
    quick->request->query = "wait=1";
    assert_int_equal(fake_ops()->on_request(plugin.self, slow->request, 0), WEIR_WAIT);
    assert_int_equal(fake_ops()->on_request(plugin.self, quick->request, 0), WEIR_WAIT);
    fake_advance(1000);
    assert_int_equal(quick->request->resumed, 1);
    assert_int_equal(quick->request->verdict, WEIR_REPLY);
    assert_string_equal(quick->request->reply, "1");
    assert_int_equal(slow->request->resumed, 0);
    fake_advance(1000);
    assert_string_equal(slow->request->reply, "2");
    fake_end(&plugin, slow, 1000, "");
    fake_end(&plugin, quick, 1000, "");
    fake_unload(&plugin);
}

static void test_request_that_died_meanwhile_is_not_resumed(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("return {on_request = function(req)\n"
                  "    local path = req.path\n"
                  "    weir.sleep(1)\n"
                  "    assert(path == '/ws/a b' and req.path == nil and req.query == nil)\n"
                  "    assert(select(2, req:reply(200)) == 'closed')\n"
                  "    weir.log.info('went on')\n"
                  "end}");
    struct weir_session *session = fake_session();
    struct weir_ending ending = {
        .struct_size = sizeof ending, .status = 0, .closed_by = "client", .words = ""};
    assert_int_equal(fake_ops()->on_request(plugin.self, session->request, 0), WEIR_WAIT);
    fake_ops()->on_done(plugin.self, session->request, 0, &ending);
    fake_session_free(session);
    fake_advance(1000);
    fake_unload(&plugin);
}

static void test_session_that_died_while_parked(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("local ended\n"
                  "return {on_message = function(conn, data)\n"
                  "    if data == 'ask' then return ended end\n"
                  "    weir.sleep(1)\n"
                  "    assert(select(2, conn:send('x')) == 'closed')\n"
                  "    assert(conn.close_code == 4000 and conn.close_reason == 'gone')\n"
                  "    conn = nil\n"
                  "    collectgarbage()\n"
                  "    weir.sleep(1)\n"
                  "    ended = true\n"
                  "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_WAIT);
    fake_end(&plugin, session, 4000, "gone");
    fake_advance(2000);
    session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "ask"), WEIR_NEXT);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_unloading_cancels_what_waits(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load(
        "return {on_close = function() weir.sleep(9) error('must not run') end,\n"
        "        on_drain = function() weir.timer.every(1, print) weir.timer.at(9, print) end}");
    struct weir_session *session = fake_session();
    fake_ops()->on_drain(plugin.self, session, 0);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_open_may_wait(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("return {on_open = function(conn) weir.sleep(1) return false end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_open(plugin.self, session, 0), WEIR_WAIT);
    fake_advance(1000);
    assert_int_equal(session->verdict, WEIR_CLOSE);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_sleep_is_refused_where_nothing_can_wait(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("local function refused(f, ...)\n"
                  "    local ok, err = pcall(f, ...)\n"
                  "    return not ok and err:find('cannot wait here') ~= nil\n"
                  "end\n"
                  "return {on_send = function(conn, data)\n"
                  "    return refused(weir.sleep, 0) and data\n"
                  "end, on_message = function()\n"
                  "    local inside = setmetatable({}, {__index = function() weir.sleep(0) end})\n"
                  "    table.sort({1, 2}, function(a, b)\n"
                  "        assert(refused(weir.sleep, 0))\n"
                  "        assert(refused(coroutine.wrap(function() weir.sleep(0) end)))\n"
                  "        return a < b\n"
                  "    end)\n"
                  "    return false\n"
                  "end}");
    struct weir_session *session = fake_session();
    struct weir_message message = {WEIR_TEXT, {(const uint8_t *)"x", 1}};
    assert_int_equal(fake_ops()->on_send(plugin.self, session, 0, &message), WEIR_NEXT);
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_DROP);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

/* Generators and waits mix: a yield of the plugin goes to who resumed it, a wait to the host. */
static void test_waits_inside_coroutines_of_the_plugin(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load(
        "return {on_message = function(conn)\n"
        "    local next_number = coroutine.wrap(function()\n"
        "        for i = 1, 2 do\n"
        "            weir.sleep(1)\n"
        "            local inner = coroutine.create(function(a) weir.sleep(1) return a end)\n"
        "            local ok, value = coroutine.resume(inner, i)\n"
        "            assert(ok and coroutine.status(inner) == 'dead')\n"
        "            local echoed = coroutine.yield(value)\n"
        "            assert(echoed == 'go on')\n"
        "        end\n"
        "        return 'end'\n"
        "    end)\n"
        "    conn:send(tostring(next_number()))\n"
        "    conn:send(tostring(next_number('go on')))\n"
        "    conn:send(tostring(next_number('go on')))\n"
        "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_WAIT);
    fake_advance(2000);
    assert_int_equal(session->sent_count, 1);
    fake_advance(2000);
    assert_int_equal(session->sent_count, 3);
    assert_string_equal(session->sent[0].data, "1");
    assert_string_equal(session->sent[1].data, "2");
    assert_string_equal(session->sent[2].data, "end");
    assert_int_equal(session->verdict, WEIR_NEXT);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_coroutines_behave_as_lua_says(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load(
        "return {on_message = function()\n"
        "    local co = coroutine.create(function(a, b)\n"
        "        local c = coroutine.yield(a + b)\n"
        "        error({c})\n"
        "    end)\n"
        "    local ok, value = coroutine.resume(co, 1, 2)\n"
        "    assert(ok and value == 3 and coroutine.status(co) == 'suspended')\n"
        "    ok, value = coroutine.resume(co, 'x')\n"
        "    assert(not ok and value[1] == 'x' and coroutine.status(co) == 'dead')\n"
        "    ok, value = coroutine.resume(co)\n"
        "    assert(not ok and value == 'cannot resume dead coroutine')\n"
        "    ok, value = pcall(coroutine.wrap(function() error('inside') end))\n"
        "    assert(not ok and value:find('inside'))\n"
        "    ok, value = pcall(coroutine.yield)\n"
        "    assert(not ok and value:find('outside a coroutine'))\n"
        "    ok, value = coroutine.resume(coroutine.running())\n"
        "    assert(not ok and value:find('cannot resume'))\n"
        "    assert(not pcall(coroutine.close, coroutine.running()))\n"
        "    local closed = false\n"
        "    co = coroutine.create(function()\n"
        "        local x <close> = setmetatable({}, {__close = function() closed = true end})\n"
        "        coroutine.yield()\n"
        "    end)\n"
        "    coroutine.resume(co)\n"
        "    assert(coroutine.close(co) and closed)\n"
        "    co = coroutine.create(function() return coroutine.resume(co) end)\n"
        "    ok, value = select(2, coroutine.resume(co))\n"
        "    assert(ok == false and value == 'cannot resume non-suspended coroutine')\n"
        "    return false\n"
        "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_DROP);
    assert_int_equal(session->failed, 0);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

/* A plugin that resumes a coroutine which waits for the host only confuses itself. */
static void test_resuming_a_waiting_coroutine_harms_nobody(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("local co, runner\n"
                  "return {serve = function(conn)\n"
                  "    runner = coroutine.running()\n"
                  "    co = coroutine.create(function()\n"
                  "        for data in conn:messages() do conn:send(data) end\n"
                  "    end)\n"
                  "    coroutine.resume(co)\n"
                  "end, on_drain = function(conn)\n"
                  "    assert(not coroutine.resume(runner))\n"
                  "    coroutine.resume(co)\n"
                  "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_open(plugin.self, session, 0), WEIR_NEXT);
    fake_message(&plugin, session, "one");
    fake_ops()->on_drain(plugin.self, session, 0);
    fake_message(&plugin, session, "two");
    fake_message(&plugin, session, "three");
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_timers_fire_once_or_again_until_cancelled(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("local log, ticker = {}, nil\n"
                  "weir.timer.at(1, function() log[#log + 1] = 'once' end)\n"
                  "ticker = weir.timer.every(0.5, function() log[#log + 1] = 'tick' end)\n"
                  "local never = weir.timer.at(0.1, error)\n"
                  "assert(weir.timer.cancel(never) == (weir.worker.id == 3))\n"
                  "assert(weir.timer.cancel(never) == false)\n"
                  "return {on_drain = function(conn)\n"
                  "    conn:send(table.concat(log, ' '))\n"
                  "    assert(weir.timer.cancel(ticker) == true)\n"
                  "end}");
    struct weir_session *session = fake_session();
    fake_advance(1600);
    fake_ops()->on_drain(plugin.self, session, 0);
    assert_string_equal(session->sent[0].data, "tick once tick tick");
    fake_advance(5000);
    assert_true(list_is_empty(&fake_loop.timers));
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_timer_that_waits_or_fails_or_cancels_itself(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("local count, own = 0, nil\n"
                  "weir.timer.at(0, function() error('in a timer') end)\n"
                  "weir.timer.every(1, function() count = count + 1 weir.sleep(1.5) end)\n"
                  "own = weir.timer.every(1, function() weir.timer.cancel(own) own = nil end)\n"
                  "return {on_drain = function(conn)\n"
                  "    collectgarbage()\n"
                  "    conn:send(tostring(count) .. tostring(own))\n"
                  "end}");
    struct weir_session *session = fake_session();
    fake_advance(4600); /* starts at 1 and 3; at 2 and 4 the last run still waits */
    fake_ops()->on_drain(plugin.self, session, 0);
    assert_string_equal(session->sent[0].data, "2nil");
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static const char *const SERVE_ECHO =
    "return {serve = function(conn)\n"
    "    for data, kind in conn:messages() do\n"
    "        if data == 'sleep' then weir.sleep(1) end\n"
    "        if data == 'stop' then return end\n"
    "        if data == 'error' then error('in serve') end\n"
    "        conn:send(data, kind)\n"
    "    end\n"
    "    weir.log.info('ended ' .. conn.close_code .. ' ' .. conn.close_reason)\n"
    "    assert(conn.close_code == 1001 and conn.close_reason == 'away')\n"
    "    weir.sleep(1)\n"
    "    assert(conn.close_code == 1001 and conn.close_reason == 'away')\n"
    "    assert(conn:messages()(conn) == nil)\n"
    "end}";

static void test_serve_echoes_and_hears_the_end(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load(SERVE_ECHO);
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_open(plugin.self, session, 0), WEIR_NEXT);
    assert_int_equal(fake_message(&plugin, session, "one"), WEIR_DROP);
    assert_int_equal(fake_message_kind(&plugin, session, "two", WEIR_BINARY), WEIR_DROP);
    assert_int_equal(session->sent_count, 2);
    assert_string_equal(session->sent[0].data, "one");
    assert_int_equal(session->sent[1].kind, WEIR_BINARY);
    fake_end(&plugin, session, 1001, "away");
    fake_advance(1000);
    fake_unload(&plugin);
}

static void test_serve_that_returns_closes_the_session(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load(SERVE_ECHO);
    struct weir_session *session = fake_session();
    fake_ops()->on_open(plugin.self, session, 0);
    assert_int_equal(fake_message(&plugin, session, "stop"), WEIR_CLOSE);
    assert_int_equal(fake_message(&plugin, session, "late"), WEIR_DROP);
    assert_int_equal(session->failed, 0);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_serve_that_fails_fails_the_session(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load(SERVE_ECHO);
    struct weir_session *session = fake_session();
    fake_ops()->on_open(plugin.self, session, 0);
    assert_int_equal(fake_message(&plugin, session, "error"), WEIR_CLOSE);
    assert_int_equal(session->failed, 1);
    fake_end(&plugin, session, 1011, "");
    fake_unload(&plugin);
}

static void test_serve_that_sleeps_keeps_its_message_waiting(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load(SERVE_ECHO);
    struct weir_session *session = fake_session();
    fake_ops()->on_open(plugin.self, session, 0);
    assert_int_equal(fake_message(&plugin, session, "sleep"), WEIR_WAIT);
    assert_int_equal(session->sent_count, 0);
    fake_advance(1000);
    assert_string_equal(session->sent[0].data, "sleep");
    assert_int_equal(session->resumed, 1);
    assert_int_equal(session->verdict, WEIR_DROP);
    assert_int_equal(fake_message(&plugin, session, "next"), WEIR_DROP);
    fake_end(&plugin, session, 1001, "away");
    fake_unload(&plugin); /* while it sleeps at its end */
}

static void test_serve_that_is_busy_gets_its_message_later(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load("return {serve = function(conn)\n"
                                          "    weir.sleep(1)\n"
                                          "    for data, kind in conn:messages() do\n"
                                          "        conn:send(data .. ' ' .. kind)\n"
                                          "        if data == 'stop' then return end\n"
                                          "    end\n"
                                          "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_open(plugin.self, session, 0), WEIR_NEXT);
    assert_int_equal(fake_message_kind(&plugin, session, "early", WEIR_BINARY), WEIR_WAIT);
    fake_advance(999);
    assert_int_equal(session->sent_count, 0);
    fake_advance(1);
    assert_string_equal(session->sent[0].data, "early binary");
    assert_int_equal(session->resumed, 1);
    assert_int_equal(session->verdict, WEIR_DROP);
    fake_end(&plugin, session, 1000, "");

    session = fake_session();
    fake_ops()->on_open(plugin.self, session, 0);
    assert_int_equal(fake_message(&plugin, session, "stop"), WEIR_WAIT);
    fake_advance(1000);
    assert_int_equal(session->verdict, WEIR_CLOSE);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_serve_ends_by_itself_while_nothing_waits(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("return {serve = function(conn)\n"
                  "    for i = 1, 3 do conn:send(tostring(i)) weir.sleep(1) end\n"
                  "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_open(plugin.self, session, 0), WEIR_NEXT);
    fake_advance(2999);
    assert_int_equal(session->sent_count, 3);
    assert_false(session->is_closed);
    fake_advance(1);
    assert_true(session->is_closed);
    assert_int_equal(session->close_code, 1000);
    assert_int_equal(session->resumed, 0);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_serve_that_returns_at_once_closes(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("return {serve = function(conn) conn:close(4002, 'no') end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_open(plugin.self, session, 0), WEIR_CLOSE);
    assert_int_equal(session->close_code, 4002);
    assert_string_equal(session->close_reason, "no");
    fake_end(&plugin, session, 4002, "no");
    fake_unload(&plugin);
}

static void test_serve_starts_when_open_is_done(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("return {on_open = function(conn) weir.sleep(1) conn.data.opened = true end,\n"
                  "        serve = function(conn)\n"
                  "            assert(conn.data.opened)\n"
                  "            for data in conn:messages() do conn:send(data) end\n"
                  "        end,\n"
                  "        on_close = function(conn) conn.data.closed = true end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_ops()->on_open(plugin.self, session, 0), WEIR_WAIT);
    fake_advance(1000);
    assert_int_equal(session->verdict, WEIR_NEXT);
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_DROP);
    assert_int_equal(session->sent_count, 1);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_sessions_that_end_in_any_state_leave_nothing(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load(
        "return {on_open = function(conn) if conn.request.query.open then weir.sleep(1) end end,\n"
        "        serve = function(conn)\n"
        "            weir.sleep(1)\n"
        "            for data in conn:messages() do weir.sleep(1) conn:send(data) end\n"
        "        end,\n"
        "        on_close = function(conn) weir.sleep(1) conn:send('x') end}");
    for (uint64_t when = 0; when <= 4000; when += 500) {
        for (int open = 0; open < 2; open++) {
            struct weir_session *session = fake_session();
            session->request->query = open ? "open=1" : "";
            enum weir_verdict verdict = fake_ops()->on_open(plugin.self, session, 0);
            if (verdict == WEIR_NEXT) {
                fake_message(&plugin, session, "early");
            }
            fake_advance(when);
            fake_end(&plugin, session, 1001, "away");
            fake_advance(when % 1000);
        }
    }
    fake_unload(&plugin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sleep_parks_the_message_and_resumes_with_its_verdict),
        cmocka_unit_test(test_message_changed_after_a_wait_is_passed),
        cmocka_unit_test(test_failure_after_a_wait_fails_the_session),
        cmocka_unit_test(test_requests_wait_apart_from_each_other),
        cmocka_unit_test(test_request_that_died_meanwhile_is_not_resumed),
        cmocka_unit_test(test_session_that_died_while_parked),
        cmocka_unit_test(test_unloading_cancels_what_waits),
        cmocka_unit_test(test_open_may_wait),
        cmocka_unit_test(test_sleep_is_refused_where_nothing_can_wait),
        cmocka_unit_test(test_waits_inside_coroutines_of_the_plugin),
        cmocka_unit_test(test_coroutines_behave_as_lua_says),
        cmocka_unit_test(test_resuming_a_waiting_coroutine_harms_nobody),
        cmocka_unit_test(test_timers_fire_once_or_again_until_cancelled),
        cmocka_unit_test(test_timer_that_waits_or_fails_or_cancels_itself),
        cmocka_unit_test(test_serve_echoes_and_hears_the_end),
        cmocka_unit_test(test_serve_that_returns_closes_the_session),
        cmocka_unit_test(test_serve_that_fails_fails_the_session),
        cmocka_unit_test(test_serve_that_sleeps_keeps_its_message_waiting),
        cmocka_unit_test(test_serve_that_is_busy_gets_its_message_later),
        cmocka_unit_test(test_serve_ends_by_itself_while_nothing_waits),
        cmocka_unit_test(test_serve_that_returns_at_once_closes),
        cmocka_unit_test(test_serve_starts_when_open_is_done),
        cmocka_unit_test(test_sessions_that_end_in_any_state_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
