/* Streams over a socketpair. What holds for both kinds runs for both. */
#include "stream_fixture.h"

enum {
    MUCH = 3000000 /* bytes: many times what the sockets and TLS hold */
};

/* --- reading --- */

static void test_reads_what_came_and_then_the_end(void **state)
{
    char bytes[16];
    size_t got = 0;
    (void)state;
    assert_int_equal(stream_read(&pair.stream, bytes, sizeof bytes, &got), WEIR_AGAIN);
    assert_int_equal(peer_write("hello", 5), 5);
    assert_int_equal(stream_read(&pair.stream, bytes, 2, &got), WEIR_OK);
    assert_int_equal(got, 2);
    assert_int_equal(stream_read(&pair.stream, bytes + 2, sizeof bytes - 2, &got), WEIR_OK);
    assert_int_equal(got, 3);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(stream_read(&pair.stream, bytes, sizeof bytes, &got), WEIR_AGAIN);
    if (pair.peer_ssl != NULL) {
        SSL_shutdown(pair.peer_ssl);
    }
    shutdown(pair.peer, SHUT_WR);
    assert_int_equal(stream_read(&pair.stream, bytes, sizeof bytes, &got), WEIR_ECLOSED);
    assert_int_equal(stream_read(&pair.stream, bytes, sizeof bytes, &got), WEIR_ECLOSED);
}

static void test_tells_of_input_only_while_reading_is_on(void **state)
{
    (void)state;
    assert_int_equal(peer_write("a", 1), 1);
    turn();
    turn();
    assert_int_equal(pair.told_readable, 0);
    stream_set_reading(&pair.stream, true);
    TURN_UNTIL(pair.got_size == 1, (void)0);
    assert_int_equal(pair.told_readable, 1);
    stream_set_reading(&pair.stream, false);
    assert_int_equal(peer_write("b", 1), 1);
    turn();
    turn();
    assert_int_equal(pair.told_readable, 1);
}

static void test_all_arrives_however_much_it_is(void **state)
{
    uint8_t *bytes = patterned(0, MUCH);
    size_t sent = 0;
    (void)state;
    stream_set_reading(&pair.stream, true);
    TURN_UNTIL(pair.got_size == MUCH, sent += peer_write(bytes + sent, MUCH - sent));
    assert_memory_equal(pair.got, bytes, MUCH);
    free(bytes);
}

static void test_wakes_once_although_the_socket_is_silent(void **state)
{
    (void)state;
    stream_set_reading(&pair.stream, true);
    stream_wake(&pair.stream);
    turn();
    turn();
    assert_int_equal(pair.told_readable, 1);
    stream_set_reading(&pair.stream, false);
    stream_wake(&pair.stream);
    turn();
    assert_int_equal(pair.told_readable, 1);
    stream_set_reading(&pair.stream, true);
    stream_wake(&pair.stream);
    stream_close(&pair.stream); /* takes the wake-up back */
    turn();
    assert_int_equal(pair.told_readable, 1);
}

static unsigned ticks;

static void count_tick(void *context)
{
    (void)context;
    ticks++;
}

static void wake_until_timers_had_turns(struct stream *stream, bool readable, bool writable)
{
    (void)writable;
    pair.told_readable += readable;
    if (ticks < 3) {
        stream_wake(stream);
    }
}

/* Without that, this test never ends. */
static void test_a_stream_that_is_always_woken_leaves_turns_to_others(void **state)
{
    (void)state;
    ticks = 0;
    struct loop_timer *timer = loop_timer_new(pair.loop, 1, true, count_tick, NULL);
    pair.stream.ready = wake_until_timers_had_turns;
    stream_set_reading(&pair.stream, true);
    stream_wake(&pair.stream);
    TURN_UNTIL(ticks >= 3, (void)0);
    assert_true(pair.told_readable >= 3);
    loop_timer_free(&timer);
}

/* A queue that comes or goes between the call and the turn changes what the event waits for. */
static void test_a_wake_survives_a_change_of_interest(void **state)
{
    (void)state;
    stream_set_reading(&pair.stream, true);
    stream_wake(&pair.stream);
    write_pattern(0, MUCH, WEIR_OK);
    assert_true(stream_queued(&pair.stream) > 0);
    turn();
    turn();
    assert_int_equal(pair.told_readable, 1);
    assert_int_equal(peer_write("x", 1), 1); /* and the socket is watched as before */
    TURN_UNTIL(pair.got_size == 1, (void)0);
}

/* --- writing --- */

