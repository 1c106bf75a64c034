/* Writes a line when a request or session unwinds. As the first plugin of a chain it is the last to
 * hear of the end, so the line tells what the client got in the end.
 *
 * Each line is one write(2) on a descriptor in append mode, so workers share it without a lock and
 * lines never mix. A line fits PIPE_BUF, for the same on a pipe (docker logs): long texts are cut.
 * Called by the chain in session/; never waits, and drops the line where nobody takes it. */
#include "handlers/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weir/plugin.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/output_fd.h"
#include "base/span.h"
#include "handlers/json_line.h"
#include "session/request.h"
#include "session/session.h"

enum {
    /* Bytes of each text at most, escaped; together with the rest they stay below JSON_LINE_BYTES.
     */
    SHORT_TEXT = 64,
    UPSTREAM_TEXT = 64,
    USER_TEXT = 128,
    SERVER_TEXT = 2 * REQUEST_SERVER_BYTES,
    ROUTE_TEXT = 256,
    HOST_TEXT = 256,
    REASON_TEXT = 400,
    AGENT_TEXT = 400,
    QUERY_TEXT = 600,
    PATH_TEXT = 1000
};

static const uint32_t MAGIC = 0x616c6f67; /* "alog" */

struct access_log {
    uint32_t magic;
    int fd;
    bool owns_fd;
};

static struct access_log *log_of(void *self)
{
    struct access_log *log = self;
    WEIR_CHECK(log->magic == MAGIC);
    return log;
}

/* --- the process part --- */

static int open_file(struct access_log *log, const char *path, char *error, size_t error_size)
{
    if (strcmp(path, "-") == 0) {
        log->fd = output_fd_unblocked(STDOUT_FILENO);
        log->owns_fd = log->fd != STDOUT_FILENO;
        return 0;
    }
    log->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (log->fd < 0) {
        snprintf(error, error_size, "cannot open %s: %s", path, strerror(errno));
        return -1;
    }
    log->owns_fd = true;
    return 0;
}

static int load(const struct weir_plugin_config *config, void **plugin, char *error,
                size_t error_size)
{
    struct access_log *log = calloc(1, sizeof *log);
    if (log == NULL) {
        snprintf(error, error_size, "no memory");
        return -1;
    }
    log->magic = MAGIC;
    if (open_file(log, config->file, error, error_size) != 0) {
        free(log);
        return -1;
    }
    *plugin = log;
    return 0;
}

static void unload(void *plugin)
{
    struct access_log *log = log_of(plugin);
    if (log->owns_fd) {
        close(log->fd);
    }
    log->magic = 0;
    free(log);
}

/* --- the lines --- */

static void put_time(struct json_line *line)
{
    uint64_t now_ms = clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    char text[40];
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t used = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + used, sizeof text - used, ".%03uZ", (unsigned)(now_ms % 1000));
    json_line_text(line, "time", span_of(text), SHORT_TEXT);
}

static void put_request(struct json_line *line, const struct weir_request *request)
{
    json_line_number(line, "id", request_id(request));
    json_line_text(line, "remote", span_of(request_remote(request)), SHORT_TEXT);
    json_line_text(line, "method", request_method(request), SHORT_TEXT);
    json_line_text(line, "scheme", span_of(request_scheme(request)), SHORT_TEXT);
    json_line_text(line, "host", request_host(request), HOST_TEXT);
    json_line_text(line, "path", request_path(request), PATH_TEXT);
    json_line_text(line, "query", request_query(request), QUERY_TEXT);
    json_line_text(line, "route", span_of(request_route(request)), ROUTE_TEXT);
    if (request_user(request).size > 0) {
        json_line_text(line, "user", request_user(request), USER_TEXT);
    }
}

static void put_ending(struct json_line *line, const struct weir_ending *ending)
{
    json_line_text(line, "closed_by", span_of(ending->closed_by), SHORT_TEXT);
    json_line_text(line, "words", span_of(ending->words), HOST_TEXT);
    json_line_milliseconds(line, "duration_ms", ending->duration_us);
    json_line_number(line, "bytes_in", ending->bytes_in);
    json_line_number(line, "bytes_out", ending->bytes_out);
}

/* The backend that was asked, where one was: what never came about is left out. */
static void put_upstream(struct json_line *line, const struct weir_request *request)
{
    const struct request_upstream *upstream = request_upstream(request);
    if (upstream == NULL) {
        return;
    }
    json_line_text(line, "upstream", span_of(upstream->name), UPSTREAM_TEXT);
    if (upstream->server[0] != '\0') {
        json_line_text(line, "server", span_of(upstream->server), SERVER_TEXT);
    }
    if (upstream->status != 0) {
        json_line_number(line, "upstream_status", upstream->status);
    }
    json_line_number(line, "tries", upstream->tries);
    if (upstream->connect_us != 0) {
        json_line_milliseconds(line, "connect_ms", upstream->connect_us);
    }
    if (upstream->first_byte_us != 0) {
        json_line_milliseconds(line, "first_byte_ms", upstream->first_byte_us);
    }
    json_line_number(line, "upstream_bytes_sent", upstream->bytes_sent);
    json_line_number(line, "upstream_bytes_received", upstream->bytes_received);
}

static void finish(const struct access_log *log, struct json_line *line,
                   const struct weir_request *request)
{
    struct span agent = request_header(request, SPAN("user-agent"));
    json_line_text(line, "user_agent", agent, AGENT_TEXT);
    struct span bytes = json_line_end(line);
    if (write(log->fd, bytes.data, bytes.size) != (ssize_t)bytes.size) {
        /* Trying again could mix lines; a full disk or a slow reader must not stop a worker. */
        log_debug("access_log", "a line was lost: %s", strerror(errno));
    }
}

static void on_done(void *self, struct weir_request *request, unsigned seat,
                    const struct weir_ending *ending)
{
    (void)seat;
    struct json_line line;
    json_line_begin(&line);
    put_time(&line);
    json_line_text(&line, "kind", SPAN("request"), SHORT_TEXT);
    put_request(&line, request);
    json_line_number(&line, "status", ending->status);
    put_ending(&line, ending);
    put_upstream(&line, request);
    finish(log_of(self), &line, request);
}

static void on_close(void *self, struct weir_session *session, unsigned seat,
                     const struct weir_ending *ending)
{
    (void)seat;
    struct weir_request *request = session_request(session);
    struct span reason = {ending->reason.data, ending->reason.size};
    struct json_line line;
    json_line_begin(&line);
    put_time(&line);
    json_line_text(&line, "kind", SPAN("session"), SHORT_TEXT);
    put_request(&line, request);
    json_line_number(&line, "status", ending->status);
    json_line_number(&line, "code", ending->code);
    json_line_text(&line, "reason", reason, REASON_TEXT);
    put_ending(&line, ending);
    json_line_number(&line, "messages_in", ending->messages_in);
    json_line_number(&line, "messages_out", ending->messages_out);
    put_upstream(&line, request);
    finish(log_of(self), &line, request);
}

const struct weir_plugin_ops *access_log_ops(void)
{
    static const struct weir_plugin_ops ops = {.struct_size = sizeof ops,
                                               .load = load,
                                               .unload = unload,
                                               .on_done = on_done,
                                               .on_close = on_close};
    return &ops;
}
