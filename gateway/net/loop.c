/* Wraps libevent's base so that a turn has an end: events are handled, then the worker's
 * end-of-turn function runs (flush, sweep), then the loop sleeps again. Nothing is freed inside a
 * libevent callback because of it. */
#include "net/loop.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/time.h>

#include "base/check.h"
#include "base/clock.h"

struct loop {
    struct event_base *base;
    loop_turn_fn turn_end;
    void *turn_context;
    struct loop_retired *retired;
    unsigned holds;
    uint64_t now_ms;
    uint64_t ahead_ms; /* of the monotonic clock; 0 but in tests */
    bool stopping;
};

enum {
    LAST_TURNS = 1000 /* for what holds a loop that is freed: it needs two or three */
};

struct loop_timer {
    struct event *event;
    loop_timer_fn fn;
    void *context;
};

struct loop_signal {
    struct event *event;
    loop_timer_fn fn;
    void *context;
};

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    struct event_config *config = event_config_new();
    if (loop == NULL || config == NULL) {
        goto failed;
    }
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    loop->base = event_base_new_with_config(config);
    if (loop->base == NULL) {
        goto failed;
    }
    event_config_free(config);
    loop->now_ms = clock_monotonic_ms();
    return loop;
failed:
    if (config != NULL) {
        event_config_free(config);
    }
    free(loop);
    return NULL;
}

/* Until none is left: what is freed may retire what it held. */
static void free_retired(struct loop *loop)
{
    while (loop->retired != NULL) {
        struct loop_retired *retired = loop->retired;
        loop->retired = retired->next;
        retired->free(retired);
    }
}

void loop_retire(struct loop *loop, struct loop_retired *retired,
                 void (*free)(struct loop_retired *retired))
{
    retired->free = free;
    retired->next = loop->retired;
    loop->retired = retired;
}

void loop_hold(struct loop *loop)
{
    loop->holds++;
}

void loop_let_go(struct loop *loop)
{
    WEIR_CHECK(loop->holds > 0);
    loop->holds--;
}

void loop_free(struct loop **loop)
{
    if (*loop != NULL) {
        for (int i = 0; (*loop)->holds > 0 && i < LAST_TURNS; i++) {
            event_base_loop((*loop)->base, EVLOOP_NONBLOCK);
        }
        free_retired(*loop);
        event_base_free((*loop)->base);
        free(*loop);
        *loop = NULL;
    }
}

void loop_on_turn_end(struct loop *loop, loop_turn_fn fn, void *context)
{
    loop->turn_end = fn;
    loop->turn_context = context;
}

bool loop_turn(struct loop *loop, bool wait)
{
    int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY | (wait ? 0 : EVLOOP_NONBLOCK);
    loop->now_ms = 0;
    if (event_base_loop(loop->base, flags) < 0) {
        return false;
    }
    if (loop->turn_end != NULL) {
        loop->turn_end(loop->turn_context);
    }
    free_retired(loop);
    return true;
}

void loop_run(struct loop *loop)
{
    while (!loop->stopping && loop_turn(loop, true)) {
        /* turn by turn */
    }
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
    event_base_loopbreak(loop->base);
}

uint64_t loop_now_ms(struct loop *loop)
{
    if (loop->now_ms == 0) {
        loop->now_ms = clock_monotonic_ms() + loop->ahead_ms;
    }
    return loop->now_ms;
}

void loop_skip_ms(struct loop *loop, uint64_t ms)
{
    loop->ahead_ms += ms;
    loop->now_ms = 0;
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

static struct timeval timeval_of(uint64_t ms)
{
    return (struct timeval){.tv_sec = (time_t)(ms / 1000),
                            .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
}

static void timer_fired(evutil_socket_t fd, short what, void *context)
{
    struct loop_timer *timer = context;
    (void)fd;
    (void)what;
    timer->fn(timer->context);
}

struct loop_timer *loop_timer_new(struct loop *loop, uint64_t delay_ms, bool repeats,
                                  loop_timer_fn fn, void *context)
{
    struct loop_timer *timer = calloc(1, sizeof *timer);
    struct timeval delay = timeval_of(delay_ms);
    if (timer == NULL) {
        return NULL;
    }
    timer->fn = fn;
    timer->context = context;
    timer->event = event_new(loop->base, -1, repeats ? EV_PERSIST : 0, timer_fired, timer);
    if (timer->event == NULL || event_add(timer->event, &delay) < 0) {
        loop_timer_free(&timer);
    }
    return timer;
}

void loop_timer_free(struct loop_timer **timer)
{
    if (*timer != NULL) {
        if ((*timer)->event != NULL) {
            event_free((*timer)->event);
        }
        free(*timer);
        *timer = NULL;
    }
}

static void signal_came(evutil_socket_t number, short what, void *context)
{
    struct loop_signal *signal = context;
    (void)number;
    (void)what;
    signal->fn(signal->context);
}

struct loop_signal *loop_signal_new(struct loop *loop, int number, loop_timer_fn fn, void *context)
{
    struct loop_signal *signal = calloc(1, sizeof *signal);
    if (signal == NULL) {
        return NULL;
    }
    signal->fn = fn;
    signal->context = context;
    signal->event = evsignal_new(loop->base, number, signal_came, signal);
    if (signal->event == NULL || evsignal_add(signal->event, NULL) < 0) {
        loop_signal_free(&signal);
    }
    return signal;
}

void loop_signal_free(struct loop_signal **signal)
{
    if (*signal != NULL) {
        if ((*signal)->event != NULL) {
            event_free((*signal)->event);
        }
        free(*signal);
        *signal = NULL;
    }
}
