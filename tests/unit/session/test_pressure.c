/* Clients that read slowly: reading from them pauses at the high watermark and goes on at the low
 * one, senders are told "full", and hear of the drain once. */
#include "client_fixture.h"

#include "session/session_internal.h"

enum {
    LIMIT = 64 * 1024,
    HIGH = LIMIT / 2,
    LOW = LIMIT / 8,
    PIECE = 1000
};

static uint8_t bytes[PIECE];

static int slow_make(void **state)
{
    fixture_make(state);
    struct fixture *f = *state;
    f->send_buffer_bytes = 4096;
    f->websocket.max_queue_size = LIMIT;
    f->route.has_sender = false;
    memset(bytes, 'x', sizeof bytes);
    return 0;
}

/* A session whose client does not read. */
static struct client *open_deaf(struct fixture *f)
{
    struct client *client = open_quietly(f);
    client->deaf = true;
    return client;
}

static enum weir_err send_piece(struct fixture *f)
{
    return session_send(f->plugs[2].session, 2, WEIR_BINARY, (struct span){bytes, PIECE});
}

static const struct stream *stream_of(struct fixture *f)
{
    return &f->plugs[2].session->connection->stream;
}

/* Reads up to `size` bytes as a client that is slow would. */
static void read_some(struct fixture *f, struct client *client, size_t size)
{
    uint8_t here[PIECE];
    while (size > 0) {
        ssize_t got = recv(client->fd, here, size < PIECE ? size : PIECE, MSG_DONTWAIT);
        if (got <= 0) {
            break;
        }
        size -= (size_t)got;
    }
    assert_true(loop_turn(f->worker.loop, false));
}

static void fill_to_high(struct fixture *f)
{
    while (stream_queued(stream_of(f)) < HIGH) {
        assert_true(stream_of(f)->reading);
        assert_int_equal(send_piece(f), WEIR_OK);
        assert_true(loop_turn(f->worker.loop, false));
    }
    assert_false(stream_of(f)->reading);
}

static void test_reading_pauses_at_the_high_watermark_and_goes_on_at_the_low(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_deaf(f);
    fill_to_high(f);
    while (stream_queued(stream_of(f)) > LOW) {
        assert_false(stream_of(f)->reading);
        read_some(f, client, PIECE);
    }
    assert_true(stream_of(f)->reading);
    expect_journal(f, ""); /* nobody was told "full", so nobody waits for a drain */
}

static void test_messages_of_a_client_that_does_not_read_wait(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_deaf(f);
    fill_to_high(f);
    send_text(f, client, "one");
    expect_journal(f, "");
    client->deaf = false;
    turns(f);
    expect_journal(f, "a:message(one) b:message(one) c:message(one) ");
}

static void fill_up(struct fixture *f)
{
    enum weir_err err;
    while ((err = send_piece(f)) == WEIR_OK) {
        assert_true(loop_turn(f->worker.loop, false));
    }
    assert_int_equal(err, WEIR_ELIMIT);
}

static void test_full_queue_takes_nothing_more_and_its_drain_is_told_once(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_deaf(f);
    fill_up(f);
    size_t queued = stream_queued(stream_of(f));
    assert_true(queued >= LIMIT && queued < LIMIT + PIECE + 4);
    assert_int_equal(session_buffered(f->plugs[2].session), queued);
    assert_int_equal(send_piece(f), WEIR_ELIMIT);
    assert_int_equal(send_piece(f), WEIR_ELIMIT);
    assert_int_equal(stream_queued(stream_of(f)), queued);
    while (stream_queued(stream_of(f)) > LOW) {
        expect_journal(f, "");
        read_some(f, client, PIECE);
    }
    expect_journal(f, "c:drain b:drain a:drain ");
    client->deaf = false;
    turns(f);
    expect_journal(f, "");
    assert_int_equal(send_piece(f), WEIR_OK);
}

static void test_full_queue_takes_no_ping_either(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_deaf(f);
    fill_up(f);
    size_t queued = stream_queued(stream_of(f));
    assert_int_equal(session_ping(f->plugs[2].session, SPAN("ping")), WEIR_ELIMIT);
    assert_int_equal(stream_queued(stream_of(f)), queued);
    client->deaf = false;
    turns(f);
    expect_journal(f, "c:drain b:drain a:drain ");
    assert_int_equal(session_ping(f->plugs[2].session, SPAN("ping")), WEIR_OK);
}

