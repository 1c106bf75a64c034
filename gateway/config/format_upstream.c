/* The forms of texts in upstreams and in the handlers that forward to them.
 *
 * Called by the loader through the key table's `format`. They look nothing up: whether a name has
 * an address is found out while the gateway runs. */
#include "config/format.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/address.h"

enum {
    SECRET_MIN_BYTES = 16
};

static bool refuse(char why[FORMAT_WHY_BYTES], const char *words)
{
    snprintf(why, FORMAT_WHY_BYTES, "%s", words);
    return false;
}

static bool check_server(const char *text, char why[FORMAT_WHY_BYTES])
{
    if (strstr(text, "://") != NULL) {
        return refuse(why, "is a URL; write HOST:PORT, and `tls: on` beside `servers` for TLS");
    }
    if (text[0] == '*') {
        return refuse(why, "names no server; write HOST:PORT, [IPV6]:PORT or unix:PATH");
    }
    return format_address.check(text, why);
}

static bool check_nameserver(const char *text, char why[FORMAT_WHY_BYTES])
{
    size_t size = strlen(text);
    const char *colon = strrchr(text, ':');
    size_t host = colon != NULL ? (size_t)(colon - text) : 0;
    bool bracketed = host > 2 && text[0] == '[' && text[host - 1] == ']';
    if (address_is_ip(AF_INET, text, size) || address_is_ip(AF_INET6, text, size)) {
        return true;
    }
    if (address_is_ip(AF_INET, text, host) ||
        (bracketed && address_is_ip(AF_INET6, text + 1, host - 2))) {
        return address_is_port(colon + 1) ? true
                                          : refuse(why, "has no valid port; ports are 1 to 65535");
    }
    return refuse(why, "is not a name server; write IP, IP:PORT or [IPV6]:PORT");
}

/* A token, as format_token; a name of an upstream, or the word for all of them. */
static bool check_upstreams(const char *text, char why[FORMAT_WHY_BYTES])
{
    return format_token.check(text, why);
}

static bool check_upstream(const char *text, char why[FORMAT_WHY_BYTES])
{
    if (text[0] == '\0') {
        return refuse(why, "is an empty name");
    }
    if (strcmp(text, FORMAT_ALL_UPSTREAMS) == 0) {
        return refuse(why, "is no name for one upstream: `upstream_admin: all` means every one");
    }
    return format_token.check(text, why);
}

static bool check_name_of_tls(const char *text, char why[FORMAT_WHY_BYTES])
{
    size_t size = strlen(text);
    if (address_is_ip(AF_INET6, text, size) || address_is_ip(AF_INET, text, size) ||
        (address_is_host_name(text, size) && !address_has_no_letters(text, size))) {
        return true;
    }
    return refuse(why, "is not a host name, like example.com, or an IP address");
}

/* Fewer random characters could be guessed from a signed cookie, without asking Weir. */
static bool check_secret(const char *text, char why[FORMAT_WHY_BYTES])
{
    if (strlen(text) >= SECRET_MIN_BYTES) {
        return true;
    }
    snprintf(why, FORMAT_WHY_BYTES, "is too short: a secret has at least %d characters",
             SECRET_MIN_BYTES);
    return false;
}

static bool check_target(const char *text, char why[FORMAT_WHY_BYTES])
{
    if (text[0] != '/') {
        return refuse(why, "does not start with `/`");
    }
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f || *at == '#') {
            return refuse(why, "has a character that the target of a request may not have");
        }
    }
    return true;
}

/* A prefix is cut off and put before paths that start with `/`, so it ends without one. */
static bool check_prefix(const char *text, char why[FORMAT_WHY_BYTES])
{
    size_t size = strlen(text);
    if (!format_path.check(text, why)) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] >= 0x7f) {
            return refuse(why, "has a character that the target of a request may not have");
        }
    }
    if (text[size - 1] == '/') {
        return refuse(why, "ends with `/`; a prefix is whole segments, like `/api`");
    }
    return true;
}

static bool check_authority(const char *text, char why[FORMAT_WHY_BYTES])
{
    size_t size = strlen(text);
    const char *colon = strrchr(text, ':');
    if (address_is_host(text, size)) {
        return true;
    }
    if (colon != NULL && address_is_host(text, (size_t)(colon - text)) &&
        address_is_port(colon + 1)) {
        return true;
    }
    return refuse(why, "is not a host, like example.com or example.com:8080");
}

static bool check_proxy_host(const char *text, char why[FORMAT_WHY_BYTES])
{
    char inside[FORMAT_WHY_BYTES];
    if (check_authority(text, inside)) {
        return true;
    }
    return refuse(why, "is not `pass`, `server` or a host, like example.com or example.com:8080");
}

/* What frames a message or is for one hop alone (RFC 9110, section 7.6.1; RFC 9112, section 6): a
 * change would let the two sides disagree about where a message ends. */
static const char *const OWN_FIELDS[] = {
    "Connection", "Content-Length", "Keep-Alive", "Proxy-Connection",  "TE",
    "Trailer",    "Upgrade",        "Expect",     "Transfer-Encoding", NULL};

static bool check_field(const char *text, char why[FORMAT_WHY_BYTES])
{
    static const char handshake[] = "Sec-WebSocket-";
    if (text[0] == '\0') {
        return refuse(why, "is an empty name");
    }
    if (!address_has_only(text, strlen(text), "!#$%&'*+-.^_`|~")) {
        return refuse(why, "is not the name of a header field (RFC 9110, section 5.1)");
    }
    if (strcasecmp(text, "Host") == 0) {
        return refuse(why, "cannot be changed here; the key `host` of the proxy sets it");
    }
    for (const char *const *own = OWN_FIELDS; *own != NULL; own++) {
        if (strcasecmp(text, *own) == 0) {
            return refuse(why, "cannot be changed: it frames the message or is for one hop, so "
                               "Weir writes it itself");
        }
    }
    if (strncasecmp(text, handshake, sizeof(handshake) - 1) == 0) {
        return refuse(why, "cannot be changed: it belongs to the WebSocket handshake");
    }
    return true;
}

#define TOKEN_PATTERN "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"

const struct config_format format_server = {"address", "^(unix:.+|[^/*]+:[0-9]{1,5})$",
                                            check_server, false};
const struct config_format format_nameserver = {"IP address, maybe with port",
                                                "^[0-9A-Fa-f:.\\[\\]]+$", check_nameserver, false};
const struct config_format format_upstream = {"upstream name", TOKEN_PATTERN, check_upstream,
                                              false};
const struct config_format format_upstreams = {"upstream name or `all`", TOKEN_PATTERN,
                                               check_upstreams, false};
const struct config_format format_name_of_tls = {"host", "^[^/*\\s]+$", check_name_of_tls, false};
const struct config_format format_secret = {"text", "^.{16,}$", check_secret, true};
const struct config_format format_target = {"path", "^/[^#\\s]*$", check_target, false};
const struct config_format format_prefix = {"path", "^/[^?#\\s]*[^/?#\\s]$", check_prefix, false};
const struct config_format format_authority = {"host", "^[^/*\\s]+$", check_authority, false};
const struct config_format format_proxy_host = {"`pass`, `server` or host", "^[^/*\\s]+$",
                                                check_proxy_host, false};
const struct config_format format_field = {"header name", TOKEN_PATTERN, check_field, false};
