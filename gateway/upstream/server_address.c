/* Tells addresses from names. Called when upstreams are made; it asks nobody. */
#include "upstream/server_address.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "base/span.h"
#include "proto/ip_address.h"

static enum weir_err refuse(const char **why, const char *words)
{
    *why = words;
    return WEIR_EINVAL;
}

/* A copy: written through a pointer to another struct, a sockaddr_storage may look unchanged to its
 * readers (C11, section 6.5). */
static void take(const void *address, size_t size, struct server_address *out)
{
    memcpy(&out->address, address, size);
    out->address_size = (socklen_t)size;
}

static enum weir_err parse_unix(const char *path, struct server_address *out, const char **why)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof un.sun_path) {
        return refuse(why, "the path of a unix socket has 1 to 107 bytes");
    }
    memcpy(un.sun_path, path, size + 1);
    take(&un, sizeof un, out);
    return WEIR_OK;
}

static void take_ip(const struct ip_address *ip, struct server_address *out)
{
    if (ip->family == IP_V4) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(ip->port)};
        memcpy(&v4.sin_addr, ip->bytes, 4);
        take(&v4, sizeof v4, out);
    } else {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(ip->port)};
        memcpy(&v6.sin6_addr, ip->bytes, 16);
        take(&v6, sizeof v6, out);
    }
}

static enum weir_err parse_name(const char *text, struct server_address *out, const char **why)
{
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;
    if (colon == NULL || !span_to_u64(span_of(colon + 1), &port) || port == 0 ||
        port > UINT16_MAX) {
        return refuse(why, "there is no port from 1 to 65535 at its end");
    }
    size_t size = (size_t)(colon - text);
    if (size == 0 || size >= sizeof out->host || memchr(text, ':', size) != NULL ||
        memchr(text, '[', size) != NULL) {
        return refuse(why, "it is neither an address nor a host name");
    }
    memcpy(out->host, text, size);
    out->host[size] = '\0';
    out->port = (uint16_t)port;
    out->is_name = true;
    return WEIR_OK;
}

enum weir_err server_address_parse(const char *text, struct server_address *out, const char **why)
{
    struct ip_address ip;
    *out = (struct server_address){0};
    if (strncmp(text, "unix:", 5) == 0) {
        return parse_unix(text + 5, out, why);
    }
    if (ip_address_parse(span_of(text), &ip) != WEIR_OK) {
        return parse_name(text, out, why);
    }
    if (ip.port == 0) {
        return refuse(why, "there is no port from 1 to 65535 at its end");
    }
    take_ip(&ip, out);
    return WEIR_OK;
}
