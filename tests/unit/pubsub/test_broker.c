/* The broker over real sessions: who gets what is published, in which order, who misses it, and
 * that a session's end is the end of its subscriptions. Two workers are two fixtures here, whose
 * loops this thread turns. */
#include "session/client_fixture.h"

#include "net/mail_room.h"
#include "net/mailbox.h"
#include "pubsub/broker.h"
#include "pubsub/bus.h"
#include "session/worker_access.h"

enum {
    WORKERS = 2,
    HANDLER = SEATS - 1
};

struct pair {
    struct fixture *f[WORKERS];
    struct mailbox *mailboxes[WORKERS];
    struct mail_room *room;
    struct bus *bus;
};

static int pair_make(void **state)
{
    struct pair *pair = calloc(1, sizeof *pair);
    assert_non_null(pair);
    pair->room = mail_room_new(WORKERS);
    pair->bus = bus_new(WORKERS);
    assert_non_null(pair->room);
    assert_non_null(pair->bus);
    for (unsigned w = 0; w < WORKERS; w++) {
        void *made = NULL;
        fixture_make(&made);
        struct fixture *f = made;
        pair->f[w] = f;
        f->worker.id = w;
        f->worker.count = WORKERS;
        f->worker.mail_room = pair->room;
        f->route.has_sender = false;
        pair->mailboxes[w] = mailbox_new(f->worker.loop, &f->worker);
        assert_non_null(pair->mailboxes[w]);
        mail_room_enter(pair->room, w, pair->mailboxes[w]);
        assert_int_equal(broker_start(&f->worker, pair->bus), WEIR_OK);
    }
    *state = pair;
    return 0;
}

static void stop_worker(struct pair *pair, unsigned w)
{
    struct fixture *f = pair->f[w];
    if (f != NULL) {
        connection_cut_all(&f->worker);
        worker_state_turn_end(&f->worker);
        broker_stop(&f->worker);
        mail_room_leave(pair->room, w);
        mailbox_free(&pair->mailboxes[w]);
        fixture_free((void **)&pair->f[w]);
        pair->f[w] = NULL;
    }
}

static int pair_free(void **state)
{
    struct pair *pair = *state;
    for (unsigned w = 0; w < WORKERS; w++) {
        stop_worker(pair, w);
    }
    mail_room_free(&pair->room);
    bus_free(&pair->bus);
    free(pair);
    return 0;
}

/* A session on worker `w`, with a journal that is empty; the client is f->clients[at]. */
static struct weir_session *join_at(struct pair *pair, unsigned w, size_t at, const char *topic)
{
    struct fixture *f = pair->f[w];
    open_session_at(f, at);
    f->journal.size = 0;
    struct weir_session *session = f->plugs[HANDLER].session;
    if (topic != NULL) {
        assert_int_equal(broker_subscribe(&f->worker, session, HANDLER, span_of(topic)), WEIR_OK);
    }
    return session;
}

static void publish(struct pair *pair, unsigned w, struct weir_session *except, const char *topic,
                    const char *text)
{
    assert_int_equal(
        broker_publish(&pair->f[w]->worker, except, span_of(topic), WEIR_TEXT, span_of(text)),
        WEIR_OK);
}

static void settle(struct pair *pair)
{
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned w = 0; w < WORKERS; w++) {
            turns(pair->f[w]);
        }
    }
}

static void test_reaches_subscribers_and_nobody_else(void **state)
{
    struct pair *pair = *state;
    struct fixture *f = pair->f[0];
    join_at(pair, 0, 0, "news");
    join_at(pair, 0, 1, "sport");
    struct weir_session *third = join_at(pair, 0, 2, "news");
    publish(pair, 0, NULL, "news", "one");
    publish(pair, 0, third, "news", "two");
    publish(pair, 0, NULL, "weather", "three");
    settle(pair);
    expect_frames(&f->clients[0], "text(one) text(two) ");
    expect_frames(&f->clients[1], "");
    expect_frames(&f->clients[2], "text(one) ");
    assert_int_equal(broker_subscribers(&f->worker, SPAN("news")), 2);
    assert_int_equal(broker_subscribers(&f->worker, SPAN("weather")), 0);
}

