/* A stream over a socketpair and the peer at the other end, plain or TLS, both in one thread: the
 * peer is non-blocking and is worked by hand, between turns of the stream's loop. */
#ifndef WEIR_TESTS_STREAM_FIXTURE_H
#define WEIR_TESTS_STREAM_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/stream.h"
#include "net/tls_context.h"

enum {
    SOCKET_BYTES = 8192, /* asked of the kernel for each direction, so that little fills it */
    GIVE_UP_MS = 10000
};

struct pair {
    struct stream stream; /* first: the callback finds the pair by it */
    struct loop *loop;
    struct tls_context *tls;
    SSL_CTX *peer_context;
    SSL *peer_ssl; /* NULL: plain */
    int peer;
    unsigned told_readable;
    unsigned told_writable;
    uint8_t *got; /* what the stream has read, when `drains` */
    size_t got_size;
    bool drains;       /* the callback reads all there is */
    enum weir_err end; /* what the callback's last read said, other than WEIR_AGAIN */
};

static struct pair pair;
static char tls_folder[] = "/tmp/weir-stream-XXXXXX";
static char certificate_file[64];
static char key_file[64];

static inline void read_all(struct pair *mine)
{
    for (;;) {
        size_t n = 0;
        mine->got = realloc(mine->got, mine->got_size + 65536);
        enum weir_err err = stream_read(&mine->stream, mine->got + mine->got_size, 65536, &n);
        if (err != WEIR_OK) {
            if (err != WEIR_AGAIN) {
                mine->end = err;
                stream_set_reading(&mine->stream, false);
            }
            return;
        }
        mine->got_size += n;
    }
}

static inline void ready(struct stream *stream, bool readable, bool writable)
{
    struct pair *mine = (struct pair *)(void *)stream;
    mine->told_readable += readable;
    mine->told_writable += writable;
    if (readable && mine->drains) {
        read_all(mine);
    }
}

static inline void turn(void)
{
    event_base_loop(loop_base(pair.loop), EVLOOP_NONBLOCK);
}

/* Runs turns and `work` until `condition`. */
#define TURN_UNTIL(condition, work)                                                                \
    do {                                                                                           \
        uint64_t give_up = clock_monotonic_ms() + GIVE_UP_MS;                                      \
        while (!(condition)) {                                                                     \
            turn();                                                                                \
            work;                                                                                  \
            if (clock_monotonic_ms() > give_up) {                                                  \
                fail_msg("in vain: " #condition "; end %d, told %u %u, queued %zu", (int)pair.end, \
                         pair.told_readable, pair.told_writable, stream_queued(&pair.stream));     \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* What the peer reads now: bytes, 0 at the end, -1 for nothing yet, -2 when broken. */
static inline long peer_read(void *bytes, size_t size)
{
    if (pair.peer_ssl == NULL) {
        ssize_t n = recv(pair.peer, bytes, size, 0);
        return n >= 0 ? n : (errno == EAGAIN ? -1 : -2);
    }
    ERR_clear_error();
    int n = SSL_read(pair.peer_ssl, bytes, (int)size);
    if (n > 0) {
        return n;
    }
    switch (SSL_get_error(pair.peer_ssl, n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        return -2;
    }
}

/* What the peer could write now. */
static inline size_t peer_write(const void *bytes, size_t size)
{
    if (pair.peer_ssl == NULL) {
        ssize_t n = send(pair.peer, bytes, size, MSG_NOSIGNAL);
        return n > 0 ? (size_t)n : 0;
    }
    ERR_clear_error();
    size_t n = 0;
    return SSL_write_ex(pair.peer_ssl, bytes, size, &n) == 1 ? n : 0;
}

static inline uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 7 + at / 251);
}

static inline uint8_t *patterned(size_t from, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = pattern(from + i);
    }
    return bytes;
}

/* The peer takes `size` bytes and finds the pattern in them, from `*at` on. */
static inline void peer_takes(size_t *at, size_t size)
{
    uint8_t bytes[4096];
    size_t wanted = *at + size;
    TURN_UNTIL(*at == wanted, {
        size_t most = wanted - *at < sizeof bytes ? wanted - *at : sizeof bytes;
        long n = peer_read(bytes, most);
        assert_true(n > 0 || n == -1);
        for (long i = 0; i < n; i++) {
            assert_int_equal(bytes[i], pattern((*at)++));
        }
    });
}

/* The peer finds the end of the stream's direction, and nothing before it. */
static inline void peer_finds_end(void)
{
    uint8_t byte;
    long n = -1;
    TURN_UNTIL(n != -1, n = peer_read(&byte, 1));
    assert_int_equal(n, 0);
}

static inline int make_certificate(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    FILE *file;
    if (mkdtemp(tls_folder) == NULL || key == NULL || certificate == NULL) {
        return -1;
    }
    snprintf(certificate_file, sizeof certificate_file, "%s/cert.pem", tls_folder);
    snprintf(key_file, sizeof key_file, "%s/key.pem", tls_folder);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_sign(certificate, key, EVP_sha256());
    file = fopen(certificate_file, "w");
    PEM_write_X509(file, certificate);
    fclose(file);
    file = fopen(key_file, "w");
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return 0;
}

static inline int make_files(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as the gateway does: OpenSSL writes without MSG_NOSIGNAL */
    return make_certificate();
}

static inline int remove_files(void **state)
{
    (void)state;
    unlink(certificate_file);
    unlink(key_file);
    return rmdir(tls_folder);
}

static inline int open_plain(void **state)
{
    static const int bytes = SOCKET_BYTES;
    int fds[2];
    (void)state;
    memset(&pair, 0, sizeof pair);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) {
        return -1;
    }
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    pair.loop = loop_new();
    pair.peer = fds[1];
    pair.drains = true;
    stream_open(&pair.stream, pair.loop, fds[0], ready);
    return 0;
}

