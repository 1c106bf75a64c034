/* One session's traffic. A session's messages are numbered, so what it has sent is one count of
 * bytes and a partly written message needs no buffer: it is stamped again and goes on at its
 * offset. Each mode drives sessions from its own loop. Nothing here waits, except the functions for
 * blocking sessions. */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fail.h"
#include "link.h"

enum {
    SESSION_GROUP = 64
};

uint8_t session_read_buffer[SESSION_READ_BYTES];

void session_open_many(struct session *sessions, uint32_t count, const char *path,
                       const struct options *options, uint64_t number)
{
    char request[LINK_REQUEST_MAX];
    size_t request_size = link_request(options, path, request);
    for (uint32_t from = 0; from < count; from += SESSION_GROUP) {
        uint32_t to = count - from < SESSION_GROUP ? count : from + SESSION_GROUP;
        for (uint32_t i = from; i < to; i++) {
            sessions[i] = (struct session){.id = i, .expect_id = i, .raw = options->raw};
            sessions[i].fd = link_connect(options, number + i, true);
        }
        for (uint32_t i = from; i < to && !options->raw; i++) {
            link_send(sessions[i].fd, request, request_size);
        }
        for (uint32_t i = from; i < to && !options->raw; i++) {
            link_reply_read(sessions[i].fd);
        }
    }
}

void session_set_blocking(const struct session *session, bool blocking)
{
    int flags = fcntl(session->fd, F_GETFL);
    flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    if (fcntl(session->fd, F_SETFL, flags) != 0) {
        fail_errno("fcntl");
    }
}

static void session_control(const struct session *session, int epoll, int action, bool write,
                            uint32_t index)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    if (write) {
        event.events |= EPOLLOUT;
    }
    if (epoll_ctl(epoll, action, session->fd, &event) != 0) {
        fail_errno("epoll_ctl");
    }
}

void session_watch(const struct session *session, int epoll, uint32_t index)
{
    session_control(session, epoll, EPOLL_CTL_ADD, false, index);
}

void session_pump_watched(struct session *session, struct wire_image *image, int epoll,
                          uint32_t index)
{
    bool waits = session_pump(session, image);
    if (waits != session->waits_to_write) {
        session->waits_to_write = waits;
        session_control(session, epoll, EPOLL_CTL_MOD, waits, index);
    }
}

bool session_pump(struct session *session, struct wire_image *image)
{
    uint64_t end = session->granted * image->frame_size;
    while (session->sent_bytes < end) {
        uint64_t sequence = session->sent_bytes / image->frame_size;
        size_t skip = (size_t)(session->sent_bytes % image->frame_size);
        uint64_t due = session->granted - sequence;
        uint32_t count = due < image->count ? (uint32_t)due : image->count;
        size_t size = count * image->frame_size - skip;
        wire_image_stamp(image, count, session->id, sequence);
        ssize_t sent = send(session->fd, image->bytes + skip, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            fail_errno("send");
        }
        session->sent_bytes += sent > 0 ? (uint64_t)sent : 0;
        if (sent < (ssize_t)size) {
            return true;
        }
    }
    return false;
}

/* A part of the next message: it must continue what has come of it so far. */
static uint32_t session_take(struct session *session, const struct wire_image *image,
                             const uint8_t *bytes, size_t size, bool ends)
{
    size_t whole = session->raw ? image->frame_size : image->size;
    if (size > whole - session->offset) {
        fail("session %u, message %llu: longer than what was sent", session->id,
             (unsigned long long)session->received);
    }
    if (!wire_image_matches(image, session->raw, session->expect_id, session->received,
                            session->offset, bytes, size)) {
        fail("session %u, message %llu: other bytes than were sent, at or after offset %zu",
             session->id, (unsigned long long)session->received, session->offset);
    }
    session->offset += size;
    if (!ends) {
        return 0;
    }
    if (session->offset != whole) {
        fail("session %u, message %llu: shorter than what was sent", session->id,
             (unsigned long long)session->received);
    }
    session->offset = 0;
    session->received++;
    return 1;
}

static uint32_t session_feed_raw(struct session *session, const struct wire_image *image,
                                 const uint8_t *bytes, size_t size)
{
    uint32_t done = 0;
    while (size > 0) {
        size_t left = image->frame_size - session->offset;
        size_t part = left < size ? left : size;
        done += session_take(session, image, bytes, part, part == left);
        bytes += part;
        size -= part;
    }
    return done;
}

