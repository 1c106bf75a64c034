/* How threads talk: a queue with many senders and one reader, and an eventfd that wakes the reader.
 */
#ifndef WEIR_NET_MAILBOX_H
#define WEIR_NET_MAILBOX_H

#include "base/err.h"
#include "net/loop.h"

struct mailbox;

/* Embedded first in what is sent; the receiver's thread runs `deliver`, which takes the letter. */
struct mailbox_letter {
    struct mailbox_letter *next;
    void (*deliver)(struct mailbox_letter *letter, void *receiver);
};

/* Given; NULL when the system refuses. `receiver` is handed to each letter's deliver. Reader's
 * thread, before any post. */
struct mailbox *mailbox_new(struct loop *loop, void *receiver);

/* Frees; letters that are still inside are delivered first. Reader's thread, when no sender is
 * left. */
void mailbox_free(struct mailbox **mailbox);

/* Takes `letter` and never fails. Letters of one sender arrive in order. Any thread. */
void mailbox_post(struct mailbox *mailbox, struct mailbox_letter *letter);

#endif