static void test_crosses_workers_in_order_both_ways(void **state)
{
    struct pair *pair = *state;
    join_at(pair, 0, 0, "t");
    join_at(pair, 1, 0, "t");
    for (unsigned i = 0; i < 5; i++) {
        char text[8];
        snprintf(text, sizeof text, "a%u", i);
        publish(pair, 0, NULL, "t", text);
    }
    settle(pair);
    publish(pair, 1, NULL, "t", "b");
    settle(pair);
    const char *wanted = "text(a0) text(a1) text(a2) text(a3) text(a4) text(b) ";
    expect_frames(&pair->f[0]->clients[0], wanted);
    expect_frames(&pair->f[1]->clients[0], wanted);
}

static void test_binary_and_empty_messages_cross(void **state)
{
    struct pair *pair = *state;
    join_at(pair, 1, 0, "t");
    struct weir_worker *worker = &pair->f[0]->worker;
    assert_int_equal(broker_publish(worker, NULL, SPAN("t"), WEIR_BINARY, SPAN("\xff")), WEIR_OK);
    assert_int_equal(broker_publish(worker, NULL, SPAN("t"), WEIR_TEXT, (struct span){NULL, 0}),
                     WEIR_OK);
    settle(pair);
    expect_frames(&pair->f[1]->clients[0], "binary(\xff) text() ");
}

static void test_subscribing_twice_is_subscribing_once(void **state)
{
    struct pair *pair = *state;
    struct weir_worker *worker = &pair->f[0]->worker;
    struct weir_session *session = join_at(pair, 0, 0, "t");
    assert_int_equal(broker_subscribe(worker, session, HANDLER, SPAN("t")), WEIR_OK);
    publish(pair, 0, NULL, "t", "one");
    settle(pair);
    expect_frames(&pair->f[0]->clients[0], "text(one) ");
    assert_true(broker_unsubscribe(worker, session, SPAN("t")));
    assert_false(broker_unsubscribe(worker, session, SPAN("t")));
    publish(pair, 0, NULL, "t", "two");
    settle(pair);
    expect_frames(&pair->f[0]->clients[0], "");
    assert_int_equal(*session_tag(session), 0);
}

static void test_the_sessions_end_unsubscribes_after_its_on_close(void **state)
{
    struct pair *pair = *state;
    struct fixture *f = pair->f[0];
    join_at(pair, 0, 0, "t");
    join_at(pair, 0, 1, "t");
    client_closes(f, &f->clients[0]);
    assert_int_equal(broker_subscribers(&f->worker, SPAN("t")), 1);
    /* Its number is given to the next one. */
    struct weir_session *next = join_at(pair, 0, 0, "u");
    assert_int_equal(*session_tag(next), 1);
    publish(pair, 0, NULL, "t", "one");
    settle(pair);
    expect_frames(&f->clients[0], "");
    expect_frames(&f->clients[1], "text(one) ");
}

static void test_a_closing_session_gets_nothing_and_cannot_subscribe(void **state)
{
    struct pair *pair = *state;
    struct fixture *f = pair->f[0];
    struct weir_session *session = join_at(pair, 0, 0, "t");
    assert_int_equal(session_close(session, 1000, (struct span){0}), WEIR_OK);
    publish(pair, 0, NULL, "t", "late");
    assert_int_equal(broker_subscribe(&f->worker, session, HANDLER, SPAN("u")), WEIR_ECLOSED);
    settle(pair);
    expect_frames(&f->clients[0], "close(1000,) ");
}

static void test_names_and_text_are_checked(void **state)
{
    struct pair *pair = *state;
    struct weir_worker *worker = &pair->f[0]->worker;
    struct weir_session *session = join_at(pair, 0, 0, NULL);
    static uint8_t name[BROKER_TOPIC_MAX + 1];
    struct span longest = {name, BROKER_TOPIC_MAX};
    struct span longer = {name, sizeof name};
    assert_int_equal(broker_subscribe(worker, session, HANDLER, longest), WEIR_OK);
    assert_int_equal(broker_subscribe(worker, session, HANDLER, longer), WEIR_EINVAL);
    assert_int_equal(broker_subscribe(worker, session, HANDLER, (struct span){0}), WEIR_EINVAL);
    assert_int_equal(broker_publish(worker, NULL, longest, WEIR_TEXT, SPAN("x")), WEIR_OK);
    assert_int_equal(broker_publish(worker, NULL, longer, WEIR_TEXT, SPAN("x")), WEIR_EINVAL);
    assert_int_equal(broker_publish(worker, NULL, longest, WEIR_TEXT, SPAN("\xff")), WEIR_EINVAL);
    settle(pair);
    expect_frames(&pair->f[0]->clients[0], "text(x) ");
}

