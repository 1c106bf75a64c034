/* The opening handshake as the server sees it (RFC 6455, section 4.2): questions asked of a parsed
 * head, and the one digest of the protocol. Called by session/ before a route's plugins are asked,
 * and to make the answer. It never writes a response and never decides which route accepts
 * WebSocket. */
#include "proto/ws_handshake.h"

#include <string.h>

#include "crypto/crypto.h"
#include "proto/http_host.h"

enum {
    KEY_CHARS = 24 /* 16 bytes in base64 */
};

static enum weir_err refuse(unsigned *status, const char **why, unsigned code, const char *words)
{
    *status = code;
    *why = words;
    return WEIR_EPROTO;
}

/* The value of the only field of that name; its count tells whether that is so. */
static size_t count_fields(const struct http_head *head, struct span name, struct span *value)
{
    size_t count = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        if (span_equal_nocase(head->fields[i].name, name)) {
            *value = head->fields[i].value;
            count++;
        }
    }
    return count;
}

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 6455, section 4.2.1, item 5: base64 that decodes to 16 bytes. 22 characters hold 132 bits, so
 * the last four must be 0 (RFC 4648, section 3.5). */
static bool is_key(struct span key)
{
    if (key.size != KEY_CHARS || key.data[22] != '=' || key.data[23] != '=') {
        return false;
    }
    for (size_t i = 0; i < 22; i++) {
        if (base64_value(key.data[i]) < 0) {
            return false;
        }
    }
    return (base64_value(key.data[21]) & 0x0f) == 0;
}

bool ws_handshake_is_wanted(const struct http_head *head)
{
    return http_head_has_token(head, SPAN("Upgrade"), SPAN("websocket"));
}

/* RFC 6455, sections 4.2.1, item 6 and 4.4: anything but 13 is answered with what we speak. */
static enum weir_err check_version(const struct http_head *head, unsigned *status, const char **why)
{
    struct span version = {0};
    size_t count = count_fields(head, SPAN("Sec-WebSocket-Version"), &version);
    /* RFC 6455, section 11.3.5: not more than once in a request. */
    if (count > 1) {
        return refuse(status, why, 400, "more than one Sec-WebSocket-Version");
    }
    if (!span_equal(version, SPAN("13"))) {
        return refuse(status, why, 426, "Sec-WebSocket-Version is not 13");
    }
    return WEIR_OK;
}

static enum weir_err check_key(const struct http_head *head, unsigned *status, const char **why)
{
    struct span key = {0};
    size_t count = count_fields(head, SPAN("Sec-WebSocket-Key"), &key);
    /* RFC 6455, section 11.3.1: not more than once. */
    if (count != 1) {
        return refuse(status, why, 400,
                      count == 0 ? "no Sec-WebSocket-Key" : "more than one Sec-WebSocket-Key");
    }
    if (!is_key(key)) {
        return refuse(status, why, 400, "Sec-WebSocket-Key is not 16 bytes in base64");
    }
    return WEIR_OK;
}

enum weir_err ws_handshake_check(const struct http_head *head, unsigned *status, const char **why)
{
    /* RFC 6455, section 4.2.1, item 1: GET, HTTP/1.1 or higher. */
    if (!span_equal(head->method, SPAN("GET"))) {
        return refuse(status, why, 405, "a WebSocket handshake must be a GET");
    }
    if (head->minor < 1) {
        return refuse(status, why, 400, "a WebSocket handshake needs HTTP/1.1");
    }
    /* RFC 6455, section 4.2.1, items 3 and 4. */
    if (!ws_handshake_is_wanted(head)) {
        return refuse(status, why, 426, "Upgrade does not list websocket");
    }
    if (!http_head_has_token(head, SPAN("Connection"), SPAN("upgrade"))) {
        return refuse(status, why, 400, "Connection does not list upgrade");
    }
    /* What follows the head are frames: a body would be read as some (RFC 6455, section 4.1). */
    if (head->body == HTTP_BODY_CHUNKED || head->content_length > 0) {
        return refuse(status, why, 400, "a WebSocket handshake has no body");
    }
    enum weir_err err = check_version(head, status, why);
    return err != WEIR_OK ? err : check_key(head, status, why);
}

