/* One small function for each form of text. They check what can be checked without sockets and
 * without OpenSSL, so that `weir -t` finds a mistake before a listener or a route would.
 *
 * Called by the loader through the key table's `format`. They never change what they check. */
#include "config/format.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/span.h"
#include "config/address.h"

static bool refuse(char why[FORMAT_WHY_BYTES], const char *words)
{
    snprintf(why, FORMAT_WHY_BYTES, "%s", words);
    return false;
}

static bool refuse_use(char why[FORMAT_WHY_BYTES], const char *words, int error)
{
    snprintf(why, FORMAT_WHY_BYTES, "%s: %s", words, strerror(error));
    return false;
}

static bool check_unix(const char *path, char why[FORMAT_WHY_BYTES])
{
    struct sockaddr_un address;
    if (path[0] == '\0') {
        return refuse(why, "names no path; write unix:PATH");
    }
    if (strlen(path) >= sizeof(address.sun_path)) {
        snprintf(why, FORMAT_WHY_BYTES,
                 "is too long: the path of a unix socket has at most %zu bytes",
                 sizeof(address.sun_path) - 1);
        return false;
    }
    return true;
}

static bool check_address(const char *text, char why[FORMAT_WHY_BYTES])
{
    if (strncmp(text, "unix:", 5) == 0) {
        return check_unix(text + 5, why);
    }
    const char *colon = strrchr(text, ':');
    if (colon == NULL || strchr(colon, ']') != NULL) {
        return refuse(why, "has no port; write HOST:PORT, [IPV6]:PORT or unix:PATH");
    }
    size_t host = (size_t)(colon - text);
    if (host == 0 || strcmp(text, "*") == 0 || text[0] == '*') {
        return refuse(why, "names no address; write 0.0.0.0:PORT for all of IPv4 or [::]:PORT for "
                           "all of IPv6");
    }
    if (address_is_ip(AF_INET6, text, host)) {
        return refuse(why, "needs brackets around its IPv6 address: [IPV6]:PORT");
    }
    if (!address_is_host(text, host)) {
        return refuse(why, "does not begin with a valid address; write HOST:PORT, [IPV6]:PORT or "
                           "unix:PATH");
    }
    return address_is_port(colon + 1) ? true
                                      : refuse(why, "has no valid port; ports are 1 to 65535");
}

static bool check_block(const char *text, char why[FORMAT_WHY_BYTES])
{
    size_t size = strcspn(text, "/");
    bool four = address_is_ip(AF_INET, text, size);
    if (!four && !address_is_ip(AF_INET6, text, size)) {
        return refuse(why, "is not an IP address or CIDR block, like 10.0.0.0/8 or ::1");
    }
    uint64_t bits = 0;
    uint64_t most = four ? 32 : 128;
    if (text[size] == '\0') {
        return true;
    }
    if (!span_to_u64(span_of(text + size + 1), &bits) || bits > most) {
        snprintf(why, FORMAT_WHY_BYTES, "has no valid prefix length; it is 0 to %u",
                 (unsigned)most);
        return false;
    }
    return true;
}

static bool check_file(const char *text, char why[FORMAT_WHY_BYTES])
{
    struct stat status;
    if (stat(text, &status) != 0 || access(text, R_OK) != 0) {
        return refuse_use(why, "cannot be read", errno);
    }
    return S_ISREG(status.st_mode) ? true : refuse(why, "is not a regular file");
}

static bool check_folder(const char *text, char why[FORMAT_WHY_BYTES])
{
    struct stat status;
    if (stat(text, &status) == 0 && !S_ISDIR(status.st_mode)) {
        return refuse(why, "is not a folder");
    }
    return access(text, R_OK | X_OK) == 0 ? true : refuse_use(why, "cannot be read", errno);
}

/* A file that is not there yet is made in its folder. */
static bool check_output(const char *text, char why[FORMAT_WHY_BYTES])
{
    struct stat status;
    const char *slash = strrchr(text, '/');
    if (strcmp(text, "-") == 0) {
        return true;
    }
    if (stat(text, &status) == 0) {
        if (S_ISDIR(status.st_mode)) {
            return refuse(why, "is a folder");
        }
        return access(text, W_OK) == 0 ? true : refuse_use(why, "cannot be written", errno);
    }
    char *folder = slash != NULL ? strndup(text, (size_t)(slash - text) + 1) : strdup(".");
    if (folder == NULL) {
        return refuse_use(why, "cannot be written", ENOMEM);
    }
    bool good = access(folder, W_OK | X_OK) == 0;
    int error = errno;
    free(folder);
    return good ? true : refuse_use(why, "cannot be written", error);
}

static bool check_host(const char *text, char why[FORMAT_WHY_BYTES])
{
    bool wild = strncmp(text, "*.", 2) == 0;
    const char *host = wild ? text + 2 : text;
    size_t size = strlen(host);
    if (wild ? address_is_host_name(host, size) && !address_has_no_letters(host, size)
             : address_is_host(host, size)) {
        return true;
    }
    if (strstr(text, "://") != NULL) {
        return refuse(why, "is a URL; write the host name alone");
    }
    const char *colon = strrchr(host, ':');
    if (colon != NULL && address_is_port(colon + 1) &&
        address_is_host(host, (size_t)(colon - host))) {
        return refuse(why, "has a port; a route's host is matched without it");
    }
    return refuse(why, "is not a host name, like example.com or *.example.com");
}

static bool has_dot_segment(const char *path)
{
    for (const char *at = path; at != NULL; at = strchr(at, '/')) {
        at += at[0] == '/' ? 1 : 0;
        size_t size = strcspn(at, "/");
        if ((size == 1 && at[0] == '.') || (size == 2 && at[0] == '.' && at[1] == '.')) {
            return true;
        }
    }
    return false;
}

