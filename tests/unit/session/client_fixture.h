/* The other end of the fixture's sockets: connects, speaks HTTP and WebSocket, and lets the loop
 * turn until nothing more happens by itself. Never sleeps: a socketpair delivers at once. */
#ifndef WEIR_TESTS_SESSION_CLIENT_FIXTURE_H
#define WEIR_TESTS_SESSION_CLIENT_FIXTURE_H

#include <errno.h>
#include <fcntl.h>

#include "proto/ws_frame.h"
#include "session_fixture.h"

#define UPGRADE_HEAD                                                                               \
    "GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n"                     \
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                                         \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define GET_HEAD "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"

/* --- turns --- */

static inline void client_read(struct client *client)
{
    while (client->fd >= 0 && !client->deaf && !client->ended) {
        size_t room = 512 * 1024;
        assert_int_equal(buffer_reserve(&client->in, room), WEIR_OK);
        ssize_t got = recv(client->fd, client->in.data + client->in.size, room, MSG_DONTWAIT);
        if (got > 0) {
            client->in.size += (size_t)got;
            client->packets++;
        } else if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        } else {
            client->ended = true;
        }
    }
}

static inline size_t news(struct fixture *f)
{
    size_t sum = f->journal.size + f->worker.connection_count;
    for (size_t i = 0; i < CLIENTS; i++) {
        client_read(&f->clients[i]);
        sum += f->clients[i].in.size + f->clients[i].ended;
    }
    return sum;
}

/* Turns the loop until nothing more happens by itself. */
static inline void turns(struct fixture *f)
{
    size_t before = news(f);
    for (unsigned quiet = 0; quiet < QUIET_TURNS; quiet++) {
        assert_true(loop_turn(f->worker.loop, false));
        size_t after = news(f);
        if (after != before) {
            quiet = 0;
        }
        before = after;
    }
}

/* Lets time pass for deadlines, in steps that no deadline is late by. */
static inline void pass_ms(struct fixture *f, uint64_t ms)
{
    while (ms > 0) {
        uint64_t step = ms < WHEEL_TICK_MS ? ms : WHEEL_TICK_MS;
        loop_skip_ms(f->worker.loop, step);
        wheel_advance(f->worker.wheel, loop_now_ms(f->worker.loop));
        ms -= step;
        worker_state_turn_end(&f->worker);
    }
    turns(f);
}

/* --- the client's side --- */

/* A new connection; it is `f->clients[at]`. */
static inline struct client *connect_client(struct fixture *f, size_t at)
{
    struct client *client = &f->clients[at];
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};
    int ends[2];
    assert_int_equal(client->fd, -1);
    int type = f->keep_packets ? SOCK_SEQPACKET : SOCK_STREAM;
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    if (f->send_buffer_bytes != 0) {
        assert_int_equal(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &f->send_buffer_bytes,
                                    sizeof f->send_buffer_bytes),
                         0);
    }
    client->fd = ends[0];
    connection_accept(&f->worker, &f->listener, ends[1], &peer, sizeof(sa_family_t));
    return client;
}

/* Sends, and turns the loop whenever the gateway has to read first. */
static inline void client_send(struct fixture *f, struct client *client, struct span bytes)
{
    while (bytes.size > 0) {
        ssize_t sent = send(client->fd, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes = span_from(bytes, (size_t)sent);
        } else {
            assert_true(errno == EAGAIN);
            assert_true(loop_turn(f->worker.loop, false));
        }
    }
}

static inline void client_says(struct fixture *f, struct client *client, const char *text)
{
    client_send(f, client, span_of(text));
    turns(f);
}

static inline void client_closes(struct fixture *f, struct client *client)
{
    close(client->fd);
    client->fd = -1;
    turns(f);
}

