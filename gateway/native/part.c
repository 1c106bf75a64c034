/* A plugin's part on one worker, and the timers that it has there. A timer that a plugin forgets
 * would call code that is unmapped by then, so each part keeps a list and ends what is left. Called
 * by host.c when parts come and go, and by plugins through table.c. */
#include "native/part.h"

#include <stdlib.h>

#include "base/check.h"
#include "net/loop.h"
#include "session/worker_access.h"

enum {
    MAGIC = 0x70617274 /* "part" */
};

struct weir_timer {
    struct list_node node; /* in its part's timers */
    struct loop_timer *timer;
    void (*fn)(void *context);
    void *context;
    bool repeats;
    bool is_running;
    bool is_cancelled; /* while it runs; it is freed when its function returns */
};

struct native_part *part_new(const struct native_plugin *plugin, struct weir_worker *worker)
{
    struct native_part *part = calloc(1, sizeof *part);
    if (part != NULL) {
        part->magic = MAGIC;
        part->plugin = plugin;
        part->worker = worker;
        list_init(&part->timers);
    }
    return part;
}

struct weir_worker *part_handle(struct native_part *part)
{
    return (struct weir_worker *)(void *)part; /* opaque to who gets it */
}

const struct native_part *part_of(const struct weir_worker *handle)
{
    const struct native_part *part = (const void *)handle;
    WEIR_CHECK(part->magic == MAGIC);
    return part;
}

static void end_timer(struct weir_timer *timer)
{
    list_remove(&timer->node);
    loop_timer_free(&timer->timer);
    free(timer);
}

void part_free(struct native_part **pointer)
{
    struct native_part *part = *pointer;
    while (!list_is_empty(&part->timers)) {
        end_timer(list_item(part->timers.next, struct weir_timer, node));
    }
    part->magic = 0;
    free(part);
    *pointer = NULL;
}

static void fire(void *context)
{
    struct weir_timer *timer = context;
    timer->is_running = true;
    timer->fn(timer->context);
    timer->is_running = false;
    if (timer->is_cancelled || !timer->repeats) {
        end_timer(timer);
    }
}

struct weir_timer *part_timer_start(struct weir_worker *handle, uint64_t delay_ms, bool repeats,
                                    void (*fn)(void *context), void *context)
{
    struct native_part *part = (void *)handle;
    WEIR_CHECK(part->magic == MAGIC);
    struct weir_timer *timer = NULL;
    if (!repeats || delay_ms > 0) {
        timer = calloc(1, sizeof *timer);
    }
    if (timer == NULL) {
        return NULL;
    }
    timer->fn = fn;
    timer->context = context;
    timer->repeats = repeats;
    timer->timer = loop_timer_new(worker_loop(part->worker), delay_ms, repeats, fire, timer);
    if (timer->timer == NULL) {
        free(timer);
        return NULL;
    }
    list_append(&part->timers, &timer->node);
    return timer;
}

void part_timer_cancel(struct weir_timer *timer)
{
    if (timer == NULL) {
        return;
    }
    if (timer->is_running) {
        timer->is_cancelled = true;
    } else {
        end_timer(timer);
    }
}
