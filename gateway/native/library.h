/* A plugin's shared object: opened, checked, and its callbacks as this version knows them. */
#ifndef WEIR_NATIVE_LIBRARY_H
#define WEIR_NATIVE_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/plugin.h>

struct native_library {
    void *handle;
    /* A copy: what an older plugin does not know is NULL, and what a newer one knows beyond is left
     * out. */
    struct weir_plugin_ops ops;
};

/* Opens `file` (a path with a slash) and asks it for its callbacks. False, with words in `error`
 * (at most `error_size` bytes with the terminator): it is no shared object, not a plugin, or one
 * for another version. A file that has been replaced since it was last opened is opened as what it
 * is now. Control thread. */
bool native_library_open(const char *file, struct native_library *library, char *error,
                         size_t error_size);

/* Unmaps it, when it was the last to be opened from that file; none of its code may run any more.
 * Any thread. */
void native_library_close(struct native_library *library);

#endif
