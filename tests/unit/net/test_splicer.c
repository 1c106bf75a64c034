/* Moves between two pairs of sockets: what arrives, what waits, and what the ends tell. */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/splicer.h"

enum {
    BIG = 1024 * 1024,
    SMALL_BUFFER = 16 * 1024
};

static struct splicer splicer;
static struct loop *loop;
static struct stream from;
static struct stream to;
static int from_peer;
static int to_peer;
static uint8_t *scratch;
static uint8_t *bytes;

static void be_ready(struct stream *stream, bool readable, bool writable)
{
    (void)stream;
    (void)readable;
    (void)writable;
}

/* A connected TCP pair on loopback: tunnels are of those. */
static void tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&address, size), 0);
    fds[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fds[1] >= 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    close(listener);
}

static int set_up(void **state)
{
    int fds[2];
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as the server does */
    splicer = (struct splicer){-1, -1};
    loop = loop_new();
    scratch = malloc(SPLICER_BYTES);
    bytes = malloc(BIG);
    for (size_t i = 0; i < BIG; i++) {
        bytes[i] = (uint8_t)(i * 131 >> 3);
    }
    tcp_pair(fds);
    from_peer = fds[0];
    stream_open(&from, loop, fds[1], be_ready);
    tcp_pair(fds);
    to_peer = fds[0];
    stream_open(&to, loop, fds[1], be_ready);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stream_close(&from);
    stream_close(&to);
    close(from_peer);
    close(to_peer);
    splicer_close(&splicer);
    loop_free(&loop);
    free(scratch);
    free(bytes);
    return 0;
}

static void readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 10000), 1);
}

static enum weir_err move(size_t *moved, enum weir_err *written)
{
    return splicer_move(&splicer, &from, &to, scratch, moved, written);
}

/* Takes what has arrived and compares it with what stands at `at` of the pattern. */
static size_t take(size_t at)
{
    static uint8_t in[BIG];
    ssize_t got = recv(to_peer, in, sizeof in, MSG_DONTWAIT);
    if (got <= 0) {
        return 0;
    }
    assert_memory_equal(in, bytes + at, (size_t)got);
    return (size_t)got;
}

static void test_moves_what_is_there(void **state)
{
    size_t moved = 0;
    enum weir_err written = WEIR_EINVAL;
    (void)state;
    assert_int_equal(send(from_peer, bytes, 5000, 0), 5000);
    readable(from.fd);
    assert_int_equal(move(&moved, &written), WEIR_OK);
    assert_int_equal(moved, 5000);
    assert_int_equal(written, WEIR_OK);
    readable(to_peer);
    assert_int_equal(take(0), 5000);
}

static void test_tells_that_nothing_is_there(void **state)
{
    size_t moved = 0;
    enum weir_err written;
    (void)state;
    assert_int_equal(move(&moved, &written), WEIR_AGAIN);
}

/* Who reads `from` when this says that nothing is there gets past it. */
static void test_stops_at_urgent_data_that_a_read_passes_over(void **state)
{
    size_t moved = 0;
    size_t got = 0;
    uint8_t in[16];
    enum weir_err written;
    (void)state;
    assert_int_equal(send(from_peer, "!", 1, MSG_OOB), 1);
    assert_int_equal(send(from_peer, bytes, 10, 0), 10);
    readable(from.fd);
    assert_int_equal(move(&moved, &written), WEIR_AGAIN);
    assert_int_equal(stream_read(&from, in, sizeof in, &got), WEIR_OK);
    assert_int_equal(got, 10);
    assert_memory_equal(in, bytes, 10);
}

static void test_tells_the_end_of_the_source(void **state)
{
    size_t moved = 0;
    enum weir_err written;
    (void)state;
    assert_int_equal(shutdown(from_peer, SHUT_WR), 0);
    readable(from.fd);
    assert_int_equal(move(&moved, &written), WEIR_ECLOSED);
}

static void test_tells_that_the_sink_takes_nothing(void **state)
{
    size_t moved = 0;
    enum weir_err written = WEIR_OK;
    (void)state;
    assert_int_equal(shutdown(to.fd, SHUT_WR), 0);
    assert_int_equal(send(from_peer, bytes, 100, 0), 100);
    readable(from.fd);
    assert_int_equal(move(&moved, &written), WEIR_OK);
    assert_int_equal(moved, 100);
    assert_true(written == WEIR_ECLOSED || written == WEIR_EIO);
    /* The pipe is empty: the next move is of its own bytes. */
    assert_int_equal(stream_queued(&to), 0);
}

static void test_queues_what_the_sink_does_not_take_and_loses_nothing(void **state)
{
    int small = SMALL_BUFFER;
    size_t sent = 0;
    size_t total = 0;
    size_t taken = 0;
    bool queued = false;
    (void)state;
    assert_int_equal(setsockopt(to.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    while (taken < BIG) {
        ssize_t n = sent < BIG ? send(from_peer, bytes + sent, BIG - sent, MSG_DONTWAIT) : 0;
        size_t moved = 0;
        enum weir_err written = WEIR_OK;
        sent += n > 0 ? (size_t)n : 0;
        if (splicer_can_move(&from, &to) && move(&moved, &written) == WEIR_OK) {
            total += moved;
            assert_int_equal(written, WEIR_OK);
        }
        queued |= stream_queued(&to) > 0;
        taken += take(taken);
        assert_true(loop_turn(loop, false));
    }
    assert_true(queued);
    assert_int_equal(total, BIG);
    assert_int_equal(stream_queued(&to), 0);
}

static void test_does_not_overtake_what_is_queued(void **state)
{
    int small = SMALL_BUFFER;
    (void)state;
    assert_true(splicer_can_move(&from, &to));
    assert_int_equal(setsockopt(to.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    while (stream_queued(&to) == 0) {
        const struct iovec piece = {bytes, BIG};
        assert_int_equal(stream_write(&to, &piece, 1), WEIR_OK);
    }
    assert_false(splicer_can_move(&from, &to));
}

static void test_moves_nothing_to_a_stream_whose_end_was_told(void **state)
{
    (void)state;
    stream_shutdown(&to);
    assert_false(splicer_can_move(&from, &to));
}

static void test_moves_no_more_than_its_bound(void **state)
{
    size_t moved = 0;
    enum weir_err written;
    int big = 4 * BIG;
    size_t sent = 0;
    (void)state;
    assert_int_equal(setsockopt(from.fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof big), 0);
    for (ssize_t n = 1; n > 0 && sent<BIG; sent += n> 0 ? (size_t)n : 0) {
        n = send(from_peer, bytes + sent, BIG - sent, MSG_DONTWAIT);
    }
    readable(from.fd);
    assert_int_equal(move(&moved, &written), WEIR_OK);
    assert_true(moved > 0 && moved <= SPLICER_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_moves_what_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tells_that_nothing_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stops_at_urgent_data_that_a_read_passes_over, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_tells_the_end_of_the_source, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tells_that_the_sink_takes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_queues_what_the_sink_does_not_take_and_loses_nothing,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_does_not_overtake_what_is_queued, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_moves_nothing_to_a_stream_whose_end_was_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_moves_no_more_than_its_bound, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
