/* Sockets for weir-floor and weir-copy. */
#include "serve.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "fail.h"

static void without_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int serve_listen(const char *address)
{
    int on = 1;
    struct sockaddr_in in = fail_unless_address(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof(in)) != 0 || listen(fd, SOMAXCONN) != 0) {
        fail_errno(address);
    }
    return fd;
}

int serve_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        without_delay(fd);
    }
    return fd;
}

int serve_connect(const char *address)
{
    struct sockaddr_in in = fail_unless_address(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        fail_errno("socket");
    }
    without_delay(fd);
    if (connect(fd, (struct sockaddr *)&in, sizeof(in)) != 0 && errno != EINPROGRESS) {
        fail_errno(address);
    }
    return fd;
}

void serve_watch(int epoll, int action, int fd, uint32_t events, void *context)
{
    struct epoll_event event = {.events = events, .data.ptr = context};
    if (epoll_ctl(epoll, action, fd, &event) != 0) {
        fail_errno("epoll_ctl");
    }
}
