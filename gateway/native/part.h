/* A native plugin on one worker. It is what the plugin itself knows as `struct weir_worker`, so
 * that what it starts there can end with it. All functions: that worker's thread. */
#ifndef WEIR_NATIVE_PART_H
#define WEIR_NATIVE_PART_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct native_plugin;
struct weir_timer;
struct weir_worker;

struct native_part {
    uint32_t magic;
    const struct native_plugin *plugin;
    struct weir_worker *worker; /* the real one */
    struct list_node timers;
    void *self; /* the plugin's own worker part */
};

/* Given; NULL when memory is out. `plugin` and `worker` are borrowed for its life. */
struct native_part *part_new(const struct native_plugin *plugin, struct weir_worker *worker);

/* Cancels its timers, frees it and nulls it. */
void part_free(struct native_part **part);

/* The part as plugins know it, and back. */
struct weir_worker *part_handle(struct native_part *part);
const struct native_part *part_of(const struct weir_worker *handle);

/* As the functions of struct weir_host. */
struct weir_timer *part_timer_start(struct weir_worker *handle, uint64_t delay_ms, bool repeats,
                                    void (*fn)(void *context), void *context);
void part_timer_cancel(struct weir_timer *timer);

#endif
