/* Keeps every pair of name and address of the hosts file in one array: such files are short. Called
 * by the resolver. (evdns reads them too, but only for its own getaddrinfo, which cannot be
 * cancelled in time.) */
#include "net/hosts_file.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    NAME_BYTES = 256 /* RFC 1035, section 2.3.4, and its end */
};

struct host {
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } address;
    char name[NAME_BYTES];
};

struct hosts_file {
    struct host *hosts;
    size_t count;
    size_t capacity;
};

static bool parse_address(const char *text, struct host *host)
{
    memset(&host->address, 0, sizeof host->address);
    if (inet_pton(AF_INET, text, &host->address.ipv4.sin_addr) == 1) {
        host->address.ipv4.sin_family = AF_INET;
        return true;
    }
    if (inet_pton(AF_INET6, text, &host->address.ipv6.sin6_addr) == 1) {
        host->address.ipv6.sin6_family = AF_INET6;
        return true;
    }
    return false;
}

static enum weir_err add(struct hosts_file *hosts, const struct host *host)
{
    if (hosts->count == hosts->capacity) {
        size_t capacity = hosts->capacity * 2 + 8;
        struct host *more = realloc(hosts->hosts, capacity * sizeof *more);
        if (more == NULL) {
            return WEIR_ENOMEM;
        }
        hosts->hosts = more;
        hosts->capacity = capacity;
    }
    hosts->hosts[hosts->count++] = *host;
    return WEIR_OK;
}

/* An address, then its names; a `#` begins a comment. */
static enum weir_err add_line(struct hosts_file *hosts, char *line)
{
    static const char blanks[] = " \t\r\n";
    struct host host;
    char *rest = NULL;
    line[strcspn(line, "#")] = '\0';
    char *word = strtok_r(line, blanks, &rest);
    if (word == NULL || !parse_address(word, &host)) {
        return WEIR_OK;
    }
    while ((word = strtok_r(NULL, blanks, &rest)) != NULL) {
        size_t size = strlen(word);
        if (size >= sizeof host.name) {
            continue;
        }
        memcpy(host.name, word, size + 1);
        enum weir_err err = add(hosts, &host);
        if (err != WEIR_OK) {
            return err;
        }
    }
    return WEIR_OK;
}

enum weir_err hosts_file_load(const char *path, struct hosts_file **out)
{
    struct hosts_file *hosts = calloc(1, sizeof *hosts);
    if (hosts == NULL) {
        return WEIR_ENOMEM;
    }
    enum weir_err err = WEIR_OK;
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;
    while (file != NULL && err == WEIR_OK && getline(&line, &size, file) >= 0) {
        err = add_line(hosts, line);
    }
    free(line);
    if (file != NULL) {
        fclose(file);
    }
    if (err != WEIR_OK) {
        hosts_file_free(&hosts);
        return err;
    }
    *out = hosts;
    return WEIR_OK;
}

void hosts_file_free(struct hosts_file **hosts)
{
    if (*hosts != NULL) {
        free((*hosts)->hosts);
        free(*hosts);
        *hosts = NULL;
    }
}

void hosts_file_find(const struct hosts_file *hosts, const char *name, hosts_file_fn fn,
                     void *context)
{
    size_t size = strlen(name);
    if (size > 0 && name[size - 1] == '.') {
        size--;
    }
    for (size_t i = 0; i < hosts->count; i++) {
        const struct host *host = &hosts->hosts[i];
        if (strlen(host->name) == size && strncasecmp(host->name, name, size) == 0) {
            fn(context, &host->address.any,
               host->address.any.sa_family == AF_INET ? sizeof host->address.ipv4
                                                      : sizeof host->address.ipv6);
        }
    }
}
