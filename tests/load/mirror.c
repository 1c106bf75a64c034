/* weir-mirror: a small WebSocket echo server that misbehaves in one chosen way, so that the load
 * generator's own checks can be tested: a generator that never fails measures nothing. test_load.sh
 * runs it. It is not quick, it trusts its client, and it knows just what weir-load sends: whole
 * masked frames. */
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fail.h"

enum {
    MIRROR_BUFFER_BYTES = 4 * 1024 * 1024,
    MIRROR_CONNECTIONS = 512,
    MIRROR_FAULT_AT = 22 /* the message, counted over all connections, that goes wrong */
};

enum mirror_fault {
    MIRROR_HONEST,
    MIRROR_FLIP_FIRST,
    MIRROR_FLIP_LAST,
    MIRROR_SHORT,
    MIRROR_LONG,
    MIRROR_TWICE,
    MIRROR_DROP,
    MIRROR_KIND,
    MIRROR_MASKED,
    MIRROR_CLOSE,
    MIRROR_HANGUP,
    MIRROR_ACCEPT,
    MIRROR_REFUSE,
    MIRROR_CLOSE_CODE
};

static const char *const mirror_faults[] = {
    "honest", "flip-first", "flip-last", "short",  "long",   "twice",  "drop",
    "kind",   "masked",     "close",     "hangup", "accept", "refuse", "close-code"};

struct mirror_connection {
    uint8_t *bytes;
    size_t have;
    bool upgraded;
};

struct mirror {
    struct mirror_connection connections[MIRROR_CONNECTIONS];
    struct pollfd polls[MIRROR_CONNECTIONS + 1]; /* the last is the listener */
    enum mirror_fault fault;
    bool raw;
    bool broadcast; /* what one sends, all hear */
    uint64_t messages;
};

static struct mirror mirror;

static void mirror_close(size_t index)
{
    close(mirror.polls[index].fd);
    mirror.polls[index].fd = -1;
    free(mirror.connections[index].bytes);
    mirror.connections[index] = (struct mirror_connection){0};
}

