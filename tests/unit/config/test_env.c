/* Environment variables inside values. */
#include "config/config_fixture.h"

static void expect_address(const char *written, const char *expected)
{
    char yaml[512];
    snprintf(yaml, sizeof(yaml), "listen:\n  - address: %s\n" ROUTES, written);
    struct config *config = load_good(yaml);
    assert_string_equal(config->listen[0].address, expected);
    config_release(&config);
}

static int set_variables(void **state)
{
    setenv("WEIR_T_PORT", "5001", 1);
    setenv("WEIR_T_EMPTY", "", 1);
    setenv("WEIR_T_YAML", "1, tls: {}", 1);
    unsetenv("WEIR_T_NONE");
    return fixture_make(state);
}

static void test_takes_a_variable(void **state)
{
    (void)state;
    expect_address("'127.0.0.1:${WEIR_T_PORT}'", "127.0.0.1:5001");
    expect_address("127.0.0.1:${WEIR_T_PORT:-80}", "127.0.0.1:5001");
    expect_address("\"${WEIR_T_NONE:-127}.0.0.1:${WEIR_T_PORT}\"", "127.0.0.1:5001");
}

static void test_takes_the_default_where_unset_or_empty(void **state)
{
    (void)state;
    expect_address("127.0.0.1:${WEIR_T_NONE:-80}", "127.0.0.1:80");
    expect_address("127.0.0.1:${WEIR_T_EMPTY:-80}", "127.0.0.1:80");
    expect_address("127.0.0.1:80${WEIR_T_NONE:-}", "127.0.0.1:80");
    expect_address("127.0.0.1:80${WEIR_T_EMPTY}", "127.0.0.1:80");
}

static void test_value_is_typed_by_its_key(void **state)
{
    (void)state;
    struct config *config = load_good(LISTEN ROUTES "workers: ${WEIR_T_NONE:-3}\n");
    assert_int_equal(config->workers, 3);
    config_release(&config);
    expect_errors(LISTEN ROUTES "workers: ${WEIR_T_NONE:-many}\n",
                  "t.yaml:3:10: workers: `many` is not a whole number\n");
}

static void test_escape_stays_literal(void **state)
{
    (void)state;
    struct config *config = load_good(
        LISTEN "routes: [{path: /, handler: {lua: echo, config: {a: '$${HOME} $x $ $$'}}}]");
    assert_string_equal(config->routes[0].handler.settings_json, "{\"a\":\"${HOME} $x $ $$\"}");
    config_release(&config);
}

static void test_refuses_unset_without_default(void **state)
{
    (void)state;
    expect_errors(
        "listen:\n  - address: 127.0.0.1:${WEIR_T_NONE}\n" ROUTES "log_level: ${WEIR_T_NONE}\n",
        "t.yaml:2:14: listen[0].address: environment variable `WEIR_T_NONE` is not set and "
        "`${WEIR_T_NONE}` has no default\n"
        "t.yaml:4:12: log_level: environment variable `WEIR_T_NONE` is not set and "
        "`${WEIR_T_NONE}` has no default\n");
}

static void test_refuses_malformed_references(void **state)
{
    (void)state;
    static const char *const bad[] = {"${",     "${}",    "${A",   "${1A}",
                                      "${A-b}", "${A:b}", "${ A}", "${:-x}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char yaml[256];
        snprintf(yaml, sizeof(yaml), LISTEN ROUTES "log_level: '%s'\n", bad[i]);
        expect_errors(yaml, "t.yaml:3:12: log_level: `${` begins neither `${NAME}` nor "
                            "`${NAME:-default}`; write `$${` for a literal `${`\n");
    }
}

static void test_variable_cannot_add_keys(void **state)
{
    (void)state;
    expect_errors(
        "listen: [{address: '127.0.0.1:${WEIR_T_YAML}'}]\n" ROUTES,
        "t.yaml:1:20: listen[0].address: `127.0.0.1:1, tls: {}` does not begin with a valid "
        "address; write HOST:PORT, [IPV6]:PORT or unix:PATH\n");
}

static void test_aliased_value_is_expanded_once(void **state)
{
    (void)state;
    struct config *config =
        load_good(LISTEN "routes:\n"
                         "  - {path: /a, handler: &h {lua: echo, config: {v: '$${X}'}}}\n"
                         "  - {path: /b, handler: *h}\n");
    assert_string_equal(config->routes[1].handler.settings_json, "{\"v\":\"${X}\"}");
    config_release(&config);
}

static void test_keys_are_left_alone(void **state)
{
    (void)state;
    expect_errors(LISTEN ROUTES "${WEIR_T_PORT}: 1\n", "t.yaml:3:1: ${WEIR_T_PORT}: unknown key\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_a_variable),
        cmocka_unit_test(test_takes_the_default_where_unset_or_empty),
        cmocka_unit_test(test_value_is_typed_by_its_key),
        cmocka_unit_test(test_escape_stays_literal),
        cmocka_unit_test(test_refuses_unset_without_default),
        cmocka_unit_test(test_refuses_malformed_references),
        cmocka_unit_test(test_variable_cannot_add_keys),
        cmocka_unit_test(test_aliased_value_is_expanded_once),
        cmocka_unit_test(test_keys_are_left_alone),
    };
    return cmocka_run_group_tests(tests, set_variables, fixture_remove);
}