/* What the client has received, as terminated text; forgotten at the next call. */
static inline const char *received(struct client *client)
{
    assert_int_equal(buffer_append(&client->in, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    client->in.size = 0;
    return (const char *)client->in.data;
}

static inline bool contains(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

/* How many times `part` is in `text`. */
static inline unsigned count_of(const char *text, const char *part)
{
    unsigned count = 0;
    for (; (text = strstr(text, part)) != NULL; text += strlen(part)) {
        count++;
    }
    return count;
}

/* The body of the last response in `text`. */
static inline const char *body_of(const char *text)
{
    const char *body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    return body + 4;
}

/* --- WebSocket --- */

static inline void add_frame(struct buffer *out, unsigned first, struct span payload)
{
    static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
    uint8_t head[WS_HEAD_MAX];
    size_t size = ws_frame_write_head(head, (uint8_t)first, payload.size, mask);
    assert_int_equal(buffer_append(out, (struct span){head, size}), WEIR_OK);
    assert_int_equal(buffer_append(out, payload), WEIR_OK);
    for (size_t i = 0; i < payload.size; i++) {
        out->data[out->size - payload.size + i] ^= mask[i % 4];
    }
}

static inline void send_frame(struct fixture *f, struct client *client, unsigned first,
                              struct span payload)
{
    struct buffer out = {0};
    add_frame(&out, first, payload);
    client_send(f, client, buffer_span(&out));
    buffer_free(&out);
    turns(f);
}

static inline void send_text(struct fixture *f, struct client *client, const char *text)
{
    send_frame(f, client, WS_FIN | WS_TEXT, span_of(text));
}

/* Several texts in one segment, `|` between them. */
static inline void send_texts(struct fixture *f, struct client *client, const char *texts)
{
    struct buffer out = {0};
    struct span rest = span_of(texts);
    while (rest.size > 0) {
        size_t end = span_find(rest, '|');
        add_frame(&out, WS_FIN | WS_TEXT, (struct span){rest.data, end});
        rest = span_from(rest, end + 1);
    }
    client_send(f, client, buffer_span(&out));
    buffer_free(&out);
    turns(f);
}

static inline void send_close(struct fixture *f, struct client *client, uint16_t code,
                              const char *reason)
{
    uint8_t payload[125] = {(uint8_t)(code >> 8), (uint8_t)code};
    memcpy(payload + 2, reason, strlen(reason));
    send_frame(f, client, WS_FIN | WS_CLOSE, (struct span){payload, 2 + strlen(reason)});
}

/* A session on a new connection; its upgrade has been answered. */
static inline struct client *open_session_at(struct fixture *f, size_t at)
{
    struct client *client = connect_client(f, at);
    client_says(f, client, UPGRADE_HEAD);
    const char *answer = received(client);
    assert_true(contains(answer, "HTTP/1.1 101 "));
    assert_true(contains(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_string_equal(body_of(answer), "");
    return client;
}

static inline struct client *open_session(struct fixture *f)
{
    return open_session_at(f, 0);
}

/* The session of `c`, open, with an empty journal. */
static inline struct client *open_quietly(struct fixture *f)
{
    struct client *client = open_session(f);
    f->journal.size = 0;
    return client;
}

static inline size_t frame_size(const uint8_t *bytes, size_t size, size_t *head)
{
    assert_true(size >= 2);
    assert_int_equal(bytes[1] & 0x80, 0); /* RFC 6455, section 5.1: a server never masks */
    size_t length = bytes[1];
    *head = 2;
    if (length == 126) {
        length = (size_t)bytes[2] << 8 | bytes[3];
        *head = 4;
    } else if (length == 127) {
        length = 0;
        for (size_t i = 2; i < 10; i++) {
            length = length << 8 | bytes[i];
        }
        *head = 10;
    }
    assert_true(*head + length <= size);
    return *head + length;
}

static inline void word_of(struct buffer *words, unsigned first, const uint8_t *payload,
                           size_t size)
{
    static const char *const names[16] = {
        [0] = "more", [1] = "text", [2] = "binary", [9] = "ping", [10] = "pong"};
    const char *unfinished = (first & WS_FIN) != 0 ? "" : "+";
    enum weir_err err;
    if ((first & 15) == WS_CLOSE) {
        unsigned code = size >= 2 ? (unsigned)payload[0] << 8 | payload[1] : 1005;
        int rest = size >= 2 ? (int)size - 2 : 0;
        err = buffer_printf(words, "close(%u,%.*s) ", code, rest, (const char *)payload + 2);
    } else {
        assert_non_null(names[first & 15]);
        err = buffer_printf(words, "%s%s(%.*s) ", names[first & 15], unfinished, (int)size,
                            (const char *)payload);
    }
    assert_int_equal(err, WEIR_OK);
}

/* Compares the frames that the client has received since the last look, e.g. "text(hi) close(1000,)
 * "; a frame that does not end its message has a plus, and a continuation is "more". */
static inline void expect_frames(struct client *client, const char *wanted)
{
    struct buffer words = {0};
    for (size_t at = 0; at < client->in.size;) {
        size_t head = 0;
        const uint8_t *frame = client->in.data + at;
        size_t size = frame_size(frame, client->in.size - at, &head);
        word_of(&words, frame[0], frame + head, size - head);
        at += size;
    }
    client->in.size = 0;
    assert_int_equal(buffer_append(&words, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    assert_string_equal((const char *)words.data, wanted);
    buffer_free(&words);
}

#endif
