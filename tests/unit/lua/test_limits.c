/* The CPU limit and the memory limit: what passes them fails alone, and the state works on. */
#include <sys/resource.h>
#include <time.h>

#include "lua/fakes.h"

enum {
    CPU_MS = 30,
    MEMORY_BYTES = 4 << 20
};

enum {
    MAX_TIMERS = 10000,
    MAX_PARKED = 20
};

static void set_terms(size_t memory_bytes)
{
    lua_host_set_terms(&(struct lua_terms){.limits = {.cpu_limit_ms = CPU_MS,
                                                      .memory_limit_bytes = memory_bytes,
                                                      .max_timers = MAX_TIMERS,
                                                      .max_parked = MAX_PARKED}});
}

static int set_limits(void **state)
{
    (void)state;
    set_terms(MEMORY_BYTES);
    return 0;
}

static double cpu_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Runs `body` as a callback that must be stopped, and proves that another session of the same
 * plugin goes on. */
static void stops(const char *body)
{
    char text[2048];
    snprintf(text, sizeof text,
             "return {on_message = function(conn, data)\n"
             "    if data == 'echo' then conn:send(data) return end\n"
             "    %s\n"
             "end}",
             body);
    struct fake_loaded plugin = fake_load(text);
    struct weir_session *bad = fake_session();
    struct weir_session *good = fake_session();
    double before = cpu_ms();
    assert_int_equal(fake_message(&plugin, bad, "run"), WEIR_CLOSE);
    double used = cpu_ms() - before;
    if (bad->failed != 1 || used > 100 * CPU_MS) {
        fail_msg("%s: failed %d times after %.1f ms", body, bad->failed, used);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fake_message(&plugin, good, "echo"), WEIR_NEXT);
    }
    assert_int_equal(good->sent_count, 3);
    assert_int_equal(good->failed, 0);
    fake_end(&plugin, bad, 1011, "");
    fake_end(&plugin, good, 1000, "");
    fake_unload(&plugin);
}

static void test_endless_loops_are_stopped(void **state)
{
    (void)state;
    stops("while true do end");
    stops("for i = 1, math.huge do end");
    stops("::again:: goto again");
    stops("local function f() return f() end f()");
    stops("repeat local t = {} until t == nil");
    stops("for _ = 1, math.huge do string.format('%d', 1) end");
}

static void test_pcall_cannot_swallow_the_stop(void **state)
{
    (void)state;
    stops("while true do pcall(function() while true do end end) end");
    stops("return pcall(function() while true do end end)");
    stops("pcall(pcall, pcall, function() while true do end end)");
    stops("local function f() pcall(f) while true do end end f()");
    stops("while true do pcall(error) end");
}

static void test_message_handlers_cannot_outlive_the_stop(void **state)
{
    (void)state;
    stops("xpcall(function() while true do end end, function() while true do end end)");
    stops("xpcall(error, function() while true do end end)");
    stops("while true do xpcall(function() while true do end end, error) end");
    stops("xpcall(xpcall, function() while true do end end, function() while true do end end,\n"
          "       function() while true do end end)");
}

static void test_coroutines_of_the_plugin_are_stopped(void **state)
{
    (void)state;
    stops("coroutine.wrap(function() while true do end end)()");
    stops("while true do pcall(coroutine.wrap(function() while true do end end)) end");
    stops("while true do coroutine.resume(coroutine.create(function() while true do end end)) end");
    stops("local co = coroutine.wrap(function() while true do coroutine.yield() end end)\n"
          "while true do co() end");
    stops("local function nest(n)\n"
          "    if n == 0 then while true do end end\n"
          "    coroutine.wrap(nest)(n - 1)\n"
          "end nest(20)");
    stops("local co = coroutine.create(function()\n"
          "    local x <close> = setmetatable({}, {__close = function() while true do end end})\n"
          "    coroutine.yield()\n"
          "end)\n"
          "coroutine.resume(co) coroutine.close(co)");
}

