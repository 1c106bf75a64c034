/* A hashed wheel: a timer hangs in the slot of its deadline's tick; a deadline further away than
 * one round simply stays in its slot when the hand passes. */
#include "net/wheel.h"

#include <stdlib.h>

struct wheel {
    struct loop *loop;
    struct loop_timer *tick;
    wheel_fn fn;
    uint64_t hand; /* the last tick that was handled */
    struct list_node slots[WHEEL_SLOTS];
};

static uint64_t tick_of(uint64_t ms)
{
    return ms / WHEEL_TICK_MS;
}

static void wheel_tick(void *context)
{
    struct wheel *wheel = context;
    wheel_advance(wheel, loop_now_ms(wheel->loop));
}

struct wheel *wheel_new(struct loop *loop, wheel_fn fn)
{
    struct wheel *wheel = calloc(1, sizeof *wheel);
    if (wheel == NULL) {
        return NULL;
    }
    wheel->loop = loop;
    wheel->fn = fn;
    wheel->hand = tick_of(loop_now_ms(loop));
    for (size_t i = 0; i < WHEEL_SLOTS; i++) {
        list_init(&wheel->slots[i]);
    }
    wheel->tick = loop_timer_new(loop, WHEEL_TICK_MS, true, wheel_tick, wheel);
    if (wheel->tick == NULL) {
        wheel_free(&wheel);
    }
    return wheel;
}

void wheel_free(struct wheel **wheel)
{
    if (*wheel != NULL) {
        loop_timer_free(&(*wheel)->tick);
        free(*wheel);
        *wheel = NULL;
    }
}

void wheel_timer_init(struct wheel_timer *timer)
{
    list_init(&timer->node);
    timer->deadline_ms = 0;
}

void wheel_set(struct wheel *wheel, struct wheel_timer *timer, uint64_t delay_ms)
{
    list_remove(&timer->node);
    timer->deadline_ms = loop_now_ms(wheel->loop) + delay_ms;
    /* The tick after the deadline's own, so that it is never early. */
    uint64_t tick = tick_of(timer->deadline_ms) + 1;
    if (tick <= wheel->hand) {
        tick = wheel->hand + 1;
    }
    list_append(&wheel->slots[tick % WHEEL_SLOTS], &timer->node);
}

void wheel_cancel(struct wheel_timer *timer)
{
    list_remove(&timer->node);
}

static void fire_slot(struct wheel *wheel, struct list_node *slot, uint64_t now_ms)
{
    struct list_node due;
    /* The slot is emptied first: callbacks may set timers into the very slot. */
    list_init(&due);
    while (!list_is_empty(slot)) {
        struct list_node *node = slot->next;
        list_remove(node);
        list_append(&due, node);
    }
    while (!list_is_empty(&due)) {
        struct wheel_timer *timer = list_item(due.next, struct wheel_timer, node);
        list_remove(&timer->node);
        if (timer->deadline_ms <= now_ms) {
            wheel->fn(timer);
        } else {
            list_append(slot, &timer->node);
        }
    }
}

void wheel_advance(struct wheel *wheel, uint64_t now_ms)
{
    uint64_t now = tick_of(now_ms);
    if (now > wheel->hand + WHEEL_SLOTS) {
        wheel->hand = now - WHEEL_SLOTS; /* each slot once is enough after a long sleep */
    }
    while (wheel->hand < now) {
        wheel->hand++;
        fire_slot(wheel, &wheel->slots[wheel->hand % WHEEL_SLOTS], now_ms);
    }
}
