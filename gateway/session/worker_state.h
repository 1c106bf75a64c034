/* What a worker's connections share: buffers, scratch, lists. One thread; worker/ makes it and runs
 * the loop. */
#ifndef WEIR_SESSION_WORKER_STATE_H
#define WEIR_SESSION_WORKER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/list.h"
#include "base/traffic.h"
#include "net/cork.h"
#include "net/loop.h"
#include "net/splicer.h"
#include "net/wheel.h"
#include "proto/http_head.h"
#include "session/compression.h"
#include "session/directory.h"
#include "session/generation.h"

struct connection;
struct http_client;
struct mail_room;
struct upstream_worker;

enum {
    WORKER_READ_BYTES =
        256 * 1024 /* a route's receive_buffer_size may ask for less, not for more */
};

struct weir_worker {
    struct loop *loop;
    struct wheel *wheel;
    unsigned id;
    unsigned count;
    struct generation *generation; /* the current one; new connections and requests join it */
    bool draining;                 /* the gateway is stopping: no new requests on old connections */
    uint64_t next_id;

    struct list_node connections; /* all that live */
    struct connection
        *swept; /* whose session has ended or that are to be freed, at the end of the turn */
    size_t connection_count;
    struct traffic *traffic;
    struct directory directory;

    uint8_t
        *read_buffer; /* WORKER_READ_BYTES; nothing stays in it between two connections' turns */
    struct cork cork;
    struct splicer splicer;
    struct compression_scratch compression;
    struct http_head head;     /* of the request that is being parsed */
    struct buffer reply;       /* of the response head that is being written */
    struct span server_fields; /* Date and Server, made anew each second */
    uint64_t server_fields_second;
    char server_fields_text[80];

    struct mail_room *mail_room;       /* set by worker/; NULL: there are no other workers */
    struct upstream_worker *upstreams; /* set by worker/; for handlers that forward */
    struct http_client *http_client;   /* NULL until it is asked for */
    struct broker *broker;             /* what pubsub/ keeps here, */
    void (*session_ended)(struct broker *broker, uint32_t tag); /* and how it hears of ends */
    size_t holds;                                               /* by worker_hold */
    void *owner;                                                /* for worker/ */
};

/* Prepares buffers, wheel and lists; the caller has set loop, id and count. WEIR_ENOMEM: destroy
 * it. */
WEIR_MUST enum weir_err worker_state_init(struct weir_worker *worker);

/* Frees what init made; no connection may be left. */
void worker_state_destroy(struct weir_worker *worker);

/* Flushes the cork and sweeps; the loop's end of turn. `context` is the worker. */
void worker_state_turn_end(void *context);

#endif
