/* The whole gateway in one process: the control thread's loop, its signals, and the workers. */
#ifndef WEIR_WORKER_SERVER_H
#define WEIR_WORKER_SERVER_H

#include "base/err.h"
#include "worker/registry.h"

/* Binds the listeners, starts the workers, and serves until SIGTERM or SIGINT; a second one ends
 * the process at once with status 1. The registry is borrowed. Returns when all is stopped.
 * WEIR_EIO or WEIR_EINVAL: it never served; the reason has been logged. Main thread. */
WEIR_MUST enum weir_err server_run(struct registry *registry);

#endif
