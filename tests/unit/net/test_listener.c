/* Listening sockets: every form of address, what is in the way of it, and accepting when
 * descriptors run out. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/listener.h"

enum {
    CLIENTS = 8,
    WHY_BYTES = 256
};

static unsigned accept_calls;

/* In the place of libc's, to count how often the listener tries. */
int accept4(int fd, struct sockaddr *restrict peer, socklen_t *restrict size, int flags)
{
    accept_calls++;
    return (int)syscall(SYS_accept4, fd, peer, size, flags);
}

struct accepted {
    int fds[64];
    size_t count;
    struct sockaddr_storage peer;
    socklen_t peer_size;
};

static char folder[] = "/tmp/weir-listener-XXXXXX";
static char path_address[128]; /* `unix:` and a path in the folder */
static char why[WHY_BYTES];
static struct accepted accepted;

static int set_up(void **state)
{
    (void)state;
    memset(&accepted, 0, sizeof accepted);
    memset(why, 0, sizeof why);
    accept_calls = 0;
    return 0;
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(path_address, sizeof path_address, "unix:%s/socket", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(listener_unix_path(path_address));
    return rmdir(folder);
}

static void take(void *context, int fd, const struct sockaddr_storage *peer, socklen_t peer_size)
{
    struct accepted *mine = context;
    mine->fds[mine->count++] = fd;
    mine->peer = *peer;
    mine->peer_size = peer_size;
}

static void close_accepted(void)
{
    while (accepted.count > 0) {
        close(accepted.fds[--accepted.count]);
    }
}

/* Turns of the loop until `count` connections were accepted; gives up after ten seconds. */
static void accept_until(struct loop *loop, size_t count)
{
    uint64_t end = clock_monotonic_ms() + 10000;
    while (accepted.count < count && clock_monotonic_ms() < end) {
        event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
    }
    assert_int_equal(accepted.count, count);
}

static int bound(const char *address)
{
    int fd = -1;
    why[0] = '\0';
    enum weir_err err = listener_bind(address, 16, &fd, why, sizeof why);
    assert_string_equal(why, "");
    assert_int_equal(err, WEIR_OK);
    return fd;
}

static void refused(const char *address, enum weir_err expected, const char *words)
{
    int fd = -7;
    assert_int_equal(listener_bind(address, 16, &fd, why, sizeof why), expected);
    assert_int_equal(fd, -7);
    assert_non_null(strstr(why, address));
    assert_non_null(strstr(why, words));
}

static int connected(int listening)
{
    struct sockaddr_storage where;
    socklen_t size = sizeof where;
    assert_int_equal(getsockname(listening, (struct sockaddr *)&where, &size), 0);
    int fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&where, size), 0);
    return fd;
}

static unsigned port_of(int fd)
{
    struct sockaddr_storage where;
    socklen_t size = sizeof where;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&where, &size), 0);
    return where.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&where)->sin_port)
                                      : ntohs(((struct sockaddr_in6 *)&where)->sin6_port);
}

/* Containers often have no ::1. */
static bool can_use(const char *address)
{
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has_ipv6 = fd >= 0 && bind(fd, (struct sockaddr *)&loopback, sizeof loopback) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return has_ipv6 || address[0] != '[';
}

/* --- binding --- */

static void test_binds_ipv4_ipv6_and_names(void **state)
{
    static const char *const addresses[] = {"127.0.0.1:0", "[::1]:0", "localhost:0",
                                            "0.0.0.0:0",   "[::]:0",  "*:0"};
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        if (!can_use(addresses[i])) {
            continue;
        }
        int fd = bound(addresses[i]);
        assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
        assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        close(connected(fd));
        close(fd);
    }
}

static void test_refuses_what_is_no_address(void **state)
{
    char longest[200];
    (void)state;
    refused("127.0.0.1", WEIR_EINVAL, "HOST:PORT");
    refused(":80", WEIR_EINVAL, "HOST:PORT");
    refused("127.0.0.1:123456789", WEIR_EINVAL, "HOST:PORT");
    refused("127.0.0.1:http", WEIR_EINVAL, "127.0.0.1:http");
    refused("not-a-host.invalid:80", WEIR_EINVAL, "not-a-host.invalid");
    snprintf(longest, sizeof longest, "unix:/tmp/%0110d", 1);
    refused(longest, WEIR_EINVAL, "107");
    snprintf(longest, sizeof longest, "unix:%s/no/such/folder", folder);
    refused(longest, WEIR_EIO, "No such file");
}

