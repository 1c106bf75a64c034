/* weir.shared as plugins see it: every method, its results, and the words for what goes wrong. */
#include "lua/fakes.h"

#include "base/shared_dicts.h"

static int make(void **state)
{
    size_t kept = 0;
    (void)state;
    return shared_dicts_declare("d", 1 << 20, &kept) != WEIR_OK;
}

static int forget(void **state)
{
    (void)state;
    shared_dicts_reset();
    return 0;
}

static void runs_as_it_is(const char *text)
{
    char whole[4096];
    snprintf(whole, sizeof whole, "local d = weir.shared.d\n%s\nreturn {}", text);
    struct fake_loaded plugin = fake_load_with(whole, "{}");
    if (plugin.self == NULL) {
        fail_msg("%s: %s", text, plugin.error);
    }
    fake_unload(&plugin);
}

/* A file runs twice, once to check it; each begins with an empty dictionary. */
static void runs(const char *text)
{
    char whole[4096];
    snprintf(whole, sizeof whole, "for _, k in ipairs(d:keys(0)) do d:delete(k) end\n%s", text);
    runs_as_it_is(whole);
}

static void test_only_dictionaries_of_the_configuration_are_there(void **state)
{
    (void)state;
    runs("assert(d and weir.shared.d == d)\n"
         "assert(weir.shared.other == nil and weir.shared[1] == nil)\n"
         "assert(getmetatable(d) == 'shared dictionary')");
}

static void test_values_come_back_as_they_went(void **state)
{
    (void)state;
    runs("assert(d:get('k') == nil)\n"
         "for _, value in ipairs{'text', '', 'a\\0b', 0, -1.5, 3, true, false} do\n"
         "    assert(d:set('k', value) == true)\n"
         "    assert(d:get('k') == value and math.type(d:get('k')) == math.type(value))\n"
         "end\n"
         "assert(d:set('k', nil) and d:get('k') == nil)\n"
         "assert(d:set(12, 'number keys are texts') and d:get('12'))");
}

static void test_a_value_is_shared_by_states(void **state)
{
    (void)state;
    runs_as_it_is("assert(d:set('k', 'from one'))");
    runs_as_it_is("assert(d:get('k') == 'from one')");
}

static void test_add_takes_only_new_keys(void **state)
{
    (void)state;
    runs("assert(d:add('k', 1) == true)\n"
         "local ok, why = d:add('k', 2)\n"
         "assert(ok == nil and why == 'exists' and d:get('k') == 1)\n"
         "assert(not pcall(d.add, d, 'k', nil))");
}

static void test_incr_counts(void **state)
{
    (void)state;
    runs("local sum, why = d:incr('n', 1)\n"
         "assert(sum == nil and why == 'not found')\n"
         "assert(d:incr('n', 1, 0) == 1 and d:incr('n', 2) == 3 and d:incr('n', -0.5) == 2.5)\n"
         "d:set('text', '1')\n"
         "sum, why = d:incr('text', 1, 0)\n"
         "assert(sum == nil and why == 'not a number')\n"
         "assert(d:incr('short', 1, 0, 60) == 1 and d:ttl('short') > 59)");
}

static void test_delete_and_keys(void **state)
{
    (void)state;
    runs("for i = 1, 20 do d:set('k' .. i, i) end\n"
         "assert(d:delete('k20') == true and d:delete('k20') == true)\n"
         "local seen = {}\n"
         "for _, key in ipairs(d:keys()) do seen[key] = true end\n"
         "for i = 1, 19 do assert(seen['k' .. i]) end\n"
         "assert(not seen.k20 and #d:keys(5) == 5 and #d:keys(0) == 19)");
}

static void test_times_to_live(void **state)
{
    (void)state;
    runs("d:set('k', 1)\n"
         "assert(d:ttl('k') == 0)\n"
         "assert(d:expire('k', 100) == true)\n"
         "assert(d:ttl('k') > 99 and d:ttl('k') <= 100)\n"
         "assert(d:expire('k', 0) == true and d:ttl('k') == 0)\n"
         "local ok, why = d:expire('other', 1)\n"
         "assert(ok == nil and why == 'not found')\n"
         "ok, why = d:ttl('other')\n"
         "assert(ok == nil and why == 'not found')\n"
         "d:set('k', 1, 0.001)\n"
         "local now = os.clock()\n"
         "while os.clock() < now + 0.01 do end\n"
         "assert(d:get('k') == nil)");
}

static void test_take_is_a_token_bucket(void **state)
{
    (void)state;
    runs("assert(d:take('b', 0.01, 2) == true and d:take('b', 0.01, 2) == true)\n"
         "local ok, wait = d:take('b', 0.01, 2)\n"
         "assert(ok == false and wait > 90 and wait <= 100)\n"
         "ok, wait = d:take('b', 0.01, 2, 3)\n"
         "assert(ok == false and wait == math.huge)\n"
         "assert(d:take('b', 0.01, 2, 0) == true)");
}

static void test_what_does_not_fit_is_a_value_and_not_an_error(void **state)
{
    (void)state;
    runs("local ok, why = d:set('k', ('x'):rep(1 << 20))\n"
         "assert(ok == nil and why == 'too large')\n"
         "ok, why = d:set(('x'):rep(1025), 1)\n"
         "assert(ok == nil and why == 'too large')\n"
         "assert(d:get(('x'):rep(1025)) == nil)");
}

static void test_wrong_arguments_are_errors(void **state)
{
    (void)state;
    runs("for _, call in ipairs{\n"
         "    {d.get, {}, 'k'}, {d.get, d}, {d.set, d, 'k'}, {d.set, d, 'k', {}},\n"
         "    {d.set, d, 'k', 1, -1}, {d.set, d, 'k', 1, 0 / 0}, {d.incr, d, 'k', 'x'},\n"
         "    {d.expire, d, 'k'}, {d.keys, d, -1}, {d.take, d, 'k', -1, 1},\n"
         "    {d.take, d, 'k', 1, 0}, {d.take, d, 'k', 1, 1, -1}, {d.take, d, 'k', 0 / 0, 1},\n"
         "    {d.take, d, 'k', 1, math.huge}} do\n"
         "    assert(not pcall(table.unpack(call)))\n"
         "end");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_only_dictionaries_of_the_configuration_are_there),
        TEST(test_values_come_back_as_they_went),
        TEST(test_a_value_is_shared_by_states),
        TEST(test_add_takes_only_new_keys),
        TEST(test_incr_counts),
        TEST(test_delete_and_keys),
        TEST(test_times_to_live),
        TEST(test_take_is_a_token_bucket),
        TEST(test_what_does_not_fit_is_a_value_and_not_an_error),
        TEST(test_wrong_arguments_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
