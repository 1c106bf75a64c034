/* The public header stands alone: C11 and C++17 take it as the only include, and a plugin in either
 * language needs no symbol of the gateway's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/plugin.h>

#define STRICT "-Wall -Wextra -Wpedantic -Werror"

/* Whether `command` takes `source` on its standard input. */
static int take(const char *command, const char *source)
{
    char line[1024];
    snprintf(line, sizeof line, "%s -I '%s/gateway/include' -", command, WEIR_SOURCE_DIR);
    FILE *pipe = popen(line, "w");
    assert_non_null(pipe);
    assert_int_equal(fwrite(source, 1, strlen(source), pipe), strlen(source));
    return pclose(pipe);
}

static const char ALONE[] = "#include <weir/plugin.h>\n"
                            "#include <weir/plugin.h>\n"
                            "int use(const struct weir_host *host);\n"
                            "int use(const struct weir_host *host)\n"
                            "{ return WEIR_HAS(host, worker_post) && host->major == 1; }\n";

static void test_c11_takes_the_header_alone(void **state)
{
    (void)state;
    assert_int_equal(take("cc -std=c11 " STRICT " -fsyntax-only -x c", ALONE), 0);
}

static void test_cpp17_takes_the_header_alone(void **state)
{
    (void)state;
    if (system("command -v c++ >/dev/null") != 0) {
        skip();
    }
    assert_int_equal(take("c++ -std=c++17 " STRICT " -fsyntax-only -x c++", ALONE), 0);
}

static void test_a_plugin_links_without_the_gateway(void **state)
{
    (void)state;
    char command[512];
    snprintf(command, sizeof command,
             "cc -std=c11 " STRICT
             " -shared -fPIC -Wl,-z,defs -I '%s/gateway/include' -o /dev/null "
             "'%s/plugins/echo_native.c'",
             WEIR_SOURCE_DIR, WEIR_SOURCE_DIR);
    assert_int_equal(system(command), 0);
}

static void test_has_tells_what_an_older_struct_lacks(void **state)
{
    (void)state;
    struct weir_plugin_ops older = {.struct_size = offsetof(struct weir_plugin_ops, on_piece)};
    struct weir_plugin_ops same = {.struct_size = sizeof same};
    assert_true(WEIR_HAS(&older, on_close));
    assert_false(WEIR_HAS(&older, on_piece));
    assert_true(WEIR_HAS(&same, on_piece));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_c11_takes_the_header_alone),
        cmocka_unit_test(test_cpp17_takes_the_header_alone),
        cmocka_unit_test(test_a_plugin_links_without_the_gateway),
        cmocka_unit_test(test_has_tells_what_an_older_struct_lacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
