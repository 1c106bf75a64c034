/* An HTTP server on 127.0.0.1 that tests work by hand: what came is compared, what to answer is
 * written, and the loop turns meanwhile. With or without TLS, several connections. */
#ifndef WEIR_TESTS_HTTP_PEER_H
#define WEIR_TESTS_HTTP_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/loop.h"

enum {
    PEER_BYTES = 4 << 20,
    PEER_SECONDS = 20 /* longer than anything here takes; then a test has failed */
};

struct http_peer {
    int listener;
    int fd; /* the connection that is worked on; -1: none */
    unsigned port;
    unsigned accepted;
    SSL_CTX *tls; /* NULL: plain */
    SSL *ssl;
    bool ended; /* the client has closed */
    char *got;  /* terminated */
    size_t size;
};

static struct loop *peer_loop;

static inline void peer_turn(void)
{
    loop_turn(peer_loop, false);
    poll(NULL, 0, 1); /* leaves the processor to libcurl's threads */
}

/* Turns the loop until `condition` holds; `step` comes before each look at it. */
#define TURN_UNTIL(condition, step)                                                                \
    do {                                                                                           \
        time_t end = time(NULL) + PEER_SECONDS;                                                    \
        (step);                                                                                    \
        while (!(condition)) {                                                                     \
            assert_true(time(NULL) < end);                                                         \
            peer_turn();                                                                           \
            (step);                                                                                \
        }                                                                                          \
    } while (0)

static inline void peer_open(struct http_peer *peer, SSL_CTX *tls)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof where;
    *peer = (struct http_peer){.fd = -1, .tls = tls, .got = malloc(PEER_BYTES + 1)};
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_non_null(peer->got);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&where, size), 0);
    assert_int_equal(listen(peer->listener, 16), 0);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&where, &size), 0);
    peer->port = ntohs(where.sin_port);
}

/* Closes the connection that is worked on. */
static inline void peer_hang_up(struct http_peer *peer)
{
    SSL_free(peer->ssl);
    peer->ssl = NULL;
    if (peer->fd != -1) {
        close(peer->fd);
        peer->fd = -1;
    }
}

static inline void peer_close(struct http_peer *peer)
{
    peer_hang_up(peer);
    close(peer->listener);
    free(peer->got);
}

static inline void peer_accept(struct http_peer *peer)
{
    peer->fd = accept4(peer->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (peer->fd == -1) {
        return;
    }
    peer->accepted++;
    peer->ended = false;
    peer->size = 0;
    peer->got[0] = '\0';
    if (peer->tls != NULL) {
        peer->ssl = SSL_new(peer->tls);
        SSL_set_fd(peer->ssl, peer->fd);
        SSL_set_accept_state(peer->ssl);
    }
}

/* Takes what is there. */
static inline void peer_step(struct http_peer *peer)
{
    if (peer->fd == -1) {
        peer_accept(peer);
        return;
    }
    size_t room = PEER_BYTES - peer->size;
    char *at = peer->got + peer->size;
    long count;
    if (peer->ssl != NULL) {
        count = SSL_read(peer->ssl, at, (int)room);
        int error = SSL_get_error(peer->ssl, (int)count);
        if (count <= 0 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
            peer->ended = true;
        }
    } else {
        count = recv(peer->fd, at, room, 0);
        peer->ended |= count == 0;
    }
    if (count > 0) {
        peer->size += (size_t)count;
        peer->got[peer->size] = '\0';
    }
}

/* Waits until `size` bytes of a body have come after a head, and forgets what came before. */
static inline void peer_takes(struct http_peer *peer, size_t size)
{
    const char *body = NULL;
    peer->size = 0;
    peer->got[0] = '\0';
    TURN_UNTIL((body = strstr(peer->got, "\r\n\r\n")) != NULL &&
                   peer->size - (size_t)(body + 4 - peer->got) >= size,
               peer_step(peer));
}

static inline void peer_says_bytes(struct http_peer *peer, const char *bytes, size_t size)
{
    size_t at = 0;
    time_t end = time(NULL) + PEER_SECONDS;
    while (at < size) {
        long count = peer->ssl != NULL ? SSL_write(peer->ssl, bytes + at, (int)(size - at))
                                       : send(peer->fd, bytes + at, size - at, MSG_NOSIGNAL);
        at += count > 0 ? (size_t)count : 0;
        assert_true(time(NULL) < end);
        if (count <= 0) {
            peer_turn();
        }
    }
}

static inline void peer_says(struct http_peer *peer, const char *text)
{
    peer_says_bytes(peer, text, strlen(text));
}

#endif
