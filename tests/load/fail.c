/* One way out. A load generator that goes on after a wrong answer measures the wrong thing, so
 * every problem ends the run with a line that says which. Used by all programs of this folder; it
 * never returns an error to its caller. */
#include "fail.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void fail(const char *format, ...)
{
    va_list words;
    va_start(words, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, words);
    fputc('\n', stderr);
    va_end(words);
    exit(1);
}

_Noreturn void fail_errno(const char *what)
{
    fail("%s: %s", what, strerror(errno));
}

struct sockaddr_in fail_unless_address(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[INET_ADDRSTRLEN] = "";
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host)) {
        fail("'%s' is not an address; write it like 127.0.0.1:5000", text);
    }
    memcpy(host, text, (size_t)(colon - text));
    char *end = NULL;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || end == colon + 1 || *end != '\0' ||
        port == 0 || port > UINT16_MAX) {
        fail("'%s' is not an address; write it like 127.0.0.1:5000", text);
    }
    address.sin_port = htons((uint16_t)port);
    return address;
}