static void test_a_session_has_so_many_subscriptions_and_no_more(void **state)
{
    struct pair *pair = *state;
    struct weir_worker *worker = &pair->f[0]->worker;
    struct weir_session *session = join_at(pair, 0, 0, NULL);
    char name[16];
    for (unsigned i = 0; i < BROKER_SUBSCRIPTIONS_MAX; i++) {
        snprintf(name, sizeof name, "t%u", i);
        assert_int_equal(broker_subscribe(worker, session, HANDLER, span_of(name)), WEIR_OK);
    }
    assert_int_equal(broker_subscribe(worker, session, HANDLER, SPAN("more")), WEIR_ELIMIT);
    assert_int_equal(broker_subscribe(worker, session, HANDLER, SPAN("t0")), WEIR_OK);
    assert_int_equal(broker_subscribers(worker, SPAN("more")), 0);
    assert_true(broker_unsubscribe(worker, session, SPAN("t100")));
    assert_int_equal(broker_subscribe(worker, session, HANDLER, SPAN("more")), WEIR_OK);
}

static uint64_t missed_on(const struct fixture *f)
{
    return atomic_load(&f->worker.traffic->counts[TRAFFIC_MESSAGES_MISSED]);
}

static void test_who_is_too_far_behind_misses_it_and_the_others_do_not(void **state)
{
    struct pair *pair = *state;
    struct fixture *f = pair->f[0];
    static uint8_t bytes[64 * 1024];
    struct span large = {bytes, sizeof bytes};
    f->websocket.max_queue_size = 256 * 1024;
    join_at(pair, 0, 0, "t");
    join_at(pair, 0, 1, "t");
    f->clients[0].deaf = true;
    unsigned sent = 0;
    while (missed_on(f) < 3) {
        assert_true(sent++ < 100);
        assert_int_equal(broker_publish(&f->worker, NULL, SPAN("t"), WEIR_BINARY, large), WEIR_OK);
        turns(f);
    }
    assert_int_equal(f->clients[1].in.size, sent * (sizeof bytes + 10));
    f->clients[0].deaf = false;
    settle(pair);
    assert_int_equal(f->clients[0].in.size, (sent - 3) * (sizeof bytes + 10));
    expect_journal(f, ""); /* nobody was told "full", so there is no on_drain */
}

/* --- plugins that look at what is sent --- */

static void test_filters_in_front_of_the_subscriber_see_it(void **state)
{
    struct pair *pair = *state;
    struct fixture *f = pair->f[0];
    f->route.has_sender = true;
    struct weir_session *session = join_at(pair, 0, 0, NULL);
    assert_int_equal(broker_subscribe(&f->worker, session, 1, SPAN("t")), WEIR_OK);
    publish(pair, 0, NULL, "t", "one");
    expect_journal(f, "a:send(one) ");
    assert_int_equal(broker_subscribe(&f->worker, session, HANDLER, SPAN("t")), WEIR_OK);
    publish(pair, 0, NULL, "t", "two");
    expect_journal(f, "b:send(two) a:send(two) ");
    settle(pair);
    expect_frames(&f->clients[0], "text(one) text(two) ");
}

static enum weir_err nested;

static enum weir_verdict publish_again(struct plug *plug, struct weir_session *session,
                                       const struct weir_message *message)
{
    (void)session;
    (void)message;
    nested = broker_publish(&plug->f->worker, NULL, SPAN("t"), WEIR_TEXT, SPAN("again"));
    return WEIR_NEXT;
}

