/* From the client to the backend: frames, masks, back-pressure, compression. */
#include "bridge_fixture.h"

static void test_sends_a_message_as_one_masked_frame(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    client_text(f, "hello");
    client_piece(f, WEIR_BINARY, "bytes", true, true);
    client_text(f, "");
    turns(f);
    expect_frames(f, "text(hello) binary(bytes) text() ");
}

static void test_sends_each_piece_as_a_frame_of_its_own(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    client_piece(f, WEIR_TEXT, "he", true, false);
    client_piece(f, WEIR_TEXT, "ll", false, false);
    client_piece(f, WEIR_TEXT, "o", false, true);
    client_piece(f, WEIR_BINARY, "x", true, false);
    client_piece(f, WEIR_BINARY, "", false, true);
    turns(f);
    expect_frames(f, "text-(he) more-(ll) more(o) binary-(x) more() ");
}

static void test_masks_every_frame_with_a_key_of_its_own(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    for (unsigned i = 0; i < KEYS_MAX; i++) {
        client_text(f, "same");
    }
    turns(f);
    size_t at = 0;
    uint8_t first;
    struct span payload;
    while (next_frame(f, &at, &first, &payload)) {
        assert_true(span_equal(payload, SPAN("same")));
    }
    f->in.size = 0;
    assert_int_equal(f->key_count, KEYS_MAX);
    for (size_t a = 0; a < f->key_count; a++) {
        for (size_t b = a + 1; b < f->key_count; b++) {
            assert_memory_not_equal(f->keys[a], f->keys[b], 4);
        }
    }
}

/* More keys than one filling of the store holds. */
static void test_takes_new_random_bytes_when_the_store_is_used_up(void **state)
{
    uint8_t before[64];
    uint8_t now[64];
    (void)state;
    bridge_random(before, sizeof before);
    for (unsigned i = 0; i < 200; i++) {
        bridge_random(now, sizeof now);
        assert_memory_not_equal(before, now, sizeof now);
        memcpy(before, now, sizeof now);
    }
}

static void sends_size(struct fixture *f, size_t size, bool as_message)
{
    uint8_t *bytes = malloc(size + 1);
    uint8_t *copy = malloc(size + 1);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(i * 7 + size);
    }
    memcpy(copy, bytes, size);
    if (as_message) {
        struct weir_message message = {WEIR_BINARY, {copy, size}};
        assert_int_equal(bridge_message(f->bridge, &message), WEIR_NEXT);
        assert_memory_equal(copy, bytes, size); /* lent, and so as it was */
    } else {
        struct weir_piece piece = {WEIR_BINARY, copy, size, 1, 1};
        assert_int_equal(bridge_piece(f->bridge, &piece), WEIR_NEXT);
    }
    turns(f);
    size_t at = 0;
    uint8_t first;
    struct span payload;
    assert_true(next_frame(f, &at, &first, &payload));
    assert_int_equal(first, WS_FIN | WS_BINARY);
    assert_int_equal(payload.size, size);
    assert_memory_equal(payload.data, bytes, size);
    assert_int_equal(at, f->in.size);
    f->in.size = 0;
    free(bytes);
    free(copy);
}

static void test_keeps_bytes_of_any_size(void **state)
{
    static const size_t sizes[] = {1, 125, 126, 8191, 8192, 8193, 65535, 65536, 300000};
    struct fixture *f = *state;
    open_bridge(f);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        sends_size(f, sizes[i], false);
        sends_size(f, sizes[i], true);
    }
}

static void test_sends_whole_messages_as_they_are(void **state)
{
    struct fixture *f = *state;
    struct weir_message message = {WEIR_TEXT, {(const uint8_t *)"hi", 2}};
    struct weir_message empty = {WEIR_TEXT, {NULL, 0}};
    open_bridge(f);
    assert_int_equal(bridge_message(f->bridge, &message), WEIR_NEXT);
    assert_int_equal(bridge_message(f->bridge, &empty), WEIR_NEXT);
    turns(f);
    expect_frames(f, "text(hi) text() ");
}

static void test_lets_messages_of_one_turn_share_a_send(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    client_text(f, "one");
    client_text(f, "two");
    backend_reads(f);
    assert_int_equal(f->in.size, 0);
    assert_int_equal(cork_waiting(&f->worker.cork, &f->backend.stream), 2 * (2 + 4 + 3));
    turns(f);
    expect_frames(f, "text(one) text(two) ");
}

static void test_takes_messages_before_the_session_is_open(void **state)
{
    struct fixture *f = *state;
    struct buffer head = {0};
    const char *why = "";
    assert_int_equal(shake_hands(f, &head, (struct span){0}, &why), WEIR_OK);
    buffer_free(&head);
    client_text(f, "soon");
    assert_int_equal(bridge_open(f->bridge, &f->session), WEIR_NEXT);
    client_text(f, "now");
    turns(f);
    expect_frames(f, "text(soon) text(now) ");
}

/* --- back-pressure --- */

