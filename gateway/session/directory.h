/* The sessions of one worker by their id, for who knows only that, and letters to those of other
 * workers. An id has its worker in the upper 16 bits. One thread: its worker's. */
#ifndef WEIR_SESSION_DIRECTORY_H
#define WEIR_SESSION_DIRECTORY_H

#include <stddef.h>
#include <stdint.h>

#include <weir/plugin.h>

#include "base/err.h"
#include "base/span.h"

enum {
    DIRECTORY_WORKER_SHIFT = 48 /* of an id: above it is the worker's number */
};

/* In struct weir_worker. Empty until somebody looks a session up: who never does pays nothing. */
struct directory {
    struct weir_session **slots; /* NULL: not made yet */
    size_t slot_count;           /* a power of two */
    size_t count;
};

struct weir_worker;

/* The open session of that id on this worker; NULL where there is none (any more). With the first
 * call every session of the worker is entered. WEIR_ECLOSED, WEIR_ENOMEM. */
WEIR_MUST enum weir_err directory_find(struct weir_worker *worker, uint64_t id,
                                       struct weir_session **out);

/* Sends a message to, or closes, the session of that id on whatever worker it is; `worker` is the
 * caller's. The message walks on_send of the whole chain. What happens on another worker happens a
 * moment later, and nobody hears whether the session was still there. WEIR_OK: done here, or on its
 * way. WEIR_ECLOSED: it is of this worker, or of none, and not there. WEIR_ELIMIT, WEIR_EINVAL,
 * WEIR_ENOMEM as session_send and session_close. What one worker sends to one session keeps its
 * order. */
WEIR_MUST enum weir_err directory_send(struct weir_worker *worker, uint64_t id, enum weir_kind kind,
                                       struct span payload);
WEIR_MUST enum weir_err directory_close(struct weir_worker *worker, uint64_t id, uint16_t code,
                                        struct span reason);

/* --- for session/ alone --- */

/* A session has begun, or ends. */
void directory_add(struct weir_worker *worker, struct weir_session *session);
void directory_remove(struct weir_worker *worker, struct weir_session *session);

/* Frees what was made. */
void directory_forget(struct directory *directory);

#endif