static void mirror_send(size_t index, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    while (size > 0) {
        ssize_t sent = send(mirror.polls[index].fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        at += sent;
        size -= (size_t)sent;
    }
}

static void mirror_send_frame(size_t index, uint8_t first, const uint8_t *payload, size_t size,
                              bool masked)
{
    static const uint8_t no_mask[4];
    uint8_t head[10] = {first};
    size_t head_size = size <= 125 ? 2 : size <= UINT16_MAX ? 4 : 10;
    head[1] = size <= 125 ? (uint8_t)size : size <= UINT16_MAX ? 126 : 127;
    head[1] = (uint8_t)(head[1] | (masked ? 0x80 : 0));
    for (size_t i = 2; i < head_size; i++) {
        head[i] = (uint8_t)(size >> (8 * (head_size - 1 - i)));
    }
    mirror_send(index, head, head_size);
    mirror_send(index, no_mask, masked ? sizeof(no_mask) : 0);
    mirror_send(index, payload, size);
}

/* An echo in two fragments with a ping between them, which RFC 6455, section 5.4 allows. */
static void mirror_send_fragments(size_t index, uint8_t opcode, const uint8_t *payload, size_t size)
{
    mirror_send_frame(index, opcode, payload, size / 3, false);
    mirror_send_frame(index, 0x89, (const uint8_t *)"x", 1, false);
    mirror_send_frame(index, 0x80, payload + size / 3, size - size / 3, false);
}

static void mirror_echo(size_t index, uint8_t opcode, uint8_t *payload, size_t size)
{
    bool wrong = mirror.messages++ == MIRROR_FAULT_AT;
    enum mirror_fault fault = wrong ? mirror.fault : MIRROR_HONEST;
    if (fault == MIRROR_FLIP_FIRST || fault == MIRROR_FLIP_LAST) {
        payload[fault == MIRROR_FLIP_FIRST ? 0 : size - 1] ^= 1;
    }
    if (fault == MIRROR_CLOSE) {
        mirror_send_frame(index, 0x88, (const uint8_t *)"\x03\xf3", 2, false);
    }
    if (fault == MIRROR_HANGUP) {
        shutdown(mirror.polls[index].fd, SHUT_RDWR);
    }
    if (fault == MIRROR_TWICE) {
        mirror_send_frame(index, 0x80 | opcode, payload, size, false);
    }
    if (fault == MIRROR_DROP || fault == MIRROR_CLOSE || fault == MIRROR_HANGUP) {
        return;
    }
    if (mirror.messages % 7 == 0) {
        mirror_send_fragments(index, opcode, payload, size);
        return;
    }
    /* One byte of the next thing in the buffer is as good as any for a message that is too long. */
    size_t sent_size = fault == MIRROR_SHORT ? size - 1 : fault == MIRROR_LONG ? size + 1 : size;
    uint8_t kind = fault == MIRROR_KIND ? 3 - opcode : opcode;
    mirror_send_frame(index, 0x80 | kind, payload, sent_size, fault == MIRROR_MASKED);
}

static void mirror_message(size_t index, uint8_t opcode, uint8_t *payload, size_t size)
{
    if (!mirror.broadcast) {
        mirror_echo(index, opcode, payload, size);
        return;
    }
    for (size_t i = 0; i < MIRROR_CONNECTIONS; i++) {
        if (mirror.polls[i].fd >= 0 && mirror.connections[i].upgraded) {
            mirror_echo(i, opcode, payload, size);
        }
    }
}

/* Handles one frame when it is whole; returns its size, or 0. A close frame ends the connection. */
static size_t mirror_frame(size_t index)
{
    struct mirror_connection *connection = &mirror.connections[index];
    uint8_t *bytes = connection->bytes;
    size_t length = connection->have < 2 ? 0 : bytes[1] & 0x7f;
    size_t head_size = length == 127 ? 14 : length == 126 ? 8 : 6;
    if (connection->have < head_size) {
        return 0;
    }
    if (head_size > 6) {
        length = 0;
        for (size_t i = 2; i < head_size - 4; i++) {
            length = length << 8 | bytes[i];
        }
    }
    if (connection->have - head_size < length) {
        return 0;
    }
    uint8_t *payload = bytes + head_size;
    for (size_t i = 0; i < length; i++) {
        payload[i] ^= bytes[head_size - 4 + i % 4];
    }
    uint8_t opcode = bytes[0] & 0x0f;
    if (opcode == 8) {
        payload[1] ^= mirror.fault == MIRROR_CLOSE_CODE ? 1 : 0;
        mirror_send_frame(index, 0x88, payload, length, false);
        mirror_close(index);
        return 0;
    }
    if (opcode == 9) {
        mirror_send_frame(index, 0x8a, payload, length, false);
    } else if (opcode < 8) {
        mirror_message(index, opcode, payload, length);
    }
    return head_size + length;
}

static size_t mirror_upgrade(size_t index)
{
    struct mirror_connection *connection = &mirror.connections[index];
    const char *bytes = (const char *)connection->bytes;
    const char *end = memmem(bytes, connection->have, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }
    char reply[256];
    /* The answer to the one key that weir-load sends. */
    int size = snprintf(reply, sizeof(reply),
                        "HTTP/1.1 %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: %s\r\n\r\n",
                        mirror.fault == MIRROR_REFUSE ? "403 Forbidden" : "101 Switching Protocols",
                        mirror.fault == MIRROR_ACCEPT ? "S3pPLMBiTxaQ9kYGzzhZRbK+xOo="
                                                      : "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    mirror_send(index, reply, (size_t)size);
    connection->upgraded = true;
    return (size_t)(end - bytes) + 4;
}

static void mirror_read_raw(size_t index, uint8_t *bytes, size_t size)
{
    if (++mirror.messages == MIRROR_FAULT_AT && mirror.fault == MIRROR_FLIP_LAST) {
        bytes[size - 1] ^= 1;
    }
    mirror_send(index, bytes, size);
}

static void mirror_read(size_t index)
{
    struct mirror_connection *connection = &mirror.connections[index];
    ssize_t got = recv(mirror.polls[index].fd, connection->bytes + connection->have,
                       MIRROR_BUFFER_BYTES - connection->have, 0);
    if (got <= 0) {
        mirror_close(index);
        return;
    }
    if (mirror.raw) {
        mirror_read_raw(index, connection->bytes, (size_t)got);
        return;
    }
    connection->have += (size_t)got;
    for (;;) {
        size_t used = connection->upgraded ? mirror_frame(index) : mirror_upgrade(index);
        if (used == 0) {
            return;
        }
        connection->have -= used;
        memmove(connection->bytes, connection->bytes + used, connection->have);
    }
}

static void mirror_accept(void)
{
    int on = 1;
    int fd = accept(mirror.polls[MIRROR_CONNECTIONS].fd, NULL, NULL);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    for (size_t i = 0; i < MIRROR_CONNECTIONS && fd >= 0; i++) {
        if (mirror.polls[i].fd < 0) {
            mirror.polls[i].fd = fd;
            mirror.connections[i].bytes = malloc(MIRROR_BUFFER_BYTES);
            if (mirror.connections[i].bytes == NULL) {
                fail("no memory");
            }
            return;
        }
    }
    fail("no room for another connection");
}

static void mirror_start(const char *address_text)
{
    int on = 1;
    struct sockaddr_in address = fail_unless_address(address_text);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, SOMAXCONN) != 0) {
        fail_errno(address_text);
    }
    for (size_t i = 0; i < MIRROR_CONNECTIONS; i++) {
        mirror.polls[i] = (struct pollfd){-1, POLLIN, 0};
    }
    mirror.polls[MIRROR_CONNECTIONS] = (struct pollfd){listener, POLLIN, 0};
}

static enum mirror_fault mirror_fault_of(const char *name)
{
    for (size_t i = 0; i < sizeof(mirror_faults) / sizeof(mirror_faults[0]); i++) {
        if (strcmp(mirror_faults[i], name) == 0) {
            return (enum mirror_fault)i;
        }
    }
    fail("unknown fault '%s'", name);
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fail("usage: weir-mirror A.B.C.D:PORT FAULT [raw|broadcast]");
    }
    mirror.fault = mirror_fault_of(argv[2]);
    mirror.raw = argc == 4 && strcmp(argv[3], "raw") == 0;
    mirror.broadcast = argc == 4 && strcmp(argv[3], "broadcast") == 0;
    mirror_start(argv[1]);
    while (poll(mirror.polls, MIRROR_CONNECTIONS + 1, -1) > 0) {
        for (size_t i = 0; i < MIRROR_CONNECTIONS; i++) {
            if (mirror.polls[i].fd >= 0 && mirror.polls[i].revents != 0) {
                mirror_read(i);
            }
        }
        if (mirror.polls[MIRROR_CONNECTIONS].revents != 0) {
            mirror_accept();
        }
    }
    return 0;
}