static void fill(struct fixture *f, size_t wanted)
{
    static uint8_t bytes[32 * 1024];
    while (stream_queued(&f->backend.stream) <= wanted) {
        struct weir_piece piece = {WEIR_BINARY, bytes, sizeof bytes, 1, 1};
        assert_int_equal(bridge_piece(f->bridge, &piece), WEIR_NEXT);
        turn(f);
    }
}

static void test_pauses_the_client_while_the_backend_is_behind(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    fill(f, BRIDGE_QUEUE_HIGH - 64 * 1024);
    expect_told(f, "");
    fill(f, BRIDGE_QUEUE_HIGH);
    expect_told(f, "pause ");
    fill(f, stream_queued(&f->backend.stream) + 1); /* which was under way already */
    expect_told(f, "");
    while (stream_queued(&f->backend.stream) >= BRIDGE_QUEUE_LOW) {
        expect_told(f, "");
        assert_int_equal(buffer_reserve(&f->in, 4096), WEIR_OK);
        assert_true(recv(f->fd, f->in.data, 4096, 0) > 0);
        turn(f);
    }
    expect_told(f, "resume ");
}

static void test_lets_the_client_go_on_when_the_backend_it_waits_for_is_lost(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    fill(f, BRIDGE_QUEUE_HIGH);
    expect_told(f, "pause ");
    backend_hangs_up(f);
    expect_told(f, "resume close(BACKEND_LOST,1014,the backend was lost) ");
    client_text(f, "nobody hears this");
    assert_int_equal(f->closes, 1);
}

static void test_lets_the_client_go_on_when_the_backend_it_waits_for_closes(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    fill(f, BRIDGE_QUEUE_HIGH);
    expect_told(f, "pause ");
    backend_sends(f, "\x88\x00", 2);
    turn(f); /* the backend still reads nothing */
    expect_told(f, "resume close(BACKEND,1005,) ");
}

/* --- a backend that takes nothing --- */

/* The timer of the backend is due, and the backend still takes nothing. */
static void time_out_unread(struct fixture *f)
{
    assert_true(f->timeout_ms > 0);
    loop_skip_ms(f->worker.loop, f->timeout_ms);
    f->timeout_ms = 0;
    turn(f);
    f->backend.ops->timed_out(&f->backend);
    turn(f);
}

static void take_some(struct fixture *f)
{
    size_t before = stream_queued(&f->backend.stream);
    while (stream_queued(&f->backend.stream) == before) {
        assert_int_equal(buffer_reserve(&f->in, 4096), WEIR_OK);
        assert_true(recv(f->fd, f->in.data, 4096, 0) > 0);
        turn(f);
    }
}

static void test_gives_up_a_backend_that_takes_nothing_without_pings_too(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    fill(f, BRIDGE_QUEUE_HIGH);
    expect_told(f, "pause ");
    expect_timeout(f, 60000);
    time_out_unread(f);
    expect_told(f, "resume close(BACKEND_TIMEOUT,1014,the backend was silent for too long) ");
    expect_timeout(f, 5000);
    time_out_unread(f);
    assert_int_equal(f->closes, 1);
}

static void test_gives_up_a_backend_that_leaves_a_few_bytes_in_the_queue(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    fill(f, 0);
    expect_told(f, "");
    time_out_unread(f);
    expect_told(f, "close(BACKEND_TIMEOUT,1014,the backend was silent for too long) ");
}

static void test_gives_up_a_backend_that_talks_and_takes_nothing(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    fill(f, BRIDGE_QUEUE_HIGH);
    loop_skip_ms(f->worker.loop, 59999);
    turn(f);
    backend_sends(f, "\x81\x02hi", 4);
    turn(f);
    turn(f);
    expect_told(f, "pause text[hi] ");
    f->timeout_ms = 1;
    time_out_unread(f);
    expect_told(f, "resume close(BACKEND_TIMEOUT,1014,the backend was silent for too long) ");
}

static void test_believes_in_a_backend_whose_queue_moves(void **state)
{
    struct fixture *f = *state;
    open_bridge(f);
    fill(f, BRIDGE_QUEUE_HIGH);
    loop_skip_ms(f->worker.loop, 50000);
    turn(f);
    unsigned set = f->timeouts_set;
    take_some(f);
    assert_int_equal(f->timeouts_set, set); /* the timer is not moved, but looks again */
    f->timeout_ms = 10000;
    time_out_unread(f);
    expect_timeout(f, 50000);
    expect_told(f, "pause ");
    turns(f);
    expect_told(f, "resume ");
    time_out_unread(f);
    assert_int_equal(f->timeout_ms, 0); /* nothing is left to look for */
    fill(f, 0);
    expect_timeout(f, 60000);
    expect_told(f, "");
}

static void test_looks_for_pings_and_for_the_queue_by_one_timer(void **state)
{
    struct fixture *f = *state;
    f->settings.ping_interval_ms = 50000;
    open_bridge(f);
    loop_skip_ms(f->worker.loop, 20000);
    turn(f);
    fill(f, 0);
    expect_timeout(f, 30000);
    time_out_unread(f); /* a ping, which nobody takes */
    expect_timeout(f, 30000);
    time_out_unread(f);
    expect_told(f, "close(BACKEND_TIMEOUT,1014,the backend was silent for too long) ");
}

