/* One upstream on one worker, for the files of upstream/ alone. One thread, but for `membership`
 * and `mailbox`, which group.c uses under the group's lock. */
#ifndef WEIR_UPSTREAM_UPSTREAM_H
#define WEIR_UPSTREAM_UPSTREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "net/mailbox.h"
#include "net/wheel.h"
#include "upstream/group.h"

struct balancer;
struct upstream_worker;

struct upstream {
    struct upstream_group *group;
    struct upstream_worker *worker;
    struct roster *roster; /* this worker's; replaced when the group's version differs */
    unsigned version;
    struct balancer *balancer; /* made anew with the roster */
    struct list_node in_use;   /* backends */
    struct list_node idle;     /* backends, the latest last */
    size_t idle_count;
    struct list_node dials; /* under way, and among them those that wait, first come first */
    struct list_node membership;
    struct mailbox *mailbox;           /* this worker's */
    struct mailbox_letter wake_letter; /* in the mailbox while `woken` */
    atomic_bool woken;
};

/* The wake_letter's deliver: sets `woken` to false first, then looks after the requests that wait.
 * `receiver` is the mailbox's. */
void upstream_woken(struct mailbox_letter *letter, void *receiver);

#endif
