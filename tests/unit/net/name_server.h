/* A small name server on a UDP port of 127.0.0.1, worked by hand between turns of the loop. */
#ifndef WEIR_TESTS_NAME_SERVER_H
#define WEIR_TESTS_NAME_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TYPE_A = 1,
    TYPE_CNAME = 5,
    TYPE_AAAA = 28,
    RCODE_SERVFAIL = 2,
    RCODE_NXDOMAIN = 3,
    RCODE_REFUSED = 5
};

/* What is known of one name. Names that are not in the table do not exist. */
struct record {
    const char *name;
    const char *alias; /* NULL, or what its addresses are said to belong to */
    const char *ipv4[40];
    const char *ipv6[20];
    int rcode;        /* instead of an answer */
    bool silent_ipv6; /* is not answered when asked for IPv6 */
    bool truncated;
};

struct name_server {
    int fd;
    bool silent;
    char address[32]; /* `127.0.0.1:PORT` */
    unsigned asked;
    const struct record *records; /* until one without a name */
};

struct packet {
    uint8_t bytes[2048];
    size_t size;
};

static inline int name_server_open(struct name_server *server, const struct record *records)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof where;
    memset(server, 0, sizeof *server);
    server->records = records;
    server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->fd < 0 || bind(server->fd, (struct sockaddr *)&where, size) != 0 ||
        getsockname(server->fd, (struct sockaddr *)&where, &size) != 0) {
        return -1;
    }
    snprintf(server->address, sizeof server->address, "127.0.0.1:%d", ntohs(where.sin_port));
    return 0;
}

static inline void put(struct packet *packet, const void *bytes, size_t size)
{
    memcpy(packet->bytes + packet->size, bytes, size);
    packet->size += size;
}

static inline void put16(struct packet *packet, unsigned value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    put(packet, bytes, 2);
}

static inline void put_name(struct packet *packet, const char *name)
{
    while (*name != '\0') {
        size_t size = strcspn(name, ".");
        uint8_t length = (uint8_t)size;
        put(packet, &length, 1);
        put(packet, name, size);
        name += size + (name[size] == '.');
    }
    put(packet, "", 1);
}

/* The question's name with dots; returns where it ends. */
static inline size_t question_name(const struct packet *asked, char *name)
{
    size_t at = 12;
    size_t used = 0;
    while (asked->bytes[at] != 0) {
        size_t size = asked->bytes[at];
        memcpy(name + used, asked->bytes + at + 1, size);
        used += size;
        name[used++] = '.';
        at += size + 1;
    }
    name[used > 0 ? used - 1 : 0] = '\0';
    return at + 1;
}

static inline const struct record *find_record(const struct name_server *server, const char *name)
{
    const struct record *record = server->records;
    while (record->name != NULL && strcasecmp(record->name, name) != 0) {
        record++;
    }
    return record->name != NULL ? record : NULL;
}

/* One resource record (RFC 1035, section 4.1.3); the owner is the question's name, whoever it is:
 * resolvers that follow aliases must not mind. */
static inline void put_record(struct packet *packet, unsigned type, const void *data, size_t size)
{
    put16(packet, 0xc00c);
    put16(packet, type);
    put16(packet, 1);
    put16(packet, 0);
    put16(packet, 60);
    put16(packet, (unsigned)size);
    put(packet, data, size);
}

static inline unsigned put_answers(struct packet *packet, const struct record *record,
                                   unsigned type)
{
    uint8_t bytes[16];
    unsigned count = 0;
    if (record->alias != NULL) {
        struct packet alias = {.size = 0};
        put_name(&alias, record->alias);
        put_record(packet, TYPE_CNAME, alias.bytes, alias.size);
        count++;
    }
    for (size_t i = 0; type == TYPE_A && i < 40 && record->ipv4[i] != NULL; i++, count++) {
        inet_pton(AF_INET, record->ipv4[i], bytes);
        put_record(packet, TYPE_A, bytes, 4);
    }
    for (size_t i = 0; type == TYPE_AAAA && i < 20 && record->ipv6[i] != NULL; i++, count++) {
        inet_pton(AF_INET6, record->ipv6[i], bytes);
        put_record(packet, TYPE_AAAA, bytes, 16);
    }
    return count;
}

static inline bool make_answer(const struct name_server *server, const struct packet *asked,
                               struct packet *reply)
{
    char name[256];
    size_t end = question_name(asked, name);
    unsigned type = asked->bytes[end] * 256U + asked->bytes[end + 1];
    const struct record *record = find_record(server, name);
    int rcode = record != NULL ? record->rcode : RCODE_NXDOMAIN;
    if (record != NULL && record->silent_ipv6 && type == TYPE_AAAA) {
        return false;
    }
    reply->size = 0;
    put(reply, asked->bytes, 2);
    put16(reply, 0x8180U | (unsigned)rcode | (record != NULL && record->truncated ? 0x200U : 0));
    put16(reply, 1);
    put16(reply, 0); /* answers; below */
    put16(reply, 0);
    put16(reply, 0);
    put(reply, asked->bytes + 12, end + 4 - 12);
    if (rcode == 0) {
        reply->bytes[7] = (uint8_t)put_answers(reply, record, type);
    }
    return true;
}

/* Answers what has come. */
static inline void name_server_work(struct name_server *server)
{
    struct sockaddr_storage peer;
    struct packet asked;
    struct packet reply;
    for (;;) {
        socklen_t size = sizeof peer;
        ssize_t n = recvfrom(server->fd, asked.bytes, sizeof asked.bytes, 0,
                             (struct sockaddr *)&peer, &size);
        if (n <= 0) {
            return;
        }
        server->asked++;
        asked.size = (size_t)n;
        if (!server->silent && make_answer(server, &asked, &reply)) {
            sendto(server->fd, reply.bytes, reply.size, 0, (struct sockaddr *)&peer, size);
        }
    }
}

static inline void name_server_close(struct name_server *server)
{
    close(server->fd);
    server->fd = -1;
}

#endif
