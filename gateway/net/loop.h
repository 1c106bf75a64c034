/* A worker's loop: libevent's, plus what has to happen at the end of each turn. One loop belongs to
 * one thread. */
#ifndef WEIR_NET_LOOP_H
#define WEIR_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct event_base;
struct loop;

typedef void (*loop_turn_fn)(void *context);

/* Given; NULL when libevent cannot make one. */
struct loop *loop_new(void);
void loop_free(struct loop **loop);

/* Called once after the events of each turn were handled: flush, then sweep what was retired. */
void loop_on_turn_end(struct loop *loop, loop_turn_fn fn, void *context);

/* Embedded in what cannot be freed now, since callers on the stack still look at it. */
struct loop_retired {
    struct loop_retired *next;
    void (*free)(struct loop_retired *retired);
};

/* Calls `free` when this turn is over, after its end was worked off; takes `retired`. Each thing is
 * retired once. What is retired when the loop is freed is freed with it. */
void loop_retire(struct loop *loop, struct loop_retired *retired,
                 void (*free)(struct loop_retired *retired));

/* Something that has been ended is still waited for by libevent, which must call it once more
 * before the loop can go: loop_free runs the loop until each hold was let go. */
void loop_hold(struct loop *loop);
void loop_let_go(struct loop *loop);

/* Runs one turn: handles what is ready, or first waits for something when `wait` says so. False
 * when libevent fails. */
bool loop_turn(struct loop *loop, bool wait);

/* Runs turns until loop_stop. */
void loop_run(struct loop *loop);

/* Ends loop_run after this turn. */
void loop_stop(struct loop *loop);

/* Milliseconds of the monotonic clock, read at most once a turn. */
uint64_t loop_now_ms(struct loop *loop);

/* Sets the loop's clock forward by `ms`, as if that time had passed; for tests of deadlines. */
void loop_skip_ms(struct loop *loop, uint64_t ms);

/* For the other files of net/ alone. */
struct event_base *loop_base(struct loop *loop);

/* A timer of its own, precise to the millisecond; for plugins. (Peers' deadlines go to the wheel.)
 */
struct loop_timer;
typedef void (*loop_timer_fn)(void *context);

/* Given; NULL when memory is out. Calls `fn` once after `delay_ms`, or every `delay_ms` when
 * `repeats`. */
struct loop_timer *loop_timer_new(struct loop *loop, uint64_t delay_ms, bool repeats,
                                  loop_timer_fn fn, void *context);

/* Cancels and frees; may be called from within its own callback. NULL inside is fine. */
void loop_timer_free(struct loop_timer **timer);

/* Calls `fn` on the loop's thread for every signal `number`. Given; NULL when memory is out. */
struct loop_signal;
struct loop_signal *loop_signal_new(struct loop *loop, int number, loop_timer_fn fn, void *context);
void loop_signal_free(struct loop_signal **signal);

#endif