static void test_publishing_while_something_is_published_is_refused(void **state)
{
    struct pair *pair = *state;
    struct fixture *f = pair->f[0];
    f->route.has_sender = true;
    f->plugs[0].does.send = publish_again;
    join_at(pair, 0, 0, "t");
    publish(pair, 0, NULL, "t", "one");
    assert_int_equal(nested, WEIR_ELIMIT);
    publish(pair, 0, NULL, "t", "two");
    settle(pair);
    expect_frames(&f->clients[0], "text(one) text(two) ");
}

static enum weir_verdict unsubscribe_all(struct plug *plug, struct weir_session *session,
                                         const struct weir_message *message)
{
    (void)message;
    bool had = broker_unsubscribe(&plug->f->worker, session, SPAN("t"));
    assert_true(had);
    return WEIR_NEXT;
}

static void test_a_filter_may_unsubscribe_everybody_on_the_way(void **state)
{
    struct pair *pair = *state;
    struct fixture *f = pair->f[0];
    f->route.has_sender = true;
    f->plugs[0].does.send = unsubscribe_all;
    for (size_t at = 0; at < CLIENTS; at++) {
        join_at(pair, 0, at, "t");
    }
    publish(pair, 0, NULL, "t", "one");
    publish(pair, 0, NULL, "t", "two");
    settle(pair);
    for (size_t at = 0; at < CLIENTS; at++) {
        expect_frames(&f->clients[at], "text(one) ");
    }
    assert_int_equal(broker_subscribers(&f->worker, SPAN("t")), 0);
}

/* --- ends --- */

static void test_letters_to_a_worker_that_ends_are_dropped(void **state)
{
    struct pair *pair = *state;
    struct fixture *f = pair->f[1];
    join_at(pair, 1, 0, "t");
    publish(pair, 0, NULL, "t", "in the mailbox when it ends");
    connection_cut_all(&f->worker);
    worker_state_turn_end(&f->worker);
    stop_worker(pair, 1); /* leaks nothing, and touches no broker that is gone */
    publish(pair, 0, NULL, "t", "to nobody");
}

static void test_a_topic_without_subscribers_elsewhere_wakes_nobody(void **state)
{
    struct pair *pair = *state;
    struct published published = {
        .hash = bus_hash(pair->bus, SPAN("t")),
        .topic = SPAN("t"),
        .message = {WEIR_TEXT, {(const uint8_t *)"x", 1}},
        .head = SPAN("\x81\x01"),
    };
    struct fixture *f = pair->f[1];
    struct weir_session *session = join_at(pair, 1, 0, "t");
    bool had = broker_unsubscribe(&f->worker, session, SPAN("t"));
    assert_true(had);
    assert_int_equal(bus_send(pair->bus, &pair->f[0]->worker, &published), WEIR_OK);
    /* Subscribing after that: a letter would have found it. */
    assert_int_equal(broker_subscribe(&f->worker, session, HANDLER, SPAN("t")), WEIR_OK);
    settle(pair);
    expect_frames(&f->clients[0], "");
    assert_int_equal(bus_send(pair->bus, &pair->f[0]->worker, &published), WEIR_OK);
    settle(pair);
    expect_frames(&f->clients[0], "text(x) ");
}

#define PAIR(function) cmocka_unit_test_setup_teardown(function, pair_make, pair_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR(test_reaches_subscribers_and_nobody_else),
        PAIR(test_crosses_workers_in_order_both_ways),
        PAIR(test_binary_and_empty_messages_cross),
        PAIR(test_subscribing_twice_is_subscribing_once),
        PAIR(test_the_sessions_end_unsubscribes_after_its_on_close),
        PAIR(test_a_closing_session_gets_nothing_and_cannot_subscribe),
        PAIR(test_names_and_text_are_checked),
        PAIR(test_a_session_has_so_many_subscriptions_and_no_more),
        PAIR(test_who_is_too_far_behind_misses_it_and_the_others_do_not),
        PAIR(test_filters_in_front_of_the_subscriber_see_it),
        PAIR(test_publishing_while_something_is_published_is_refused),
        PAIR(test_a_filter_may_unsubscribe_everybody_on_the_way),
        PAIR(test_letters_to_a_worker_that_ends_are_dropped),
        PAIR(test_a_topic_without_subscribers_elsewhere_wakes_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
