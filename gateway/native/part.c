/* A plugin's part on one worker, its timers there, and what its threads post to it. A timer that a
 * plugin forgets, or a letter that is still under way, would call code that is unmapped by then: so
 * each part keeps a list of timers and ends what is left, and letters look whether their part is
 * still there. Called by host.c when parts come and go, and by plugins through table.c. */
#include "native/part.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"
#include "net/loop.h"
#include "net/mail_room.h"
#include "session/worker_access.h"

enum {
    MAGIC = 0x70617274 /* "part" */
};

struct weir_timer {
    struct list_node node; /* in its part's timers */
    struct loop_timer *timer;
    weir_task_fn fn;
    void *context;
    bool repeats;
    bool is_running;
    bool is_cancelled; /* while it runs; it is freed when its function returns */
};

/* Outlives its part while letters are under way. */
struct part_line {
    atomic_uint references;
    bool is_open; /* of the worker's thread */
};

struct part_letter {
    struct mailbox_letter letter;
    struct part_line *line; /* shared */
    weir_task_fn fn;
    void *context;
};

static void line_release(struct part_line *line)
{
    if (atomic_fetch_sub_explicit(&line->references, 1, memory_order_acq_rel) == 1) {
        free(line);
    }
}

struct native_part *part_new(const struct native_plugin *plugin, struct weir_worker *worker)
{
    struct native_part *part = calloc(1, sizeof *part);
    struct part_line *line = calloc(1, sizeof *line);
    if (part == NULL || line == NULL) {
        free(part);
        free(line);
        return NULL;
    }
    atomic_init(&line->references, 1);
    line->is_open = true;
    part->magic = MAGIC;
    part->plugin = plugin;
    part->worker = worker;
    part->room = worker_mail_room(worker);
    part->id = worker_id(worker);
    part->line = line;
    list_init(&part->timers);
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
    part->line->is_open = false;
    line_release(part->line);
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
                                    weir_task_fn fn, void *context)
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

/* --- posts --- */

static void deliver(struct mailbox_letter *letter, void *receiver)
{
    struct part_letter *posted = (struct part_letter *)(void *)letter;
    (void)receiver;
    if (posted->line->is_open) {
        posted->fn(posted->context);
    }
    line_release(posted->line);
    free(posted);
}

enum weir_status part_post(struct weir_worker *handle, weir_task_fn fn, void *context)
{
    const struct native_part *part = part_of(handle);
    struct part_letter *posted = calloc(1, sizeof *posted);
    if (posted == NULL) {
        return WEIR_STATUS_NO_MEMORY;
    }
    *posted = (struct part_letter){
        .letter = {.deliver = deliver}, .line = part->line, .fn = fn, .context = context};
    atomic_fetch_add_explicit(&part->line->references, 1, memory_order_relaxed);
    if (part->room == NULL || !mail_room_post(part->room, part->id, &posted->letter)) {
        line_release(posted->line);
        free(posted);
        return WEIR_STATUS_CLOSED;
    }
    return WEIR_STATUS_OK;
}
