/* What the tunnel's files share. */
#ifndef WEIR_HANDLERS_PROXY_TUNNEL_INTERNAL_H
#define WEIR_HANDLERS_PROXY_TUNNEL_INTERNAL_H

#include "base/close_reason.h"
#include "base/err.h"
#include "handlers/proxy/tunnel.h"
#include "net/stream.h"
#include "session/request.h"

enum {
    TUNNEL_BULK_BYTES = 32 * 1024 /* a read of so much is followed by moves within the kernel */
};

struct tunnel {
    uint32_t magic; /* first: what is in a seat is told by it */
    unsigned seat : 24;
    bool bulk_out : 1;      /* the client's bytes are moved within the kernel */
    bool bulk_back : 1;     /* the backend's are */
    bool no_splice : 1;     /* the system cannot do that here */
    bool paused : 1;        /* the client is not read */
    bool full : 1;          /* the client is behind; the backend is not read */
    bool backend_ended : 1; /* it has ended its direction */
    bool unwritable : 1; /* it takes nothing any more; its last words may still be on their way */
    struct proxy *proxy;
    struct weir_request *request;
    struct backend *backend; /* NULL once the tunnel is cut */
    uint64_t moved_ms;       /* when a byte last came, either way */
    uint64_t bytes_sent;     /* to the backend */
    uint64_t bytes_received;
};

/* --- tunnel.c --- */

uint64_t tunnel_now_ms(const struct tunnel *tunnel);

/* The end of both ways; on_done comes. */
void tunnel_cut(struct tunnel *tunnel, enum close_reason reason);

/* Stops or goes on reading the client. */
void tunnel_pause_client(struct tunnel *tunnel, bool on);

/* The backend takes nothing any more. */
void tunnel_unwritable(struct tunnel *tunnel);

/* The backend has ended its direction, or is lost. */
void tunnel_ended(struct tunnel *tunnel, enum weir_err err);

/* --- tunnel_bulk.c --- */

/* From now on the client's bytes are moved within the kernel, or are not any more. */
void tunnel_bulk_out(struct tunnel *tunnel, bool on);

/* Moves what the backend has sent; whether another move, or a read, may find more. */
bool tunnel_bulk_back(struct tunnel *tunnel);

#endif
