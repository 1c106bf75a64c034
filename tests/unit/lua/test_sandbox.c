/* What of the standard library plugins have, and what they do not. */
#include <sys/stat.h>

#include "lua/fakes.h"

static void runs(const char *text)
{
    struct fake_loaded plugin = fake_load_with(text, "{}");
    if (plugin.self == NULL) {
        fail_msg("%s: %s", text, plugin.error);
    }
    fake_unload(&plugin);
}

static void test_files_processes_and_insides_are_out_of_reach(void **state)
{
    (void)state;
    runs("for _, name in ipairs{'io', 'package', 'dofile', 'loadfile'} do\n"
         "    assert(_G[name] == nil, name)\n"
         "end\n"
         "assert(not pcall(require, 'io') and not pcall(require, 'package'))\n"
         "for _, name in ipairs{'execute', 'exit', 'remove', 'rename', 'setlocale', 'tmpname'} do\n"
         "    assert(os[name] == nil and require('os')[name] == nil, name)\n"
         "end\n"
         "for name in pairs(debug) do assert(name == 'traceback', name) end\n"
         "assert(require('debug') == debug and string.dump == nil)\n"
         "assert(not pcall(collectgarbage, 'stop'))\n"
         "return {}");
}

static void test_what_plugins_need_is_there(void **state)
{
    (void)state;
    runs("assert(os.time() > 0 and os.clock() >= 0 and os.date('!%Y') >= '2024')\n"
         "assert(os.getenv('no such variable') == nil and os.difftime(2, 1) == 1)\n"
         "assert(utf8.char(233) == '\\u{e9}' and math.floor(1.5) == 1 and ('x'):rep(2) == 'xx')\n"
         "assert(table.concat({1, 2}, ',') == '1,2' and select('#', 1, 2) == 2)\n"
         "assert(debug.traceback('here'):find('here') and collectgarbage('count') > 0)\n"
         "assert(collectgarbage() == 0)\n"
         "local t = setmetatable({}, {__index = {x = 1}})\n"
         "assert(t.x == 1 and getmetatable(t).__index.x == 1)\n"
         "assert(not pcall(setmetatable, setmetatable({}, {__metatable = 1}), {}))\n"
         "assert(setmetatable(t, nil) == t and getmetatable(t) == nil)\n"
         "print('one', 2, nil, true)\n"
         "return {}");
}

static void test_bytecode_is_refused(void **state)
{
    (void)state;
    runs("local f, err = load('\\27Lua', 'x', 'b')\n"
         "assert(f == nil and err:find('binary'))\n"
         "assert(load('return 1')() == 1)\n"
         "assert(load('return x', 'x', 't', {x = 2})() == 2)\n"
         "assert(load('return x', 'x', nil, {x = 2})() == 2)\n"
         "assert(load('return print', 'x')() == print)\n"
         "local parts = {'return ', '3'}\n"
         "assert(load(function() return table.remove(parts, 1) end)() == 3)\n"
         "f, err = load('= =', '=mine')\n"
         "assert(f == nil and err:find('mine:1'))\n"
         "return {}");
}

static void test_xpcall_keeps_its_meaning(void **state)
{
    (void)state;
    runs("assert(select('#', xpcall(function(...) return ... end, print, 1, nil)) == 3)\n"
         "local ok, err = xpcall(error, function(e) return 'seen ' .. e end, 'x')\n"
         "assert(not ok and err == 'seen x')\n"
         "ok, err = xpcall(function() local x = nil + 1 end, debug.traceback)\n"
         "assert(not ok and err:find('stack traceback'))\n"
         "local co = coroutine.wrap(function()\n"
         "    return xpcall(function() return coroutine.yield(1) end, print)\n"
         "end)\n"
         "assert(co() == 1)\n"
         "local done, value = co('two')\n"
         "assert(done and value == 'two')\n"
         "return {}");
}

static void write_file(const char *path, const char *text, size_t size)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    fclose(file);
}

