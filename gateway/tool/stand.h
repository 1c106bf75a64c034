/* One worker in the calling thread, for the commands that run Lua without serving: real loop, real
 * plugins, no listeners. */
#ifndef WEIR_TOOL_STAND_H
#define WEIR_TOOL_STAND_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/err.h"
#include "session/worker_state.h"

struct bus;
struct mailbox;
struct registry;

struct stand {
    struct registry *registry;
    struct weir_worker worker;
    struct mailbox *mailbox;
    struct bus *bus;
};

/* Loads the configuration `yaml`, and starts its plugins. What is wrong goes to the standard error.
 * Close `stand` in any case. Main thread. */
WEIR_MUST enum weir_err stand_open(struct stand *stand, const struct buffer *yaml);

/* Cuts what is open and frees all. Main thread. */
void stand_close(struct stand *stand);

/* The worker part of the first route's handler, which is a Lua plugin; borrowed. */
void *stand_handler(const struct stand *stand);

/* Appends `text` as a string that YAML and Lua read alike: quoted, control characters as \xNN.
 * WEIR_ENOMEM. Any thread. */
WEIR_MUST enum weir_err stand_quote(struct buffer *out, const char *text);

/* Whether `text` can name a dictionary, and the line of a configuration that declares it.
 * WEIR_ENOMEM. Any thread. */
bool stand_is_name(const char *text);
WEIR_MUST enum weir_err stand_share(struct buffer *out, const char *name);

/* The folder of `file`, terminated, "." where it names none; given, NULL when memory is out. Any
 * thread. */
char *stand_folder(const char *file);

#endif
