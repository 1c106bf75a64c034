/* Sorts a backend's fields: those for this hop (RFC 9110, section 7.6.1) and the framing end here,
 * the session writes its own; the rest pass in their order, changed as the settings say. Called by
 * the exchange for every head a backend sends. It copies no bytes. */
#include "handlers/proxy/response_head.h"

#include <stdlib.h>
#include <string.h>

#include "handlers/proxy/header_changes.h"
#include "proto/http_hop.h"

enum {
    EXTRA_FIELDS = 3 /* a cookie, Upgrade and Connection */
};

static void add(struct response_head *head, struct span name, struct span value)
{
    head->fields[head->count++] = (struct reply_field){name, value};
}

/* The client's handshake is the session's own, and its 101 has a Date and a Server already. */
static bool is_of_session(struct span name)
{
    bool is_handshake =
        name.size > 14 && span_equal_nocase((struct span){name.data, 14}, SPAN("Sec-WebSocket-"));
    return is_handshake || span_equal_nocase(name, SPAN("Date")) ||
           span_equal_nocase(name, SPAN("Server"));
}

static bool passes(const struct proxy_settings *settings, const struct http_response *response,
                   enum response_use use, struct span name)
{
    if (http_hop_is_local(response->fields, response->field_count, name) ||
        span_equal_nocase(name, SPAN("Content-Length"))) {
        return false;
    }
    if (use == RESPONSE_SESSION && is_of_session(name)) {
        return false;
    }
    return use == RESPONSE_INTERIM || !header_changes_hide(&settings->response_headers, name);
}

static void add_changes(const struct proxy_settings *settings, struct response_head *head)
{
    const struct header_changes *changes = &settings->response_headers;
    for (size_t i = 0; i < changes->count; i++) {
        if (header_change_writes(&changes->items[i])) {
            add(head, changes->items[i].name, changes->items[i].value);
        }
    }
}

static void add_upgrade(const struct http_response *response, struct response_head *head)
{
    const struct http_field *upgrade =
        http_fields_find(response->fields, response->field_count, SPAN("Upgrade"));
    if (upgrade != NULL) {
        add(head, SPAN("Upgrade"), upgrade->value);
        add(head, SPAN("Connection"), SPAN("Upgrade"));
    }
}

enum weir_err response_head_make(const struct proxy_settings *settings,
                                 const struct http_response *response, enum response_use use,
                                 struct span cookie, struct response_head *out)
{
    size_t most = response->field_count + settings->response_headers.count + EXTRA_FIELDS;
    struct response_head head = {.fields = malloc(most * sizeof(struct reply_field))};
    if (head.fields == NULL) {
        return WEIR_ENOMEM;
    }
    for (size_t i = 0; i < response->field_count; i++) {
        if (passes(settings, response, use, response->fields[i].name)) {
            add(&head, response->fields[i].name, response->fields[i].value);
        }
    }
    if (use != RESPONSE_INTERIM) {
        add_changes(settings, &head);
    }
    if (cookie.size > 0) {
        add(&head, SPAN("Set-Cookie"), cookie);
    }
    /* RFC 9110, section 15.5.22: a 426 says what to upgrade to. */
    if (use == RESPONSE_SWITCH || (use == RESPONSE_FINAL && response->status == 426)) {
        add_upgrade(response, &head);
    }
    *out = head;
    return WEIR_OK;
}

void response_head_free(struct response_head *head)
{
    free(head->fields);
    *head = (struct response_head){0};
}

uint64_t response_head_length(const struct http_response *response)
{
    switch (response->body) {
    case HTTP_RESPONSE_LENGTH:
        return response->content_length;
    case HTTP_RESPONSE_CHUNKED:
    case HTTP_RESPONSE_CLOSE:
        return REPLY_LENGTH_UNKNOWN;
    case HTTP_RESPONSE_NONE:
        break;
    }
    if (response->status == 204) {
        return 0; /* it never has one (RFC 9110, section 8.6) */
    }
    return response->has_length ? response->content_length : REPLY_LENGTH_UNKNOWN;
}
