/* Streams that begin with a connect: to real sockets on loopback, TCP and unix. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "stream_fixture.h"

enum {
    BACKLOG = 8
};

static struct loop *loop;
static struct stream stream;
static struct sockaddr_storage address;
static socklen_t address_size;
static int listening;
static char folder[] = "/tmp/weir-connect-XXXXXX";
static char path[64];
static unsigned told_connected;
static unsigned told_readable;
static unsigned told_gone;

static void hear(struct stream *mine, bool readable, bool writable)
{
    assert_ptr_equal(mine, &stream);
    told_readable += readable;
    told_connected += writable;
    told_gone += !readable && !writable;
}

static int begin(void)
{
    loop = loop_new();
    told_connected = told_readable = told_gone = 0;
    memset(&stream, 0, sizeof stream);
    stream.fd = -1;
    return 0;
}

static int listen_tcp(void **state)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    (void)state;
    address_size = sizeof where;
    listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listening, (struct sockaddr *)&where, sizeof where) != 0 ||
        listen(listening, BACKLOG) != 0 ||
        getsockname(listening, (struct sockaddr *)&address, &address_size) != 0) {
        return -1;
    }
    return begin();
}

static int listen_unix(void **state)
{
    struct sockaddr_un *where = (struct sockaddr_un *)&address;
    (void)state;
    memset(&address, 0, sizeof address);
    where->sun_family = AF_UNIX;
    snprintf(where->sun_path, sizeof where->sun_path, "%s", path);
    address_size = sizeof *where;
    listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listening, (struct sockaddr *)where, sizeof *where) != 0 ||
        listen(listening, 0) != 0) {
        return -1;
    }
    return begin();
}

static int end(void **state)
{
    (void)state;
    stream_close(&stream);
    loop_free(&loop);
    if (listening >= 0) {
        close(listening);
    }
    unlink(path);
    return 0;
}

static enum weir_err try_connect(void)
{
    return stream_connect(&stream, loop, (const struct sockaddr *)&address, address_size, hear);
}

#define LOOP_UNTIL(condition)                                                                      \
    do {                                                                                           \
        uint64_t give_up = clock_monotonic_ms() + GIVE_UP_MS;                                      \
        while (!(condition)) {                                                                     \
            loop_turn(loop, false);                                                                \
            if (clock_monotonic_ms() > give_up) {                                                  \
                fail_msg("in vain: " #condition);                                                  \
            }                                                                                      \
        }                                                                                          \
    } while (0)

static int take(void)
{
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(fd >= 0);
    return fd;
}

/* Reads from a non-blocking peer until `size` bytes have come. */
static void peer_gets(int fd, char *bytes, size_t size)
{
    size_t got = 0;
    uint64_t give_up = clock_monotonic_ms() + GIVE_UP_MS;
    while (got < size) {
        ssize_t n = recv(fd, bytes + got, size - got, 0);
        assert_true(n > 0 || (n < 0 && errno == EAGAIN));
        got += n > 0 ? (size_t)n : 0;
        loop_turn(loop, false);
        assert_true(clock_monotonic_ms() < give_up);
    }
}

static void peer_gets_end(int fd)
{
    char byte;
    ssize_t n = -1;
    uint64_t give_up = clock_monotonic_ms() + GIVE_UP_MS;
    while (n != 0) {
        n = recv(fd, &byte, 1, 0);
        assert_true(n == 0 || (n < 0 && errno == EAGAIN));
        loop_turn(loop, false);
        assert_true(clock_monotonic_ms() < give_up);
    }
}

static void write_text(const char *text)
{
    struct iovec piece = {(void *)(uintptr_t)text, strlen(text)};
    assert_int_equal(stream_write(&stream, &piece, 1), WEIR_OK);
}

/* --- it works out --- */

static void test_tells_once_that_it_is_connected(void **state)
{
    (void)state;
    assert_int_equal(try_connect(), WEIR_OK);
    assert_true(stream_is_connecting(&stream));
    assert_true(stream_is_open(&stream));
    assert_int_equal(told_connected, 0);
    LOOP_UNTIL(told_connected == 1);
    assert_false(stream_is_connecting(&stream));
    assert_false(stream_is_broken(&stream));
    assert_int_equal(stream_error(&stream), 0);
    int peer = take();
    for (int i = 0; i < 5; i++) {
        loop_turn(loop, false);
    }
    assert_int_equal(told_connected, 1);
    assert_int_equal(told_gone + told_readable, 0);
    close(peer);
}

static void test_bytes_go_both_ways(void **state)
{
    char bytes[16];
    size_t got = 0;
    (void)state;
    assert_int_equal(try_connect(), WEIR_OK);
    LOOP_UNTIL(told_connected == 1);
    int peer = take();
    write_text("hello");
    peer_gets(peer, bytes, 5);
    assert_memory_equal(bytes, "hello", 5);
    stream_set_reading(&stream, true);
    assert_int_equal(send(peer, "answer", 6, 0), 6);
    LOOP_UNTIL(told_readable > 0);
    assert_int_equal(stream_read(&stream, bytes, sizeof bytes, &got), WEIR_OK);
    assert_memory_equal(bytes, "answer", 6);
    close(peer);
}

