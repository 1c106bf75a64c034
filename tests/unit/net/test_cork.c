/* The cork over socketpairs: what leaves when, in which order, and who hears of it. */
#include "stream_fixture.h"

#include "net/cork.h"

enum {
    LARGE = 16 * 1024
};

static struct cork cork;
static struct stream other;
static int other_peer;
static unsigned told;
static struct stream *told_stream;
static enum weir_err told_err;

static void sent(struct stream *stream, enum weir_err err)
{
    told++;
    told_stream = stream;
    told_err = err;
}

static int set_up(void **state)
{
    int fds[2];
    if (open_plain(state) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) {
        return -1;
    }
    other_peer = fds[1];
    stream_open(&other, pair.loop, fds[0], ready);
    cork = (struct cork){.data = malloc(CORK_BYTES)};
    told = 0;
    told_stream = NULL;
    told_err = WEIR_OK;
    return 0;
}

static int tear_down(void **state)
{
    stream_close(&other);
    close(other_peer);
    free(cork.data);
    return close_pair(state);
}

static void write_text(struct stream *stream, const char *head, const char *payload)
{
    cork_write(&cork, stream, sent, span_of(head), span_of(payload));
}

static void peer_has(int fd, const char *text)
{
    char bytes[64];
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    assert_int_equal(n, (ssize_t)strlen(text));
    assert_memory_equal(bytes, text, strlen(text));
}

static void peer_has_nothing(int fd)
{
    char byte;
    assert_int_equal(recv(fd, &byte, 1, MSG_PEEK), -1);
    assert_int_equal(errno, EAGAIN);
}

static void test_small_writes_leave_together(void **state)
{
    (void)state;
    write_text(&pair.stream, "a", "bc");
    write_text(&pair.stream, "d", "");
    write_text(&pair.stream, "", "e");
    assert_int_equal(cork_waiting(&cork, &pair.stream), 5);
    assert_int_equal(cork_waiting(&cork, &other), 0);
    peer_has_nothing(pair.peer);
    assert_int_equal(told, 0);
    cork_flush(&cork);
    peer_has(pair.peer, "abcde");
    assert_int_equal(told, 1);
    assert_ptr_equal(told_stream, &pair.stream);
    assert_int_equal(told_err, WEIR_OK);
    assert_int_equal(cork_waiting(&cork, &pair.stream), 0);
    cork_flush(&cork);
    assert_int_equal(told, 1);
}

static void test_another_stream_makes_it_leave(void **state)
{
    (void)state;
    write_text(&pair.stream, "one", "");
    write_text(&other, "two", "");
    peer_has(pair.peer, "one");
    peer_has_nothing(other_peer);
    assert_int_equal(told, 1);
    assert_int_equal(cork_waiting(&cork, &other), 3);
    assert_int_equal(cork_waiting(&cork, &pair.stream), 0);
    cork_flush(&cork);
    peer_has(other_peer, "two");
}

static void test_nothing_takes_no_ownership(void **state)
{
    (void)state;
    write_text(&pair.stream, "", "");
    assert_null(cork.owner);
    cork_flush(&cork);
    assert_int_equal(told, 0);
}

static void write_size(size_t size)
{
    uint8_t *bytes = patterned(0, size);
    cork_write(&cork, &pair.stream, sent, SPAN("head"), (struct span){bytes, size});
    free(bytes);
}

static void test_a_large_payload_goes_at_once_behind_what_was_gathered(void **state)
{
    char start[8];
    (void)state;
    write_size(LARGE - 1);
    assert_int_equal(told, 0);
    cork_forget(&cork, &pair.stream);
    write_text(&pair.stream, "1st ", "");
    write_size(LARGE);
    assert_int_equal(told, 1);
    assert_int_equal(cork_waiting(&cork, &pair.stream), 0);
    assert_int_equal(recv(pair.peer, start, sizeof start, 0), sizeof start);
    assert_memory_equal(start, "1st head", 8);
}

