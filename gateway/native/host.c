/* The ops that load a shared object and start it on each worker. The chain never calls through
 * them: it gets the plugin's own callbacks (native_host_ops_of), so a native plugin costs no call
 * more than a built-in one. Called by worker/ when a generation begins and ends. */
#include "native/host.h"

#include <stdio.h>
#include <stdlib.h>

#include <weir/plugin.h>

#include "native/library.h"
#include "native/part.h"

/* The process part. */
struct native_plugin {
    struct native_library library;
    void *plugin; /* what the plugin's own load has made */
};

static int fail(struct native_plugin *native, char *error, size_t error_size)
{
    if (error[0] == '\0') {
        snprintf(error, error_size, "it does not say why");
    }
    if (native != NULL) {
        native_library_close(&native->library);
    }
    free(native);
    return -1;
}

static int host_load(const struct weir_plugin_config *config, void **plugin, char *error,
                     size_t error_size)
{
    struct native_plugin *native = calloc(1, sizeof *native);
    if (native == NULL) {
        snprintf(error, error_size, "no memory");
        return -1;
    }
    if (!native_library_open(config->file, &native->library, error, error_size)) {
        return fail(native, error, error_size);
    }
    const struct weir_plugin_ops *ops = &native->library.ops;
    error[0] = '\0';
    if (ops->load != NULL && ops->load(config, &native->plugin, error, error_size) != 0) {
        return fail(native, error, error_size);
    }
    *plugin = native;
    return 0;
}

static void host_unload(void *plugin)
{
    struct native_plugin *native = plugin;
    if (native->library.ops.unload != NULL) {
        native->library.ops.unload(native->plugin);
    }
    native_library_close(&native->library);
    free(native);
}

static int host_worker_start(void *plugin, struct weir_worker *worker, void **self, char *error,
                             size_t error_size)
{
    struct native_plugin *native = plugin;
    const struct weir_plugin_ops *ops = &native->library.ops;
    struct native_part *part = part_new(native, worker);
    if (part == NULL) {
        snprintf(error, error_size, "no memory");
        return -1;
    }
    error[0] = '\0';
    if (ops->worker_start == NULL) {
        part->self = native->plugin;
    } else if (ops->worker_start(native->plugin, part_handle(part), &part->self, error,
                                 error_size) != 0) {
        part_free(&part);
        return fail(NULL, error, error_size);
    }
    *self = part;
    return 0;
}

static void host_worker_stop(void *self)
{
    struct native_part *part = self;
    const struct weir_plugin_ops *ops = &part->plugin->library.ops;
    if (ops->worker_start != NULL && ops->worker_stop != NULL) {
        ops->worker_stop(part->self);
    }
    part_free(&part);
}

const struct weir_plugin_ops *native_host_ops(void)
{
    static const struct weir_plugin_ops ops = {
        .struct_size = sizeof ops,
        .load = host_load,
        .unload = host_unload,
        .worker_start = host_worker_start,
        .worker_stop = host_worker_stop,
    };
    return &ops;
}

const struct weir_plugin_ops *native_host_ops_of(const void *part, void **self)
{
    const struct native_part *native = part;
    *self = native->self;
    return &native->plugin->library.ops;
}
