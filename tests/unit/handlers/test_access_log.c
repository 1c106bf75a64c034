/* The access log: on standard output, which is a pipe in containers; what it tells of backends; and
 * that no line is longer than what a pipe takes at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
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

static bool is_wordy; /* every text is longer than any limit */
static char wordy[4096];
static const struct request_upstream *upstream;

static struct span text(const char *usual)
{
    return is_wordy ? span_of(wordy) : span_of(usual);
}

const struct request_upstream *request_upstream(const struct weir_request *request)
{
    (void)request;
    return upstream;
}

struct span request_user(const struct weir_request *request)
{
    (void)request;
    return upstream == NULL ? SPAN("") : text("ada");
}

uint64_t request_id(const struct weir_request *request)
{
    (void)request;
    return is_wordy ? UINT64_MAX : 7;
}

const char *request_remote(const struct weir_request *request)
{
    (void)request;
    return is_wordy ? "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" : "192.0.2.1";
}

struct span request_method(const struct weir_request *request)
{
    (void)request;
    return text("GET");
}

const char *request_scheme(const struct weir_request *request)
{
    (void)request;
    return "http";
}

struct span request_host(const struct weir_request *request)
{
    (void)request;
    return text("example.com");
}

struct span request_path(const struct weir_request *request)
{
    (void)request;
    return text("/");
}

struct span request_query(const struct weir_request *request)
{
    (void)request;
    return text("");
}

const char *request_route(const struct weir_request *request)
{
    (void)request;
    return is_wordy ? wordy : "/";
}

struct span request_header(const struct weir_request *request, struct span name)
{
    (void)request;
    (void)name;
    return text("");
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

/* --- lines in a file --- */

static char *path_of_log;

static int file_make(void **state)
{
    (void)state;
    char name[] = "/tmp/weir-access-log-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    close(fd);
    path_of_log = strdup(name);
    upstream = NULL;
    is_wordy = false;
    memset(wordy, 'x', sizeof wordy - 1);
    return 0;
}

static int file_free(void **state)
{
    (void)state;
    unlink(path_of_log);
    free(path_of_log);
    upstream = NULL;
    is_wordy = false;
    return 0;
}

/* The one line of a request, or of a session, that ended so. Static. */
static const char *line_of(const struct weir_ending *ending, bool is_session)
{
    static char line[2 * PIPE_BUF];
    struct weir_plugin_config config = {.struct_size = sizeof config,
                                        .name = "access_log",
                                        .file = path_of_log,
                                        .settings_json = "{}"};
    char error[256] = "";
    void *plugin = NULL;
    assert_int_equal(access_log_ops()->load(&config, &plugin, error, sizeof error), 0);
    if (is_session) {
        access_log_ops()->on_close(plugin, NULL, SEAT, ending);
    } else {
        access_log_ops()->on_done(plugin, NULL, SEAT, ending);
    }
    access_log_ops()->unload(plugin);
    FILE *file = fopen(path_of_log, "r");
    assert_non_null(file);
    size_t size = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[size] = '\0';
    assert_true(size > 2 && size <= PIPE_BUF);
    assert_string_equal(line + size - 2, "}\n");
    assert_ptr_equal(strchr(line, '\n'), line + size - 1);
    return line;
}

static const struct weir_ending done = {
    .struct_size = sizeof done, .status = 200, .closed_by = "gateway", .words = "done"};

static void assert_has(const char *line, const char *member)
{
    if (strstr(line, member) == NULL) {
        fail_msg("no %s in %s", member, line);
    }
}

static void test_backend_that_was_asked_is_told(void **state)
{
    (void)state;
    static struct request_upstream asked = {.name = "chat",
                                            .server = "10.0.0.1:3000",
                                            .status = 201,
                                            .tries = 2,
                                            .connect_us = 1500,
                                            .first_byte_us = 20750,
                                            .bytes_sent = 120,
                                            .bytes_received = 340};
    upstream = &asked;
    for (int is_session = 0; is_session < 2; is_session++) {
        assert_int_equal(truncate(path_of_log, 0), 0);
        const char *line = line_of(&done, is_session != 0);
        assert_has(line, "\"upstream\":\"chat\",\"server\":\"10.0.0.1:3000\","
                         "\"upstream_status\":201,\"tries\":2,\"connect_ms\":1.500,"
                         "\"first_byte_ms\":20.750,\"upstream_bytes_sent\":120,"
                         "\"upstream_bytes_received\":340");
    }
}

static void test_backend_that_never_answered_has_neither_status_nor_times(void **state)
{
    (void)state;
    static struct request_upstream asked = {.name = "chat"};
    upstream = &asked;
    const char *line = line_of(&done, false);
    assert_has(line, "\"upstream\":\"chat\",\"tries\":0,\"upstream_bytes_sent\":0");
    assert_null(strstr(line, "\"server\""));
    assert_null(strstr(line, "upstream_status"));
    assert_null(strstr(line, "connect_ms"));
    assert_null(strstr(line, "first_byte_ms"));
}

static void test_nothing_is_told_of_backends_where_none_was_asked(void **state)
{
    (void)state;
    const char *line = line_of(&done, false);
    assert_null(strstr(line, "upstream"));
    assert_null(strstr(line, "\"tries\""));
}

static void test_longest_line_has_every_member(void **state)
{
    static const char *const members[] = {"time",
                                          "kind",
                                          "id",
                                          "remote",
                                          "method",
                                          "scheme",
                                          "host",
                                          "path",
                                          "query",
                                          "route",
                                          "status",
                                          "code",
                                          "reason",
                                          "closed_by",
                                          "words",
                                          "duration_ms",
                                          "bytes_in",
                                          "bytes_out",
                                          "messages_in",
                                          "messages_out",
                                          "user",
                                          "upstream",
                                          "server",
                                          "upstream_status",
                                          "tries",
                                          "connect_ms",
                                          "first_byte_ms",
                                          "upstream_bytes_sent",
                                          "upstream_bytes_received",
                                          "user_agent"};
    (void)state;
    static struct request_upstream asked = {.name = wordy,
                                            .status = 599,
                                            .tries = UINT_MAX,
                                            .connect_us = UINT64_MAX,
                                            .first_byte_us = UINT64_MAX,
                                            .bytes_sent = UINT64_MAX,
                                            .bytes_received = UINT64_MAX};
    memset(asked.server, '"', sizeof asked.server - 1);
    struct weir_ending longest = {.struct_size = sizeof longest,
                                  .code = 4999,
                                  .reason = {(const uint8_t *)wordy, 123},
                                  .status = 101,
                                  .closed_by = "backend",
                                  .words = "no answer to a ping within keep_alive_timeout",
                                  .duration_us = UINT64_MAX,
                                  .messages_in = UINT64_MAX,
                                  .messages_out = UINT64_MAX,
                                  .bytes_in = UINT64_MAX,
                                  .bytes_out = UINT64_MAX};
    is_wordy = true;
    upstream = &asked;
    const char *line = line_of(&longest, true);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char member[64];
        snprintf(member, sizeof member, "\"%s\":", members[i]);
        assert_has(line, member);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reader_that_sleeps_costs_lines_and_holds_nobody_up),
        cmocka_unit_test_setup_teardown(test_backend_that_was_asked_is_told, file_make, file_free),
        cmocka_unit_test_setup_teardown(
            test_backend_that_never_answered_has_neither_status_nor_times, file_make, file_free),
        cmocka_unit_test_setup_teardown(test_nothing_is_told_of_backends_where_none_was_asked,
                                        file_make, file_free),
        cmocka_unit_test_setup_teardown(test_longest_line_has_every_member, file_make, file_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
