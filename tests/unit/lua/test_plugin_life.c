/* A plugin beside its sessions: init and exit, coroutines of its own, limits by number, modules,
 * trust, and sessions by their id. */
#include <sys/stat.h>

#include "lua/fakes.h"

enum {
    MAX_TIMERS = 3,
    MAX_PARKED = 2
};

static struct lua_terms terms = {.limits = {.cpu_limit_ms = 50,
                                            .memory_limit_bytes = 8 << 20,
                                            .max_timers = MAX_TIMERS,
                                            .max_parked = MAX_PARKED}};

static int set_terms(void **state)
{
    (void)state;
    lua_host_set_terms(&terms);
    return 0;
}

/* What on_message of the plugin does with `text`. */
static void says(struct fake_loaded *plugin, const char *text, const char *answer)
{
    struct weir_session *session = fake_session();
    enum weir_verdict verdict = fake_message(plugin, session, text);
    if (answer == NULL) {
        assert_int_equal(verdict, WEIR_CLOSE);
        assert_int_equal(session->failed, 1);
    } else {
        assert_int_equal(session->sent_count, 1);
        assert_string_equal(session->sent[0].data, answer);
    }
    fake_end(plugin, session, 1000, "");
}

static void test_init_gets_the_settings_once_and_before_all_else(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load_with("local count, name = 0\n"
                       "return {init = function(config) count = count + 1 name = config.name end,\n"
                       "        on_message = function(conn) conn:send(name .. count) end}",
                       "{\"name\": \"ann\"}");
    assert_non_null(plugin.self);
    says(&plugin, "x", "ann1");
    fake_unload(&plugin);
}

static void test_init_cannot_wait_and_its_errors_stop_the_start(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *words;
    } rows[] = {{"error('no key')", "no key"},
                {"weir.sleep(1)", "weir.sleep cannot wait here"},
                {"while true do end", "passed its CPU limit"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "return {init = function() %s end, exit = function()\n"
                 "    error('exit without a start') end}",
                 rows[i].body);
        char file[] = "/tmp/weir-test-XXXXXX.lua";
        int fd = mkstemps(file, 4);
        assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        close(fd);
        struct weir_plugin_config config = {
            .struct_size = sizeof config, .name = "test", .file = file, .settings_json = "{}"};
        void *plugin = NULL;
        void *self = NULL;
        char error[512] = "";
        assert_int_equal(fake_ops()->load(&config, &plugin, error, sizeof error), 0);
        assert_int_equal(fake_ops()->worker_start(plugin, &fake_worker, &self, error, sizeof error),
                         -1);
        assert_non_null(strstr(error, "init failed: "));
        assert_non_null(strstr(error, rows[i].words));
        fake_ops()->unload(plugin);
        unlink(file);
    }
}

static void test_exit_runs_at_the_end_of_a_state(void **state)
{
    (void)state;
    struct fake_loaded plugin = fake_load("return {exit = function()\n"
                                          "    weir.send(1, 'goodbye')\n"
                                          "    weir.timer.at(1, print)\n"
                                          "    error('and an error is only logged')\n"
                                          "end}");
    fake_worker.posted[0] = '\0';
    fake_unload(&plugin);
    assert_string_equal(fake_worker.posted, "1 1 goodbye");
}

static void test_spawned_functions_run_later_with_their_arguments(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("local seen = ''\n"
                  "return {on_message = function(conn, data)\n"
                  "    if data == 'seen' then conn:send(seen) return end\n"
                  "    weir.spawn(function(a, b, ...)\n"
                  "        seen = seen .. a .. tostring(b) .. select('#', ...)\n"
                  "        weir.sleep(1)\n"
                  "        seen = seen .. ' woke'\n"
                  "    end, 'a', nil, nil, nil)\n"
                  "    conn:send('before' .. seen)\n"
                  "end}");
    says(&plugin, "x", "before");
    fake_advance(0);
    says(&plugin, "seen", "anil2");
    fake_advance(1000);
    says(&plugin, "seen", "anil2 woke");
    fake_unload(&plugin);
}

static void test_no_more_coroutines_than_max_parked(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("local fail\n"
                  "return {on_message = function(conn, data)\n"
                  "    if data == 'fail' then weir.spawn(error, 'it fails') end\n"
                  "    if data == 'spawn' then weir.spawn(weir.sleep, 1) end\n"
                  "    if data == 'sleep' then weir.sleep(1) end\n"
                  "    conn:send('done')\n"
                  "end}");
    for (int round = 0; round < 3; round++) {
        says(&plugin, "spawn", "done");
        says(&plugin, "fail", "done");
        says(&plugin, "spawn", NULL);
        says(&plugin, "sleep", NULL);
        fake_advance(0); /* one fails, and one sleeps */
        says(&plugin, "spawn", "done");
        says(&plugin, "sleep", NULL);
        fake_advance(2000);
    }
    struct weir_session *sleeper = fake_session();
    assert_int_equal(fake_message(&plugin, sleeper, "sleep"), WEIR_WAIT);
    says(&plugin, "spawn", "done");
    says(&plugin, "spawn", NULL);
    fake_end(&plugin, sleeper, 1000, "");
    fake_unload(&plugin);
}

