/* Idle: what a session costs in memory while nothing happens on it, and whether sessions that have
 * gone leave anything behind. Opens all, lets each echo one message when asked to, reads the
 * server's proportional set size once it is still, closes all, reads it again; `rounds` times.
 * main.c calls it. It never measures time. */
#include <stdio.h>
#include <stdlib.h>

#include "fail.h"
#include "link.h"
#include "modes.h"
#include "report.h"
#include "session.h"

enum {
    IDLE_GROUP = 64
};

static void idle_echo(struct session *sessions, uint32_t count, struct wire_image *image)
{
    for (uint32_t i = 0; i < count; i++) {
        sessions[i].granted = 1;
        if (session_pump(&sessions[i], image)) {
            fail("--size is too large here: the server does not take a whole message");
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        session_receive_until(&sessions[i], image, 1);
    }
}

static void idle_open(struct session *sessions, struct wire_image *image,
                      const struct options *options, uint32_t connections, uint64_t number)
{
    for (uint32_t from = 0; from < connections; from += IDLE_GROUP) {
        uint32_t left = connections - from;
        uint32_t count = left < IDLE_GROUP ? left : IDLE_GROUP;
        session_open_many(sessions + from, count, options->path, options, number + from);
        if (options->echo_once) {
            idle_echo(sessions + from, count, image);
        }
    }
}

static void idle_report(const char *word, uint32_t round, int64_t value)
{
    char key[32];
    snprintf(key, sizeof(key), "%s_%u", word, round);
    report_signed(key, value);
}

void idle_run(const struct options *options)
{
    struct wire_image image;
    struct session *sessions = calloc(options->connections, sizeof(*sessions));
    if (sessions == NULL || options->pid == 0) {
        fail("idle needs --pid, the server's process, whose memory it reads");
    }
    link_raise_limit(options->connections);
    wire_image_make(&image, options->size, 1, options->text);
    /* The first sessions touch pages that all later ones share: code, tables, buffers. They are not
     * the price of a session. */
    uint32_t first = options->connections < IDLE_GROUP ? options->connections : IDLE_GROUP;
    idle_open(sessions, &image, options, first, 0);
    session_close_many(sessions, first, &image);
    int64_t before = (int64_t)meter_pss_settled_bytes(options->pid);
    int64_t closed_before = before;
    report_begin("idle");
    report_count("sessions", options->connections);
    report_signed("pss_before", before);
    for (uint32_t round = 1; round <= options->rounds; round++) {
        idle_open(sessions, &image, options, options->connections,
                  (uint64_t)round * options->connections);
        int64_t open = (int64_t)meter_pss_settled_bytes(options->pid);
        session_close_many(sessions, options->connections, &image);
        int64_t closed = (int64_t)meter_pss_settled_bytes(options->pid);
        if (round == 1) {
            report_number("bytes_per_session",
                          (double)(open - before) / (double)options->connections);
        }
        idle_report("pss_open", round, open);
        idle_report("pss_closed", round, closed);
        idle_report("growth", round, closed - closed_before);
        closed_before = closed;
    }
    report_end();
    wire_image_free(&image);
    free(sessions);
}