/* Sends from within the drain, until it is full again. */
static void refill(struct plug *plug, struct weir_session *session)
{
    (void)session;
    plug->does.drain = NULL;
    while (send_piece(plug->f) == WEIR_OK) {
        /* one more */
    }
}

static void test_queue_may_be_filled_again_from_the_drain(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_deaf(f);
    f->plugs[2].does.drain = refill;
    fill_up(f);
    for (unsigned drains = 0; drains < 2; drains++) {
        assert_true(stream_queued(stream_of(f)) >= LIMIT);
        while (f->journal.size == 0) {
            read_some(f, client, PIECE);
        }
        expect_journal(f, "c:drain b:drain a:drain ");
    }
    assert_true(stream_queued(stream_of(f)) <= LOW);
}

/* What is only corked would leave by itself, and no drain would follow: it is not "full". */
static enum weir_verdict send_more_than_the_limit(struct plug *plug, struct weir_session *session,
                                                  const struct weir_message *message)
{
    (void)session;
    (void)message;
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(send_piece(plug->f), WEIR_OK);
    }
    return WEIR_NEXT;
}

static void test_limit_below_the_cork_is_no_limit_for_a_client_that_reads(void **state)
{
    struct fixture *f = *state;
    f->send_buffer_bytes = 0;
    f->websocket.max_queue_size = 4 * PIECE;
    f->plugs[2].does.message = send_more_than_the_limit;
    struct client *client = open_quietly(f);
    send_text(f, client, "go");
    assert_int_equal(client->in.size, 20 * (PIECE + 4));
}

/* Nor does the cork hide from one turn's sends that the client does not read. */
static void test_limit_below_the_cork_holds_within_one_turn(void **state)
{
    struct fixture *f = *state;
    open_deaf(f);
    enum weir_err err;
    while ((err = send_piece(f)) == WEIR_OK) {
        assert_true(session_buffered(f->plugs[2].session) < LIMIT + PIECE + 4);
    }
    assert_int_equal(err, WEIR_ELIMIT);
    assert_true(stream_queued(stream_of(f)) >= LIMIT);
}

static void test_client_that_never_reads_is_cut_after_write_timeout(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_deaf(f);
    fill_up(f);
    pass_ms(f, f->websocket.write_timeout_ms - 2 * WHEEL_TICK_MS);
    size_t queued = stream_queued(stream_of(f));
    while (stream_queued(stream_of(f)) == queued) {
        read_some(f, client, PIECE); /* until it has moved: the time begins anew */
    }
    pass_ms(f, f->websocket.write_timeout_ms - 2 * WHEEL_TICK_MS);
    expect_journal(f, "");
    pass_ms(f, 4 * WHEEL_TICK_MS);
    expect_journal(f, "c:close(1006,gateway) b:close(1006,gateway) a:close(1006,gateway) ");
    assert_int_equal(f->worker.connection_count, 0);
    assert_string_equal(f->ending.words, "the client did not read what was sent to it");
}

static void test_session_over_the_limit_still_closes_in_order(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_deaf(f);
    fill_up(f);
    assert_int_equal(session_close(f->plugs[2].session, 1001, SPAN("enough")), WEIR_OK);
    send_close(f, client, 1001, "");
    expect_journal(f, "c:close(1001,gateway) b:close(1001,gateway) a:close(1001,gateway) ");
    assert_int_equal(f->worker.connection_count, 1); /* the last words are on their way */
    client->deaf = false;
    turns(f);
    assert_true(client->ended);
    const uint8_t *end = client->in.data + client->in.size - 10;
    assert_memory_equal(end,
                        "\x88\x08\x03\xe9"
                        "enough",
                        10);
    client_closes(f, client);
    assert_int_equal(f->worker.connection_count, 0);
}

#define SLOW_TEST(function) cmocka_unit_test_setup_teardown(function, slow_make, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SLOW_TEST(test_reading_pauses_at_the_high_watermark_and_goes_on_at_the_low),
        SLOW_TEST(test_messages_of_a_client_that_does_not_read_wait),
        SLOW_TEST(test_full_queue_takes_nothing_more_and_its_drain_is_told_once),
        SLOW_TEST(test_full_queue_takes_no_ping_either),
        SLOW_TEST(test_queue_may_be_filled_again_from_the_drain),
        SLOW_TEST(test_limit_below_the_cork_is_no_limit_for_a_client_that_reads),
        SLOW_TEST(test_limit_below_the_cork_holds_within_one_turn),
        SLOW_TEST(test_client_that_never_reads_is_cut_after_write_timeout),
        SLOW_TEST(test_session_over_the_limit_still_closes_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
