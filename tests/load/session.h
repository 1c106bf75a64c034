/* A connection under load: what it still has to send, and the check of everything that it receives.
 */
#ifndef WEIR_LOAD_SESSION_H
#define WEIR_LOAD_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"
#include "wire.h"

struct session {
    int fd;
    uint32_t id;        /* in the stamp of what it sends */
    uint32_t expect_id; /* in the stamp of what it must receive; differs from `id` in fan-out */
    bool raw;
    bool waits_to_write; /* EPOLLOUT is armed */
    bool closed;         /* the server's close frame has come */
    uint16_t close_code; /* 0 when the frame held none */
    size_t offset;       /* within the message that is being received */
    uint64_t granted;    /* messages that may be sent so far */
    uint64_t sent_bytes;
    uint64_t received; /* messages, all of them correct */
    uint32_t pongs;
    struct wire_reader reader;
};

/* Opens `count` sessions: connects them in small groups, upgrades them unless `raw`, and leaves
 * them blocking. `number` is the first connection's number for link_connect. */
void session_open_many(struct session *sessions, uint32_t count, const char *path,
                       const struct options *options, uint64_t number);

/* Makes a session non-blocking, or blocking again. */
void session_set_blocking(const struct session *session, bool blocking);

/* Adds a session to an epoll set, for reading; `index` comes back as the event's data.u32. */
void session_watch(const struct session *session, int epoll, uint32_t index);

/* Pumps, and arms or disarms the wait for room in the socket as needed. */
void session_pump_watched(struct session *session, struct wire_image *image, int epoll,
                          uint32_t index);

/* One big read on a non-blocking session, then session_feed: how many messages it completed. Fails
 * the program when the server has closed. */
uint32_t session_read(struct session *session, const struct wire_image *image);

/* Sends what is granted and fits into the socket, batches in one write each. True when something is
 * left because the socket is full. */
bool session_pump(struct session *session, struct wire_image *image);

/* Checks bytes that came in and returns how many messages they completed. A wrong byte, length,
 * order or kind fails the program. Answers pings. */
uint32_t session_feed(struct session *session, const struct wire_image *image, const uint8_t *bytes,
                      size_t size);

/* On a blocking session: receives until `messages` have come in all. */
void session_receive_until(struct session *session, const struct wire_image *image,
                           uint64_t messages);

/* Sends a close frame with code 1000, unless the session is raw. */
void session_send_close(struct session *session);

/* Closes blocking sessions: the closing handshake with code 1000 (RFC 6455, section 7.1.2), then
 * the end of the stream, which the server must bring about (section 7.1.1). Raw ones are just
 * closed. */
void session_close_many(struct session *sessions, uint32_t count, const struct wire_image *image);

/* The buffer all reads of the program go to. */
enum {
    SESSION_READ_BYTES = 256 * 1024
};
extern uint8_t session_read_buffer[SESSION_READ_BYTES];

#endif
