/* Sessions by their id: the table, whenever it is made, and letters from another worker. */
#include "client_fixture.h"
#include "net/mail_room.h"
#include "session/directory.h"
#include "session/session_internal.h"

enum {
    FIRST_SLOTS = 64 /* of a table with few sessions */
};

static struct weir_session *found(struct fixture *f, uint64_t id)
{
    struct weir_session *session = NULL;
    enum weir_err err = directory_find(&f->worker, id, &session);
    assert_true(err == WEIR_OK ? session != NULL : err == WEIR_ECLOSED);
    return session;
}

/* Opens a session whose id is `id`. */
static struct weir_session *open_as(struct fixture *f, size_t at, uint64_t id)
{
    f->worker.next_id = id - 1;
    open_session_at(f, at);
    struct weir_session *session = f->plugs[2].session;
    assert_int_equal(session_id(session), id);
    f->clients[at].in.size = 0;
    return session;
}

static void test_finds_sessions_that_began_before_and_after_the_first_look_up(void **state)
{
    struct fixture *f = *state;
    struct weir_session *early = open_as(f, 0, 10);
    assert_null(f->worker.directory.slots);
    assert_ptr_equal(found(f, 10), early);
    struct weir_session *late = open_as(f, 1, 20);
    assert_ptr_equal(found(f, 20), late);
    assert_ptr_equal(found(f, 10), early);
    assert_null(found(f, 30));
    assert_null(found(f, 10 + FIRST_SLOTS));
}

static void test_colliding_ids_are_found_whoever_of_them_has_ended(void **state)
{
    for (size_t ends = 0; ends < CLIENTS; ends++) {
        fixture_make(state);
        struct fixture *f = *state;
        assert_null(found(f, 1));
        struct weir_session *sessions[CLIENTS];
        for (size_t i = 0; i < CLIENTS; i++) {
            sessions[i] = open_as(f, i, 5 + i * FIRST_SLOTS);
        }
        client_closes(f, &f->clients[ends]);
        for (size_t i = 0; i < CLIENTS; i++) {
            assert_ptr_equal(found(f, 5 + i * FIRST_SLOTS), i == ends ? NULL : sessions[i]);
        }
        assert_int_equal(f->worker.directory.count, CLIENTS - 1);
        fixture_free(state);
    }
}

/* Stand-ins that only have an id, as the table asks for nothing else. */
static void test_grows_and_shrinks_with_many(void **state)
{
    enum {
        MANY = 1000
    };
    struct fixture *f = *state;
    static struct connection connections[MANY];
    static struct weir_session sessions[MANY];
    assert_null(found(f, 1));
    for (size_t i = 0; i < MANY; i++) {
        connections[i].id = 7 * i + 1;
        sessions[i].connection = &connections[i];
        directory_add(&f->worker, &sessions[i]);
    }
    for (size_t i = 0; i < MANY; i += 2) {
        directory_remove(&f->worker, &sessions[i]);
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_ptr_equal(found(f, 7 * i + 1), i % 2 == 0 ? NULL : &sessions[i]);
    }
    for (size_t i = 1; i < MANY; i += 2) {
        directory_remove(&f->worker, &sessions[i]);
    }
    assert_int_equal(f->worker.directory.count, 0);
}

static void test_a_session_that_closes_is_not_found(void **state)
{
    struct fixture *f = *state;
    struct weir_session *session = open_as(f, 0, 10);
    assert_ptr_equal(found(f, 10), session);
    assert_int_equal(directory_close(&f->worker, 10, 4000, SPAN("bye")), WEIR_OK);
    assert_null(found(f, 10));
    assert_int_equal(directory_send(&f->worker, 10, WEIR_TEXT, SPAN("x")), WEIR_ECLOSED);
    assert_int_equal(directory_close(&f->worker, 10, 4000, SPAN("bye")), WEIR_ECLOSED);
    turns(f);
    expect_frames(&f->clients[0], "close(4000,bye) ");
}

static void test_what_is_sent_walks_the_whole_chain(void **state)
{
    struct fixture *f = *state;
    open_as(f, 0, 10);
    f->journal.size = 0;
    assert_int_equal(directory_send(&f->worker, 10, WEIR_TEXT, SPAN("news")), WEIR_OK);
    turns(f);
    expect_journal(f, "c:send(news) b:send(news) a:send(news) ");
    expect_frames(&f->clients[0], "text(news) ");
    assert_int_equal(directory_send(&f->worker, 10, WEIR_TEXT, SPAN("\xff")), WEIR_EINVAL);
}

static void test_letters_of_another_worker_arrive_in_order(void **state)
{
    struct fixture *f = *state;
    struct mail_room *room = mail_room_new(2);
    struct mailbox *mailbox = mailbox_new(f->worker.loop, &f->worker);
    struct weir_worker other = {.id = 1, .mail_room = room};
    assert_non_null(room);
    assert_non_null(mailbox);
    open_as(f, 0, 10);
    assert_int_equal(directory_send(&other, 10, WEIR_TEXT, SPAN("early")), WEIR_ECLOSED);
    mail_room_enter(room, 0, mailbox);
    assert_int_equal(directory_send(&other, 10, WEIR_TEXT, SPAN("one")), WEIR_OK);
    assert_int_equal(directory_send(&other, 10, WEIR_BINARY, SPAN("")), WEIR_OK);
    assert_int_equal(directory_send(&other, 11, WEIR_TEXT, SPAN("to nobody")), WEIR_OK);
    assert_int_equal(directory_send(&other, 10, WEIR_TEXT, SPAN("\xff")), WEIR_EINVAL);
    assert_int_equal(directory_close(&other, 10, 1005, SPAN("")), WEIR_EINVAL);
    assert_int_equal(directory_close(&other, 10, 4001, SPAN("out")), WEIR_OK);
    assert_int_equal(directory_send(&other, 10, WEIR_TEXT, SPAN("late")), WEIR_OK);
    uint64_t nowhere = (uint64_t)7 << DIRECTORY_WORKER_SHIFT | 10;
    assert_int_equal(directory_send(&other, nowhere, WEIR_TEXT, SPAN("x")), WEIR_ECLOSED);
    turns(f);
    expect_frames(&f->clients[0], "text(one) binary() close(4001,out) ");
    assert_int_equal(directory_send(&other, 10, WEIR_TEXT, SPAN("in the box")), WEIR_OK);
    mail_room_leave(room, 0);
    assert_int_equal(directory_send(&other, 10, WEIR_TEXT, SPAN("x")), WEIR_ECLOSED);
    mailbox_free(&mailbox);
    mail_room_free(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_finds_sessions_that_began_before_and_after_the_first_look_up),
        cmocka_unit_test(test_colliding_ids_are_found_whoever_of_them_has_ended),
        TEST(test_grows_and_shrinks_with_many),
        TEST(test_a_session_that_closes_is_not_found),
        TEST(test_what_is_sent_walks_the_whole_chain),
        TEST(test_letters_of_another_worker_arrive_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
