/* Formats on the stack and writes once, so lines of different threads never mix and no lock is
 * held. A traceback keeps its newlines: they are followed by a tab, so a reader can tell them from
 * the start of another event. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/output_fd.h"

enum {
    LINE_BYTES = 4096,
    ESCAPE_BYTES = 4
};

static _Atomic int lowest = LOG_INFO;
static int output = STDERR_FILENO;
static _Atomic unsigned lost; /* lines that nobody took, since the last that somebody did */

void log_start(void)
{
    output = output_fd_unblocked(STDERR_FILENO);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&lowest, (int)level, memory_order_relaxed);
}

static size_t put_time(char *line, size_t room)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t used = strftime(line, room, "%Y-%m-%dT%H:%M:%S", &utc);
    int more = snprintf(line + used, room - used, ".%03ldZ", now.tv_nsec / 1000000);
    return used + (size_t)more;
}

static size_t put_escaped(char *line, size_t used, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    for (const char *at = text; *at != '\0' && used < LINE_BYTES - ESCAPE_BYTES - 2; at++) {
        unsigned char c = (unsigned char)*at;
        if (c == '\n') {
            line[used++] = '\n';
            line[used++] = '\t';
        } else if ((c >= 0x20 && c != 0x7f) || c == '\t') {
            line[used++] = (char)c;
        } else {
            line[used++] = '\\';
            line[used++] = 'x';
            line[used++] = hex[c >> 4];
            line[used++] = hex[c & 15];
        }
    }
    return used;
}

void log_line(enum log_level level, const char *room, const char *format, ...)
{
    static const char *const names[] = {"DEBUG", "INFO", "WARN", "ERROR"};
    if ((int)level < atomic_load_explicit(&lowest, memory_order_relaxed)) {
        return;
    }
    char message[LINE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);

    char line[LINE_BYTES];
    size_t used = put_time(line, sizeof line);
    used += (size_t)snprintf(line + used, sizeof line - used, " %-5s %.32s ", names[level], room);
    used = put_escaped(line, used, message);
    line[used++] = '\n';
    if (write(output, line, used) < 0) {
        /* Nobody reads our log. Waiting would stop the worker that has something to say. */
        atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
        return;
    }
    unsigned missed = atomic_exchange_explicit(&lost, 0, memory_order_relaxed);
    if (missed > 0) {
        log_line(LOG_WARN, "log", "%u lines before this one were lost: nobody took them", missed);
    }
}