/* --- compression --- */

#define LONG_TEXT "a text that is long enough, long enough, long enough to be compressed"

static void expect_deflated(struct fixture *f, const char *wanted)
{
    struct ws_inflater *inflater = ws_inflater_new(15);
    struct buffer out = {0};
    size_t at = 0;
    uint8_t first;
    struct span payload;
    backend_reads(f);
    assert_true(next_frame(f, &at, &first, &payload));
    assert_int_equal(first, WS_FIN | WS_RSV1 | WS_TEXT);
    assert_int_equal(ws_inflater_message(inflater, payload, false, 1000, &out), WEIR_OK);
    assert_true(span_equal(buffer_span(&out), span_of(wanted)));
    assert_true(payload.size < out.size);
    assert_int_equal(at, f->in.size);
    f->in.size = 0;
    buffer_free(&out);
    ws_inflater_free(&inflater);
}

static void test_compresses_what_is_worth_it_where_that_was_agreed(void **state)
{
    struct fixture *f = *state;
    f->compresses = true;
    open_bridge(f);
    client_text(f, "15 bytes, no...");
    turns(f);
    expect_frames(f, "text(15 bytes, no...) ");
    /* Twice, since nothing of the first may be needed for the second. */
    client_text(f, LONG_TEXT);
    turns(f);
    expect_deflated(f, LONG_TEXT);
    client_text(f, LONG_TEXT);
    turns(f);
    expect_deflated(f, LONG_TEXT);
    struct weir_message message = {WEIR_TEXT, {(const uint8_t *)LONG_TEXT, sizeof LONG_TEXT - 1}};
    assert_int_equal(bridge_message(f->bridge, &message), WEIR_NEXT);
    turns(f);
    expect_deflated(f, LONG_TEXT);
}

static void test_compresses_from_min_size_on(void **state)
{
    struct fixture *f = *state;
    f->compresses = true;
    f->request.websocket.compression.min_size = sizeof LONG_TEXT - 1;
    open_bridge(f);
    client_text(f, LONG_TEXT);
    turns(f);
    expect_deflated(f, LONG_TEXT);
    client_piece(f, WEIR_BINARY, &LONG_TEXT[1], true, true);
    turns(f);
    size_t at = 0;
    uint8_t first;
    struct span payload;
    assert_true(next_frame(f, &at, &first, &payload));
    assert_int_equal(first, WS_FIN | WS_BINARY);
}

static void test_puts_pieces_together_to_compress_them(void **state)
{
    struct fixture *f = *state;
    f->compresses = true;
    open_bridge(f);
    client_piece(f, WEIR_TEXT, LONG_TEXT, true, false);
    turns(f);
    expect_frames(f, "");
    client_piece(f, WEIR_TEXT, LONG_TEXT, false, false);
    client_piece(f, WEIR_TEXT, "", false, true);
    turns(f);
    expect_deflated(f, LONG_TEXT LONG_TEXT);
    client_piece(f, WEIR_TEXT, "ti", true, false);
    client_piece(f, WEIR_TEXT, "ny", false, true);
    turns(f);
    expect_frames(f, "text(tiny) ");
}

static void test_forgets_half_a_message_when_the_client_goes(void **state)
{
    struct fixture *f = *state;
    f->compresses = true;
    open_bridge(f);
    client_piece(f, WEIR_TEXT, LONG_TEXT, true, false);
    session_over(f, 1006, "client", "");
    expect_frames(f, "close(1001,the client is gone) ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sends_a_message_as_one_masked_frame),
        TEST(test_sends_each_piece_as_a_frame_of_its_own),
        TEST(test_masks_every_frame_with_a_key_of_its_own),
        cmocka_unit_test(test_takes_new_random_bytes_when_the_store_is_used_up),
        TEST(test_keeps_bytes_of_any_size),
        TEST(test_sends_whole_messages_as_they_are),
        TEST(test_lets_messages_of_one_turn_share_a_send),
        TEST(test_takes_messages_before_the_session_is_open),
        TEST(test_pauses_the_client_while_the_backend_is_behind),
        TEST(test_lets_the_client_go_on_when_the_backend_it_waits_for_is_lost),
        TEST(test_lets_the_client_go_on_when_the_backend_it_waits_for_closes),
        TEST(test_gives_up_a_backend_that_takes_nothing_without_pings_too),
        TEST(test_gives_up_a_backend_that_leaves_a_few_bytes_in_the_queue),
        TEST(test_gives_up_a_backend_that_talks_and_takes_nothing),
        TEST(test_believes_in_a_backend_whose_queue_moves),
        TEST(test_looks_for_pings_and_for_the_queue_by_one_timer),
        TEST(test_compresses_what_is_worth_it_where_that_was_agreed),
        TEST(test_compresses_from_min_size_on),
        TEST(test_puts_pieces_together_to_compress_them),
        TEST(test_forgets_half_a_message_when_the_client_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
