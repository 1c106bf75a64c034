/* Sockets up to the moment when frames flow. Connections spread over 127.0.0.2 … 127.0.0.251,
 * because one source address has only some 28,000 ports and a churn run uses more. session.c opens
 * many at once with it, churn.c one by one. It never reads a frame. */
#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "fail.h"

enum {
    LINK_SOURCES = 250,
    LINK_OWN_DESCRIPTORS = 16
};

/* The example of RFC 6455, section 1.3: any key will do, and this one's answer is known. */
static const char link_key[] = "dGhlIHNhbXBsZSBub25jZQ==";
static const char link_accept[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

static void link_bind_source(int fd, const struct options *options, uint64_t number)
{
    int on = 1;
    uint32_t server = ntohl(options->address.sin_addr.s_addr);
    if (server >> 24 != 127) {
        return;
    }
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(0x7f000002u + (uint32_t)(number % LINK_SOURCES));
    /* The port is chosen at connect(), where only the whole four-tuple must be free. */
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&source, sizeof(source)) != 0) {
        fail_errno("bind to a source address");
    }
}

int link_connect(const struct options *options, uint64_t number, bool blocking)
{
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK), 0);
    if (fd < 0) {
        fail_errno("socket");
    }
    link_bind_source(fd, options, number);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct timeval patience = {.tv_sec = (time_t)options->stall_seconds + 1};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    const struct sockaddr *to = (const struct sockaddr *)&options->address;
    if (connect(fd, to, sizeof(options->address)) != 0 && errno != EINPROGRESS) {
        fail_errno("connect");
    }
    return fd;
}

size_t link_request(const struct options *options, const char *path, char out[LINK_REQUEST_MAX])
{
    int size = snprintf(out, LINK_REQUEST_MAX,
                        "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                        "Sec-WebSocket-Version: 13\r\n\r\n",
                        path, options->address_text, link_key);
    if (size < 0 || size >= LINK_REQUEST_MAX) {
        fail("the path is too long");
    }
    return (size_t)size;
}

/* Whether some line of the head is the field `name` with exactly this value. */
static bool link_head_has(const char *head, size_t size, const char *name, const char *value,
                          bool any_case)
{
    const char *end = head + size;
    const char *line = memchr(head, '\n', size);
    size_t name_size = strlen(name);
    size_t value_size = strlen(value);
    for (; line != NULL && line + 1 < end; line = memchr(line, '\n', (size_t)(end - line))) {
        line++;
        if ((size_t)(end - line) < name_size + value_size + 4 ||
            strncasecmp(line, name, name_size) != 0 || line[name_size] != ':') {
            continue;
        }
        const char *at = line + name_size + 1;
        at += strspn(at, " \t");
        int differs =
            any_case ? strncasecmp(at, value, value_size) : strncmp(at, value, value_size);
        if (differs == 0 && at[value_size] == '\r') {
            return true;
        }
    }
    return false;
}

size_t link_reply_check(const char *reply, size_t size)
{
    const char *end = memmem(reply, size, "\r\n\r\n", 4);
    if (end == NULL) {
        if (size >= LINK_REPLY_MAX) {
            fail("the server's reply has no end");
        }
        return 0;
    }
    size_t head_size = (size_t)(end - reply) + 4;
    if (strncmp(reply, "HTTP/1.1 101", 12) != 0) {
        fail("the upgrade was refused: %.*s", (int)strcspn(reply, "\r\n"), reply);
    }
    if (!link_head_has(reply, head_size, "Upgrade", "websocket", true) ||
        !link_head_has(reply, head_size, "Connection", "Upgrade", true)) {
        fail("the server's 101 does not name the upgrade (RFC 6455, section 4.1)");
    }
    if (!link_head_has(reply, head_size, "Sec-WebSocket-Accept", link_accept, false)) {
        fail("the server's Sec-WebSocket-Accept is wrong (RFC 6455, section 4.1)");
    }
    return head_size;
}

void link_reply_read(int fd)
{
    char reply[LINK_REPLY_MAX + 1];
    size_t have = 0;
    size_t head_size = 0;
    while (head_size == 0) {
        /* Peeked, because a frame may already stand behind the head. */
        ssize_t got = recv(fd, reply, LINK_REPLY_MAX, MSG_PEEK);
        if (got < 0) {
            fail_errno("waiting for the reply to the upgrade");
        }
        if (got == 0 || ((size_t)got == have && got == LINK_REPLY_MAX)) {
            fail("the server closed instead of answering the upgrade");
        }
        have = (size_t)got;
        reply[have] = '\0';
        head_size = link_reply_check(reply, have);
    }
    if (recv(fd, reply, head_size, 0) != (ssize_t)head_size) {
        fail_errno("reading the reply to the upgrade");
    }
}

void link_send(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent < 0) {
            fail_errno("send");
        }
        at += sent;
        size -= (size_t)sent;
    }
}

void link_raise_limit(uint32_t need)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)need + LINK_OWN_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        fail_errno("getrlimit");
    }
    if (limit.rlim_cur >= wanted) {
        return;
    }
    struct rlimit raised = {wanted, limit.rlim_max < wanted ? wanted : limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) != 0) {
        fail("%u connections do not fit into the descriptor limit of %llu", need,
             (unsigned long long)limit.rlim_max);
    }
}