static void test_what_is_written_before_waits_in_order(void **state)
{
    char bytes[16];
    (void)state;
    assert_int_equal(try_connect(), WEIR_OK);
    write_text("first ");
    write_text("second");
    assert_int_equal(stream_queued(&stream), 12);
    LOOP_UNTIL(told_connected == 1);
    assert_int_equal(stream_queued(&stream), 0);
    int peer = take();
    peer_gets(peer, bytes, 12);
    assert_memory_equal(bytes, "first second", 12);
    close(peer);
}

static void test_what_was_asked_for_before_happens_after(void **state)
{
    char bytes[16];
    size_t got = 0;
    (void)state;
    assert_int_equal(try_connect(), WEIR_OK);
    stream_set_reading(&stream, true);
    stream_wake(&stream);
    assert_int_equal(stream_read(&stream, bytes, sizeof bytes, &got), WEIR_AGAIN);
    assert_false(stream_peer_is_gone(&stream));
    write_text("all");
    stream_shutdown(&stream);
    LOOP_UNTIL(told_connected == 1);
    int peer = take();
    peer_gets(peer, bytes, 3);
    peer_gets_end(peer);
    assert_int_equal(send(peer, "back", 4, 0), 4);
    LOOP_UNTIL(told_readable > 0);
    assert_int_equal(stream_read(&stream, bytes, sizeof bytes, &got), WEIR_OK);
    assert_int_equal(got, 4);
    close(peer);
}

static void test_an_end_that_was_asked_for_before_comes_without_bytes_too(void **state)
{
    (void)state;
    assert_int_equal(try_connect(), WEIR_OK);
    stream_shutdown(&stream);
    LOOP_UNTIL(told_connected == 1);
    int peer = take();
    peer_gets_end(peer);
    close(peer);
}

static void test_may_be_closed_before_it_is_connected(void **state)
{
    (void)state;
    assert_int_equal(try_connect(), WEIR_OK);
    write_text("never");
    stream_close(&stream);
    assert_false(stream_is_open(&stream));
    loop_turn(loop, false);
    assert_int_equal(told_connected + told_gone + told_readable, 0);
}

