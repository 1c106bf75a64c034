/* Letters between workers that come and go. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/mail_room.h"

enum {
    SENDERS = 3,
    LETTERS = 2000 /* of each sender */
};

struct counts {
    unsigned delivered;
};

static void count_letter(struct mailbox_letter *letter, void *receiver)
{
    struct counts *counts = receiver;
    counts->delivered++;
    free(letter);
}

static struct mailbox_letter *new_letter(void)
{
    struct mailbox_letter *letter = malloc(sizeof *letter);
    assert_non_null(letter);
    letter->deliver = count_letter;
    return letter;
}

static void test_only_who_is_there_gets_letters(void **state)
{
    (void)state;
    struct counts counts = {0};
    struct loop *loop = loop_new();
    struct mail_room *room = mail_room_new(2);
    struct mailbox *mailbox = mailbox_new(loop, &counts);
    struct mailbox_letter *letter = new_letter();
    assert_false(mail_room_post(room, 0, letter));
    assert_false(mail_room_post(room, 2, letter)); /* there is no such number */
    mail_room_enter(room, 1, mailbox);
    assert_false(mail_room_post(room, 0, letter));
    assert_true(mail_room_post(room, 1, letter));
    mail_room_leave(room, 1);
    letter = new_letter();
    assert_false(mail_room_post(room, 1, letter));
    free(letter);
    mailbox_free(&mailbox);
    assert_int_equal(counts.delivered, 1);
    mail_room_free(&room);
    loop_free(&loop);
}

static atomic_uint taken;

static void *send_many(void *context)
{
    struct mail_room *room = context;
    for (int i = 0; i < LETTERS; i++) {
        struct mailbox_letter *letter = malloc(sizeof *letter);
        if (letter == NULL) {
            break;
        }
        letter->deliver = count_letter;
        if (mail_room_post(room, 0, letter)) {
            atomic_fetch_add(&taken, 1);
        } else {
            free(letter);
        }
    }
    return NULL;
}

/* Whoever is in the middle of a post when the worker leaves is waited for. */
static void test_every_letter_that_was_taken_is_delivered(void **state)
{
    (void)state;
    struct counts counts = {0};
    struct loop *loop = loop_new();
    struct mail_room *room = mail_room_new(1);
    struct mailbox *mailbox = mailbox_new(loop, &counts);
    pthread_t senders[SENDERS];
    atomic_store(&taken, 0);
    mail_room_enter(room, 0, mailbox);
    for (size_t i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_create(&senders[i], NULL, send_many, room), 0);
    }
    while (counts.delivered < LETTERS / 2) {
        assert_true(loop_turn(loop, true));
    }
    mail_room_leave(room, 0);
    mailbox_free(&mailbox);
    for (size_t i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_join(senders[i], NULL), 0);
    }
    assert_int_equal(counts.delivered, atomic_load(&taken));
    mail_room_free(&room);
    loop_free(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_who_is_there_gets_letters),
        cmocka_unit_test(test_every_letter_that_was_taken_is_delivered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
