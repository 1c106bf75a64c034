/* weir-copy: the least that a proxy on this machine can spend on passing bytes on, which is what
 * every tunnel is compared with. For each client a connection to the server behind, and what comes
 * from one goes to the other: plain epoll, one thread, one buffer for all; one read and one write
 * for each event. With --splice the bytes go through a pipe and never into the program.
 * scripts/bench.sh runs it. It never looks at a byte. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fail.h"
#include "serve.h"

struct copy_pair;

/* One direction's source, and what its sink did not take; while there is any, the source is not
 * read. */
struct copy_end {
    struct copy_pair *pair;
    int fd;
    bool is_server;
    uint32_t watched;
    char *rest; /* for this end to take; NULL for none */
    size_t rest_size;
    size_t rest_at;
};

struct copy_pair {
    struct copy_end ends[2];
    bool dead;
    struct copy_pair *next_dead;
};

static char copy_buffer[SERVE_BUFFER_BYTES];
static int copy_pipe[2] = {-1, -1};
static int copy_epoll;
static struct copy_pair *copy_dead;

static struct copy_end *other(struct copy_end *end)
{
    return &end->pair->ends[end->is_server ? 0 : 1];
}

static void rewatch(struct copy_end *end)
{
    uint32_t wanted = other(end)->rest == NULL ? EPOLLIN : 0;
    wanted |= end->rest != NULL ? EPOLLOUT : 0;
    if (wanted != end->watched) {
        end->watched = wanted;
        serve_watch(copy_epoll, EPOLL_CTL_MOD, end->fd, wanted, end);
    }
}

/* Freed when this round of events is over: some of them may be of the same pair. */
static void cut(struct copy_pair *pair)
{
    if (!pair->dead) {
        pair->dead = true;
        close(pair->ends[0].fd);
        close(pair->ends[1].fd);
        pair->next_dead = copy_dead;
        copy_dead = pair;
    }
}

static void bury(void)
{
    while (copy_dead != NULL) {
        struct copy_pair *pair = copy_dead;
        copy_dead = pair->next_dead;
        free(pair->ends[0].rest);
        free(pair->ends[1].rest);
        free(pair);
    }
}

static bool keep_rest(struct copy_end *sink, const char *bytes, size_t size)
{
    sink->rest = malloc(size);
    if (sink->rest == NULL) {
        return false;
    }
    memcpy(sink->rest, bytes, size);
    sink->rest_size = size;
    sink->rest_at = 0;
    rewatch(sink);
    rewatch(other(sink));
    return true;
}

static bool flush(struct copy_end *sink)
{
    ssize_t sent =
        send(sink->fd, sink->rest + sink->rest_at, sink->rest_size - sink->rest_at, MSG_NOSIGNAL);
    if (sent < 0) {
        return errno == EAGAIN;
    }
    sink->rest_at += (size_t)sent;
    if (sink->rest_at == sink->rest_size) {
        free(sink->rest);
        sink->rest = NULL;
        rewatch(sink);
        rewatch(other(sink));
    }
    return true;
}

/* Half a close is taken for a whole one: the load generator never goes on after its own. */
static bool copy(struct copy_end *source)
{
    struct copy_end *sink = other(source);
    ssize_t got = recv(source->fd, copy_buffer, sizeof(copy_buffer), 0);
    if (got <= 0) {
        return got < 0 && errno == EAGAIN;
    }
    ssize_t sent = send(sink->fd, copy_buffer, (size_t)got, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        return false;
    }
    size_t taken = sent < 0 ? 0 : (size_t)sent;
    return taken == (size_t)got || keep_rest(sink, copy_buffer + taken, (size_t)got - taken);
}

/* What the sink does not take is drained from the pipe, which all pairs share. */
static bool splice_through(struct copy_end *source)
{
    struct copy_end *sink = other(source);
    ssize_t got = splice(source->fd, NULL, copy_pipe[1], NULL, SERVE_BUFFER_BYTES,
                         SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (got <= 0) {
        return got < 0 && errno == EAGAIN;
    }
    size_t left = (size_t)got;
    while (left > 0) {
        ssize_t sent =
            splice(copy_pipe[0], NULL, sink->fd, NULL, left, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (sent <= 0) {
            break;
        }
        left -= (size_t)sent;
    }
    if (left == 0) {
        return true;
    }
    ssize_t drained = read(copy_pipe[0], copy_buffer, left);
    return drained == (ssize_t)left && keep_rest(sink, copy_buffer, left);
}

static void open_pair(int listener, const char *to)
{
    int fd = serve_accept(listener);
    struct copy_pair *pair = calloc(1, sizeof(*pair));
    if (fd < 0 || pair == NULL) {
        free(pair);
        return;
    }
    pair->ends[0] = (struct copy_end){.pair = pair, .fd = fd, .watched = EPOLLIN};
    pair->ends[1] = (struct copy_end){
        .pair = pair, .fd = serve_connect(to), .is_server = true, .watched = EPOLLIN};
    for (int i = 0; i < 2; i++) {
        serve_watch(copy_epoll, EPOLL_CTL_ADD, pair->ends[i].fd, EPOLLIN, &pair->ends[i]);
    }
}

static void open_pipe(void)
{
    if (pipe2(copy_pipe, O_NONBLOCK | O_CLOEXEC) != 0 ||
        fcntl(copy_pipe[1], F_SETPIPE_SZ, SERVE_BUFFER_BYTES) < 0) {
        fail_errno("pipe");
    }
}

static void serve_end(struct copy_end *end, uint32_t events)
{
    bool lives = !end->pair->dead;
    if (lives && end->rest != NULL && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
        lives = flush(end);
    }
    if (lives && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0 && other(end)->rest == NULL) {
        lives = copy_pipe[0] >= 0 ? splice_through(end) : copy(end);
    }
    if (!lives) {
        cut(end->pair);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[SERVE_EVENTS];
    if (argc < 5 || strcmp(argv[1], "--address") != 0 || strcmp(argv[3], "--to") != 0 ||
        (argc > 5 && strcmp(argv[5], "--splice") != 0)) {
        fail("usage: weir-copy --address A.B.C.D:PORT --to A.B.C.D:PORT [--splice]");
    }
    int listener = serve_listen(argv[2]);
    if (argc > 5) {
        open_pipe();
    }
    copy_epoll = epoll_create1(EPOLL_CLOEXEC);
    serve_watch(copy_epoll, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    for (;;) {
        int count = epoll_wait(copy_epoll, events, SERVE_EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL) {
                open_pair(listener, argv[4]);
            } else {
                serve_end(events[i].data.ptr, events[i].events);
            }
        }
        bury();
    }
}
