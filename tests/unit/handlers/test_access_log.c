/* The access log on standard output, which is a pipe in containers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <weir/plugin.h>

#include "handlers/access_log.h"
#include "session/request.h"
#include "session/session.h"

enum {
    LINES = 2000,    /* several times what a pipe takes */
    PATIENCE_S = 10, /* a test that waits for the reader ends here */
    SEAT = 0
};

/* --- a request, as far as the log asks --- */

uint64_t request_id(const struct weir_request *request)
{
    (void)request;
    return 7;
}

const char *request_remote(const struct weir_request *request)
{
    (void)request;
    return "192.0.2.1";
}

struct span request_method(const struct weir_request *request)
{
    (void)request;
    return SPAN("GET");
}

const char *request_scheme(const struct weir_request *request)
{
    (void)request;
    return "http";
}

struct span request_host(const struct weir_request *request)
{
    (void)request;
    return SPAN("example.com");
}

struct span request_path(const struct weir_request *request)
{
    (void)request;
    return SPAN("/");
}

struct span request_query(const struct weir_request *request)
{
    (void)request;
    return SPAN("");
}

const char *request_route(const struct weir_request *request)
{
    (void)request;
    return "/";
}

struct span request_header(const struct weir_request *request, struct span name)
{
    (void)request;
    (void)name;
    return SPAN("");
}

struct weir_request *session_request(struct weir_session *session)
{
    (void)session;
    return NULL;
}

/* --- the log --- */

static void write_lines(void *plugin, unsigned count)
{
    struct weir_ending ending = {.struct_size = sizeof ending, .closed_by = "client", .words = ""};
    for (unsigned i = 0; i < count; i++) {
        access_log_ops()->on_done(plugin, NULL, SEAT, &ending);
    }
}

/* Loads the log with `fd` as standard output. */
static void *load_on(int fd)
{
    struct weir_plugin_config config = {
        .struct_size = sizeof config, .name = "access_log", .file = "-", .settings_json = "{}"};
    char error[256] = "";
    void *plugin = NULL;
    int kept = dup(STDOUT_FILENO);
    assert_true(kept >= 0 && dup2(fd, STDOUT_FILENO) == STDOUT_FILENO);
    int failed = access_log_ops()->load(&config, &plugin, error, sizeof error);
    if (failed == 0) {
        write_lines(plugin, LINES);
    }
    assert_true(dup2(kept, STDOUT_FILENO) == STDOUT_FILENO);
    close(kept);
    assert_int_equal(failed, 0);
    return plugin;
}

static void test_a_reader_that_sleeps_costs_lines_and_holds_nobody_up(void **state)
{
    static char got[1 << 20];
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    alarm(PATIENCE_S);
    void *plugin = load_on(ends[1]);
    alarm(0);
    /* Others write to the same pipe, and expect to wait. */
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    access_log_ops()->unload(plugin);
    close(ends[1]);
    size_t size = 0;
    ssize_t n;
    while ((n = read(ends[0], got + size, sizeof got - size)) > 0) {
        size += (size_t)n;
    }
    assert_true(size > 4096);
    assert_int_equal(got[0], '{');
    assert_memory_equal(got + size - 2, "}\n", 2); /* no line is cut */
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reader_that_sleeps_costs_lines_and_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
