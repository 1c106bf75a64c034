/* The folder of a static handler: opens what lies in it, and nothing else. */
#ifndef WEIR_HANDLERS_STATIC_ROOT_H
#define WEIR_HANDLERS_STATIC_ROOT_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"

/* A folder that stays open: renaming or replacing it does not move the handler elsewhere. */
struct static_root {
    int fd;
    bool has_openat2; /* links inside the folder may be followed */
};

/* An open file. */
struct static_file {
    int fd;
    struct stat info;
};

enum static_found {
    STATIC_FOUND_FILE,
    STATIC_FOUND_FOLDER,
    STATIC_FOUND_NOTHING, /* also what may not be read, is no regular file, or lies outside */
    STATIC_FOUND_BUSY     /* the process is out of descriptors or memory, or the disk failed */
};

/* Opens `folder` (relative to the working directory, or absolute). WEIR_EIO: errno tells why.
 * Control thread. */
WEIR_MUST enum weir_err static_root_open(const char *folder, struct static_root *root);

/* Closes it. Control thread. */
void static_root_close(struct static_root *root);

/* Opens `path`, terminated and relative to the root, for reading. No link, no ".." and no race with
 * somebody who renames things leads out of the root. Fills `*file` (its descriptor is given) for
 * STATIC_FOUND_FILE alone; for STATIC_FOUND_BUSY errno tells why. Any thread. */
enum static_found static_root_find(const struct static_root *root, const char *path,
                                   struct static_file *file);

/* Closes the file and sets its descriptor to -1. */
void static_root_close_file(struct static_file *file);

#endif