static void test_what_the_kernel_takes_is_not_queued(void **state)
{
    size_t at = 0;
    (void)state;
    write_pattern(0, 1000, WEIR_OK);
    assert_int_equal(stream_queued(&pair.stream), 0);
    peer_takes(&at, 1000);
    assert_int_equal(pair.told_writable, 0);
}

static void test_the_rest_is_queued_and_sent_as_the_peer_reads(void **state)
{
    size_t at = 0;
    (void)state;
    write_pattern(0, MUCH, WEIR_OK);
    assert_true(stream_queued(&pair.stream) > MUCH / 2);
    peer_takes(&at, MUCH);
    TURN_UNTIL(stream_queued(&pair.stream) == 0, (void)0);
    assert_true(pair.told_writable > 0);
    unsigned told = pair.told_writable;
    turn();
    turn();
    assert_int_equal(pair.told_writable, told); /* an empty queue asks for nothing */
}

static void test_pieces_and_writes_behind_a_queue_keep_their_order(void **state)
{
    size_t sizes[] = {100, 5000, 3, 0, 70000, 1, 16384, 40000, 900, 12};
    size_t from = 0;
    size_t at = 0;
    (void)state;
    for (int round = 0; round < 12; round++) {
        struct iovec pieces[10];
        for (size_t i = 0; i < 10; i++) {
            pieces[i] = (struct iovec){patterned(from, sizes[i]), sizes[i]};
            from += sizes[i];
        }
        assert_int_equal(stream_write(&pair.stream, pieces, 10), WEIR_OK);
        for (size_t i = 0; i < 10; i++) {
            free(pieces[i].iov_base);
        }
        peer_takes(&at, 20000); /* some room, so that flushing and adding alternate */
    }
    peer_takes(&at, from - at);
    TURN_UNTIL(stream_queued(&pair.stream) == 0, (void)0);
}

/* A head of a few bytes goes out; what follows does not fit, whatever its size. TLS must be offered
 * the same bytes again (SSL_write(3)), so the queue may not cut them up. */
static void test_a_later_piece_that_does_not_fit_is_sent_whole(void **state)
{
    static const size_t sizes[] = {1000, 4000, 10000, 16384, 50000, 1000000};
    size_t from = 0;
    size_t at = 0;
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t head = 1; head < 20000 && stream_queued(&pair.stream) == 0; head += 1021) {
            uint8_t *first = patterned(from, head);
            uint8_t *second = patterned(from + head, sizes[i]);
            struct iovec pieces[2] = {{first, head}, {second, sizes[i]}};
            assert_int_equal(stream_write(&pair.stream, pieces, 2), WEIR_OK);
            from += head + sizes[i];
            free(first);
            free(second);
        }
        peer_takes(&at, from - at);
        TURN_UNTIL(stream_queued(&pair.stream) == 0, (void)0);
    }
}

static void test_nothing_can_be_written_to_a_peer_that_is_gone(void **state)
{
    (void)state;
    close(pair.peer);
    pair.peer = -1;
    uint8_t *bytes = patterned(0, 100000);
    struct iovec piece = {bytes, 100000};
    enum weir_err err = stream_write(&pair.stream, &piece, 1);
    free(bytes);
    assert_true(err == WEIR_ECLOSED || err == WEIR_EIO);
}

static void test_a_queue_that_can_go_nowhere_is_dropped_and_reading_tells_why(void **state)
{
    (void)state;
    write_pattern(0, MUCH, WEIR_OK);
    stream_set_reading(&pair.stream, true);
    close(pair.peer);
    pair.peer = -1;
    TURN_UNTIL(stream_queued(&pair.stream) == 0 && pair.end != WEIR_OK, (void)0);
    assert_true(pair.told_writable > 0);
    write_pattern(0, 1, WEIR_ECLOSED);
}

/* --- ending --- */

static void test_shutdown_ends_our_direction_only(void **state)
{
    size_t at = 0;
    (void)state;
    write_pattern(0, 10, WEIR_OK);
    stream_shutdown(&pair.stream);
    write_pattern(0, 1, WEIR_ECLOSED);
    peer_takes(&at, 10);
    peer_finds_end();
    stream_set_reading(&pair.stream, true);
    assert_int_equal(peer_write("late", 4), 4);
    TURN_UNTIL(pair.got_size == 4, (void)0);
    stream_shutdown(&pair.stream);
}

