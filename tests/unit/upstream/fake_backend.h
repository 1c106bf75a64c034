/* A server on loopback or on a unix socket that answers as a test says, worked by hand between
 * turns of the loop: canned bytes, silence, or a WebSocket. */
#ifndef WEIR_TESTS_FAKE_BACKEND_H
#define WEIR_TESTS_FAKE_BACKEND_H

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/resolver.h"
#include "proto/ws_decoder.h"
#include "proto/ws_handshake.h"

enum {
    FAKE_PEERS = 64,
    FAKE_BYTES = 4096
};

struct fake_peer {
    int fd;
    uint8_t in[FAKE_BYTES];
    size_t size;
    size_t sent; /* of the answer */
    bool upgraded;
    struct ws_decoder decoder;
};

struct fake_backend {
    int fd;
    struct resolver_address address;
    char unix_path[64];

    /* What it does. */
    const char *answer; /* to each head; NULL: nothing */
    size_t piece;       /* bytes of the answer that are sent at once; 0: all */
    bool cuts;          /* at once, whatever comes */
    bool websocket;
    bool wrong_key;
    const char *greeting; /* bytes behind the 101 */
    bool no_pong;
    bool no_close;       /* does not answer a close frame, and keeps the connection */
    bool closes_instead; /* of a pong */

    /* What it saw. */
    unsigned accepted;
    unsigned ended; /* connections that the client has ended */
    unsigned pings;
    unsigned closes;
    unsigned close_code;
    char head[FAKE_BYTES]; /* the last one, terminated */

    struct fake_peer peers[FAKE_PEERS];
    size_t peer_count;
};

static inline int fake_backend_listen(struct fake_backend *backend, const struct sockaddr *address,
                                      socklen_t size)
{
    socklen_t got = sizeof backend->address.address;
    backend->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (backend->fd < 0 || bind(backend->fd, address, size) != 0 || listen(backend->fd, 64) != 0) {
        return -1;
    }
    int err = getsockname(backend->fd, (struct sockaddr *)&backend->address.address, &got);
    backend->address.size = got;
    return err;
}

static inline int fake_backend_open(struct fake_backend *backend)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    memset(backend, 0, sizeof *backend);
    return fake_backend_listen(backend, (const struct sockaddr *)&v4, sizeof v4);
}

static inline int fake_backend_open_unix(struct fake_backend *backend)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memset(backend, 0, sizeof *backend);
    snprintf(backend->unix_path, sizeof backend->unix_path, "/tmp/weir-backend-%d.sock", getpid());
    snprintf(un.sun_path, sizeof un.sun_path, "%s", backend->unix_path);
    unlink(backend->unix_path);
    return fake_backend_listen(backend, (const struct sockaddr *)&un, sizeof un);
}

static inline void fake_peer_drop(struct fake_backend *backend, size_t index)
{
    close(backend->peers[index].fd);
    backend->peers[index] = backend->peers[--backend->peer_count];
}

/* Connections are refused from now on; the address stays known. */
static inline void fake_backend_close(struct fake_backend *backend)
{
    while (backend->peer_count > 0) {
        fake_peer_drop(backend, 0);
    }
    if (backend->fd >= 0) {
        close(backend->fd);
    }
    if (backend->unix_path[0] != '\0') {
        unlink(backend->unix_path);
    }
    backend->fd = -1;
}

static inline void fake_send(const struct fake_peer *peer, const void *bytes, size_t size)
{
    ssize_t sent = send(peer->fd, bytes, size, MSG_NOSIGNAL);
    (void)sent; /* small enough for any socket; a client that has gone does not matter */
}

