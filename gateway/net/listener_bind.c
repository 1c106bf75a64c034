/* Turns an address from the configuration into a listening socket. Control thread only. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/listener.h"

const char *listener_unix_path(const char *address)
{
    static const char prefix[] = "unix:";
    return strncmp(address, prefix, sizeof prefix - 1) == 0 ? address + sizeof prefix - 1 : NULL;
}

static enum weir_err refuse(int fd, const char *address, const char *what, char *why, size_t size)
{
    int error = errno;
    snprintf(why, size, "%s: %s: %s", address, what, strerror(error));
    if (fd >= 0) {
        close(fd);
    }
    return WEIR_EIO;
}

static int open_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* A socket file left by a process that died refuses connections; a living one must not be taken
 * away. */
static bool is_stale(const struct sockaddr_un *where)
{
    struct stat info;
    if (stat(where->sun_path, &info) < 0 || !S_ISSOCK(info.st_mode)) {
        return false;
    }
    int probe = open_socket(AF_UNIX);
    if (probe < 0) {
        return false;
    }
    bool refused =
        connect(probe, (const struct sockaddr *)where, sizeof *where) < 0 && errno == ECONNREFUSED;
    close(probe);
    return refused;
}

static enum weir_err bind_unix(const char *address, const char *path, int backlog, int *out,
                               char *why, size_t size)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof where.sun_path) {
        snprintf(why, size, "%s: a unix socket's path has at most %zu bytes", address,
                 sizeof where.sun_path - 1);
        return WEIR_EINVAL;
    }
    snprintf(where.sun_path, sizeof where.sun_path, "%s", path);
    int fd = open_socket(AF_UNIX);
    if (fd < 0) {
        return refuse(fd, address, "socket", why, size);
    }
    if (is_stale(&where)) {
        unlink(path);
    }
    if (bind(fd, (const struct sockaddr *)&where, sizeof where) < 0 || listen(fd, backlog) < 0) {
        return refuse(fd, address, "cannot listen", why, size);
    }
    *out = fd;
    return WEIR_OK;
}

/* Splits `HOST:PORT` at the last colon and takes brackets off. */
static bool split_address(const char *address, char *host, size_t host_size, char *port,
                          size_t port_size)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || (size_t)(colon - address) >= host_size ||
        strlen(colon + 1) >= port_size) {
        return false;
    }
    const char *start = address;
    const char *end = colon;
    if (*start == '[' && end[-1] == ']') {
        start++;
        end--;
    }
    snprintf(host, host_size, "%.*s", (int)(end - start), start);
    snprintf(port, port_size, "%s", colon + 1);
    return true;
}

/* `shared`: others may bind the same address too, as workers do. */
static enum weir_err bind_one(const char *address, const struct addrinfo *found, bool shared,
                              int *out, char *why, size_t size)
{
    static const int on = 1;
    int fd = open_socket(found->ai_family);
    if (fd < 0) {
        return refuse(fd, address, "socket", why, size);
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (shared) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    }
    if (found->ai_family == AF_INET6) {
        /* [::] and 0.0.0.0 can then stand side by side in one configuration. */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (bind(fd, found->ai_addr, found->ai_addrlen) < 0) {
        return refuse(fd, address, "cannot listen", why, size);
    }
    *out = fd;
    return WEIR_OK;
}

static enum weir_err bind_tcp(const char *address, bool shared, int *fd, char *why, size_t why_size)
{
    char host[256];
    char port[8];
    if (!split_address(address, host, sizeof host, port, sizeof port)) {
        snprintf(why, why_size, "%s: expected HOST:PORT, [IPV6]:PORT or unix:PATH", address);
        return WEIR_EINVAL;
    }
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, port, &wanted, &found);
    if (failed != 0) {
        snprintf(why, why_size, "%s: %s", address, gai_strerror(failed));
        return WEIR_EINVAL;
    }
    enum weir_err err = bind_one(address, found, shared, fd, why, why_size);
    freeaddrinfo(found);
    return err;
}

enum weir_err listener_check_unused(const char *address, char *why, size_t why_size)
{
    int fd = -1;
    if (listener_unix_path(address) != NULL) {
        return WEIR_OK; /* binding it tells */
    }
    enum weir_err err = bind_tcp(address, false, &fd, why, why_size);
    if (err == WEIR_OK) {
        close(fd);
    }
    return err;
}

enum weir_err listener_bind(const char *address, int backlog, int *fd, char *why, size_t why_size)
{
    const char *path = listener_unix_path(address);
    int bound = -1;
    if (path != NULL) {
        return bind_unix(address, path, backlog, fd, why, why_size);
    }
    enum weir_err err = bind_tcp(address, true, &bound, why, why_size);
    if (err != WEIR_OK) {
        return err;
    }
    if (listen(bound, backlog) < 0) {
        return refuse(bound, address, "cannot listen", why, why_size);
    }
    *fd = bound;
    return WEIR_OK;
}