/* TLS is begun on both sides; the handshake is not done. */
static inline int begin_tls(void **state)
{
    struct tls_certificate certificate = {NULL, certificate_file, key_file};
    struct tls_settings settings = {
        .certificates = &certificate, .certificate_count = 1, .session_resumption = true};
    char why[256];
    if (open_plain(state) != 0 ||
        tls_context_new(&settings, why, sizeof why, &pair.tls) != WEIR_OK ||
        stream_start_tls(&pair.stream, pair.tls) != WEIR_OK) {
        return -1;
    }
    pair.peer_context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(pair.peer_context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    pair.peer_ssl = SSL_new(pair.peer_context);
    SSL_set_fd(pair.peer_ssl, pair.peer);
    SSL_set_connect_state(pair.peer_ssl);
    return 0;
}

static inline void shake_hands(void)
{
    stream_set_reading(&pair.stream, true);
    TURN_UNTIL(stream_is_established(&pair.stream) && SSL_is_init_finished(pair.peer_ssl),
               SSL_do_handshake(pair.peer_ssl));
    stream_set_reading(&pair.stream, false);
    pair.told_readable = 0;
}

static inline int open_tls(void **state)
{
    if (begin_tls(state) != 0) {
        return -1;
    }
    shake_hands();
    return 0;
}

static inline int close_pair(void **state)
{
    (void)state;
    stream_close(&pair.stream);
    if (pair.peer_ssl != NULL) {
        SSL_free(pair.peer_ssl);
        SSL_CTX_free(pair.peer_context);
    }
    if (pair.peer >= 0) {
        close(pair.peer);
    }
    tls_context_free(&pair.tls);
    loop_free(&pair.loop);
    free(pair.got);
    ERR_clear_error();
    return 0;
}

static inline void write_pattern(size_t from, size_t size, enum weir_err expected)
{
    uint8_t *bytes = patterned(from, size);
    struct iovec piece = {bytes, size};
    enum weir_err err = stream_write(&pair.stream, &piece, 1);
    free(bytes);
    assert_int_equal(err, expected);
}

#endif