static inline void fake_upgrade(const struct fake_backend *backend, struct fake_peer *peer)
{
    char key[64] = "";
    char accept_key[WS_ACCEPT_BYTES];
    char head[512];
    const char *at = strstr(backend->head, "Sec-WebSocket-Key: ");
    if (at != NULL) {
        sscanf(at, "Sec-WebSocket-Key: %63s", key);
    }
    if (!ws_handshake_accept((struct span){(const uint8_t *)key, strlen(key)}, accept_key)) {
        return;
    }
    if (backend->wrong_key) {
        accept_key[0] = accept_key[0] == 'A' ? 'B' : 'A';
    }
    snprintf(head, sizeof head,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n%s",
             accept_key, backend->greeting != NULL ? backend->greeting : "");
    fake_send(peer, head, strlen(head));
    peer->upgraded = true;
}

static inline void fake_control(struct fake_backend *backend, struct fake_peer *peer,
                                const struct ws_event *event)
{
    uint8_t frame[2 + WS_CONTROL_MAX] = {0x8a, (uint8_t)event->payload_size};
    memcpy(frame + 2, event->payload, event->payload_size);
    if (event->opcode == WS_PING) {
        backend->pings++;
        frame[0] = backend->closes_instead ? 0x88 : 0x8a;
        frame[1] = backend->closes_instead ? 0 : frame[1];
        if (!backend->no_pong) {
            fake_send(peer, frame, 2U + frame[1]);
        }
    } else if (event->opcode == WS_CLOSE) {
        backend->closes++;
        backend->close_code =
            event->payload_size >= 2 ? event->payload[0] * 256U + event->payload[1] : 1005;
        frame[0] = 0x88;
        if (!backend->no_close) {
            fake_send(peer, frame, 2 + event->payload_size);
        }
    }
}

static inline void fake_frames(struct fake_backend *backend, struct fake_peer *peer)
{
    static const struct ws_decoder_rules rules = {.expects_mask = true, .max_message_size = 1000};
    struct ws_event event;
    size_t consumed = 0;
    uint16_t code = 0;
    const char *why = "";
    while (ws_decoder_next(&peer->decoder, &rules, peer->in, peer->size, &consumed, &event, &code,
                           &why) == WEIR_OK) {
        fake_control(backend, peer, &event);
        memmove(peer->in, peer->in + consumed, peer->size - consumed);
        peer->size -= consumed;
    }
}

static inline void fake_head(struct fake_backend *backend, struct fake_peer *peer)
{
    uint8_t *end = memmem(peer->in, peer->size, "\r\n\r\n", 4);
    if (end == NULL) {
        return;
    }
    size_t size = (size_t)(end + 4 - peer->in);
    memcpy(backend->head, peer->in, size);
    backend->head[size] = '\0';
    peer->size = 0;
    if (backend->websocket) {
        fake_upgrade(backend, peer);
    } else if (backend->answer != NULL) {
        size_t all = strlen(backend->answer);
        peer->sent = backend->piece > 0 && backend->piece < all ? backend->piece : all;
        fake_send(peer, backend->answer, peer->sent);
    }
}

/* False: the connection is over. */
static inline bool fake_peer_work(struct fake_backend *backend, struct fake_peer *peer)
{
    size_t all = backend->answer != NULL ? strlen(backend->answer) : 0;
    if (peer->sent > 0 && peer->sent < all) { /* the rest, a turn after the first piece */
        fake_send(peer, backend->answer + peer->sent, all - peer->sent);
        peer->sent = all;
    }
    ssize_t n = recv(peer->fd, peer->in + peer->size, sizeof peer->in - peer->size, 0);
    if (n > 0) {
        peer->size += (size_t)n;
        (peer->upgraded ? fake_frames : fake_head)(backend, peer);
        return true;
    }
    backend->ended += n == 0;
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static inline void fake_backend_work(struct fake_backend *backend)
{
    int fd = -1;
    while (backend->fd >= 0 && backend->peer_count < FAKE_PEERS &&
           (fd = accept4(backend->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        backend->accepted++;
        if (backend->cuts) {
            close(fd);
            continue;
        }
        backend->peers[backend->peer_count++] = (struct fake_peer){.fd = fd};
    }
    for (size_t i = backend->peer_count; i-- > 0;) {
        if (!fake_peer_work(backend, &backend->peers[i])) {
            fake_peer_drop(backend, i);
        }
    }
}

#endif
