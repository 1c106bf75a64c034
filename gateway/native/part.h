/* A native plugin on one worker. It is what the plugin itself knows as `struct weir_worker`, so
 * that what it starts there can end with it. All functions: that worker's thread,
 * unless said otherwise. */
#ifndef WEIR_NATIVE_PART_H
#define WEIR_NATIVE_PART_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/plugin.h>

#include "base/list.h"

struct mail_room;
struct native_plugin;
struct part_line;

struct native_part {
    uint32_t magic;
    const struct native_plugin *plugin;
    struct weir_worker *worker; /* the real one */
    struct list_node timers;
    struct mail_room *room; /* borrowed; NULL: nothing can be posted */
    unsigned id;            /* of the worker */
    struct part_line *line; /* what is posted to this part */
    void *self;             /* the plugin's own worker part */
};

/* Given; NULL when memory is out. `plugin` and `worker` are borrowed for its life. */
struct native_part *part_new(const struct native_plugin *plugin, struct weir_worker *worker);

/* Cancels its timers, drops what was posted to it, frees it and nulls it. */
void part_free(struct native_part **part);

/* The part as plugins know it, and back. */
struct weir_worker *part_handle(struct native_part *part);
const struct native_part *part_of(const struct weir_worker *handle);

/* As the functions of struct weir_host; part_post from any thread. */
struct weir_timer *part_timer_start(struct weir_worker *handle, uint64_t delay_ms, bool repeats,
                                    weir_task_fn fn, void *context);
void part_timer_cancel(struct weir_timer *timer);
enum weir_status part_post(struct weir_worker *handle, weir_task_fn fn, void *context);

#endif