static void test_the_socket_is_as_it_should_be(void **state)
{
    int on = 0;
    socklen_t size = sizeof on;
    (void)state;
    assert_int_equal(try_connect(), WEIR_OK);
    assert_true((fcntl(stream.fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_true((fcntl(stream.fd, F_GETFL) & O_NONBLOCK) != 0);
    if (address.ss_family == AF_INET) {
        assert_int_equal(getsockopt(stream.fd, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
        assert_int_not_equal(on, 0);
    }
}

/* --- it does not --- */

static void test_a_refused_connection_is_told_of_once(void **state)
{
    (void)state;
    close(listening);
    listening = -1;
    enum weir_err err = try_connect();
    if (err == WEIR_EIO) { /* a kernel may know at once */
        assert_int_equal(errno, ECONNREFUSED);
        assert_false(stream_is_open(&stream));
        return;
    }
    assert_int_equal(err, WEIR_OK);
    write_text("lost");
    LOOP_UNTIL(told_gone == 1);
    assert_true(stream_is_broken(&stream));
    assert_true(stream_peer_is_gone(&stream));
    assert_false(stream_is_connecting(&stream));
    assert_int_equal(stream_error(&stream), ECONNREFUSED);
    assert_int_equal(stream_queued(&stream), 0);
    for (int i = 0; i < 5; i++) {
        loop_turn(loop, false);
    }
    assert_int_equal(told_gone, 1);
    assert_int_equal(told_connected, 0);
    struct iovec piece = {(void *)(uintptr_t) "x", 1};
    assert_int_equal(stream_write(&stream, &piece, 1), WEIR_ECLOSED);
}

static void test_a_unix_socket_that_is_not_there_fails_at_once(void **state)
{
    (void)state;
    unlink(path);
    assert_int_equal(try_connect(), WEIR_EIO);
    assert_int_equal(errno, ENOENT);
    assert_false(stream_is_open(&stream));
    stream_close(&stream); /* nothing is open, and that is no mistake */
}

static void test_a_unix_socket_that_nobody_listens_on_fails_at_once(void **state)
{
    (void)state;
    close(listening);
    listening = -1;
    assert_int_equal(try_connect(), WEIR_EIO);
    assert_int_equal(errno, ECONNREFUSED);
}

/* connect(2) says EAGAIN then, and never goes on. */
static void test_a_full_backlog_of_a_unix_socket_is_a_failure(void **state)
{
    int others[64];
    int count = 0;
    (void)state;
    for (; count < 64; count++) {
        others[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connect(others[count], (const struct sockaddr *)&address, address_size) < 0) {
            break;
        }
    }
    assert_true(count > 0 && count < 64);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(try_connect(), WEIR_EIO);
    assert_int_equal(errno, EAGAIN);
    assert_false(stream_is_open(&stream));
    close(take()); /* one place is enough */
    assert_int_equal(try_connect(), WEIR_OK);
    LOOP_UNTIL(told_connected == 1);
    for (int i = 0; i <= count; i++) {
        close(others[i]);
    }
}

static void test_an_address_of_no_kind_fails_at_once(void **state)
{
    (void)state;
    address.ss_family = AF_UNSPEC;
    assert_int_equal(try_connect(), WEIR_EIO);
    assert_false(stream_is_open(&stream));
}

static void test_running_out_of_descriptors_is_told_of(void **state)
{
    struct rlimit before;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {(rlim_t)listening + 1, before.rlim_max};
    int fds[64];
    int count = 0;
    while (count < 64 && (fds[count] = dup(listening)) >= 0 && fds[count] <= listening) {
        count++; /* fills the gaps below */
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum weir_err err = try_connect();
    int error = errno;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(err, WEIR_EIO);
    assert_int_equal(error, EMFILE);
    assert_false(stream_is_open(&stream));
    while (count >= 0) {
        close(fds[count--]);
    }
}

/* --- the peer's end --- */

static void test_a_peer_that_leaves_is_gone_and_one_that_has_sent_is_not(void **state)
{
    char bytes[4];
    size_t got = 0;
    (void)state;
    assert_int_equal(try_connect(), WEIR_OK);
    LOOP_UNTIL(told_connected == 1);
    int peer = take();
    assert_false(stream_peer_is_gone(&stream));
    assert_int_equal(send(peer, "last", 4, 0), 4);
    close(peer);
    assert_false(stream_peer_is_gone(&stream)); /* there is something to read */
    assert_int_equal(stream_read(&stream, bytes, 4, &got), WEIR_OK);
    assert_int_equal(got, 4);
    assert_true(stream_peer_is_gone(&stream));
    assert_int_equal(stream_read(&stream, bytes, 4, &got), WEIR_ECLOSED);
    assert_int_equal(stream_error(&stream), 0); /* an end is no error */
    stream_close(&stream);
    assert_true(stream_peer_is_gone(&stream));
}

static void test_a_reset_is_told_of_with_its_error(void **state)
{
    static const struct linger at_once = {1, 0};
    (void)state;
    assert_int_equal(try_connect(), WEIR_OK);
    LOOP_UNTIL(told_connected == 1);
    int peer = take();
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(peer);
    LOOP_UNTIL(told_gone > 0);
    assert_true(stream_is_broken(&stream));
    assert_int_equal(stream_error(&stream), ECONNRESET);
    assert_true(stream_peer_is_gone(&stream));
}

static void test_a_reset_that_a_read_finds_leaves_its_error(void **state)
{
    static const struct linger at_once = {1, 0};
    char byte;
    size_t got = 0;
    (void)state;
    assert_int_equal(try_connect(), WEIR_OK);
    LOOP_UNTIL(told_connected == 1);
    stream_set_reading(&stream, true);
    int peer = take();
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(peer);
    LOOP_UNTIL(told_readable > 0);
    assert_int_equal(stream_read(&stream, &byte, 1, &got), WEIR_EIO);
    assert_int_equal(stream_error(&stream), ECONNRESET);
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/socket", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

#define TCP(name)                                                                                  \
    {                                                                                              \
#name " (TCP)", name, listen_tcp, end, NULL                                                \
    }
#define UNIX(name)                                                                                 \
    {                                                                                              \
#name " (unix)", name, listen_unix, end, NULL                                              \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TCP(test_tells_once_that_it_is_connected),
        UNIX(test_tells_once_that_it_is_connected),
        TCP(test_bytes_go_both_ways),
        UNIX(test_bytes_go_both_ways),
        TCP(test_what_is_written_before_waits_in_order),
        UNIX(test_what_is_written_before_waits_in_order),
        TCP(test_what_was_asked_for_before_happens_after),
        UNIX(test_what_was_asked_for_before_happens_after),
        TCP(test_an_end_that_was_asked_for_before_comes_without_bytes_too),
        UNIX(test_an_end_that_was_asked_for_before_comes_without_bytes_too),
        TCP(test_may_be_closed_before_it_is_connected),
        UNIX(test_may_be_closed_before_it_is_connected),
        TCP(test_the_socket_is_as_it_should_be),
        UNIX(test_the_socket_is_as_it_should_be),
        TCP(test_a_refused_connection_is_told_of_once),
        UNIX(test_a_unix_socket_that_is_not_there_fails_at_once),
        UNIX(test_a_unix_socket_that_nobody_listens_on_fails_at_once),
        UNIX(test_a_full_backlog_of_a_unix_socket_is_a_failure),
        TCP(test_an_address_of_no_kind_fails_at_once),
        TCP(test_running_out_of_descriptors_is_told_of),
        TCP(test_a_peer_that_leaves_is_gone_and_one_that_has_sent_is_not),
        UNIX(test_a_peer_that_leaves_is_gone_and_one_that_has_sent_is_not),
        TCP(test_a_reset_is_told_of_with_its_error),
        TCP(test_a_reset_that_a_read_finds_leaves_its_error),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
