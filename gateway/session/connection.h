/* One accepted client socket: the state machine that everything else hangs on. Only connection.c
 * changes `state`. All functions: the connection's worker only. */
#ifndef WEIR_SESSION_CONNECTION_H
#define WEIR_SESSION_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/blob.h"
#include "base/close_reason.h"
#include "base/err.h"
#include "base/list.h"
#include "net/stream.h"
#include "net/wheel.h"
#include "proto/ip_address.h"
#include "session/generation.h"
#include "session/worker_state.h"

struct weir_request;
struct weir_session;

enum connection_state {
    CONNECTION_PROXY_HEADER, /* waits for the PROXY protocol header */
    CONNECTION_HEAD,         /* waits for a request head (with TLS: the handshake first) */
    CONNECTION_REQUEST,      /* a request is under way; its body is read */
    CONNECTION_SESSION,      /* a WebSocket */
    CONNECTION_CLOSING, /* a WebSocket whose close frame we have sent; waits for the client's */
    CONNECTION_LINGER,  /* all is sent; waits for the client's end, so that a reset does not eat it
                         */
    CONNECTION_DEAD     /* nothing may happen any more; freed by the sweep */
};

struct connection {
    struct stream stream; /* first: the stream's callback finds the connection by it */
    struct wheel_timer timer;
    struct list_node node;         /* in worker->connections */
    struct connection *swept_next; /* in worker->swept, while `is_swept` */
    struct weir_worker *worker;
    struct generation *generation;
    const struct listener_setup *listener;
    struct weir_request *request; /* under way, or the session's */
    struct weir_session *session;
    struct blob *kept; /* input that could not be used yet */
    uint64_t id;
    uint64_t since_ms; /* the state, or the wait of the output queue, began */
    uint32_t head_scanned;
    uint8_t state;
    uint8_t reason; /* enum close_reason, once it is ending */
    bool is_swept : 1;
    bool choked : 1;     /* the client is behind; reading pauses until it has caught up */
    bool was_full : 1;   /* somebody was told "full" and waits for a drain */
    bool was_queued : 1; /* bytes wait for the client to read; `since_ms` tells since when */
    bool served : 1;     /* a request has been answered: from now on waiting for a head is idling */
    bool peer_ended : 1;
    bool hold_input : 1; /* a plugin waits; input pauses */
    bool paused : 1;     /* the handler takes no more for now; input pauses */
    struct ip_address remote;
};

/* Takes `fd`; closes it when memory is out. */
void connection_accept(struct weir_worker *worker, const struct listener_setup *listener, int fd,
                       const struct sockaddr_storage *peer, socklen_t peer_size);

/* The one way out: says why, ends request or session (their unwinding comes at the end of the
 * turn), cuts the connection. A second call does nothing. */
void connection_close(struct connection *connection, enum close_reason reason);

/* As connection_close, but what was sent still reaches the client: our direction ends, and the
 * client has a moment to end its own. */
void connection_finish(struct connection *connection, enum close_reason reason);

/* A head has become `request`, which is taken. */
void connection_request_started(struct connection *connection, struct weir_request *request);

/* The request under way has become `session`, which is taken. */
void connection_became_session(struct connection *connection, struct weir_session *session);

/* We have sent a close frame; the client's is awaited, not longer than close_timeout. */
void connection_session_closing(struct connection *connection, enum close_reason reason);

/* Something has changed that is looked at at the end of the turn: an ended request or session to
 * unwind, input to go on with. */
void connection_sweep_later(struct connection *connection);

/* A plugin waits (`on`) or does not any more: input pauses, or goes on with what was kept. */
void connection_hold_input(struct connection *connection, bool on);

/* The handler of the request or session takes no more input (`on`), or goes on; apart from whether
 * a plugin waits. */
void connection_pause_input(struct connection *connection, bool on);

/* The output queue has grown; pauses reading above the high watermark. `full` records that somebody
 * waits for a drain. */
void connection_output_grew(struct connection *connection, bool full);

/* Whether the client reads fast enough for more of its messages to be handled; until it does, they
 * are kept, so that no answer to them is lost for want of room. */
bool connection_keeps_up(struct connection *connection);

/* What the state waits for may take its whole time again. */
void connection_restart_clock(struct connection *connection);

/* Sets the timer for whatever the state waits for. */
void connection_schedule(struct connection *connection);

/* The wheel's callback. */
void connection_timer_fired(struct wheel_timer *timer);

/* Ends every connection gracefully: sessions with 1001, idle ones at once, busy ones after their
 * response. */
void connection_drain_all(struct weir_worker *worker);

/* Cuts every connection. */
void connection_cut_all(struct weir_worker *worker);

/* Unwinds and frees what has ended; the end of a turn. */
void connection_sweep(struct weir_worker *worker);

#endif
