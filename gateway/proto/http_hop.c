/* What a proxy must not hand on. The lists are short and looked through in full for each field,
 * which is cheap beside the system calls of a forwarded message. Called by handlers/proxy for both
 * directions. It never changes a head. */
#include "proto/http_hop.h"

#include "proto/http_framing.h"

/* RFC 9110, section 7.6.1, and those that section 11.7 and RFC 9112 mean for the next hop only. */
static const char *const LOCAL[] = {"Connection",          "Keep-Alive", "Proxy-Connection",
                                    "Proxy-Authenticate",  "TE",         "Transfer-Encoding",
                                    "Proxy-Authorization", "Upgrade"};

/* What must not stand in trailers (RFC 9110, section 6.5.1): framing, routing, request modifiers,
 * authentication, response control data, and how to read the content. */
static const char *const HEAD_ONLY[] = {"Age",
                                        "Authorization",
                                        "Authentication-Info",
                                        "Cache-Control",
                                        "Content-Encoding",
                                        "Content-Language",
                                        "Content-Length",
                                        "Content-Location",
                                        "Content-Range",
                                        "Content-Type",
                                        "Cookie",
                                        "Date",
                                        "Expect",
                                        "Expires",
                                        "Forwarded",
                                        "Host",
                                        "Location",
                                        "Max-Forwards",
                                        "Origin",
                                        "Pragma",
                                        "Proxy-Authentication-Info",
                                        "Range",
                                        "Referer",
                                        "Retry-After",
                                        "Set-Cookie",
                                        "Strict-Transport-Security",
                                        "Trailer",
                                        "Vary",
                                        "Via",
                                        "Warning",
                                        "WWW-Authenticate",
                                        "X-Real-IP"};

/* Families of such fields, by how their names start. */
static const char *const HEAD_ONLY_STARTS[] = {"If-", "Sec-", "X-Forwarded-", "Access-Control-"};

/* With "_" taken for "-" as well, so that a CGI backend cannot be told otherwise. */
static bool is_among(struct span name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (http_framing_reads_as(name, span_of(names[i]))) {
            return true;
        }
    }
    return false;
}

static bool is_always_local(struct span name)
{
    return is_among(name, LOCAL, sizeof LOCAL / sizeof LOCAL[0]);
}

bool http_hop_is_local(const struct http_field *fields, size_t count, struct span name)
{
    return is_always_local(name) || http_fields_have_token(fields, count, SPAN("Connection"), name);
}

bool http_hop_may_trail(struct span name)
{
    if (is_always_local(name) ||
        is_among(name, HEAD_ONLY, sizeof HEAD_ONLY / sizeof HEAD_ONLY[0])) {
        return false;
    }
    for (size_t i = 0; i < sizeof HEAD_ONLY_STARTS / sizeof HEAD_ONLY_STARTS[0]; i++) {
        struct span family = span_of(HEAD_ONLY_STARTS[i]);
        struct span start = {name.data, name.size < family.size ? name.size : family.size};
        if (http_framing_reads_as(start, family)) {
            return false;
        }
    }
    return true;
}
