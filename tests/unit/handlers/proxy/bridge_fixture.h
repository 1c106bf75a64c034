/* A bridge between a session that only writes down what it is told, and a backend at the other end
 * of a socketpair, whose frames the test reads and writes byte by byte. The loop, the stream, the
 * cork, the decoder and the compression are the real ones. */
#ifndef WEIR_TESTS_BRIDGE_FIXTURE_H
#define WEIR_TESTS_BRIDGE_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "config/config.h"
#include "handlers/proxy/bridge_internal.h"
#include "net/cork.h"
#include "net/loop.h"
#include "proto/ws_deflate.h"
#include "proto/ws_frame.h"
#include "proto/ws_handshake.h"
#include "session/request.h"

enum {
    SEAT = 2,
    READ_BYTES = 256 * 1024,
    KEYS_MAX = 64,
    QUIET = 4 /* turns without anything new, and nothing more will come by itself */
};

/* What the fakes below make of the opaque types. */
struct weir_worker {
    struct loop *loop;
    struct cork cork;
    struct compression_scratch scratch;
    uint8_t *read_buffer;
};

struct fixture;

struct weir_session {
    struct fixture *f;
    bool whole;       /* session_sends_whole */
    bool behind;      /* session_is_behind */
    bool closing;     /* sends fail */
    unsigned refuses; /* so many session_send with WEIR_ELIMIT */
};

struct weir_request {
    struct fixture *f;
    struct config_websocket websocket;
    const char *protocols[2]; /* of the client's fields */
    size_t protocol_count;
    struct buffer accepted; /* subprotocol, and fields of the 101 */
    enum weir_err accept_result;
    struct request_upstream record; /* for the access log */
};

struct fixture {
    struct weir_worker worker;
    struct weir_session session;
    struct weir_request request;
    struct proxy_settings settings;
    struct proxy proxy;
    struct upstream_server server;
    struct backend backend;
    struct bridge *bridge; /* NULL when the test has given it up */
    int fd;                /* the backend's end */
    struct buffer in;      /* what the backend has received */
    bool fin;              /* and then the end */
    uint64_t timeout_ms;   /* of backend_set_timeout */
    unsigned timeouts_set;
    unsigned closes; /* of backend_close */
    bool compresses; /* the backend agrees on permessage-deflate */
    const char *subprotocol;
    struct buffer journal;
    uint64_t piece_bytes; /* in session_send_piece, all together */
    unsigned shared;      /* pieces that were told that more comes */
    uint8_t keys[KEYS_MAX][4];
    size_t key_count;
};

static struct fixture *the_fixture; /* for fakes that are given nothing of it */

/* --- the journal --- */

