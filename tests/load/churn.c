/* Churn: what a whole short life costs. Each of `parallel` slots connects, upgrades, echoes one
 * message, does the closing handshake, waits for the server to close, and starts again. One small
 * state machine per slot on one epoll loop. main.c calls it. Nothing in here blocks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fail.h"
#include "link.h"
#include "modes.h"
#include "report.h"
#include "session.h"

enum churn_state {
    CHURN_CONNECTING,
    CHURN_UPGRADING,
    CHURN_ECHOING,
    CHURN_CLOSING,
    CHURN_DONE /* the slot is not used again */
};

struct churn_slot {
    struct session session;
    enum churn_state state;
    uint64_t start_ns;
    size_t reply_size;
    char reply[LINK_REPLY_MAX + 1];
};

struct churn {
    const struct options *options;
    struct churn_slot *slots;
    struct wire_image image;
    struct meter_run run;
    struct meter_histogram latency;
    char request[LINK_REQUEST_MAX];
    size_t request_size;
    uint64_t number;   /* of the next connection */
    uint64_t finished; /* whole lives in the window */
    uint32_t active;
    int epoll;
};

static void churn_watch(struct churn *churn, uint32_t index, int action, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = index};
    if (epoll_ctl(churn->epoll, action, churn->slots[index].session.fd, &event) != 0) {
        fail_errno("epoll_ctl");
    }
}

static void churn_start(struct churn *churn, uint32_t index)
{
    struct churn_slot *slot = &churn->slots[index];
    uint32_t id = (uint32_t)churn->number;
    slot->session = (struct session){.id = id, .expect_id = id};
    slot->session.fd = link_connect(churn->options, churn->number++, false);
    slot->state = CHURN_CONNECTING;
    slot->start_ns = meter_now_ns();
    slot->reply_size = 0;
    churn_watch(churn, index, EPOLL_CTL_ADD, EPOLLOUT);
}

static void churn_connected(struct churn *churn, uint32_t index)
{
    struct churn_slot *slot = &churn->slots[index];
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(slot->session.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        errno = error;
        fail_errno("connect");
    }
    link_send(slot->session.fd, churn->request, churn->request_size);
    churn_watch(churn, index, EPOLL_CTL_MOD, EPOLLIN);
    slot->state = CHURN_UPGRADING;
}

/* Moves on when the bytes of the reply, and of what may stand behind it, allow. */
static void churn_upgraded(struct churn *churn, struct churn_slot *slot, const uint8_t *bytes,
                           size_t size)
{
    if (size > LINK_REPLY_MAX - slot->reply_size) {
        fail("the server's reply has no end");
    }
    memcpy(slot->reply + slot->reply_size, bytes, size);
    slot->reply_size += size;
    slot->reply[slot->reply_size] = '\0';
    size_t head_size = link_reply_check(slot->reply, slot->reply_size);
    if (head_size == 0) {
        return;
    }
    slot->state = CHURN_ECHOING;
    slot->session.granted = 1;
    if (session_pump(&slot->session, &churn->image)) {
        fail("--size is too large here: the server does not take a whole message");
    }
    session_feed(&slot->session, &churn->image, (const uint8_t *)slot->reply + head_size,
                 slot->reply_size - head_size);
}

static void churn_finish(struct churn *churn, uint32_t index)
{
    struct churn_slot *slot = &churn->slots[index];
    const struct session *session = &slot->session;
    if (slot->state != CHURN_CLOSING || !session->closed || session->close_code != 1000 ||
        session->received != 1) {
        fail("connection %u: no clean closing handshake (code %u)", session->id,
             session->close_code);
    }
    close(session->fd);
    if (churn->run.phase == METER_MEASURE) {
        churn->finished++;
        meter_add(&churn->latency, meter_now_ns() - slot->start_ns);
    }
    if (churn->run.phase == METER_DRAIN) {
        slot->state = CHURN_DONE;
        churn->active--;
        return;
    }
    churn_start(churn, index);
}

static void churn_readable(struct churn *churn, uint32_t index)
{
    struct churn_slot *slot = &churn->slots[index];
    struct session *session = &slot->session;
    ssize_t got = recv(session->fd, session_read_buffer, SESSION_READ_BYTES, 0);
    if (got < 0 && errno != EAGAIN) {
        fail_errno("recv");
    }
    if (got == 0) {
        churn_finish(churn, index);
    }
    if (got <= 0) {
        return;
    }
    if (slot->state == CHURN_UPGRADING) {
        churn_upgraded(churn, slot, session_read_buffer, (size_t)got);
    } else {
        session_feed(session, &churn->image, session_read_buffer, (size_t)got);
    }
    if (slot->state == CHURN_ECHOING && session->received > 0) {
        session_send_close(session);
        slot->state = CHURN_CLOSING;
    }
}

static void churn_loop(struct churn *churn)
{
    struct epoll_event events[256];
    int stall_ms = (int)(churn->options->stall_seconds * 1000.0);
    while (churn->active > 0) {
        int count = epoll_wait(churn->epoll, events, 256, stall_ms);
        if (count == 0) {
            fail("no answer for %.1f seconds, %u connections are stuck",
                 churn->options->stall_seconds, churn->active);
        }
        for (int i = 0; i < count; i++) {
            uint32_t index = events[i].data.u32;
            if (churn->slots[index].state == CHURN_CONNECTING) {
                churn_connected(churn, index);
            } else {
                churn_readable(churn, index);
            }
        }
        meter_run_advance(&churn->run);
    }
}

void churn_run(const struct options *options)
{
    static struct churn churn;
    link_raise_limit(options->parallel);
    churn.options = options;
    churn.slots = calloc(options->parallel, sizeof(*churn.slots));
    churn.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (churn.slots == NULL || churn.epoll < 0) {
        fail_errno("starting");
    }
    wire_image_make(&churn.image, options->size, 1, options->text);
    churn.request_size = link_request(options, options->path, churn.request);
    churn.active = options->parallel;
    meter_run_begin(&churn.run, options->warmup_seconds, options->seconds, options->pid);
    for (uint32_t i = 0; i < options->parallel; i++) {
        churn_start(&churn, i);
    }
    churn_loop(&churn);
    if (churn.finished == 0) {
        fail("no connection lived its whole life within the window");
    }
    report_begin("churn");
    report_count("parallel", options->parallel);
    report_run(options, &churn.run, "connection", churn.finished);
    report_latency(&churn.latency);
    report_end();
    close(churn.epoll);
    wire_image_free(&churn.image);
    free(churn.slots);
}
