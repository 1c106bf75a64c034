/* An accepted WebSocket as plugins see it. All functions: the session's worker only; a session is
 * valid until its last on_close returns. */
#ifndef WEIR_SESSION_SESSION_H
#define WEIR_SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/plugin.h>

#include "base/close_reason.h"
#include "base/err.h"
#include "base/span.h"

/* The request that became this session; borrowed for the session's life. */
struct weir_request *session_request(struct weir_session *session);

/* Unique in the process. */
uint64_t session_id(const struct weir_session *session);

/* One pointer for each plugin in the chain; the same as request_seat. */
void **session_seat(struct weir_session *session, unsigned seat);

/* Sends a message to the client, as the plugin at `seat`: it walks on_send of the plugins before
 * it, outwards. WEIR_OK: sent or queued. WEIR_ELIMIT ("full"): max_queue_size is reached, nothing
 * was queued, on_drain will come. WEIR_ECLOSED ("closed"): the session is closing. WEIR_EINVAL:
 * text that is not UTF-8. WEIR_ENOMEM. */
WEIR_MUST enum weir_err session_send(struct weir_session *session, unsigned seat,
                                     enum weir_kind kind, struct span payload);

/* Sends one message of those that go to many: `head` is that of its plain frame, made once for all
 * of them, and text has been checked. As session_send, but nobody hears of a client that is too far
 * behind (WEIR_ELIMIT): no on_drain follows. */
WEIR_MUST enum weir_err session_send_framed(struct weir_session *session, unsigned seat,
                                            const struct weir_message *message, struct span head);

/* A number that the broker keeps with the session, 0 at first. While it is another, the end of the
 * session is told (worker_set_broker). */
uint32_t *session_tag(struct weir_session *session);

/* Whether messages to the client have to be sent whole: a plugin before `seat` has on_send, or they
 * are compressed. */
bool session_sends_whole(const struct weir_session *session, unsigned seat);

/* Sends a part of a message, each as a frame of its own, where session_sends_whole says no. Nothing
 * is refused for a full queue: watch session_is_behind. Between the first and the last part other
 * messages are refused with WEIR_ELIMIT, and on_drain comes after the last. Text has been checked
 * by the caller. WEIR_ECLOSED, WEIR_ENOMEM. */
WEIR_MUST enum weir_err session_send_piece(struct weir_session *session, enum weir_kind kind,
                                           struct span bytes, bool first, bool last);

/* Whether the client is so far behind that who forwards to it should stop; on_drain tells when to
 * go on. */
bool session_is_behind(struct weir_session *session);

/* Stops (`on`) or goes on reading from the client, for a handler that cannot take more. */
void session_pause(struct weir_session *session, bool on);

/* Passes a message inwards from the plugin at `seat`, in place of the one it was given (it then
 * returns WEIR_DROP). */
void session_pass(struct weir_session *session, unsigned seat, const struct weir_message *message);

/* Sends a ping with up to 125 bytes. Errors as session_send; WEIR_EINVAL when it is longer. */
WEIR_MUST enum weir_err session_ping(struct weir_session *session, struct span payload);

/* Starts the close handshake with that code and reason (cut to 123 bytes). WEIR_EINVAL: the code
 * may not be sent. WEIR_ECLOSED: it is closing already. on_close comes later, never from within
 * this call. */
WEIR_MUST enum weir_err session_close(struct weir_session *session, uint16_t code,
                                      struct span reason);

/* The same with another reason than "closed by a plugin", and code 1005 for a close frame without a
 * code. */
WEIR_MUST enum weir_err session_close_as(struct weir_session *session, enum close_reason why,
                                         uint16_t code, struct span reason);

/* A plugin has failed on this session: 1011, and on_close comes later. */
void session_fail(struct weir_session *session);

/* Ends a WEIR_WAIT of on_open or on_message at `seat` with the verdict that the plugin would have
 * given. Never call it from within the callback that waits. */
void session_resume(struct weir_session *session, unsigned seat, enum weir_verdict verdict);

/* Bytes that wait for the client to read. */
size_t session_buffered(const struct weir_session *session);

/* Whether it can still send: open, and no close frame has gone either way. */
bool session_is_open(const struct weir_session *session);

#endif
