/* One worker: a thread with a loop, its listeners, its connections. The control thread starts it
 * and talks to it by mail only. */
#ifndef WEIR_WORKER_WORKER_H
#define WEIR_WORKER_WORKER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/mail_room.h"
#include "net/mailbox.h"
#include "worker/registry.h"

struct bus;
struct worker;

/* What all workers of the process share; borrowed until the last worker_join. */
struct worker_common {
    unsigned count; /* of workers */
    struct mail_room *room;
    struct bus *bus;
};

/* Starts the thread with the listening sockets `fds` (taken, also on failure), one for each of the
 * registry's listeners, and waits until it serves. The registry is shared. On WEIR_OK `*out` is
 * given. When the worker has stopped, `stopped` is posted to `control`. Control thread. */
WEIR_MUST enum weir_err worker_start(struct registry *registry, unsigned id,
                                     const struct worker_common *common, const int *fds,
                                     struct mailbox *control, struct mailbox_letter *stopped,
                                     struct worker **out);

/* Asks it to stop: no new connections, sessions get close code 1001, responses are finished; what
 * is left after `patience_ms` is cut. Control thread. */
void worker_stop(struct worker *worker, uint64_t patience_ms);

/* Waits for the thread's end and frees. Control thread. */
void worker_join(struct worker **worker);

#endif