static bool check_path(const char *text, char why[FORMAT_WHY_BYTES])
{
    if (text[0] != '/') {
        return refuse(why, "does not start with `/`");
    }
    if (strpbrk(text, "?#") != NULL) {
        return refuse(why, "has `?` or `#`; a route matches the path alone");
    }
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at <= 0x20 || *at == 0x7f) {
            return refuse(why, "has a space or a control character");
        }
    }
    if (strstr(text, "//") != NULL || has_dot_segment(text)) {
        return refuse(why, "can never match: requests are matched without `//`, `.` and `..`");
    }
    return true;
}

static bool check_origin(const char *text, char why[FORMAT_WHY_BYTES])
{
    if (strcmp(text, "null") == 0) {
        return true; /* what a sandboxed page sends (HTML standard, "origin") */
    }
    const char *host = strstr(text, "://");
    if (host == NULL || host == text || !address_has_only(text, (size_t)(host - text), "+-.")) {
        return refuse(why, "is not an origin; write SCHEME://HOST or SCHEME://HOST:PORT");
    }
    host += 3;
    size_t size = strlen(host);
    const char *colon = strrchr(host, ':');
    if (colon != NULL && strchr(colon, ']') == NULL) {
        size = (size_t)(colon - host);
        if (!address_is_port(colon + 1)) {
            return refuse(why, "has no valid port; ports are 1 to 65535");
        }
    }
    if (memchr(host, '/', size) != NULL) {
        return refuse(why, "has a path; an origin ends after its host and port, without `/`");
    }
    size_t star = strncmp(host, "*.", 2) == 0 ? 2 : 0;
    return size > star && address_is_host(host + star, size - star)
               ? true
               : refuse(why, "has no valid host");
}

static bool check_token(const char *text, char why[FORMAT_WHY_BYTES])
{
    if (address_has_only(text, strlen(text), "!#$%&'*+-.^_`|~")) {
        return true;
    }
    return refuse(why, "has characters that a token may not have (RFC 9110, section 5.6.2)");
}

static bool check_name(const char *text, char why[FORMAT_WHY_BYTES])
{
    size_t size = strlen(text);
    const char *dot = strrchr(text, '.');
    if (dot != NULL && (strcmp(dot, ".lua") == 0 || strcmp(dot, ".so") == 0)) {
        return refuse(why, "is a file name; write it without its ending");
    }
    if (text[0] == '.' || size > 100 || !address_has_only(text, size, "_-.")) {
        return refuse(why, "is not a plugin name: letters, digits, `_`, `-` and `.`, and no path");
    }
    return true;
}

static bool check_leaf(const char *text, char why[FORMAT_WHY_BYTES])
{
    if (strchr(text, '/') != NULL || text[0] == '.') {
        return refuse(why, "is not a plain file name");
    }
    return true;
}

static bool check_header(const char *text, char why[FORMAT_WHY_BYTES])
{
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            return refuse(why, "has a control character");
        }
    }
    return true;
}

const struct config_format format_address = {"address", "^(unix:.+|.+:[0-9]{1,5})$", check_address,
                                             false};
const struct config_format format_block = {"address or CIDR block",
                                           "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$", check_block, false};
const struct config_format format_file = {"file", NULL, check_file, false};
const struct config_format format_folder = {"folder", NULL, check_folder, false};
const struct config_format format_output = {"file", NULL, check_output, false};
const struct config_format format_host = {"host", "^(\\*\\.)?[^/*\\s]+$", check_host, false};
const struct config_format format_path = {"path", "^/[^?#\\s]*$", check_path, false};
const struct config_format format_origin = {"origin", "^(null|[A-Za-z][A-Za-z0-9+.-]*://[^/\\s]+)$",
                                            check_origin, false};
const struct config_format format_token = {"token", "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", check_token,
                                           false};
const struct config_format format_name = {"plugin name", "^[A-Za-z0-9_-][A-Za-z0-9_.-]*$",
                                          check_name, false};
const struct config_format format_leaf = {"file name", "^[^/]+$", check_leaf, false};
const struct config_format format_header = {"header value", NULL, check_header, false};

void format_write_address(const char *address, char out[FORMAT_ADDRESS_BYTES])
{
    const char *colon = strrchr(address, ':');
    unsigned char bytes[sizeof(struct in6_addr)];
    char host[INET6_ADDRSTRLEN];
    snprintf(out, FORMAT_ADDRESS_BYTES, "%s", address);
    if (strncmp(address, "unix:", 5) == 0 || colon == NULL) {
        return;
    }
    size_t size = (size_t)(colon - address);
    unsigned long port = strtoul(colon + 1, NULL, 10);
    if (address[0] == '[' && size > 2 && size - 2 < sizeof(host)) {
        memcpy(host, address + 1, size - 2);
        host[size - 2] = '\0';
        if (inet_pton(AF_INET6, host, bytes) == 1 &&
            inet_ntop(AF_INET6, bytes, host, sizeof(host)) != NULL) {
            snprintf(out, FORMAT_ADDRESS_BYTES, "[%s]:%lu", host, port);
        }
        return;
    }
    for (size_t i = 0; i < size && i < FORMAT_ADDRESS_BYTES - 1; i++) {
        out[i] = (char)tolower((unsigned char)out[i]);
    }
    if (size < FORMAT_ADDRESS_BYTES) {
        snprintf(out + size, FORMAT_ADDRESS_BYTES - size, ":%lu", port);
    }
}