static inline void note(struct fixture *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline void note(struct fixture *f, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert_int_equal(buffer_append(&f->journal, span_of(text)), WEIR_OK);
}

/* Compares what the session was told since the last look. */
static inline void expect_told(struct fixture *f, const char *wanted)
{
    assert_int_equal(buffer_append(&f->journal, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    assert_string_equal((const char *)f->journal.data, wanted);
    f->journal.size = 0;
}

/* --- the session's part --- */

static inline int shown(struct span bytes)
{
    return bytes.size < 60 ? (int)bytes.size : 60;
}

/* Notes `text[hello] `; in pieces `text[he.. text..l.. text..lo] `. */
enum weir_err session_send_piece(struct weir_session *session, enum weir_kind kind,
                                 struct span bytes, bool first, bool last)
{
    if (session->closing) {
        return WEIR_ECLOSED;
    }
    session->f->piece_bytes += bytes.size;
    session->f->shared += session->f->worker.cork.more_to_come;
    note(session->f, "%s%s%.*s%s ", kind == WEIR_TEXT ? "text" : "binary", first ? "[" : "..",
         shown(bytes), (const char *)bytes.data, last ? "]" : "..");
    return WEIR_OK;
}

enum weir_err session_send(struct weir_session *session, unsigned seat, enum weir_kind kind,
                           struct span payload)
{
    assert_int_equal(seat, SEAT);
    if (session->closing) {
        return WEIR_ECLOSED;
    }
    if (session->refuses > 0) {
        session->refuses--;
        note(session->f, "full ");
        return WEIR_ELIMIT;
    }
    note(session->f, "whole-%s(%.*s) ", kind == WEIR_TEXT ? "text" : "binary", shown(payload),
         (const char *)payload.data);
    return WEIR_OK;
}

bool session_sends_whole(const struct weir_session *session, unsigned seat)
{
    assert_int_equal(seat, SEAT);
    return session->whole;
}

bool session_is_behind(struct weir_session *session)
{
    return session->behind;
}

void session_pause(struct weir_session *session, bool on)
{
    note(session->f, on ? "pause " : "resume ");
}

enum weir_err session_close_as(struct weir_session *session, enum close_reason why, uint16_t code,
                               struct span reason)
{
    if (session->closing) {
        return WEIR_ECLOSED;
    }
    session->closing = true;
    note(session->f, "close(%s,%u,%.*s) ", close_reason_label(why), code, SPAN_ARGS(reason));
    return WEIR_OK;
}

struct weir_request *session_request(struct weir_session *session)
{
    return &session->f->request;
}

/* --- the request's part --- */

struct request_upstream *request_upstream_record(struct weir_request *request)
{
    return &request->record;
}

size_t request_header_count(const struct weir_request *request)
{
    return request->protocol_count + 1;
}

struct span request_header_name(const struct weir_request *request, size_t index)
{
    return index < request->protocol_count ? SPAN("sec-websocket-protocol") : SPAN("Host");
}

struct span request_header_value(const struct weir_request *request, size_t index)
{
    return index < request->protocol_count ? span_of(request->protocols[index]) : SPAN("h");
}

const struct config_websocket *request_websocket(const struct weir_request *request)
{
    return &request->websocket;
}

enum weir_err request_prepare_accept(struct weir_request *request, struct span subprotocol,
                                     const struct reply_field *fields, size_t count)
{
    enum weir_err err = buffer_printf(&request->accepted, "<%.*s>", SPAN_ARGS(subprotocol));
    for (size_t i = 0; i < count && err == WEIR_OK; i++) {
        err = buffer_printf(&request->accepted, " %.*s=%.*s", SPAN_ARGS(fields[i].name),
                            SPAN_ARGS(fields[i].value));
    }
    assert_int_equal(err, WEIR_OK);
    return request->accept_result;
}

/* --- the worker's part --- */

struct loop *worker_loop(struct weir_worker *worker)
{
    return worker->loop;
}

struct cork *worker_cork(struct weir_worker *worker)
{
    return &worker->cork;
}

uint8_t *worker_read_buffer(struct weir_worker *worker, size_t *size)
{
    *size = READ_BYTES;
    return worker->read_buffer;
}

struct compression_scratch *worker_compression(struct weir_worker *worker)
{
    return &worker->scratch;
}

/* --- the backend's part --- */

void backend_own(struct backend *backend, const struct backend_ops *ops, void *owner)
{
    backend->ops = ops;
    backend->owner = owner;
    stream_set_reading(&backend->stream, false);
}

void backend_set_timeout(struct backend *backend, uint64_t ms)
{
    assert_ptr_equal(backend, &the_fixture->backend);
    the_fixture->timeout_ms = ms;
    the_fixture->timeouts_set++;
}

void backend_close(struct backend **backend)
{
    struct backend *gone = *backend;
    *backend = NULL;
    the_fixture->closes++;
    gone->ops = NULL;
    gone->owner = NULL;
    stream_close(&gone->stream);
}

static inline void backend_stream_ready(struct stream *stream, bool readable, bool writable)
{
    struct backend *backend = (struct backend *)(void *)stream;
    if (backend->ops != NULL) {
        backend->ops->ready(backend, readable, writable);
    }
}

/* --- turns --- */

static inline void backend_reads(struct fixture *f)
{
    while (f->fd >= 0 && !f->fin) {
        assert_int_equal(buffer_reserve(&f->in, 64 * 1024), WEIR_OK);
        ssize_t got = recv(f->fd, f->in.data + f->in.size, 64 * 1024, MSG_DONTWAIT);
        if (got > 0) {
            f->in.size += (size_t)got;
        } else if (got < 0 && errno == EAGAIN) {
            return;
        } else {
            f->fin = true;
        }
    }
}

static inline void turn(struct fixture *f)
{
    assert_true(loop_turn(f->worker.loop, false));
    cork_flush(&f->worker.cork);
}

/* Turns the loop until nothing more happens by itself; the backend takes what it is sent. */
static inline void turns(struct fixture *f)
{
    for (unsigned quiet = 0; quiet < QUIET; quiet++) {
        size_t before = f->in.size + f->journal.size;
        turn(f);
        backend_reads(f);
        if (f->in.size + f->journal.size != before) {
            quiet = 0;
        }
    }
}

/* The timer of the backend is due. */
static inline void time_out(struct fixture *f)
{
    assert_true(f->timeout_ms > 0);
    loop_skip_ms(f->worker.loop, f->timeout_ms);
    f->timeout_ms = 0;
    turn(f); /* the loop's clock is read once in a turn */
    f->backend.ops->timed_out(&f->backend);
    turns(f);
}

/* --- the backend's end --- */

static inline void backend_sends(struct fixture *f, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    while (size > 0) {
        ssize_t sent = send(f->fd, at, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            at += sent;
            size -= (size_t)sent;
        } else {
            assert_int_equal(errno, EAGAIN);
            turn(f);
        }
    }
}

static inline void add_frame(struct buffer *out, unsigned first, struct span payload)
{
    uint8_t head[WS_HEAD_MAX];
    size_t size = ws_frame_write_head(head, (uint8_t)first, payload.size, NULL);
    assert_int_equal(buffer_append(out, (struct span){head, size}), WEIR_OK);
    assert_int_equal(buffer_append(out, payload), WEIR_OK);
}

static inline void backend_says(struct fixture *f, unsigned first, struct span payload)
{
    struct buffer out = {0};
    add_frame(&out, first, payload);
    backend_sends(f, out.data, out.size);
    buffer_free(&out);
    turns(f);
}

static inline void backend_text(struct fixture *f, const char *text)
{
    backend_says(f, WS_FIN | WS_TEXT, span_of(text));
}

static inline struct span close_payload(uint8_t out[125], unsigned code, const char *reason)
{
    size_t size = strlen(reason);
    out[0] = (uint8_t)(code >> 8);
    out[1] = (uint8_t)code;
    memcpy(out + 2, reason, size);
    return (struct span){out, size + 2};
}

static inline void backend_closes(struct fixture *f, unsigned code, const char *reason)
{
    uint8_t payload[125];
    backend_says(f, WS_FIN | WS_CLOSE, close_payload(payload, code, reason));
}

/* The backend's TCP end. */
static inline void backend_hangs_up(struct fixture *f)
{
    close(f->fd);
    f->fd = -1;
    turns(f);
}

/* Takes one masked frame off the front of what the backend has received; its payload is unmasked in
 * place. */
static inline bool next_frame(struct fixture *f, size_t *at, uint8_t *first, struct span *payload)
{
    if (*at == f->in.size) {
        return false;
    }
    uint8_t *bytes = f->in.data + *at;
    size_t size = f->in.size - *at;
    assert_true(size >= 6);
    assert_int_equal(bytes[1] & 0x80, 0x80); /* RFC 6455, section 5.1: a client always masks */
    uint64_t length = bytes[1] & 0x7f;
    size_t head = 2;
    unsigned more = length == 126 ? 2 : length == 127 ? 8 : 0;
    for (length = more == 0 ? length : 0; more > 0; more--) {
        length = length << 8 | bytes[head++];
    }
    uint8_t *key = bytes + head;
    head += 4;
    assert_true(size >= head + length);
    if (f->key_count < KEYS_MAX) {
        memcpy(f->keys[f->key_count++], key, 4);
    }
    for (size_t i = 0; i < length; i++) {
        bytes[head + i] ^= key[i % 4];
    }
    *first = bytes[0];
    *payload = (struct span){bytes + head, (size_t)length};
    *at += head + (size_t)length;
    return true;
}

static inline void word_of(struct buffer *words, uint8_t first, struct span payload)
{
    static const char *const names[16] = {"more", "text", "binary", [9] = "ping", [10] = "pong"};
    enum weir_err err;
    if ((first & 15) == WS_CLOSE) {
        unsigned code = payload.size >= 2 ? (unsigned)payload.data[0] << 8 | payload.data[1] : 1005;
        struct span reason = span_from(payload, 2);
        err = buffer_printf(words, "close(%u,%.*s) ", code, SPAN_ARGS(reason));
    } else {
        assert_non_null(names[first & 15]);
        err = buffer_printf(words, "%s%s%s(%.*s) ", names[first & 15],
                            (first & WS_RSV1) != 0 ? "*" : "", (first & WS_FIN) != 0 ? "" : "-",
                            shown(payload), (const char *)payload.data);
    }
    assert_int_equal(err, WEIR_OK);
}

/* Compares the frames that the backend has received since the last look: `text(hi) `, `text-(h) `
 * where more of the message follows, `text*(..) ` where it is compressed. */
static inline void expect_frames(struct fixture *f, const char *wanted)
{
    struct buffer words = {0};
    struct span payload;
    uint8_t first = 0;
    size_t at = 0;
    backend_reads(f);
    while (next_frame(f, &at, &first, &payload)) {
        word_of(&words, first, payload);
    }
    f->in.size = 0;
    assert_int_equal(buffer_append(&words, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    assert_string_equal((const char *)words.data, wanted);
    buffer_free(&words);
}

/* --- the client's end --- */

/* A piece of a message, from memory that may be changed, as the read buffer may. */
static inline void client_piece(struct fixture *f, enum weir_kind kind, const char *text,
                                bool first, bool last)
{
    size_t size = strlen(text);
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, text, size);
    struct weir_piece piece = {kind, copy, size, first, last};
    assert_int_equal(bridge_piece(f->bridge, &piece), WEIR_NEXT);
    free(copy);
}

static inline void client_text(struct fixture *f, const char *text)
{
    client_piece(f, WEIR_TEXT, text, true, true);
}

/* The session is over; the bridge is on its own. */
static inline void session_over(struct fixture *f, uint16_t code, const char *closed_by,
                                const char *reason)
{
    struct weir_ending ending = {
        .struct_size = sizeof ending,
        .code = code,
        .closed_by = closed_by,
        .reason = {(const uint8_t *)reason, strlen(reason)},
    };
    bridge_closed(f->bridge, &ending);
    f->bridge = NULL;
    /* What the bridge must not look at any more. */
    memset(&f->proxy, 0xee, sizeof f->proxy);
    memset(&f->settings, 0xee, sizeof f->settings);
    memset(&f->session, 0xee, sizeof f->session);
    turns(f);
}

/* --- making and ending --- */

static inline void fixture_backend(struct fixture *f)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    f->fd = ends[0];
    f->backend.server = &f->server;
    stream_open(&f->backend.stream, f->worker.loop, ends[1], backend_stream_ready);
}

static inline int fixture_make(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    the_fixture = f;
    f->worker.loop = loop_new();
    f->worker.read_buffer = malloc(READ_BYTES);
    f->worker.cork.data = malloc(CORK_BYTES);
    f->session.f = f;
    f->request.f = f;
    f->request.websocket.compression = (struct config_compression){.level = 6, .min_size = 16};
    f->settings = (struct proxy_settings){
        .max_message_size = 1 << 20,
        .read_timeout_ms = 60000,
        .close_timeout_ms = 5000,
        .lost_code = 1014,
    };
    f->proxy = (struct proxy){.settings = &f->settings, .worker = &f->worker};
    strcpy(f->server.text, "unix:test");
    fixture_backend(f);
    *state = f;
    return 0;
}

static inline const char *key_in(const char *head)
{
    const char *key = strstr(head, "Sec-WebSocket-Key: ");
    assert_non_null(key);
    return key + strlen("Sec-WebSocket-Key: ");
}

/* Asks for a session, and answers with what the test has set; the fields are in `head`, terminated.
 */
static inline enum weir_err shake_hands(struct fixture *f, struct buffer *head, struct span early,
                                        const char **why)
{
    static char accept[WS_ACCEPT_BYTES];
    static struct http_response response;
    f->bridge = bridge_new(&f->proxy, &f->request, SEAT);
    assert_non_null(f->bridge);
    assert_int_equal(bridge_write_fields(f->bridge, head), WEIR_OK);
    assert_int_equal(buffer_append(head, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    struct span key = {(const uint8_t *)key_in((const char *)head->data), 24};
    assert_true(ws_handshake_accept(key, accept));
    response = (struct http_response){.status = 101, .minor = 1, .field_count = 3};
    response.fields[0] = (struct http_field){SPAN("Upgrade"), SPAN("websocket")};
    response.fields[1] = (struct http_field){SPAN("Connection"), SPAN("Upgrade")};
    response.fields[2] = (struct http_field){SPAN("Sec-WebSocket-Accept"), span_of(accept)};
    if (f->subprotocol != NULL) {
        response.fields[response.field_count++] =
            (struct http_field){SPAN("Sec-WebSocket-Protocol"), span_of(f->subprotocol)};
    }
    if (f->compresses) {
        response.fields[response.field_count++] = (struct http_field){
            SPAN("Sec-WebSocket-Extensions"),
            SPAN("permessage-deflate; server_no_context_takeover; client_no_context_takeover")};
    }
    struct reply_field field = {SPAN("Set-Cookie"), SPAN("a=b")};
    return bridge_connected(f->bridge, &response, &field, 1, &f->backend, early, why);
}

/* Opens the session, with `early` bytes behind the backend's 101. */
static inline void open_with(struct fixture *f, struct span early)
{
    struct buffer head = {0};
    const char *why = "";
    f->settings.compression = f->compresses;
    assert_int_equal(shake_hands(f, &head, early, &why), WEIR_OK);
    buffer_free(&head);
    assert_int_equal(bridge_open(f->bridge, &f->session), WEIR_NEXT);
    turns(f);
}

static inline void open_bridge(struct fixture *f)
{
    open_with(f, (struct span){0});
}

/* Every test ends with nothing left: the bridge is freed by the loop, or leaks are reported. */
static inline int fixture_free(void **state)
{
    struct fixture *f = *state;
    if (f->bridge != NULL && f->bridge->session == NULL) {
        bridge_free(&f->bridge); /* it never got one */
    } else if (f->bridge != NULL) {
        session_over(f, 1006, "client", "");
    }
    if (f->backend.ops != NULL) {
        f->backend.ops->dropped(&f->backend); /* as a worker that ends */
        f->backend.ops = NULL;
    }
    cork_forget(&f->worker.cork, &f->backend.stream);
    stream_close(&f->backend.stream);
    if (f->fd >= 0) {
        close(f->fd);
    }
    loop_free(&f->worker.loop);
    compression_scratch_free(&f->worker.scratch);
    free(f->worker.read_buffer);
    free(f->worker.cork.data);
    buffer_free(&f->in);
    buffer_free(&f->journal);
    buffer_free(&f->request.accepted);
    free(f);
    return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_make, fixture_free)

/* The wait that was asked for last. Real time passes too, while a test runs. */
static inline void expect_timeout(const struct fixture *f, uint64_t ms)
{
    assert_in_range(f->timeout_ms, ms - 900, ms + 900);
}

#endif
