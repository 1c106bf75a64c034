/* One upstream on one worker, for the files of upstream/ alone. One thread, but for `membership`,
 * `mailbox`, `wake_letter` and `woken`, which group.c uses under the group's lock. */
#ifndef WEIR_UPSTREAM_UPSTREAM_H
#define WEIR_UPSTREAM_UPSTREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "net/loop.h"
#include "net/mailbox.h"
#include "net/wheel.h"
#include "upstream/backend.h"
#include "upstream/group.h"

struct balancer;
struct upstream_worker;

struct upstream {
    struct upstream_group *group;
    struct upstream_worker *worker;
    struct roster *roster; /* this worker's; replaced when the group's version differs */
    unsigned version;
    struct balancer *balancer;   /* made anew with the roster */
    struct list_node in_use;     /* backends */
    struct list_node pools;      /* struct pool, one for each server that has had idle backends */
    size_t idle_count;           /* backends in all pools */
    struct upstream_timer sweep; /* set while some are idle */
    struct list_node dials;      /* under way, but for those that wait */
    struct list_node waiting;    /* dials, first come first */
    size_t waiting_count;
    struct upstream_timer revival; /* while some wait: the next end of an ejection */
    struct list_node membership;
    struct mailbox *mailbox;           /* this worker's */
    struct mailbox_letter wake_letter; /* in the mailbox while `woken` */
    atomic_bool woken;
};

struct upstream_worker {
    struct loop *loop;
    struct wheel *wheel;
    struct mailbox *mailbox;
    struct list_node soon;             /* dials whose end is to be told in the next turn */
    bool queue_due;                    /* some upstream has a slot for those that wait */
    struct mailbox_letter soon_letter; /* to ourselves: it needs no memory, and so never fails */
    bool soon_posted;
    size_t busy; /* backends in use and dials */
    size_t count;
    struct upstream items[];
};

/* The wake_letter's deliver: sets `woken` to false first, then looks after the requests that wait.
 * `receiver` is the mailbox's. */
void upstream_woken(struct mailbox_letter *letter, void *receiver);

/* Takes over the group's roster if it has changed. Where memory is out, all stays as it was until
 * the next call. */
void upstream_refresh(struct upstream *upstream);

/* Gives a lease back, and lets those that wait know. */
void upstream_unlease(struct upstream *upstream, struct upstream_server *server);

uint64_t upstream_now_ms(const struct upstream *upstream);

/* Timers of the wheel. */
void upstream_timer_init(struct upstream_timer *timer, void (*fired)(struct upstream_timer *timer));
void upstream_timer_set(struct upstream *upstream, struct upstream_timer *timer, uint64_t ms);
void upstream_timer_cancel(struct upstream_timer *timer);

#endif
