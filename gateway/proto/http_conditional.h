/* Preconditions of a request: If-Match and its family (RFC 9110, section 13). */
#ifndef WEIR_PROTO_HTTP_CONDITIONAL_H
#define WEIR_PROTO_HTTP_CONDITIONAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* What identifies the representation that a plain GET would send now. */
struct http_validators {
    struct span etag;         /* as the ETag field has it: W/ and quotes included */
    bool has_modified;        /* whether modified_seconds is known */
    int64_t modified_seconds; /* as the Last-Modified field has it, since 1970-01-01 UTC */
    int64_t now_seconds;
};

/* Whether a condition was sent, and whether it holds, i.e. asks for nothing but the usual answer.
 */
struct http_condition {
    bool is_sent;
    bool holds;
};

/* Zero, with `validators` set (borrowed), is one without conditions. */
struct http_conditional {
    const struct http_validators *validators;
    struct http_condition match;      /* If-Match */
    struct http_condition unmodified; /* If-Unmodified-Since */
    struct http_condition none_match; /* If-None-Match */
    struct http_condition modified;   /* If-Modified-Since */
    struct http_condition range;      /* If-Range */
};

/* Takes one field of the request into account, if it is a condition: give it all of them. Any
 * thread. */
void http_conditional_add(struct http_conditional *conditional, struct span name,
                          struct span value);

enum http_precondition {
    HTTP_PRECONDITION_PASSED,
    HTTP_PRECONDITION_NOT_MODIFIED, /* 304 */
    HTTP_PRECONDITION_FAILED        /* 412 */
};

/* What the fields together mean for a GET or HEAD, in the order of RFC 9110, section 13.2.2. Any
 * thread. */
enum http_precondition http_conditional_judge(const struct http_conditional *conditional);

/* Whether a Range field may be followed: there was no If-Range, or it held. Any thread. */
bool http_conditional_allows_range(const struct http_conditional *conditional);

/* Whether the value of If-Match or If-None-Match names `etag`, or is "*". `strong` asks for the
 * strong comparison of RFC 9110, section 8.8.3.2. What follows a break of the grammar is not read.
 * Any thread. */
bool http_conditional_lists(struct span value, struct span etag, bool strong);

#endif
