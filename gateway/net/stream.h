/* A byte pipe with back-pressure on a non-blocking socket; plain TCP and TLS look the same. Made on
 * `event` directly: the owner reads into memory of its choice, and only what the kernel does not
 * take is queued here. One thread: its loop's. */
#ifndef WEIR_NET_STREAM_H
#define WEIR_NET_STREAM_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/span.h"
#include "net/loop.h"

struct stream;
struct stream_ops;
struct evbuffer;
struct tls_client;
struct tls_context;

/* The stream can be read (`readable`), or its queue has moved (`writable`); neither: the peer has
 * gone while nobody read (stream_is_broken tells whether it was cut, or only its direction has
 * ended with nothing unread). It may close the stream, not free it. */
typedef void (*stream_ready_fn)(struct stream *stream, bool readable, bool writable);

/* Embedded in what owns the connection. Members are for net/ alone. */
struct stream {
    struct event event;
    const struct stream_ops *ops;
    struct loop *loop;
    stream_ready_fn ready;
    void *tls;              /* the SSL of a TLS stream */
    struct evbuffer *queue; /* what the kernel did not take; NULL while nothing waits */
    int fd;
    short interest;
    uint8_t error;             /* the errno that broke it; Linux's fit */
    bool reading : 1;          /* the owner wants to be told of input */
    bool read_wants_write : 1; /* TLS: a read waits for the socket to take bytes */
    bool write_wants_read : 1; /* TLS: a write waits for bytes to come */
    bool watching : 1;         /* the event is set, for `interest` */
    bool woken : 1;            /* and for the next turn, whatever comes */
    bool shut : 1;             /* our direction is to end, or has ended, after the queue */
    bool broken : 1;           /* the connection is cut */
    bool connecting : 1;       /* the outcome of connect(2) is awaited */
    bool unread : 1; /* TLS: a look for the peer's end took something off the socket that the owner
                        has not been told of */
};

/* Takes `fd`, a connected non-blocking socket. Plain, with reading off. */
void stream_open(struct stream *stream, struct loop *loop, int fd, stream_ready_fn ready);

/* Starts to connect a new socket (TCP with TCP_NODELAY, or unix) to `address`. Plain, with reading
 * off. When it is connected, ready(writable) is called, once and never from within; when it fails,
 * ready with both false, and stream_is_broken. What is written meanwhile queues. WEIR_EIO: there is
 * no socket, or it failed at once, errno tells why; nothing is open then. */
WEIR_MUST enum weir_err stream_connect(struct stream *stream, struct loop *loop,
                                       const struct sockaddr *address, socklen_t size,
                                       stream_ready_fn ready);
bool stream_is_connecting(const struct stream *stream);

/* The errno that has broken the stream, also when only a read or a write has told of it; 0 while it
 * is not broken, or none is known. */
int stream_error(const struct stream *stream);

/* From here on the stream speaks TLS, as a client of `name` (SNI, and what the certificate must be
 * for; NULL: neither; an address goes without brackets, and without SNI). `tls` is borrowed for the
 * call. Connected streams only. Then call stream_handshake until it is done. WEIR_ENOMEM: still
 * plain. WEIR_EINVAL: likewise, since no certificate can be for that name. */
WEIR_MUST enum weir_err stream_start_tls_client(struct stream *stream, struct tls_client *tls,
                                                const char *name);

/* Goes on with the TLS handshake; to be called at first, and whenever the stream is ready, with
 * reading on. WEIR_OK: done (at once for plain). WEIR_AGAIN. WEIR_EPROTO: it failed; `why` (at
 * least 256 bytes) gets OpenSSL's words, also why a certificate was not believed. WEIR_EIO,
 * WEIR_ECLOSED: cut; `why` says so. A TLS 1.3 server that does not believe our certificate says so
 * only after WEIR_OK: the next read is WEIR_EPROTO (RFC 8446, section 4.4.2.4). */
WEIR_MUST enum weir_err stream_handshake(struct stream *stream, char *why, size_t why_size);

/* Whether the peer has ended its direction or cut the connection, with nothing left to read; it
 * takes no byte. */
bool stream_peer_is_gone(struct stream *stream);

/* From here on the stream speaks TLS, as a server with that context (borrowed for the call).
 * Nothing may have been read beyond what came before TLS. WEIR_ENOMEM: the stream is still open and
 * plain. */
WEIR_MUST enum weir_err stream_start_tls(struct stream *stream, struct tls_context *tls);

/* Cuts the connection and frees all the stream owns; a second call does nothing. */
void stream_close(struct stream *stream);
bool stream_is_open(const struct stream *stream);

/* Reads what is there, up to `size`. WEIR_OK: `*got` > 0. WEIR_AGAIN: nothing now. WEIR_ECLOSED:
 * the peer has ended its direction. WEIR_EIO: the connection is broken. WEIR_EPROTO: TLS says the
 * peer misbehaves. */
WEIR_MUST enum weir_err stream_read(struct stream *stream, void *bytes, size_t size, size_t *got);

/* Plain only: reads without taking, so that what follows a PROXY header stays for TLS. Results as
 * stream_read. */
WEIR_MUST enum weir_err stream_peek(struct stream *stream, void *bytes, size_t size, size_t *got);

/* Whether bytes that have been received already wait inside (TLS), so that the kernel will not tell
 * of them. */
bool stream_has_pending(const struct stream *stream);

/* Starts or stops telling of input. */
void stream_set_reading(struct stream *stream, bool on);

/* Calls ready(readable) once in the next turn, although the socket may be silent. */
void stream_wake(struct stream *stream);

/* Sends the pieces in order, behind what is queued; what the kernel does not take is copied to the
 * queue. WEIR_OK: sent or queued. WEIR_ENOMEM, WEIR_EIO, WEIR_ECLOSED: the stream is of no more
 * use. */
WEIR_MUST enum weir_err stream_write(struct stream *stream, const struct iovec *pieces, int count);

/* Bytes in the queue. */
size_t stream_queued(const struct stream *stream);

/* Ends our direction once the queue is empty: FIN, with TLS's close_notify before it. */
void stream_shutdown(struct stream *stream);

/* Lets stream_close cut the connection with a reset, not an end, so that the peer sees that not all
 * has come: for what has no other mark of its end. */
void stream_reset_at_close(struct stream *stream);

/* TLS: whether the handshake is done (true for plain), and who the client is by its certificate: a
 * RFC 2253 name, given (free it), NULL without one. */
bool stream_is_established(const struct stream *stream);
bool stream_is_tls(const struct stream *stream);

/* Whether the connection is known to be cut: nothing can be sent any more. */
bool stream_is_broken(const struct stream *stream);
char *stream_client_subject(const struct stream *stream);

/* What plain and TLS do differently. `write` may take less than offered: WEIR_OK with `*took` > 0,
 * or WEIR_AGAIN. */
struct stream_ops {
    enum weir_err (*read)(struct stream *stream, void *bytes, size_t size, size_t *got);
    enum weir_err (*write)(struct stream *stream, const struct iovec *pieces, int count,
                           size_t *took);
    bool (*has_pending)(const struct stream *stream);
    enum weir_err (*handshake)(struct stream *stream, char *why, size_t why_size);
    /* WEIR_AGAIN: still there, and silent. WEIR_OK: there is something to read. Else gone. */
    enum weir_err (*look)(struct stream *stream);
    void (*shutdown)(struct stream *stream);
    void (*close)(struct stream *stream);
};
extern const struct stream_ops stream_plain_ops;
extern const struct stream_ops stream_tls_ops;

#endif
