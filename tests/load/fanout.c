/* Fan-out: one session publishes, and every subscriber must get every message, in order and
 * unchanged. `depth` messages are under way at a time; one is done when the last subscriber has it.
 * The publisher is the first subscriber, or with --publish-path a session of its own, which then
 * must hear nothing. main.c calls it. It knows nothing of topics: what a session at a path hears is
 * the server's affair. */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fail.h"
#include "link.h"
#include "modes.h"
#include "report.h"
#include "session.h"

struct fanout {
    const struct options *options;
    struct session *sessions; /* the subscribers, and behind them a publisher of its own */
    uint32_t session_count;
    uint32_t publisher; /* its index */
    uint32_t *heard;    /* by how many each of the `depth` messages under way has been received */
    uint64_t *sent_ns;
    uint64_t complete; /* messages that all have received */
    struct wire_image image;
    struct meter_run run;
    struct meter_histogram latency;
    uint64_t deliveries; /* in the window */
    int epoll;
};

static void fanout_grant(struct fanout *fanout)
{
    struct session *publisher = &fanout->sessions[fanout->publisher];
    uint32_t depth = fanout->options->depth;
    uint64_t now_ns = meter_now_ns();
    while (fanout->run.phase != METER_DRAIN && publisher->granted < fanout->complete + depth) {
        fanout->sent_ns[publisher->granted++ % depth] = now_ns;
    }
    session_pump_watched(publisher, &fanout->image, fanout->epoll, fanout->publisher);
}

static void fanout_heard(struct fanout *fanout, const struct session *session, uint32_t done)
{
    uint32_t depth = fanout->options->depth;
    uint64_t now_ns = meter_now_ns();
    if (session->received > fanout->sessions[fanout->publisher].granted) {
        fail("session %u: more messages came than were published", session->id);
    }
    for (uint64_t i = session->received - done; i < session->received; i++) {
        if (fanout->run.phase == METER_MEASURE) {
            fanout->deliveries++;
            meter_add(&fanout->latency, now_ns - fanout->sent_ns[i % depth]);
        }
        /* Each hears them in order, so that all have message i before any i + depth exists. */
        if (++fanout->heard[i % depth] == fanout->options->connections) {
            fanout->heard[i % depth] = 0;
            fanout->complete++;
        }
    }
}

static void fanout_handle(struct fanout *fanout, const struct epoll_event *event)
{
    uint32_t index = event->data.u32;
    struct session *session = &fanout->sessions[index];
    if ((event->events & ~(uint32_t)EPOLLOUT) != 0) {
        uint32_t done = session_read(session, &fanout->image);
        if (done > 0 && index >= fanout->options->connections) {
            fail("the publisher heard a message on the publishing path");
        }
        fanout_heard(fanout, session, done);
    }
}

static void fanout_loop(struct fanout *fanout)
{
    struct epoll_event events[256];
    const struct session *publisher = &fanout->sessions[fanout->publisher];
    int stall_ms = (int)(fanout->options->stall_seconds * 1000.0);
    while (fanout->run.phase != METER_DRAIN || fanout->complete < publisher->granted) {
        fanout_grant(fanout);
        int count = epoll_wait(fanout->epoll, events, 256, stall_ms);
        if (count == 0) {
            fail("no delivery for %.1f seconds: message %llu has not reached all",
                 fanout->options->stall_seconds, (unsigned long long)fanout->complete);
        }
        for (int i = 0; i < count; i++) {
            fanout_handle(fanout, &events[i]);
        }
        meter_run_advance(&fanout->run);
    }
}

/* A pong shows that the server has opened the session for good: it is subscribed by then. */
static void fanout_await_open(struct session *session, const struct wire_image *image)
{
    uint8_t frame[WIRE_CLIENT_HEAD_MAX + WIRE_CONTROL_MAX];
    link_send(session->fd, frame, wire_control(frame, WIRE_OPCODE_PING, NULL, 0));
    while (session->pongs == 0) {
        if (session_read(session, image) > 0) {
            fail("session %u: heard a message before any was published", session->id);
        }
    }
}

static void fanout_open(struct fanout *fanout)
{
    const struct options *options = fanout->options;
    bool own_publisher = options->publish_path != NULL;
    fanout->session_count = options->connections + own_publisher;
    fanout->publisher = own_publisher ? options->connections : 0;
    link_raise_limit(fanout->session_count);
    fanout->sessions = calloc(fanout->session_count, sizeof(*fanout->sessions));
    fanout->heard = calloc(options->depth, sizeof(*fanout->heard));
    fanout->sent_ns = calloc(options->depth, sizeof(*fanout->sent_ns));
    fanout->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (fanout->sessions == NULL || fanout->heard == NULL || fanout->sent_ns == NULL ||
        fanout->epoll < 0) {
        fail_errno("starting");
    }
    wire_image_make(&fanout->image, options->size, options->depth, options->text);
    session_open_many(fanout->sessions, options->connections, options->path, options, 0);
    if (own_publisher) {
        session_open_many(fanout->sessions + fanout->publisher, 1, options->publish_path, options,
                          fanout->publisher);
        fanout->sessions[fanout->publisher].id = fanout->publisher;
    }
    for (uint32_t i = 0; i < fanout->session_count; i++) {
        fanout->sessions[i].expect_id = fanout->publisher;
        fanout_await_open(&fanout->sessions[i], &fanout->image);
        session_set_blocking(&fanout->sessions[i], false);
        session_watch(&fanout->sessions[i], fanout->epoll, i);
    }
}

static void fanout_close(struct fanout *fanout)
{
    for (uint32_t i = 0; i < fanout->session_count; i++) {
        session_set_blocking(&fanout->sessions[i], true);
    }
    session_close_many(fanout->sessions, fanout->session_count, &fanout->image);
    close(fanout->epoll);
    wire_image_free(&fanout->image);
    free(fanout->sent_ns);
    free(fanout->heard);
    free(fanout->sessions);
}

void fanout_run(const struct options *options)
{
    static struct fanout fanout;
    if (options->raw) {
        fail("fanout has no raw form");
    }
    fanout.options = options;
    fanout_open(&fanout);
    meter_run_begin(&fanout.run, options->warmup_seconds, options->seconds, options->pid);
    fanout_loop(&fanout);
    fanout_close(&fanout);
    if (fanout.deliveries == 0) {
        fail("nothing was delivered within the window");
    }
    report_begin("fanout");
    report_count("connections", options->connections);
    report_count("size", options->size);
    report_count("depth", options->depth);
    report_run(options, &fanout.run, "message", fanout.deliveries);
    report_latency(&fanout.latency);
    report_end();
}
