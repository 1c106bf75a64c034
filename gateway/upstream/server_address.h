/* A server's address as it is configured: a socket address at once, or a name to ask for. */
#ifndef WEIR_UPSTREAM_SERVER_ADDRESS_H
#define WEIR_UPSTREAM_SERVER_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "upstream/server.h"

struct server_address {
    bool is_name;
    char host[SERVER_HOST_BYTES];    /* of a name, terminated */
    uint16_t port;                   /* of a name */
    struct sockaddr_storage address; /* else */
    socklen_t address_size;
};

/* Parses `IP:PORT`, `[IPV6]:PORT`, `unix:PATH` or `HOST:PORT`. WEIR_EINVAL: it is none of them;
 * `*why` is static words. Any thread. */
WEIR_MUST enum weir_err server_address_parse(const char *text, struct server_address *out,
                                             const char **why);

#endif