static void test_all_of_ipv4_and_all_of_ipv6_stand_side_by_side(void **state)
{
    char address[64];
    int v6 = bound("[::]:0");
    (void)state;
    snprintf(address, sizeof address, "0.0.0.0:%u", port_of(v6));
    close(bound(address));
    close(v6);
}

static void test_workers_share_a_port(void **state)
{
    char address[64];
    int first = bound("127.0.0.1:0");
    (void)state;
    snprintf(address, sizeof address, "127.0.0.1:%u", port_of(first));
    close(bound(address));
    close(first);
}

static void test_a_port_of_somebody_else_is_in_use(void **state)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char address[64];
    int theirs = socket(AF_INET, SOCK_STREAM, 0);
    (void)state;
    assert_int_equal(bind(theirs, (struct sockaddr *)&where, sizeof where), 0);
    assert_int_equal(listen(theirs, 1), 0);
    snprintf(address, sizeof address, "127.0.0.1:%u", port_of(theirs));
    refused(address, WEIR_EIO, "Address already in use");
    assert_int_equal(listener_check_unused(address, why, sizeof why), WEIR_EIO);
    close(theirs);
    close(bound(address));
}

static void test_a_port_that_another_gateway_shares_is_not_unused(void **state)
{
    char address[64];
    int other = bound("127.0.0.1:0");
    (void)state;
    snprintf(address, sizeof address, "127.0.0.1:%u", port_of(other));
    assert_int_equal(listener_check_unused(address, why, sizeof why), WEIR_EIO);
    assert_non_null(strstr(why, "Address already in use"));
    close(other);
    assert_int_equal(listener_check_unused(address, why, sizeof why), WEIR_OK);
}

static void test_a_port_whose_connections_have_not_died_out_is_unused(void **state)
{
    char address[64];
    struct loop *loop = loop_new();
    int fd = bound("127.0.0.1:0");
    int client = connected(fd);
    char byte;
    (void)state;
    snprintf(address, sizeof address, "127.0.0.1:%u", port_of(fd));
    struct listener *listener = listener_new(loop, fd, address, take, &accepted);
    accept_until(loop, 1);
    /* The side that closes first waits a minute for stray packets: TIME_WAIT. */
    close_accepted();
    assert_int_equal(read(client, &byte, 1), 0);
    close(client);
    listener_free(&listener);
    loop_free(&loop);
    assert_int_equal(listener_check_unused(address, why, sizeof why), WEIR_OK);
    close(bound(address));
}

static void test_a_dead_unix_socket_is_replaced(void **state)
{
    int dead = bound(path_address);
    (void)state;
    close(dead);
    assert_int_equal(access(listener_unix_path(path_address), F_OK), 0);
    int fd = bound(path_address);
    close(connected(fd));
    close(fd);
}

static void test_a_living_unix_socket_is_left_alone(void **state)
{
    int alive = bound(path_address);
    (void)state;
    refused(path_address, WEIR_EIO, "Address already in use");
    close(connected(alive));
    close(alive);
    unlink(listener_unix_path(path_address));
}

static void test_a_file_in_the_place_of_a_unix_socket_is_left_alone(void **state)
{
    const char *path = listener_unix_path(path_address);
    struct stat info;
    (void)state;
    close(open(path, O_CREAT | O_WRONLY, 0600));
    refused(path_address, WEIR_EIO, "Address already in use");
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISREG(info.st_mode));
    unlink(path);
}

/* --- accepting --- */

static void test_accepts_with_flags_and_the_peers_address(void **state)
{
    static const struct {
        const char *address;
        int family;
    } cases[] = {{"127.0.0.1:0", AF_INET}, {"[::1]:0", AF_INET6}, {path_address, AF_UNIX}};
    struct loop *loop = loop_new();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (!can_use(cases[i].address)) {
            continue;
        }
        int fd = bound(cases[i].address);
        int client = connected(fd);
        int no_delay = 0;
        socklen_t size = sizeof no_delay;
        struct listener *listener = listener_new(loop, fd, "test", take, &accepted);
        accept_until(loop, 1);
        int mine = accepted.fds[0];
        assert_true((fcntl(mine, F_GETFL) & O_NONBLOCK) != 0);
        assert_true((fcntl(mine, F_GETFD) & FD_CLOEXEC) != 0);
        assert_int_equal(accepted.peer.ss_family, cases[i].family);
        if (cases[i].family != AF_UNIX) {
            assert_int_equal(getsockopt(mine, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
            assert_true(no_delay != 0);
            assert_int_equal(port_of(client),
                             ntohs(((struct sockaddr_in *)&accepted.peer)->sin_port));
        }
        close_accepted();
        close(client);
        listener_free(&listener);
        assert_null(listener);
        listener_free(&listener);
    }
    loop_free(&loop);
}

static struct rlimit lower_limit_to(rlim_t count)
{
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit lowered = {count, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lowered), 0);
    return before;
}

