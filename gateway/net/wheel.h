/* One coarse timer wheel for each worker: peers' deadlines and pings, cheap enough for every
 * connection to have one. A timer fires at its deadline or up to two ticks later, never before. */
#ifndef WEIR_NET_WHEEL_H
#define WEIR_NET_WHEEL_H

#include <stdint.h>

#include "base/list.h"
#include "net/loop.h"

enum {
    WHEEL_TICK_MS = 50,
    WHEEL_SLOTS = 1024
};

struct wheel;
struct wheel_timer;
typedef void (*wheel_fn)(struct wheel_timer *timer);

/* Embedded in what it watches. */
struct wheel_timer {
    struct list_node node;
    uint64_t deadline_ms;
};

/* Given; NULL when memory is out. `fn` is called for each timer that is due; it may set any timer
 * again. */
struct wheel *wheel_new(struct loop *loop, wheel_fn fn);
void wheel_free(struct wheel **wheel);

/* Prepares a timer that is not set. */
void wheel_timer_init(struct wheel_timer *timer);

/* Sets or moves a timer to `delay_ms` from now. */
void wheel_set(struct wheel *wheel, struct wheel_timer *timer, uint64_t delay_ms);

/* Takes a timer off; nothing happens when it is not set. */
void wheel_cancel(struct wheel_timer *timer);

/* Fires what is due at `now_ms`; called by the loop's own tick, and by tests. */
void wheel_advance(struct wheel *wheel, uint64_t now_ms);

#endif
