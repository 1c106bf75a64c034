/* weir-floor: the least that a server on this machine can spend on echoing bytes over TCP, which is
 * what every gateway is compared with. Plain epoll, one thread, one buffer for all connections; one
 * read and one write for each event. scripts/bench.sh runs it. It knows no WebSocket and never
 * looks at a byte. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fail.h"
#include "serve.h"

/* What the kernel did not take. While there is any, the connection is not read. */
struct floor_connection {
    int fd;
    size_t rest_size;
    size_t rest_at;
    char *rest; /* NULL for none */
};

static char floor_buffer[SERVE_BUFFER_BYTES];

static void floor_accept(int epoll, int listener)
{
    int fd = serve_accept(listener);
    struct floor_connection *connection = calloc(1, sizeof(*connection));
    if (fd < 0 || connection == NULL) {
        free(connection);
        return;
    }
    connection->fd = fd;
    serve_watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, connection);
}

static void floor_close(struct floor_connection *connection)
{
    close(connection->fd);
    free(connection->rest);
    free(connection);
}

/* False when the connection has gone. */
static bool floor_flush(int epoll, struct floor_connection *connection)
{
    char *from = connection->rest + connection->rest_at;
    size_t left = connection->rest_size - connection->rest_at;
    ssize_t sent = send(connection->fd, from, left, MSG_NOSIGNAL);
    if (sent < 0) {
        return errno == EAGAIN;
    }
    connection->rest_at += (size_t)sent;
    if (connection->rest_at == connection->rest_size) {
        free(connection->rest);
        connection->rest = NULL;
        serve_watch(epoll, EPOLL_CTL_MOD, connection->fd, EPOLLIN, connection);
    }
    return true;
}

/* False when the connection has gone. */
static bool floor_echo(int epoll, struct floor_connection *connection)
{
    ssize_t got = recv(connection->fd, floor_buffer, SERVE_BUFFER_BYTES, 0);
    if (got <= 0) {
        return got < 0 && errno == EAGAIN;
    }
    ssize_t sent = send(connection->fd, floor_buffer, (size_t)got, MSG_NOSIGNAL);
    if (sent == got) {
        return true;
    }
    if (sent < 0 && errno != EAGAIN) {
        return false;
    }
    size_t taken = sent < 0 ? 0 : (size_t)sent;
    connection->rest_size = (size_t)got - taken;
    connection->rest_at = 0;
    connection->rest = malloc(connection->rest_size);
    if (connection->rest == NULL) {
        return false;
    }
    memcpy(connection->rest, floor_buffer + taken, connection->rest_size);
    serve_watch(epoll, EPOLL_CTL_MOD, connection->fd, EPOLLOUT, connection);
    return true;
}

int main(int argc, char **argv)
{
    struct epoll_event events[SERVE_EVENTS];
    if (argc != 3 || strcmp(argv[1], "--address") != 0) {
        fail("usage: weir-floor --address A.B.C.D:PORT");
    }
    int listener = serve_listen(argv[2]);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    serve_watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    for (;;) {
        int count = epoll_wait(epoll, events, SERVE_EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct floor_connection *connection = events[i].data.ptr;
            if (connection == NULL) {
                floor_accept(epoll, listener);
                continue;
            }
            bool lives = connection->rest != NULL ? floor_flush(epoll, connection)
                                                  : floor_echo(epoll, connection);
            if (!lives) {
                floor_close(connection);
            }
        }
    }
}
