/* Accepts on one worker. When the process or the system is out of descriptors, the readiness of the
 * listening socket would spin the loop; so accepting pauses for a moment and tries again. */
#include "net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum {
    ACCEPT_BATCH = 64, /* connections a turn, so that accepted ones are served too */
    PAUSE_MS = 100
};

struct listener {
    struct loop *loop;
    struct event *event;
    struct loop_timer *pause;
    const char *address;
    listener_accept_fn fn;
    void *context;
    int fd;
    bool complained;
};

static void resume(void *context)
{
    struct listener *listener = context;
    loop_timer_free(&listener->pause);
    event_add(listener->event, NULL);
}

static void pause_accepting(struct listener *listener, int error)
{
    if (!listener->complained) {
        log_warn("listener", "%s: cannot accept: %s; trying again every %d ms", listener->address,
                 strerror(error), PAUSE_MS);
        listener->complained = true;
    }
    listener->pause = loop_timer_new(listener->loop, PAUSE_MS, false, resume, listener);
    if (listener->pause != NULL) {
        event_del(listener->event);
    }
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static bool accept_one(struct listener *listener)
{
    static const int on = 1;
    struct sockaddr_storage peer = {0};
    socklen_t peer_size = sizeof peer;
    int fd =
        accept4(listener->fd, (struct sockaddr *)&peer, &peer_size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        int error = errno; /* logging may change it */
        if (is_shortage(error)) {
            pause_accepting(listener, error);
            return false;
        }
        /* Errors of the one connection (ECONNABORTED and the network's) leave others to accept:
         * accept(2). */
        return error != EAGAIN && error != EINVAL && error != EBADF;
    }
    listener->complained = false;
    if (peer.ss_family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    listener->fn(listener->context, fd, &peer, peer_size);
    return true;
}

static void accept_ready(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    for (int i = 0; i < ACCEPT_BATCH && accept_one(context); i++) {
    }
}

struct listener *listener_new(struct loop *loop, int fd, const char *address, listener_accept_fn fn,
                              void *context)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL) {
        close(fd);
        return NULL;
    }
    *listener =
        (struct listener){.loop = loop, .address = address, .fn = fn, .context = context, .fd = fd};
    listener->event = event_new(loop_base(loop), fd, EV_READ | EV_PERSIST, accept_ready, listener);
    if (listener->event == NULL || event_add(listener->event, NULL) < 0) {
        listener_free(&listener);
    }
    return listener;
}

void listener_free(struct listener **listener)
{
    struct listener *gone = *listener;
    if (gone != NULL) {
        loop_timer_free(&gone->pause);
        if (gone->event != NULL) {
            event_free(gone->event);
        }
        close(gone->fd);
        free(gone);
        *listener = NULL;
    }
}