/* A coroutine whose hook was armed when its callback was stopped is harmless in a later one. */
static void test_a_coroutine_survives_the_stop_of_its_callback(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("local count = 0\n"
                  "local co = coroutine.wrap(function()\n"
                  "    while true do count = count + 1 coroutine.yield(count) end\n"
                  "end)\n"
                  "return {on_message = function(conn, data)\n"
                  "    if data == 'count' then return co() > 0 and co() > 1 end\n"
                  "    while true do co() end\n"
                  "end}");
    struct weir_session *session = fake_session();
    for (int i = 0; i < 5; i++) {
        assert_int_equal(fake_message(&plugin, session, "loop"), WEIR_CLOSE);
    }
    fake_message(&plugin, session, "count"); /* it may have died in the stop, if that hit it */
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_metamethods_and_closing_variables_are_stopped(void **state)
{
    (void)state;
    stops("local t = setmetatable({}, {__index = function() while true do end end}) return t.x");
    stops("local t = setmetatable({}, {__lt = function() while true do end end}) return t < t");
    stops("table.sort({3, 2, 1}, function() while true do end end)");
    stops("string.gsub('x', 'x', function() while true do end end)");
    stops("local x <close> = setmetatable({}, {__close = function() while true do end end})");
    stops("local x <close> = setmetatable({}, {__close = function() while true do end end})\n"
          "error('first')");
    stops("local x <close> = setmetatable({}, {__close = function() while true do end end})\n"
          "while true do end");
    stops("error(setmetatable({}, {__tostring = function() while true do end end}))");
}

static void test_a_callback_within_its_limit_is_left_alone(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load("return {on_message = function(conn)\n"
                                          "    local n = 0\n"
                                          "    for i = 1, 20000 do n = n + i end\n"
                                          "    return n > 0\n"
                                          "end}");
    struct weir_session *session = fake_session();
    double end = cpu_ms() + 10 * CPU_MS;
    while (cpu_ms() < end) {
        assert_int_equal(fake_message(&plugin, session, "x"), WEIR_NEXT);
    }
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_stretches_between_waits_are_counted_apart(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load("return {on_message = function(conn)\n"
                                          "    for i = 1, 10 do\n"
                                          "        local stop = os.clock() + 0.01\n"
                                          "        while os.clock() < stop do end\n"
                                          "        weir.sleep(1)\n"
                                          "    end\n"
                                          "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_WAIT);
    fake_advance(10000);
    assert_int_equal(session->failed, 0);
    assert_int_equal(session->verdict, WEIR_NEXT);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_loops_after_a_wait_are_stopped(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("weir.timer.at(1, function() while true do end end)\n"
                  "return {on_message = function() weir.sleep(0) while true do end end,\n"
                  "        on_close = function() weir.sleep(0) while true do end end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_WAIT);
    fake_advance(0);
    assert_int_equal(session->failed, 1);
    assert_int_equal(session->verdict, WEIR_CLOSE);
    fake_end(&plugin, session, 1011, "");
    fake_advance(1000);
    fake_unload(&plugin);
}

/* The outer plugin loops over sends, so the inner one is entered again and again; the time is the
 * outer one's. */
static void test_the_outer_of_two_plugins_is_stopped(void **state)
{
    (void)state;
    struct fake_loaded filter =
        fake_load("return {on_send = function(conn, data) return data end}");
    struct fake_loaded handler =
        fake_load("return {on_message = function(conn) while true do conn:send('x') end end}");
    struct weir_session *session = fake_session();
    session->keeps_no_messages = true;
    session->chain[0] = (struct fake_plugin){fake_ops(), filter.self};
    struct weir_message message = {WEIR_TEXT, {(const uint8_t *)"abc", 3}};
    assert_int_equal(fake_ops()->on_message(handler.self, session, 1, &message), WEIR_CLOSE);
    assert_int_equal(session->failed, 1);
    fake_ops()->on_close(handler.self, session, 1,
                         &(struct weir_ending){.code = 1011, .closed_by = "", .words = ""});
    fake_end(&filter, session, 1011, "");
    fake_unload(&handler);
    fake_unload(&filter);
}

static void test_the_inner_of_two_plugins_is_stopped(void **state)
{
    (void)state;
    struct fake_loaded filter = fake_load("return {on_send = function() while true do end end}");
    struct fake_loaded handler = fake_load("return {on_open = function(conn) conn:send('x') end}");
    struct weir_session *session = fake_session();
    session->chain[0] = (struct fake_plugin){fake_ops(), filter.self};
    fake_ops()->on_open(handler.self, session, 1);
    assert_true(session->failed >= 1);
    assert_int_equal(session->sent_count, 0);
    fake_ops()->on_close(handler.self, session, 1,
                         &(struct weir_ending){.code = 1011, .closed_by = "", .words = ""});
    fake_end(&filter, session, 1011, "");
    fake_unload(&handler);
    fake_unload(&filter);
}

static void test_allocation_storms_fail_alone(void **state)
{
    (void)state;
    stops("local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end");
    stops("local s = 'x' while true do s = s .. s end");
    stops("return ('x'):rep(1e9)");
    stops("return ('x'):rep(1e18)");
    stops("local t = {} for i = 1, 1e9 do t[i] = i end");
    stops("local t = {} while true do t = {t} end");
    stops("local t = {} while true do t[#t + 1] = coroutine.create(print) end");
    stops("local t = {} while true do t[#t + 1] = function() return t end end");
    stops("return table.concat({('x'):rep(1e6), ('y'):rep(1e6)}, ('z'):rep(2e6))");
    stops("local t = {} t[1] = ('x'):rep(3e6) conn.data.t = t coroutine.wrap(function()\n"
          "    conn.data.s = ('y'):rep(3e6)\n"
          "end)()");
}

static void test_a_caught_memory_error_is_the_plugins_own(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("return {on_message = function()\n"
                  "    local ok, err = pcall(string.rep, 'x', 1e9)\n"
                  "    return not ok and err:find('not enough memory') ~= nil\n"
                  "end}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_NEXT);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

/* A plugin that keeps what it allocates fills its state: its callbacks fail, none crashes. */
static void test_a_full_state_fails_callbacks_and_nothing_else(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load("kept = {}\n"
                                          "return {on_message = function(conn, data)\n"
                                          "    if data == 'free' then kept = {} return end\n"
                                          "    while true do kept[#kept + 1] = {} end\n"
                                          "end, on_close = function(conn, code, reason, ending)\n"
                                          "    kept[#kept + 1] = ending\n"
                                          "end, on_request = function(req)\n"
                                          "    kept[#kept + 1] = req.headers\n"
                                          "end}");
    struct weir_session *last = fake_session();
    fake_message(&plugin, last, "free");
    for (int i = 0; i < 30; i++) {
        struct weir_session *session = fake_session();
        fake_ops()->on_request(plugin.self, session->request, 0);
        assert_int_equal(fake_message(&plugin, session, "run"), WEIR_CLOSE);
        assert_int_equal(session->failed, 1);
        fake_end(&plugin, session, 1011, "because");
    }
    fake_end(&plugin, last, 1000, "");
    fake_unload(&plugin);
}

static void test_runaway_recursion_and_odd_errors_fail_alone(void **state)
{
    (void)state;
    stops("local function f() return 1 + f() end f()");
    stops(
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k] end\n"
        "return t.x");
    stops("error()");
    stops("error(nil)");
    stops("error(7)");
    stops("error({})");
    stops("error(true)");
    stops("error(print)");
    stops("error(coroutine.create(print))");
    stops("error(setmetatable({}, {__tostring = function() return 'words' end}))");
    stops("error(setmetatable({}, {__tostring = function() return {} end}))");
    stops("error(setmetatable({}, {__tostring = error}))");
    stops("error(setmetatable({}, {__name = 'named'}))");
    stops("error(('x'):rep(1e5) .. '\\n\\0\\1')");
    stops("xpcall(error, error) error('x')");
    stops("local x <close> = setmetatable({}, {__close = function() error('in close') end})\n"
          "error('first')");
    stops("string.rep()");
    stops("local function f() pcall(f) error('x') end f()");
    stops("return string.gsub(('x'):rep(300), ('(x)'):rep(40), '')");
    stops("return ('x'):rep(300):find(('('):rep(300))");
}

static void test_finalizers_are_refused(void **state)
{
    (void)state;
    stops("setmetatable({}, {__gc = function() while true do end end})");
    stops("setmetatable({}, {__gc = true})");
}

static void test_load_counts_against_both_limits(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load_with("t = {} while true do t[#t + 1] = {} end", "{}");
    assert_null(plugin.plugin);
    assert_non_null(strstr(plugin.error, "not enough memory"));
    set_terms(1000);
    plugin = fake_load_with("return {}", "{}");
    assert_null(plugin.plugin);
    assert_true(plugin.error[0] != '\0');
    set_limits(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endless_loops_are_stopped),
        cmocka_unit_test(test_pcall_cannot_swallow_the_stop),
        cmocka_unit_test(test_message_handlers_cannot_outlive_the_stop),
        cmocka_unit_test(test_coroutines_of_the_plugin_are_stopped),
        cmocka_unit_test(test_a_coroutine_survives_the_stop_of_its_callback),
        cmocka_unit_test(test_metamethods_and_closing_variables_are_stopped),
        cmocka_unit_test(test_a_callback_within_its_limit_is_left_alone),
        cmocka_unit_test(test_stretches_between_waits_are_counted_apart),
        cmocka_unit_test(test_loops_after_a_wait_are_stopped),
        cmocka_unit_test(test_the_outer_of_two_plugins_is_stopped),
        cmocka_unit_test(test_the_inner_of_two_plugins_is_stopped),
        cmocka_unit_test(test_allocation_storms_fail_alone),
        cmocka_unit_test(test_a_caught_memory_error_is_the_plugins_own),
        cmocka_unit_test(test_a_full_state_fails_callbacks_and_nothing_else),
        cmocka_unit_test(test_runaway_recursion_and_odd_errors_fail_alone),
        cmocka_unit_test(test_finalizers_are_refused),
        cmocka_unit_test(test_load_counts_against_both_limits),
    };
    return cmocka_run_group_tests(tests, set_limits, NULL);
}