static void test_require_looks_beside_the_plugin(void **state)
{
    (void)state;
    char folder[] = "/tmp/weir-require-XXXXXX";
    char path[128];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/helper.lua", folder);
    write_file(path, "return {answer = 42}", 20);
    snprintf(path, sizeof path, "%s/broken.lua", folder);
    write_file(path, "= =", 3);
    snprintf(path, sizeof path, "%s/compiled.lua", folder);
    write_file(path, "\x1bLua", 4);
    snprintf(path, sizeof path, "%s/main.lua", folder);
    const char *text = "assert(require('helper').answer == 42 and require('helper') == "
                       "require('helper'))\n"
                       "local ok, err = pcall(require, 'broken')\n"
                       "assert(not ok and err:find('broken.lua:1'))\n"
                       "ok, err = pcall(require, 'compiled')\n"
                       "assert(not ok and err:find('binary'))\n"
                       "ok, err = pcall(require, 'none')\n"
                       "assert(not ok and err:find('none.lua'))\n"
                       "return {}";
    write_file(path, text, strlen(text));
    struct weir_plugin_config config = {
        .struct_size = sizeof config, .name = "main", .file = path, .settings_json = "{}"};
    void *plugin = NULL;
    char error[512] = "";
    if (fake_ops()->load(&config, &plugin, error, sizeof error) != 0) {
        fail_msg("%s", error);
    }
    fake_ops()->unload(plugin);
    static const char *const names[] = {"helper", "broken", "compiled", "main"};
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s.lua", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void test_long_paths_are_whole_in_syntax_errors(void **state)
{
    (void)state;
    char folder[] = "/tmp/weir-a-rather-long-name-of-a-folder-for-a-test-XXXXXX";
    char path[160];
    char wanted[200];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/main.lua", folder);
    snprintf(wanted, sizeof wanted, "%s:2: ", path);
    write_file(path, "\n= =", 4);
    struct weir_plugin_config config = {
        .struct_size = sizeof config, .name = "main", .file = path, .settings_json = "{}"};
    void *plugin = NULL;
    char error[512] = "";
    assert_int_equal(fake_ops()->load(&config, &plugin, error, sizeof error), -1);
    assert_memory_equal(error, wanted, strlen(wanted));
    unlink(path);
    rmdir(folder);
}

static void test_states_share_nothing(void **state)
{
    (void)state;
    struct fake_loaded one = fake_load("shared = (shared or 0) + 1\n"
                                       "return {on_message = function() return shared == 1 end}");
    struct fake_loaded two = fake_load("assert(shared == nil) return {}");
    struct weir_session *session = fake_session();
    assert_int_equal(fake_message(&one, session, "x"), WEIR_NEXT);
    fake_end(&one, session, 1000, "");
    fake_unload(&two);
    fake_unload(&one);
}

static void test_memory_of_an_idle_session_is_small_and_comes_back(void **state)
{
    (void)state;
    enum {
        SESSIONS = 2000,
        MOST_BYTES = 200
    };
    static struct weir_session *sessions[SESSIONS];
    struct fake_loaded plugin = fake_load("return {on_message = function(conn, data, kind)\n"
                                          "    if data == 'count' then\n"
                                          "        collectgarbage() collectgarbage()\n"
                                          "        conn:send(string.format('%d',\n"
                                          "            collectgarbage('count') * 1024))\n"
                                          "        return\n"
                                          "    end\n"
                                          "    conn:send(data, kind)\n"
                                          "end}");
    struct weir_session *counter = fake_session();
    long counts[3];
    for (int round = 0; round < 2; round++) {
        fake_message(&plugin, counter, "count");
        counts[0] = atol(counter->sent[counter->sent_count - 1].data);
        for (int i = 0; i < SESSIONS; i++) {
            sessions[i] = fake_session();
            fake_message(&plugin, sessions[i], "echo");
        }
        fake_message(&plugin, counter, "count");
        counts[1] = atol(counter->sent[counter->sent_count - 1].data);
        for (int i = 0; i < SESSIONS; i++) {
            fake_end(&plugin, sessions[i], 1000, "");
        }
        fake_message(&plugin, counter, "count");
        counts[2] = atol(counter->sent[counter->sent_count - 1].data);
        assert_in_range((counts[1] - counts[0]) / SESSIONS, 1, MOST_BYTES);
    }
    assert_in_range(labs(counts[2] - counts[0]), 0, 1024);
    fake_end(&plugin, counter, 1000, "");
    fake_unload(&plugin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_processes_and_insides_are_out_of_reach),
        cmocka_unit_test(test_what_plugins_need_is_there),
        cmocka_unit_test(test_bytecode_is_refused),
        cmocka_unit_test(test_xpcall_keeps_its_meaning),
        cmocka_unit_test(test_require_looks_beside_the_plugin),
        cmocka_unit_test(test_long_paths_are_whole_in_syntax_errors),
        cmocka_unit_test(test_states_share_nothing),
        cmocka_unit_test(test_memory_of_an_idle_session_is_small_and_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
