/* Echo: every session keeps `depth` messages in flight, and each echo that comes back lets the next
 * one go. Three phases: warm-up, the measured window, and a drain in which nothing new is sent and
 * everything in flight must still come back. main.c calls it. Handshakes and closing are never
 * inside the window. */
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "fail.h"
#include "link.h"
#include "modes.h"
#include "report.h"
#include "session.h"

enum {
    ECHO_EVENTS = 1024
};

struct echo {
    const struct options *options;
    struct session *sessions;
    uint64_t *sent_ns; /* when each message in flight was granted: `depth` of each session */
    struct wire_image image;
    struct meter_run run;
    struct meter_histogram latency;
    uint64_t messages;  /* completed in the window */
    uint64_t in_flight; /* on all sessions */
    int epoll;
};

static void echo_grant(struct echo *echo, uint32_t index, uint32_t count, uint64_t now_ns)
{
    struct session *session = &echo->sessions[index];
    uint64_t *sent_ns = &echo->sent_ns[(size_t)index * echo->options->depth];
    for (uint32_t i = 0; i < count; i++) {
        sent_ns[session->granted++ % echo->options->depth] = now_ns;
    }
    echo->in_flight += count;
    session_pump_watched(session, &echo->image, echo->epoll, index);
}

/* `done` messages of the session have just come back. */
static void echo_count(struct echo *echo, uint32_t index, uint32_t done, uint64_t now_ns)
{
    const struct session *session = &echo->sessions[index];
    const uint64_t *sent_ns = &echo->sent_ns[(size_t)index * echo->options->depth];
    if (session->received > session->granted) {
        fail("session %u: more messages came than were sent", index);
    }
    echo->in_flight -= done;
    if (echo->run.phase != METER_MEASURE) {
        return;
    }
    echo->messages += done;
    for (uint32_t i = 1; i <= done; i++) {
        meter_add(&echo->latency, now_ns - sent_ns[(session->received - i) % echo->options->depth]);
    }
}

static void echo_handle(struct echo *echo, const struct epoll_event *event)
{
    uint32_t index = event->data.u32;
    struct session *session = &echo->sessions[index];
    uint32_t done = 0;
    if ((event->events & ~(uint32_t)EPOLLOUT) != 0) {
        done = session_read(session, &echo->image);
    }
    uint64_t now_ns = meter_now_ns();
    echo_count(echo, index, done, now_ns);
    if (done > 0 && echo->run.phase != METER_DRAIN) {
        echo_grant(echo, index, done, now_ns);
    } else if ((event->events & EPOLLOUT) != 0) {
        session_pump_watched(session, &echo->image, echo->epoll, index);
    }
}

static void echo_loop(struct echo *echo)
{
    struct epoll_event events[ECHO_EVENTS];
    int stall_ms = (int)(echo->options->stall_seconds * 1000.0);
    while (echo->run.phase != METER_DRAIN || echo->in_flight > 0) {
        int count = epoll_wait(echo->epoll, events, ECHO_EVENTS, stall_ms);
        if (count == 0) {
            fail("no answer for %.1f seconds, %llu messages are missing",
                 echo->options->stall_seconds, (unsigned long long)echo->in_flight);
        }
        for (int i = 0; i < count; i++) {
            echo_handle(echo, &events[i]);
        }
        meter_run_advance(&echo->run);
    }
}

static void echo_open(struct echo *echo)
{
    const struct options *options = echo->options;
    link_raise_limit(options->connections);
    echo->sessions = calloc(options->connections, sizeof(*echo->sessions));
    echo->sent_ns = calloc((size_t)options->connections * options->depth, sizeof(*echo->sent_ns));
    echo->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (echo->sessions == NULL || echo->sent_ns == NULL || echo->epoll < 0) {
        fail_errno("starting");
    }
    wire_image_make(&echo->image, options->size, options->depth, options->text);
    session_open_many(echo->sessions, options->connections, options->path, options, 0);
    meter_run_begin(&echo->run, options->warmup_seconds, options->seconds, options->pid);
    for (uint32_t i = 0; i < options->connections; i++) {
        session_set_blocking(&echo->sessions[i], false);
        session_watch(&echo->sessions[i], echo->epoll, i);
        echo_grant(echo, i, options->depth, meter_now_ns());
    }
}

static void echo_close(struct echo *echo)
{
    for (uint32_t i = 0; i < echo->options->connections; i++) {
        session_set_blocking(&echo->sessions[i], true);
    }
    session_close_many(echo->sessions, echo->options->connections, &echo->image);
    close(echo->epoll);
    wire_image_free(&echo->image);
    free(echo->sent_ns);
    free(echo->sessions);
}

void echo_run(const struct options *options)
{
    static struct echo echo;
    echo.options = options;
    echo_open(&echo);
    echo_loop(&echo);
    echo_close(&echo);
    if (echo.messages == 0) {
        fail("no message came back within the window");
    }
    report_begin("echo");
    report_count("raw", options->raw);
    report_count("connections", options->connections);
    report_count("size", options->size);
    report_count("depth", options->depth);
    report_run(options, &echo.run, "message", echo.messages);
    report_latency(&echo.latency);
    report_end();
}
