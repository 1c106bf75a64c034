/* A lock-free stack that senders push to; the reader takes all of it at once and turns it around.
 * Only the push that finds the stack empty writes to the eventfd, so a burst costs one wake-up. */
#include "net/mailbox.h"

#include <errno.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"

struct mailbox {
    _Atomic(struct mailbox_letter *) pushed;
    struct event *event;
    void *receiver;
    int fd;
};

static struct mailbox_letter *oldest_first(struct mailbox_letter *newest)
{
    struct mailbox_letter *oldest = NULL;
    while (newest != NULL) {
        struct mailbox_letter *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void mailbox_drain(struct mailbox *mailbox)
{
    struct mailbox_letter *letter =
        oldest_first(atomic_exchange_explicit(&mailbox->pushed, NULL, memory_order_acquire));
    while (letter != NULL) {
        struct mailbox_letter *next = letter->next;
        letter->deliver(letter, mailbox->receiver);
        letter = next;
    }
}

static void mailbox_woken(evutil_socket_t fd, short what, void *context)
{
    uint64_t count;
    (void)what;
    /* Reading before draining: a push after the drain finds the stack empty and writes anew. */
    ssize_t got = read(fd, &count, sizeof count);
    WEIR_CHECK(got == (ssize_t)sizeof count || errno == EAGAIN || errno == EINTR);
    mailbox_drain(context);
}

struct mailbox *mailbox_new(struct loop *loop, void *receiver)
{
    struct mailbox *mailbox = calloc(1, sizeof *mailbox);
    if (mailbox == NULL) {
        return NULL;
    }
    mailbox->receiver = receiver;
    mailbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (mailbox->fd >= 0) {
        mailbox->event =
            event_new(loop_base(loop), mailbox->fd, EV_READ | EV_PERSIST, mailbox_woken, mailbox);
    }
    if (mailbox->event == NULL || event_add(mailbox->event, NULL) < 0) {
        mailbox_free(&mailbox);
    }
    return mailbox;
}

void mailbox_free(struct mailbox **mailbox)
{
    struct mailbox *gone = *mailbox;
    if (gone == NULL) {
        return;
    }
    mailbox_drain(gone);
    if (gone->event != NULL) {
        event_free(gone->event);
    }
    if (gone->fd >= 0) {
        close(gone->fd);
    }
    free(gone);
    *mailbox = NULL;
}

void mailbox_post(struct mailbox *mailbox, struct mailbox_letter *letter)
{
    struct mailbox_letter *top = atomic_load_explicit(&mailbox->pushed, memory_order_relaxed);
    do {
        letter->next = top;
    } while (!atomic_compare_exchange_weak_explicit(&mailbox->pushed, &top, letter,
                                                    memory_order_release, memory_order_relaxed));
    if (top == NULL) {
        static const uint64_t one = 1;
        ssize_t put = write(mailbox->fd, &one, sizeof one);
        WEIR_CHECK(put == (ssize_t)sizeof one || errno == EAGAIN);
    }
}
