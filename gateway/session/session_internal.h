/* A session's insides, for session/ alone. */
#ifndef WEIR_SESSION_SESSION_INTERNAL_H
#define WEIR_SESSION_SESSION_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "proto/ws_decoder.h"
#include "session/compression.h"
#include "session/request_internal.h"
#include "session/session.h"

struct session_wait;

struct weir_session {
    struct connection *connection;
    struct weir_request *request; /* the connection's; its seats are the session's */
    struct ws_decoder decoder;
    struct blob *message;            /* the one that is being put together */
    struct compression *compression; /* NULL unless it was agreed */
    struct session_wait *waits;      /* of seats; while there is any, input is held */
    char *close_reason;              /* what the client gave, owned */
    uint64_t messages_in;
    uint64_t messages_out;
    uint64_t heard_ms;   /* when the client last sent anything */
    uint64_t pinged_ms;  /* when the ping that is unanswered was sent; 0 for none */
    uint16_t close_code; /* of the client's close frame, else what we sent; 0 before */
    uint8_t close_reason_size;
    bool close_sent : 1;  /* no data frame may follow it (RFC 6455, section 5.5.1) */
    bool close_heard : 1; /* and nothing after it is read */
    bool by_client : 1;   /* its close frame came first */
    bool ended : 1;
    bool piece_begun : 1;  /* inwards: the handler has been given a part of the message under way */
    bool sends_pieces : 1; /* outwards: a message is under way, piece by piece */
    bool drain_due : 1;    /* somebody was told "full" because of that */
    uint32_t tag;          /* the broker's number for its subscriptions; 0 without any */
};

/* Makes the session of an accepted request. Given; NULL when memory is out. `compression` is taken.
 */
struct weir_session *session_new(struct weir_request *request, struct compression *compression);

/* Keeps a copy of the reason in the first close frame, whoever sent it; without memory it is lost.
 */
void session_keep_reason(struct weir_session *session, struct span reason);

/* Unwinds (on_close, last to first) and frees. */
void session_end(struct weir_session **session, enum close_reason reason);

/* --- the chain. In session_chain.c --- */

/* Walks on_open. */
void session_opened(struct weir_session *session);

/* The client has caught up. */
void session_drained(struct weir_session *session);

/* Walks a message inwards from `seat`. */
void session_deliver(struct weir_session *session, unsigned seat,
                     const struct weir_message *message);

/* Tells of the end of a message that was sent in pieces to who was refused meanwhile; at the end of
 * the turn. In session_pieces.c. */
void session_pieces_over(struct weir_session *session);

/* Frees what seats wait with. */
void session_forget_waits(struct weir_session *session);

/* --- the peer: frames. In peer_input.c and peer_output.c --- */

/* Takes what it can use of `size` bytes, which it may change; returns how many. Stops early when a
 * plugin waits. */
size_t peer_input(struct weir_session *session, uint8_t *bytes, size_t size);

/* Where the payload that comes next can be read to without a detour: the message under way. NULL
 * where there is no such place; then the worker's read buffer serves. */
uint8_t *peer_input_space(struct weir_session *session, size_t *room);

/* Takes bytes that were read to peer_input_space. */
void peer_input_direct(struct weir_session *session, size_t size);

/* Encodes and sends one message (compressed where that was agreed and pays). */
WEIR_MUST enum weir_err peer_send(struct weir_session *session, enum weir_kind kind,
                                  struct span payload);

/* Sends a message whose plain frame begins with `head`, as that, unless it is to be compressed. */
WEIR_MUST enum weir_err peer_send_framed(struct weir_session *session,
                                         const struct weir_message *message, struct span head);

/* Sends a part of a message as a frame of its own; never compressed. */
WEIR_MUST enum weir_err peer_send_piece(struct weir_session *session, enum weir_kind kind,
                                        struct span bytes, bool first, bool last);

/* Sends a control frame of up to 125 bytes. */
WEIR_MUST enum weir_err peer_send_control(struct weir_session *session, uint8_t opcode,
                                          struct span payload);

/* Sends a close frame, once. Code 0: nothing. */
void peer_send_close(struct weir_session *session, uint16_t code, struct span reason);

/* Sends what keep_alive asks for, or closes a silent client; called by the timer. Returns when to
 * look again, in milliseconds from now, 0 for never. */
uint64_t peer_keep_alive(struct weir_session *session);

#endif