bool ws_handshake_accept(struct span key, char out[WS_ACCEPT_BYTES])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, section 1.3 */
    uint8_t text[KEY_CHARS + sizeof guid - 1];
    uint8_t digest[CRYPTO_DIGEST_MAX];
    if (key.size != KEY_CHARS) {
        return false;
    }
    memcpy(text, key.data, KEY_CHARS);
    memcpy(text + KEY_CHARS, guid, sizeof guid - 1);
    size_t size = crypto_digest(CRYPTO_SHA1, (struct span){text, sizeof text}, digest);
    if (size == 0) {
        return false;
    }
    out[crypto_base64_write((struct span){digest, size}, false, out)] = '\0'; /* after 28 */
    return true;
}

static const char *find_own(struct span wish, char *const *ours, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (span_equal(wish, span_of(ours[i]))) {
            return ours[i];
        }
    }
    return NULL;
}

/* RFC 6455, section 4.1, item 10 forbids clients to send duplicates and what is no token. Neither
 * is refused: the first cannot change the choice, the second cannot match ours. */
const char *ws_handshake_subprotocol(const struct http_head *head, char *const *ours, size_t count)
{
    for (size_t i = 0; i < head->field_count; i++) {
        /* RFC 6455, section 11.3.4: several fields are one list. */
        if (!span_equal_nocase(head->fields[i].name, SPAN("Sec-WebSocket-Protocol"))) {
            continue;
        }
        struct span rest = head->fields[i].value;
        struct span wish;
        while (span_list_next(&rest, &wish)) {
            const char *chosen = find_own(wish, ours, count);
            if (chosen != NULL) {
                return chosen;
            }
        }
    }
    return NULL;
}

/* scheme://host[:port] in its parts (RFC 6454, section 6.2). */
struct origin {
    struct span scheme;
    struct span host;
    uint16_t port;
    bool any_subdomain; /* the host followed "*." */
};

static uint16_t default_port(struct span scheme)
{
    if (span_equal_nocase(scheme, SPAN("https")) || span_equal_nocase(scheme, SPAN("wss"))) {
        return 443;
    }
    if (span_equal_nocase(scheme, SPAN("http")) || span_equal_nocase(scheme, SPAN("ws"))) {
        return 80;
    }
    return 0;
}

static bool split_origin(struct span text, struct origin *out)
{
    size_t colon = span_find(text, ':');
    struct span rest = span_from(text, colon);
    if (!span_starts_with(rest, SPAN("://"))) {
        return false;
    }
    rest = span_from(rest, 3);
    out->scheme = (struct span){text.data, colon};
    out->any_subdomain = span_starts_with(rest, SPAN("*."));
    if (out->any_subdomain) {
        rest = span_from(rest, 2);
    }
    if (!http_host_split(rest, &out->host, &out->port)) {
        return false;
    }
    if (out->port == 0) {
        out->port = default_port(out->scheme);
    }
    return true;
}

/* Whether `host` is `parent` with at least one more label before it. */
static bool is_subdomain(struct span host, struct span parent)
{
    if (host.size < parent.size + 2) {
        return false;
    }
    size_t dot = host.size - parent.size - 1;
    return host.data[dot] == '.' && span_equal_nocase(span_from(host, dot + 1), parent);
}

static bool origin_matches(struct span origin, struct span allowed)
{
    struct origin theirs;
    struct origin ours;
    if (span_equal_nocase(origin, allowed) && span_find(origin, '*') == origin.size) {
        return true; /* also for what has no host: null, or an app's own scheme */
    }
    if (!split_origin(origin, &theirs) || !split_origin(allowed, &ours) || theirs.any_subdomain) {
        return false;
    }
    if (!span_equal_nocase(theirs.scheme, ours.scheme) || theirs.port != ours.port) {
        return false;
    }
    return ours.any_subdomain ? is_subdomain(theirs.host, ours.host)
                              : span_equal_nocase(theirs.host, ours.host);
}

bool ws_handshake_origin_allowed(const struct http_head *head, char *const *allowed, size_t count)
{
    struct span origin;
    size_t fields = count_fields(head, SPAN("Origin"), &origin);
    if (fields == 0 || count == 0) {
        return true;
    }
    /* RFC 6454, section 7.3: not more than one. Which would count is a guess, so none does. */
    for (size_t i = 0; fields == 1 && i < count; i++) {
        if (origin_matches(origin, span_of(allowed[i]))) {
            return true;
        }
    }
    return false;
}
