/* The program's own log: one line for each event on standard error, so that containers and systemd
 * can keep it. */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

enum log_level {
    LOG_DEBUG,
    LOG_INFO,
    LOG_WARN,
    LOG_ERROR
};

/* Makes sure that a line never waits for a reader of standard error that sleeps; such lines are
 * lost, and counted. Call once, before threads start. */
void log_start(void);

/* Drops lines below `level`. Call before threads start; LOG_INFO until then. */
void log_set_level(enum log_level level);

/* Writes "TIME LEVEL ROOM message\n" with one write(2). Lines over 4 KiB are cut. `room` is who
 * speaks, e.g. "tls". Control characters in the message are written as \xNN, so a peer cannot forge
 * lines. Any thread. */
void log_line(enum log_level level, const char *room, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(room, ...) log_line(LOG_DEBUG, room, __VA_ARGS__)
#define log_info(room, ...) log_line(LOG_INFO, room, __VA_ARGS__)
#define log_warn(room, ...) log_line(LOG_WARN, room, __VA_ARGS__)
#define log_error(room, ...) log_line(LOG_ERROR, room, __VA_ARGS__)

#endif
