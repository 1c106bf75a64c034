/* From the path of a request to a path in the folder of a static handler. */
#ifndef WEIR_HANDLERS_STATIC_PATH_H
#define WEIR_HANDLERS_STATIC_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"

enum {
    STATIC_PATH_BYTES = 4096 /* with the terminator; PATH_MAX of Linux */
};

struct static_path {
    size_t size;                  /* without the terminator */
    char text[STATIC_PATH_BYTES]; /* relative to the folder, terminated, without "/" at its end */
    bool is_folder;               /* the request's path ended with "/" */
};

/* Cuts `route` (the route's configured path) off the front of `path` (decoded and normalised, as
 * request_path has it) and checks the rest. False where nothing may be found: a segment is empty,
 * "." or "..", or starts with a dot and is not ".well-known"; a NUL; more than fits; or `path` does
 * not lie below `route`. An empty result is the folder itself. Any thread. */
bool static_path_make(struct span path, const char *route, struct static_path *out);

/* Appends the file name `name`, as a segment of its own. False where it does not fit; the path
 * stays then. Any thread. */
bool static_path_enter(struct static_path *path, const char *name);

/* Appends `suffix` to the name of the last segment; otherwise as static_path_enter. */
bool static_path_extend(struct static_path *path, const char *suffix);

/* Appends the Location that leads from a folder's name to the folder: `path` with "/" at its end,
 * percent-encoded, and the query. It starts with exactly one "/", so that no path is taken for a
 * host. WEIR_ENOMEM. Any thread. */
WEIR_MUST enum weir_err static_path_location(struct span path, struct span query,
                                             struct buffer *out);

#endif