/* The lowest free descriptor: with it as the limit, nothing can be opened. */
static rlim_t next_descriptor(void)
{
    int fd = dup(STDERR_FILENO);
    close(fd);
    return (rlim_t)fd;
}

static void run_for(struct loop *loop, uint64_t ms)
{
    uint64_t end = clock_monotonic_ms() + ms;
    while (clock_monotonic_ms() < end) {
        event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
    }
}

/* With a listener in `*listener` and CLIENTS that wait for it while no descriptor is left: runs for
 * a while, then gives descriptors back. */
static void starve_and_feed(void)
{
    struct loop *loop = loop_new();
    int clients[CLIENTS];
    int fd = bound("127.0.0.1:0");
    struct listener *listener = listener_new(loop, fd, "test", take, &accepted);
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = connected(fd);
    }
    struct rlimit before = lower_limit_to(next_descriptor());
    run_for(loop, 450);
    /* Once at the start and once every 100 ms; a spinning loop tries many thousand times. */
    assert_in_range(accept_calls, 1, 6);
    assert_int_equal(accepted.count, 0);
    setrlimit(RLIMIT_NOFILE, &before);
    accept_until(loop, CLIENTS);
    /* And it goes on as before. */
    int another = connected(fd);
    accept_until(loop, CLIENTS + 1);
    close(another);
    close_accepted();
    for (size_t i = 0; i < CLIENTS; i++) {
        close(clients[i]);
    }
    listener_free(&listener);
    loop_free(&loop);
}

static void test_pauses_when_descriptors_run_out_and_resumes(void **state)
{
    (void)state;
    starve_and_feed();
}

/* Complaining must not change what accepting does: writing to a full disk sets errno. */
static void test_pauses_also_when_it_cannot_say_so(void **state)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    int standard_error = dup(STDERR_FILENO);
    (void)state;
    assert_true(full >= 0);
    dup2(full, STDERR_FILENO);
    starve_and_feed();
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    close(full);
}

static void test_may_be_freed_while_it_pauses(void **state)
{
    struct loop *loop = loop_new();
    int fd = bound("127.0.0.1:0");
    struct listener *listener = listener_new(loop, fd, "test", take, &accepted);
    int client = connected(fd);
    (void)state;
    struct rlimit before = lower_limit_to(next_descriptor());
    while (accept_calls == 0) {
        event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
    }
    listener_free(&listener);
    setrlimit(RLIMIT_NOFILE, &before);
    run_for(loop, 150);
    assert_int_equal(accepted.count, 0);
    close(client);
    loop_free(&loop);
}

#define LISTENER_TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LISTENER_TEST(test_binds_ipv4_ipv6_and_names),
        LISTENER_TEST(test_refuses_what_is_no_address),
        LISTENER_TEST(test_all_of_ipv4_and_all_of_ipv6_stand_side_by_side),
        LISTENER_TEST(test_workers_share_a_port),
        LISTENER_TEST(test_a_port_of_somebody_else_is_in_use),
        LISTENER_TEST(test_a_port_that_another_gateway_shares_is_not_unused),
        LISTENER_TEST(test_a_port_whose_connections_have_not_died_out_is_unused),
        LISTENER_TEST(test_a_dead_unix_socket_is_replaced),
        LISTENER_TEST(test_a_living_unix_socket_is_left_alone),
        LISTENER_TEST(test_a_file_in_the_place_of_a_unix_socket_is_left_alone),
        LISTENER_TEST(test_accepts_with_flags_and_the_peers_address),
        LISTENER_TEST(test_pauses_when_descriptors_run_out_and_resumes),
        LISTENER_TEST(test_pauses_also_when_it_cannot_say_so),
        LISTENER_TEST(test_may_be_freed_while_it_pauses),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
