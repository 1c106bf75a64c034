/* The mailbox between threads: nothing is lost, each sender's letters stay in order, and a reader
 * that sleeps is woken. Runs under the thread sanitizer. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/mailbox.h"

enum {
    SENDERS = 8,
    LETTERS = 5000 /* of each */
};

struct reader {
    struct loop *loop;
    struct mailbox *mailbox;
    unsigned next[SENDERS]; /* the number that each sender's next letter must have */
    size_t received;
    size_t wanted; /* stops the loop */
    bool out_of_order;
    bool is_delivering;
    bool was_nested;
};

struct numbered {
    struct mailbox_letter letter;
    unsigned sender;
    unsigned number;
};

static struct reader reader;

static void deliver(struct mailbox_letter *letter, void *receiver)
{
    struct numbered *numbered = (struct numbered *)(void *)letter;
    struct reader *mine = receiver;
    mine->was_nested |= mine->is_delivering;
    mine->is_delivering = true;
    mine->out_of_order |= mine->next[numbered->sender] != numbered->number;
    mine->next[numbered->sender] = numbered->number + 1;
    mine->received++;
    free(numbered);
    if (mine->received == mine->wanted) {
        loop_stop(mine->loop);
    }
    mine->is_delivering = false;
}

static void post(struct mailbox *mailbox, unsigned sender, unsigned number)
{
    struct numbered *numbered = calloc(1, sizeof *numbered);
    numbered->letter.deliver = deliver;
    numbered->sender = sender;
    numbered->number = number;
    mailbox_post(mailbox, &numbered->letter);
}

static int set_up(void **state)
{
    (void)state;
    reader = (struct reader){.loop = loop_new()};
    reader.mailbox = reader.loop != NULL ? mailbox_new(reader.loop, &reader) : NULL;
    return reader.mailbox != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    mailbox_free(&reader.mailbox);
    loop_free(&reader.loop);
    return 0;
}

static void *send_many(void *context)
{
    unsigned sender = (unsigned)(uintptr_t)context;
    for (unsigned i = 0; i < LETTERS; i++) {
        post(reader.mailbox, sender, i);
    }
    return NULL;
}

static void test_many_senders_lose_nothing_and_keep_their_order(void **state)
{
    pthread_t threads[SENDERS];
    (void)state;
    reader.wanted = (size_t)SENDERS * LETTERS;
    for (uintptr_t i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, (void *)i), 0);
    }
    loop_run(reader.loop);
    for (size_t i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(reader.received, reader.wanted);
    assert_false(reader.out_of_order);
}

/* One letter at a time, each sent only when the last has come, so that each must wake the loop. */
struct ball {
    struct mailbox_letter letter;
    struct mailbox *there; /* where it goes next */
    struct mailbox *here;
    struct loop *loops[2];
    unsigned passes;
};

static void pass_back(struct mailbox_letter *letter, void *receiver)
{
    struct ball *ball = (struct ball *)(void *)letter;
    (void)receiver;
    struct mailbox *to = ball->there;
    ball->there = ball->here;
    ball->here = to;
    ball->passes++;
    if (ball->passes >= 2000) {
        /* Each loop is stopped from its own thread. */
        loop_stop(ball->loops[ball->passes % 2]);
        if (ball->passes > 2000) {
            return;
        }
    }
    mailbox_post(to, letter);
}

static void *run_loop(void *context)
{
    loop_run(context);
    return NULL;
}

static void test_each_letter_to_a_sleeping_reader_wakes_it(void **state)
{
    struct loop *other = loop_new();
    struct mailbox *back = mailbox_new(other, NULL);
    struct ball ball = {.letter.deliver = pass_back, .there = reader.mailbox, .here = back};
    pthread_t thread;
    (void)state;
    ball.loops[0] = reader.loop; /* an even number of passes ends here */
    ball.loops[1] = other;
    /* The first delivery is to `back`, and has number 1. */
    mailbox_post(back, &ball.letter);
    assert_int_equal(pthread_create(&thread, NULL, run_loop, other), 0);
    loop_run(reader.loop);
    pthread_join(thread, NULL);
    assert_int_equal(ball.passes, 2001);
    mailbox_free(&back);
    loop_free(&other);
}

static void deliver_and_post_more(struct mailbox_letter *letter, void *receiver)
{
    struct numbered *numbered = (struct numbered *)(void *)letter;
    struct reader *mine = receiver;
    for (unsigned i = 0; i < 3; i++) {
        post(mine->mailbox, 0, i);
    }
    mine->is_delivering = false;
    free(numbered);
}

static void test_a_letter_may_post_letters(void **state)
{
    struct numbered *first = calloc(1, sizeof *first);
    (void)state;
    first->letter.deliver = deliver_and_post_more;
    reader.wanted = 3;
    mailbox_post(reader.mailbox, &first->letter);
    loop_run(reader.loop);
    assert_int_equal(reader.received, 3);
    assert_false(reader.out_of_order);
    assert_false(reader.was_nested);
}

static void test_freeing_delivers_what_is_inside(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        post(reader.mailbox, 3, i);
    }
    assert_int_equal(reader.received, 0);
    mailbox_free(&reader.mailbox);
    assert_null(reader.mailbox);
    assert_int_equal(reader.received, 10);
    assert_false(reader.out_of_order);
    mailbox_free(&reader.mailbox); /* nothing inside: nothing happens */
}

#define MAILBOX_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MAILBOX_TEST(test_many_senders_lose_nothing_and_keep_their_order),
        MAILBOX_TEST(test_each_letter_to_a_sleeping_reader_wakes_it),
        MAILBOX_TEST(test_a_letter_may_post_letters),
        MAILBOX_TEST(test_freeing_delivers_what_is_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
