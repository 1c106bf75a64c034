/* Tells libcurl what is wished, once it was checked. The options are chosen so that nothing happens
 * behind the caller's back: no redirects, no proxies or credentials from the environment, no
 * signals, no other protocols, no second try of what is not safe to repeat. Used by
 * http_client_call.c; never sends anything. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/http_client_internal.h"

/* Servers close idle connections as they like, Node.js after five seconds; one that is used again
 * just then costs a request that may not be repeated. */
static const long IDLE_SECONDS = 4;

/* Tokens of RFC 9110, section 5.6.2. */
static bool is_token(struct span s)
{
    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i];
        bool is_alphanumeric =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!is_alphanumeric && (c == 0 || strchr("!#$%&'*+-.^_`|~", c) == NULL)) {
            return false;
        }
    }
    return s.size > 0;
}

/* RFC 9110, section 5.5: no control character but the tab. */
static bool is_field_value(struct span s)
{
    for (size_t i = 0; i < s.size; i++) {
        if ((s.data[i] < 0x20 && s.data[i] != '\t') || s.data[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* The body's framing, and whether it is waited for, are libcurl's to say. */
static bool is_ours(struct span name)
{
    static const char *const names[] = {"Content-Length", "Transfer-Encoding", "Expect",    "TE",
                                        "Trailer",        "Upgrade",           "Connection"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (span_equal_nocase(name, span_of(names[i]))) {
            return true;
        }
    }
    return false;
}

static enum weir_err add_line(struct http_call *call, const char *line)
{
    struct curl_slist *longer = curl_slist_append(call->fields, line);
    if (longer == NULL) {
        return WEIR_ENOMEM;
    }
    call->fields = longer;
    return WEIR_OK;
}

/* An empty value is written "Name;" for libcurl: "Name:" would leave the field out. */
static enum weir_err add_field(struct http_call *call, const struct http_call_header *field,
                               char *why)
{
    struct buffer line = {0};
    if (!is_token(field->name) || !is_field_value(field->value)) {
        snprintf(why, HTTP_CALL_WHY_BYTES, "no valid header: %.*s",
                 (int)(field->name.size < 100 ? field->name.size : 100),
                 (const char *)field->name.data);
        return WEIR_EINVAL;
    }
    if (is_ours(field->name)) {
        snprintf(why, HTTP_CALL_WHY_BYTES, "the header %.*s cannot be set", SPAN_ARGS(field->name));
        return WEIR_EINVAL;
    }
    struct span value = span_trim(field->value);
    enum weir_err err = buffer_append(&line, field->name);
    if (err == WEIR_OK) {
        err = buffer_append(&line, value.size == 0 ? SPAN(";") : SPAN(": "));
    }
    if (err == WEIR_OK) {
        err = buffer_append(&line, value);
    }
    if (err == WEIR_OK) {
        err = buffer_append(&line, (struct span){(const uint8_t *)"", 1});
    }
    if (err == WEIR_OK) {
        err = add_line(call, (const char *)line.data);
    }
    buffer_free(&line);
    return err;
}

static enum weir_err set_fields(struct http_call *call, const struct http_call_wish *wish,
                                char *why)
{
    bool has_type = false;
    enum weir_err err = WEIR_OK;
    for (size_t i = 0; i < wish->header_count && err == WEIR_OK; i++) {
        has_type |= span_equal_nocase(wish->headers[i].name, SPAN("Content-Type"));
        err = add_field(call, &wish->headers[i], why);
    }
    if (err == WEIR_OK && !has_type) {
        err = add_line(call, "Content-Type:"); /* or libcurl says that a body is a form */
    }
    if (err == WEIR_OK) {
        err = add_line(call, "Expect:"); /* or it waits a second for a 100 before a long body */
    }
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->fields);
    return err;
}

static enum weir_err terminated(struct span s, char **out)
{
    *out = strndup((const char *)s.data, s.size);
    return *out == NULL ? WEIR_ENOMEM : WEIR_OK;
}

static enum weir_err check_url(const char *text, char *why)
{
    CURLU *url = curl_url();
    char *scheme = NULL;
    if (url == NULL) {
        return WEIR_ENOMEM;
    }
    CURLUcode code = curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
    bool is_http = code == CURLUE_OK &&
                   curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                   (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    curl_free(scheme);
    curl_url_cleanup(url);
    if (code != CURLUE_OK) {
        snprintf(why, HTTP_CALL_WHY_BYTES, "no valid URL: %.200s", text);
    } else if (!is_http) {
        snprintf(why, HTTP_CALL_WHY_BYTES, "the URL must begin with http:// or https://");
    }
    return is_http ? WEIR_OK : WEIR_EINVAL;
}

static enum weir_err set_url(struct http_call *call, struct span url, char *why)
{
    char *text = NULL;
    if (url.size == 0 || memchr(url.data, 0, url.size) != NULL) {
        snprintf(why, HTTP_CALL_WHY_BYTES, "no valid URL: it is empty or has a zero byte");
        return WEIR_EINVAL;
    }
    enum weir_err err = terminated(url, &text);
    if (err == WEIR_OK) {
        err = check_url(text, why);
    }
    if (err == WEIR_OK && curl_easy_setopt(call->easy, CURLOPT_URL, text) != CURLE_OK) {
        err = WEIR_ENOMEM;
    }
    free(text);
    return err;
}

/* RFC 9110, section 9.2.2. */
static bool is_idempotent(const char *method)
{
    static const char *const names[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(method, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* libcurl repeats a request by itself when a connection that was used before ends without an
 * answer. It cannot where it has no way to read the body again, which it then says as an error; and
 * without a body such a request has a connection of its own. */
static void set_body(struct http_call *call, const char *method)
{
    CURL *easy = call->easy;
    size_t size = call->request_body.size;
    bool has_length = size > 0 || !is_idempotent(method) || strcmp(method, "PUT") == 0;
    if (!has_length) {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        return;
    }
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    if (size == 0) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, is_idempotent(method) ? 0L : 1L);
    } else if (is_idempotent(method)) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->request_body.data);
    } else {
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, http_call_body_wanted);
        curl_easy_setopt(easy, CURLOPT_READDATA, call);
    }
}

static enum weir_err set_method(struct http_call *call, const struct http_call_wish *wish,
                                char *why)
{
    struct span wanted = wish->method;
    char method[32];
    if (wanted.size == 0) {
        wanted = wish->body.size > 0 ? SPAN("POST") : SPAN("GET");
    }
    if (!is_token(wanted) || wanted.size >= sizeof method || span_equal(wanted, SPAN("CONNECT"))) {
        snprintf(why, HTTP_CALL_WHY_BYTES, "no valid method");
        return WEIR_EINVAL;
    }
    snprintf(method, sizeof method, "%.*s", SPAN_ARGS(wanted));
    enum weir_err err = buffer_append(&call->request_body, wish->body);
    if (err != WEIR_OK) {
        return err;
    }
    if (strcmp(method, "HEAD") == 0) {
        if (wish->body.size > 0) {
            snprintf(why, HTTP_CALL_WHY_BYTES, "a HEAD request has no body");
            return WEIR_EINVAL;
        }
        curl_easy_setopt(call->easy, CURLOPT_NOBODY, 1L);
        return WEIR_OK;
    }
    set_body(call, method);
    return curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK ? WEIR_OK
                                                                                   : WEIR_ENOMEM;
}

static enum weir_err set_trust(struct http_call *call, const struct http_call_wish *wish)
{
    CURL *easy = call->easy;
    char *file = NULL;
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, wish->verify ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, wish->verify ? 2L : 0L);
    if (wish->ca.size == 0) {
        return WEIR_OK;
    }
    enum weir_err err = terminated(wish->ca, &file);
    if (err == WEIR_OK && curl_easy_setopt(easy, CURLOPT_CAINFO, file) != CURLE_OK) {
        err = WEIR_ENOMEM;
    }
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* the system's, which would be trusted too */
    free(file);
    return err;
}

static void set_ways(struct http_call *call, const struct http_call_wish *wish)
{
    CURL *easy = call->easy;
    long timeout_ms = wish->timeout_ms > INT32_MAX ? INT32_MAX : (long)wish->timeout_ms;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    /* A call that ends while its name is looked up would else wait for the thread that does it. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_SECONDS);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, http_call_head_came);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, http_call_body_came);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
}

enum weir_err http_call_describe(struct http_call *call, const struct http_call_wish *wish,
                                 char *why)
{
    if (wish->timeout_ms == 0) {
        snprintf(why, HTTP_CALL_WHY_BYTES, "the timeout must be more than 0");
        return WEIR_EINVAL;
    }
    set_ways(call, wish);
    enum weir_err err = set_url(call, wish->url, why);
    if (err == WEIR_OK) {
        err = set_method(call, wish, why);
    }
    if (err == WEIR_OK) {
        err = set_fields(call, wish, why);
    }
    if (err == WEIR_OK) {
        err = set_trust(call, wish);
    }
    return err;
}