static void test_a_large_payload_is_gathered_while_more_is_to_come(void **state)
{
    (void)state;
    cork.more_to_come = true;
    write_size(LARGE);
    assert_int_equal(told, 0);
    assert_int_equal(cork_waiting(&cork, &pair.stream), LARGE + 4);
}

static void test_what_fits_exactly_is_gathered_and_a_byte_more_is_not(void **state)
{
    (void)state;
    cork.more_to_come = true;
    write_size(CORK_BYTES - 4);
    assert_int_equal(told, 0);
    assert_int_equal(cork_waiting(&cork, &pair.stream), CORK_BYTES);
    write_text(&pair.stream, "x", "");
    assert_int_equal(told, 1);
    assert_int_equal(cork_waiting(&cork, &pair.stream), 0);
    size_t taken = 0;
    char bytes[65536];
    TURN_UNTIL(taken == CORK_BYTES + 1, {
        ssize_t n = recv(pair.peer, bytes, sizeof bytes, 0);
        taken += n > 0 ? (size_t)n : 0;
    });
    assert_int_equal(told, 1);
    write_size(CORK_BYTES - 3);
    assert_int_equal(told, 2);
}

static void test_what_is_forgotten_is_never_sent(void **state)
{
    (void)state;
    write_text(&pair.stream, "lost", "");
    cork_forget(&cork, &other); /* not the owner */
    assert_int_equal(cork_waiting(&cork, &pair.stream), 4);
    cork_forget(&cork, &pair.stream);
    cork_flush(&cork);
    peer_has_nothing(pair.peer);
    assert_int_equal(told, 0);
}

static void test_a_broken_stream_is_told_of(void **state)
{
    (void)state;
    close(pair.peer);
    pair.peer = -1;
    write_text(&pair.stream, "x", "");
    cork_flush(&cork);
    assert_int_equal(told, 1);
    assert_int_equal(told_err, WEIR_ECLOSED);
}

static void test_a_closed_stream_is_silent(void **state)
{
    (void)state;
    write_text(&pair.stream, "x", "");
    stream_close(&pair.stream);
    cork_flush(&cork);
    write_text(&pair.stream, "x", "");
    cork_flush(&cork);
    assert_null(cork.owner);
    assert_int_equal(told, 0);
}

static void write_again(struct stream *stream, enum weir_err err)
{
    sent(stream, err);
    if (told == 1) {
        cork_write(&cork, stream, sent, SPAN("again"), SPAN(""));
    }
}

static void test_who_hears_may_write_again(void **state)
{
    (void)state;
    cork_write(&cork, &pair.stream, write_again, SPAN("once "), SPAN(""));
    write_text(&other, "other", ""); /* flushes, is written to, flushes again */
    peer_has(pair.peer, "once again");
    assert_int_equal(told, 2);
    assert_int_equal(cork_waiting(&cork, &other), 5);
}

static void close_other(struct stream *stream, enum weir_err err)
{
    sent(stream, err);
    stream_close(&other);
}

static void test_who_hears_may_close_the_stream_that_waits(void **state)
{
    (void)state;
    cork_write(&cork, &pair.stream, close_other, SPAN("last"), SPAN(""));
    write_text(&other, "never", "");
    assert_int_equal(cork_waiting(&cork, &other), 0);
    peer_has(pair.peer, "last");
}

#define CORK(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORK(test_small_writes_leave_together),
        CORK(test_another_stream_makes_it_leave),
        CORK(test_nothing_takes_no_ownership),
        CORK(test_a_large_payload_goes_at_once_behind_what_was_gathered),
        CORK(test_a_large_payload_is_gathered_while_more_is_to_come),
        CORK(test_what_fits_exactly_is_gathered_and_a_byte_more_is_not),
        CORK(test_what_is_forgotten_is_never_sent),
        CORK(test_a_broken_stream_is_told_of),
        CORK(test_a_closed_stream_is_silent),
        CORK(test_who_hears_may_write_again),
        CORK(test_who_hears_may_close_the_stream_that_waits),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