static void test_no_more_timers_than_max_timers(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("return {on_message = function(conn, data)\n"
                  "    local timers = {}\n"
                  "    for i = 1, tonumber(data) do timers[i] = weir.timer.at(1, print) end\n"
                  "    for _, timer in ipairs(timers) do weir.timer.cancel(timer) end\n"
                  "    conn:send('done')\n"
                  "end}");
    says(&plugin, "3", "done");
    says(&plugin, "3", "done");
    says(&plugin, "4", NULL);
    fake_unload(&plugin);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void remove_file(const char *folder, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(remove(path), 0);
}

static void test_require_looks_along_the_folders(void **state)
{
    (void)state;
    char folder[] = "/tmp/weir-modules-XXXXXX";
    assert_non_null(mkdtemp(folder));
    const char *folders[] = {folder};
    struct lua_terms with = terms;
    with.folders = folders;
    with.folder_count = 1;
    write_file(folder, "one.lua", "return {name = ..., io = io}");
    char sub[64];
    snprintf(sub, sizeof sub, "%s/two", folder);
    assert_int_equal(mkdir(sub, 0700), 0);
    write_file(sub, "init.lua", "return {name = 'init'}");
    lua_host_set_terms(&with);
    struct fake_loaded plugin = fake_load("local one, two = require('one'), require('two')\n"
                                          "return {on_message = function(conn)\n"
                                          "    conn:send(one.name .. two.name .. tostring(one.io)\n"
                                          "              .. tostring(require('one') == one))\n"
                                          "end}");
    says(&plugin, "x", "oneinitniltrue");
    fake_unload(&plugin);
    remove_file(sub, "init.lua");
    remove_file(folder, "two");
    remove_file(folder, "one.lua");
    rmdir(folder);
}

static void test_trusted_plugins_have_all_of_lua(void **state)
{
    (void)state;
    static const char text[] =
        "return {on_message = function(conn)\n"
        "    conn:send(type(io) .. type(os.exit) .. type(debug.getinfo) .. type(string.dump)\n"
        "              .. type(loadfile) .. tostring(pcall(setmetatable, {}, {__gc = print})))\n"
        "end}";
    struct fake_loaded plugin = fake_load(text);
    says(&plugin, "x", "nilnilnilnilnilfalse");
    fake_unload(&plugin);
    struct lua_terms with = terms;
    with.is_trusted = true;
    lua_host_set_terms(&with);
    plugin = fake_load(text);
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&plugin, session, "x"), WEIR_NEXT);
    assert_int_equal(
        strncmp(session->sent[0].data, "tablefunctionfunctionfunctionfunctiontrue", 41), 0);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_send_and_close_by_id(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("return {on_message = function(conn)\n"
                  "    assert(weir.send(1, 'a') == true)\n"
                  "    assert(select(2, weir.send(2, 'a')) == 'full')\n"
                  "    assert(select(2, weir.send(3, 'a', 'binary')) == 'closed')\n"
                  "    assert(select(2, weir.close(3)) == 'closed')\n"
                  "    assert(not pcall(weir.send, '1', 'a') and not pcall(weir.send, 1.5, 'a'))\n"
                  "    assert(not pcall(weir.send, 1, {}) and not pcall(weir.send, 1, 'a', 'x'))\n"
                  "    assert(not pcall(weir.close, 1, 1005))\n"
                  "    assert(not pcall(weir.close, 1, 1000, ('x'):rep(124)))\n"
                  "    assert(not weir.worker.exiting and weir.worker.nothing == nil)\n"
                  "    assert(weir.close(1, 4000, 'bye'))\n"
                  "    conn:send('done')\n"
                  "end}");
    says(&plugin, "x", "done");
    assert_string_equal(fake_worker.posted, "1 close 4000 bye");
    fake_unload(&plugin);
}

#define TEST(function) cmocka_unit_test_setup(function, set_terms)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_init_gets_the_settings_once_and_before_all_else),
        TEST(test_init_cannot_wait_and_its_errors_stop_the_start),
        TEST(test_exit_runs_at_the_end_of_a_state),
        TEST(test_spawned_functions_run_later_with_their_arguments),
        TEST(test_no_more_coroutines_than_max_parked),
        TEST(test_no_more_timers_than_max_timers),
        TEST(test_require_looks_along_the_folders),
        TEST(test_trusted_plugins_have_all_of_lua),
        TEST(test_send_and_close_by_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