/* A pong cannot stand inside a frame. In the middle of one the ping goes unanswered; that is for
 * servers that ping while a large message is under way, which the measures do not do. */
static void session_pong(const struct session *session, const struct wire_image *image,
                         const struct wire_piece *ping)
{
    uint8_t frame[WIRE_CLIENT_HEAD_MAX + WIRE_CONTROL_MAX];
    if (session->sent_bytes % image->frame_size == 0) {
        size_t size = wire_control(frame, WIRE_OPCODE_PONG, ping->bytes, ping->size);
        (void)!send(session->fd, frame, size, MSG_NOSIGNAL);
    }
}

uint32_t session_feed(struct session *session, const struct wire_image *image, const uint8_t *bytes,
                      size_t size)
{
    struct wire_piece piece;
    const uint8_t *end = bytes + size;
    uint32_t done = 0;
    if (session->raw) {
        return session_feed_raw(session, image, bytes, size);
    }
    while (!session->closed && wire_reader_next(&session->reader, &bytes, end, &piece)) {
        if (piece.opcode == WIRE_OPCODE_PING) {
            session_pong(session, image, &piece);
        } else if (piece.opcode == WIRE_OPCODE_CLOSE) {
            session->closed = true;
            if (piece.size >= 2) {
                session->close_code = (uint16_t)(piece.bytes[0] << 8 | piece.bytes[1]);
            }
        } else if (piece.opcode == image->opcode) {
            done += session_take(session, image, piece.bytes, piece.size, piece.ends);
        } else if (piece.opcode == WIRE_OPCODE_PONG) {
            session->pongs++;
        } else {
            fail("session %u: a message came back as another kind", session->id);
        }
    }
    return done;
}

uint32_t session_read(struct session *session, const struct wire_image *image)
{
    ssize_t got = recv(session->fd, session_read_buffer, SESSION_READ_BYTES, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    if (got < 0) {
        fail_errno("recv");
    }
    uint32_t done = session_feed(session, image, session_read_buffer, (size_t)got);
    if (got == 0 || session->closed) {
        fail("session %u: closed by the server (code %u)", session->id, session->close_code);
    }
    return done;
}

void session_receive_until(struct session *session, const struct wire_image *image,
                           uint64_t messages)
{
    while (session->received < messages) {
        ssize_t got = recv(session->fd, session_read_buffer, SESSION_READ_BYTES, 0);
        if (got < 0) {
            fail_errno("waiting for an echo");
        }
        session_feed(session, image, session_read_buffer, (size_t)got);
        if (got == 0 || session->closed) {
            fail("session %u: closed by the server (code %u)", session->id, session->close_code);
        }
    }
    if (session->received > messages) {
        fail("session %u: more messages came than were sent", session->id);
    }
}

void session_send_close(struct session *session)
{
    static const uint8_t code[2] = {1000 >> 8, 1000 & 0xff};
    uint8_t frame[WIRE_CLIENT_HEAD_MAX + WIRE_CONTROL_MAX];
    if (!session->raw) {
        link_send(session->fd, frame, wire_control(frame, WIRE_OPCODE_CLOSE, code, sizeof(code)));
    }
}

static void session_await_close(struct session *session, const struct wire_image *image)
{
    uint64_t received = session->received;
    for (;;) {
        ssize_t got = recv(session->fd, session_read_buffer, SESSION_READ_BYTES, 0);
        if (got < 0) {
            fail_errno("waiting for the end of the closing handshake");
        }
        if (got == 0) {
            break;
        }
        session_feed(session, image, session_read_buffer, (size_t)got);
    }
    if (!session->closed || session->close_code != 1000 || session->received != received) {
        fail("session %u: no clean closing handshake (code %u)", session->id, session->close_code);
    }
}

void session_close_many(struct session *sessions, uint32_t count, const struct wire_image *image)
{
    for (uint32_t from = 0; from < count; from += SESSION_GROUP) {
        uint32_t to = count - from < SESSION_GROUP ? count : from + SESSION_GROUP;
        for (uint32_t i = from; i < to; i++) {
            session_send_close(&sessions[i]);
        }
        for (uint32_t i = from; i < to; i++) {
            if (!sessions[i].raw) {
                session_await_close(&sessions[i], image);
            }
            close(sessions[i].fd);
        }
    }
}
