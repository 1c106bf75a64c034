/* A bridge's insides, for bridge*.c alone. */
#ifndef WEIR_HANDLERS_PROXY_BRIDGE_INTERNAL_H
#define WEIR_HANDLERS_PROXY_BRIDGE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/close_reason.h"
#include "handlers/proxy/bridge.h"
#include "net/loop.h"
#include "proto/ws_decoder.h"
#include "session/compression.h"
#include "session/session.h"
#include "session/worker_access.h"

struct bridge_offer;

enum {
    BRIDGE_MAGIC = 0x42524447,
    BRIDGE_QUEUE_HIGH = 256 * 1024, /* bytes that wait for the backend: the client is not read */
    BRIDGE_QUEUE_LOW = 64 * 1024,   /* and then: it is read again */
    BRIDGE_KEY_BYTES = 4
};

/* Kept small: there is one for each proxied session, idle or not. What an idle one could hold and
 * does not is a pointer that is NULL. */
struct bridge {
    uint32_t magic;
    uint32_t min_compressed; /* bytes; smaller messages go to the backend uncompressed */
    struct weir_worker *worker;
    struct weir_session *session;          /* NULL before bridge_open and after bridge_closed */
    const struct proxy_settings *settings; /* NULL after bridge_closed */
    struct backend *backend;               /* NULL before it is connected, and when it has ended */
    struct bridge_offer *offer;            /* of the handshake; NULL after it */
    struct compression *compression;       /* with the backend; NULL unless it was agreed */
    struct ws_decoder decoder;             /* of the backend's frames */
    struct blob *kept;                     /* bytes of the backend that are not used yet */
    struct blob *message;                  /* of the backend: under way, or complete and `parked` */
    struct blob *outgoing; /* of the client: under way, to be compressed when complete */
    uint64_t heard_ms;     /* when the backend last sent or took anything */
    uint64_t pinged_ms;    /* when the ping that is unanswered was sent; 0 for none */
    uint64_t moved_ms;     /* when the queue to the backend last moved; 0 while it is empty */
    size_t queue_mark;     /* its size then, and with what has come since */
    uint64_t bytes_sent;   /* to the backend, heads of frames too; and from it */
    uint64_t bytes_received;
    struct loop_retired retired;
    unsigned seat;
    uint8_t parked_kind;  /* enum weir_kind */
    bool whole : 1;       /* the client has to be sent whole messages */
    bool held : 1;        /* `kept` is not just a beginning: decode it before more is read */
    bool behind : 1;      /* the client is: the backend is not read until bridge_drained */
    bool parked : 1;      /* `message` was refused for a full queue */
    bool paused : 1;      /* the backend is behind: the client is not read */
    bool unwritable : 1;  /* the backend's connection takes no more; what it sent is still read */
    bool close_sent : 1;  /* to the backend: no data frame may follow (RFC 6455, section 5.5.1) */
    bool close_heard : 1; /* from the backend, or what it sends is not believed any more */
    bool ended : 1;       /* the session has; the bridge ends with the backend's connection */
};

/* --- bridge.c --- */

/* Tells the stream whether we want to read, and comes back for what no socket tells of. */
void bridge_update_reading(struct bridge *bridge);

/* Lets the client be read again, if a slow backend had stopped that. */
void bridge_unpause(struct bridge *bridge);

/* Ends the connection to the backend, and where the session has ended the bridge with it, which is
 * freed at the end of the turn. */
void bridge_drop_backend(struct bridge *bridge);

/* The session is gone, or never came: keeps nothing but what closing towards the backend needs, and
 * closes with that code (1005: without one). */
void bridge_outlive(struct bridge *bridge, uint16_t code, struct span reason);

/* --- bridge_offer.c: the opening handshake --- */

/* Given; NULL when memory is out. `compresses`: permessage-deflate is offered. */
struct bridge_offer *bridge_offer_new(struct weir_request *request, bool compresses);
void bridge_offer_free(struct bridge_offer **offer);

/* Appends the fields that a client sends (RFC 6455, section 4.1). */
WEIR_MUST enum weir_err bridge_offer_write(const struct bridge_offer *offer, struct buffer *head);

/* Checks the backend's 101 and prepares the client's. `*compression` is given: NULL unless it was
 * agreed; `*min_size` is the least that is worth it. Errors as bridge_connected. */
WEIR_MUST enum weir_err bridge_offer_check(const struct bridge_offer *offer,
                                           const struct http_response *response,
                                           const struct reply_field *fields, size_t field_count,
                                           struct compression **compression, uint32_t *min_size,
                                           const char **why);

/* --- bridge_frame.c: frames to the backend --- */

/* Fills `out` from the thread's store of strong random bytes. */
void bridge_random(uint8_t *out, size_t size);

/* Whether data may still go to the backend. */
bool bridge_takes_data(const struct bridge *bridge);

/* Sends one frame and masks its payload where it lies. `first_byte` as ws_frame_write_head. */
void bridge_send_frame(struct bridge *bridge, uint8_t first_byte, uint8_t *payload, size_t size);

/* The same for bytes that must stay as they are. */
void bridge_send_copy(struct bridge *bridge, uint8_t first_byte, struct span payload);

/* --- bridge_out.c: backend to client --- */

/* Reads what is there, within limits of fairness, and passes it on. */
void bridge_out_read(struct bridge *bridge);

/* --- bridge_close.c --- */

/* Looks after pings to the backend, and after one that takes nothing; returns when to look again,
 * in milliseconds from now, 0 for never. */
uint64_t bridge_keep_alive(struct bridge *bridge);

/* The queue to the backend is not empty. Who finds it so after a write says it, and what has become
 * of it is looked at when read_timeout is over. It may come from within a write to somebody else's
 * stream. */
void bridge_queue_grew(struct bridge *bridge);

/* The queue has been tried again. True: some of it has gone. */
bool bridge_queue_moved(struct bridge *bridge);

/* Sends a close frame of that code (1005: without one) to the backend, whose part of the close
 * handshake, and end of the connection, have close_timeout from now. */
void bridge_send_close(struct bridge *bridge, uint16_t code, struct span reason);

/* The backend has sent a close frame. */
void bridge_take_close(struct bridge *bridge, struct span payload);

/* The backend's direction has ended, or its connection is cut. */
void bridge_backend_ended(struct bridge *bridge);

/* The session with the backend cannot go on: `code` and `why` (static words) are for the backend
 * and the log, `reason` is why the client's ends. */
void bridge_fail(struct bridge *bridge, uint16_t code, enum close_reason reason, const char *why);

#endif
