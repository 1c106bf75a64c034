/* Topics as plugins see them: what is handed to the broker, and the words for what it says. */
#include "lua/fakes.h"

/* Says with conn:send what its methods return. */
static const char *const plugin_text =
    "local function say(conn, ...) conn:send(table.concat({tostring((...)), (select(2, ...))}, ' "
    "')) end\n"
    "local calls = {\n"
    "    subscribe = function(conn) say(conn, conn:subscribe('room:1')) end,\n"
    "    unsubscribe = function(conn) say(conn, conn:unsubscribe('room:1')) end,\n"
    "    publish = function(conn) say(conn, conn:publish('room:1', 'hello')) end,\n"
    "    to_all = function(conn) say(conn, weir.publish('news', 'hi', 'binary')) end,\n"
    "    empty = function(conn) say(conn, conn:publish('', 'hello')) end,\n"
    "    long = function(conn) say(conn, weir.publish(('x'):rep(257), 'hello')) end,\n"
    "    longest = function(conn) say(conn, weir.publish(('x'):rep(256), 'hello')) end,\n"
    "    number = function(conn) say(conn, pcall(conn.subscribe, conn, {})) end,\n"
    "    kind = function(conn) say(conn, pcall(weir.publish, 'a', 'b', 'blob')) end,\n"
    "    data = function(conn) say(conn, pcall(weir.publish, 'a')) end,\n"
    "    dot = function(conn) say(conn, pcall(conn.publish, 'a', 'b')) end,\n"
    "}\n"
    "return {on_message = function(conn, data) calls[data](conn) end}\n";

static void expect_answer(struct fake_loaded *plugin, struct weir_session *session,
                          const char *call, enum weir_err result, const char *wanted)
{
    fake_broker = (struct fake_broker){.result = result};
    size_t before = session->sent_count;
    assert_int_equal(fake_message(plugin, session, call), WEIR_NEXT);
    assert_int_equal(session->sent_count, before + 1);
    assert_string_equal(session->sent[before].data, wanted);
}

static void test_methods_of_conn_name_their_session(void **state)
{
    struct fake_loaded plugin = fake_load(plugin_text);
    struct weir_session *session = fake_session();
    (void)state;
    expect_answer(&plugin, session, "subscribe", WEIR_OK, "true");
    assert_string_equal(fake_broker.topic, "room:1");
    assert_ptr_equal(fake_broker.except, session);
    expect_answer(&plugin, session, "unsubscribe", WEIR_OK, "true");
    assert_string_equal(fake_broker.topic, "room:1");
    expect_answer(&plugin, session, "unsubscribe", WEIR_EINVAL, "false");
    expect_answer(&plugin, session, "publish", WEIR_OK, "true");
    assert_ptr_equal(fake_broker.except, session);
    assert_string_equal(fake_broker.data, "hello");
    assert_int_equal(fake_broker.kind, WEIR_TEXT);
    expect_answer(&plugin, session, "to_all", WEIR_OK, "true");
    assert_null(fake_broker.except);
    assert_string_equal(fake_broker.topic, "news");
    assert_int_equal(fake_broker.kind, WEIR_BINARY);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_what_can_be_expected_is_a_word(void **state)
{
    struct fake_loaded plugin = fake_load(plugin_text);
    struct weir_session *session = fake_session();
    (void)state;
    expect_answer(&plugin, session, "subscribe", WEIR_EINVAL, "nil bad topic");
    expect_answer(&plugin, session, "subscribe", WEIR_ELIMIT, "nil too many");
    expect_answer(&plugin, session, "subscribe", WEIR_ECLOSED, "nil closed");
    expect_answer(&plugin, session, "publish", WEIR_EINVAL, "nil not utf-8");
    expect_answer(&plugin, session, "publish", WEIR_ELIMIT, "nil nested");
    expect_answer(&plugin, session, "empty", WEIR_OK, "nil bad topic");
    expect_answer(&plugin, session, "long", WEIR_OK, "nil bad topic");
    assert_int_equal(fake_broker.calls, 0);
    expect_answer(&plugin, session, "longest", WEIR_OK, "true");
    assert_int_equal(fake_broker.calls, 1);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_wrong_types_throw(void **state)
{
    struct fake_loaded plugin = fake_load(plugin_text);
    struct weir_session *session = fake_session();
    (void)state;
    expect_answer(&plugin, session, "number", WEIR_OK, "false topic must be a string, not a table");
    expect_answer(&plugin, session, "kind", WEIR_OK,
                  "false kind must be \"text\" or \"binary\", not \"blob\"");
    expect_answer(&plugin, session, "data", WEIR_OK, "false data must be a string, not a no value");
    expect_answer(
        &plugin, session, "dot", WEIR_OK,
        "false call it as conn:method(...): the first argument must be a conn, not a string");
    assert_int_equal(fake_broker.calls, 0);
    fake_end(&plugin, session, 1000, "");
    fake_unload(&plugin);
}

static void test_publishing_while_the_plugin_is_checked_reaches_nobody(void **state)
{
    (void)state;
    fake_broker = (struct fake_broker){.result = WEIR_OK};
    struct fake_loaded plugin = fake_load("assert(weir.publish('news', 'up') == true)\nreturn {}");
    assert_int_equal(fake_broker.calls, 1); /* by the worker's instance alone */
    fake_unload(&plugin);
}

static void test_a_session_that_is_over_says_closed(void **state)
{
    (void)state;
    struct fake_loaded plugin =
        fake_load("local old\n"
                  "return {on_message = function(conn)\n"
                  "    if not old then old = conn return end\n"
                  "    local _, word = old:subscribe('a')\n"
                  "    conn:send(word .. ' ' .. tostring(old:unsubscribe('a')) .. ' ' ..\n"
                  "              tostring(old:publish('a', 'b')))\n"
                  "end}");
    struct weir_session *first = fake_session();
    fake_broker = (struct fake_broker){.result = WEIR_OK};
    assert_int_equal(fake_message(&plugin, first, "x"), WEIR_NEXT);
    fake_end(&plugin, first, 1000, "");
    struct weir_session *second = fake_session();
    assert_int_equal(fake_message(&plugin, second, "x"), WEIR_NEXT);
    assert_string_equal(second->sent[0].data, "closed false true");
    assert_int_equal(fake_broker.calls, 1);
    fake_end(&plugin, second, 1000, "");
    fake_unload(&plugin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods_of_conn_name_their_session),
        cmocka_unit_test(test_what_can_be_expected_is_a_word),
        cmocka_unit_test(test_wrong_types_throw),
        cmocka_unit_test(test_publishing_while_the_plugin_is_checked_reaches_nobody),
        cmocka_unit_test(test_a_session_that_is_over_says_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