static void test_shutdown_comes_after_the_queue(void **state)
{
    size_t at = 0;
    (void)state;
    write_pattern(0, MUCH, WEIR_OK);
    stream_shutdown(&pair.stream);
    assert_true(stream_queued(&pair.stream) > 0);
    write_pattern(0, 1, WEIR_ECLOSED);
    peer_takes(&at, MUCH);
    peer_finds_end();
    assert_int_equal(stream_queued(&pair.stream), 0);
}

static void test_closing_drops_the_queue_and_may_happen_twice(void **state)
{
    (void)state;
    write_pattern(0, MUCH, WEIR_OK);
    assert_true(stream_is_open(&pair.stream));
    stream_close(&pair.stream);
    assert_false(stream_is_open(&pair.stream));
    assert_int_equal(stream_queued(&pair.stream), 0);
    stream_close(&pair.stream);
    stream_shutdown(&pair.stream);
    stream_set_reading(&pair.stream, true);
    stream_wake(&pair.stream);
    write_pattern(0, 1, WEIR_ECLOSED);
    turn();
    assert_int_equal(pair.told_readable + pair.told_writable, 0);
}

static void close_when_ready(struct stream *stream, bool readable, bool writable)
{
    (void)readable;
    (void)writable;
    stream_close(stream);
}

static void test_may_be_closed_from_its_callback(void **state)
{
    (void)state;
    pair.stream.ready = close_when_ready;
    stream_set_reading(&pair.stream, true);
    write_pattern(0, MUCH, WEIR_OK);
    assert_int_equal(peer_write("x", 1), 1);
    TURN_UNTIL(!stream_is_open(&pair.stream), (void)0);
    turn();
}

/* --- plain --- */

static void test_peeking_leaves_the_bytes(void **state)
{
    char bytes[8];
    size_t got = 0;
    (void)state;
    assert_int_equal(stream_peek(&pair.stream, bytes, sizeof bytes, &got), WEIR_AGAIN);
    assert_int_equal(peer_write("PROXY", 5), 5);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(stream_peek(&pair.stream, bytes, sizeof bytes, &got), WEIR_OK);
        assert_int_equal(got, 5);
    }
    assert_int_equal(stream_read(&pair.stream, bytes, 2, &got), WEIR_OK);
    assert_int_equal(stream_peek(&pair.stream, bytes, sizeof bytes, &got), WEIR_OK);
    assert_int_equal(got, 3);
    assert_memory_equal(bytes, "OXY", 3);
    assert_int_equal(stream_read(&pair.stream, bytes, sizeof bytes, &got), WEIR_OK);
    close(pair.peer);
    pair.peer = -1;
    assert_int_equal(stream_peek(&pair.stream, bytes, sizeof bytes, &got), WEIR_ECLOSED);
}

static void test_a_plain_stream_says_so(void **state)
{
    (void)state;
    assert_false(stream_is_tls(&pair.stream));
    assert_true(stream_is_established(&pair.stream));
    assert_false(stream_has_pending(&pair.stream));
    assert_null(stream_client_subject(&pair.stream));
}

#define BOTH(name)                                                                                 \
    {#name " (plain)", name, open_plain, close_pair, NULL},                                        \
    {                                                                                              \
#name " (TLS)", name, open_tls, close_pair, NULL                                           \
    }
#define PLAIN(name) cmocka_unit_test_setup_teardown(name, open_plain, close_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_reads_what_came_and_then_the_end),
        BOTH(test_tells_of_input_only_while_reading_is_on),
        BOTH(test_all_arrives_however_much_it_is),
        BOTH(test_wakes_once_although_the_socket_is_silent),
        BOTH(test_a_stream_that_is_always_woken_leaves_turns_to_others),
        BOTH(test_a_wake_survives_a_change_of_interest),
        BOTH(test_what_the_kernel_takes_is_not_queued),
        BOTH(test_the_rest_is_queued_and_sent_as_the_peer_reads),
        BOTH(test_pieces_and_writes_behind_a_queue_keep_their_order),
        BOTH(test_a_later_piece_that_does_not_fit_is_sent_whole),
        BOTH(test_nothing_can_be_written_to_a_peer_that_is_gone),
        BOTH(test_a_queue_that_can_go_nowhere_is_dropped_and_reading_tells_why),
        BOTH(test_shutdown_ends_our_direction_only),
        BOTH(test_shutdown_comes_after_the_queue),
        BOTH(test_closing_drops_the_queue_and_may_happen_twice),
        BOTH(test_may_be_closed_from_its_callback),
        PLAIN(test_peeking_leaves_the_bytes),
        PLAIN(test_a_plain_stream_says_so),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
