/* A request's fields: those that came, packed behind the request, and what plugins have changed
 * about them for everybody who looks after them, the proxy among these. What a plugin takes away is
 * marked, and what it brings is kept in a list until the request ends, so spans that somebody has
 * borrowed stay what they are. It never changes how the message is framed or where it goes. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proto/http_chars.h"
#include "proto/http_framing.h"
#include "proto/http_hop.h"
#include "proto/http_write.h"
#include "session/request_internal.h"

/* --- changes, for both directions --- */

/* A field that a plugin has added or set, or the mark that it is to be taken away. */
struct request_change {
    struct request_change *next;
    enum request_change_kind kind;
    bool is_gone; /* a later change has taken it away */
    size_t name_size;
    size_t value_size;
    uint8_t text[]; /* the name, then the value */
};

/* What plugins have changed about one request. */
struct request_changes {
    struct request_change *fields; /* in order */
    struct request_change *reply;
    uint64_t hidden[HTTP_FIELDS_MAX / 64]; /* one bit for each packed field that was taken away */
    uint16_t hidden_count;
};

static struct request_changes *changes_of(const struct weir_request *request)
{
    return request->extra != NULL ? request->extra->changes : NULL;
}

static struct span change_name(const struct request_change *change)
{
    return (struct span){change->text, change->name_size};
}

static struct span change_value(const struct request_change *change)
{
    return (struct span){change->text + change->name_size, change->value_size};
}

static bool has_prefix(struct span name, struct span prefix)
{
    return name.size >= prefix.size &&
           span_equal_nocase((struct span){name.data, prefix.size}, prefix);
}

/* Fields that frame or route a message, or are a handshake's: the gateway alone writes them. */
static bool is_ours(struct span name)
{
    static const char *const ours[] = {"Content-Length", "Date", "Expect", "Host", "Trailer"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (http_framing_reads_as(name, span_of(ours[i]))) {
            return true;
        }
    }
    return http_hop_is_local(NULL, 0, name) || has_prefix(name, SPAN("Sec-WebSocket-"));
}

static bool is_good(struct span name, struct span value)
{
    return http_chars_is_token(name) && http_chars_all(value, HTTP_CHAR_VALUE) && !is_ours(name);
}

static struct request_change *new_change(enum request_change_kind kind, struct span name,
                                         struct span value)
{
    struct request_change *change = malloc(sizeof *change + name.size + value.size);
    if (change == NULL) {
        return NULL;
    }
    *change =
        (struct request_change){.kind = kind, .name_size = name.size, .value_size = value.size};
    memcpy(change->text, name.data, name.size);
    if (value.size > 0) {
        memcpy(change->text + name.size, value.data, value.size);
    }
    return change;
}

/* Puts a change behind the others, and takes away what it replaces. */
static enum weir_err append(struct request_change **list, enum request_change_kind kind,
                            struct span name, struct span value)
{
    struct request_change *change = new_change(kind, name, value);
    if (change == NULL) {
        return WEIR_ENOMEM;
    }
    while (*list != NULL) {
        (*list)->is_gone |=
            kind != REQUEST_CHANGE_ADD && span_equal_nocase(change_name(*list), name);
        list = &(*list)->next;
    }
    *list = change;
    return WEIR_OK;
}

static bool brings_field(const struct request_change *change)
{
    return !change->is_gone && change->kind != REQUEST_CHANGE_REMOVE;
}

static size_t count_all(const struct request_change *change)
{
    size_t count = 0;
    for (; change != NULL; change = change->next) {
        count++;
    }
    return count;
}

static void free_all(struct request_change *change)
{
    while (change != NULL) {
        struct request_change *next = change->next;
        free(change);
        change = next;
    }
}

void request_changes_free(struct request_extra *extra)
{
    if (extra->changes != NULL) {
        free_all(extra->changes->fields);
        free_all(extra->changes->reply);
        free(extra->changes);
        extra->changes = NULL;
    }
}

/* Whether a field may be changed now; then there is a place for it. */
static enum weir_err prepare(struct weir_request *request, struct span name, struct span value)
{
    if (!is_good(name, value)) {
        return WEIR_EINVAL;
    }
    if (!request_is_unanswered(request) || request->ended) {
        return WEIR_ECLOSED;
    }
    struct request_extra *extra = request_extra(request);
    if (extra != NULL && extra->changes == NULL) {
        extra->changes = calloc(1, sizeof *extra->changes);
    }
    return extra != NULL && extra->changes != NULL ? WEIR_OK : WEIR_ENOMEM;
}

/* --- the request's own --- */

static bool is_hidden(const struct weir_request *request, size_t index)
{
    const struct request_changes *changes = changes_of(request);
    return changes != NULL && (changes->hidden[index / 64] >> (index % 64) & 1) != 0;
}

/* Of the fields that came, how many can still be seen. */
static size_t packed_count(const struct weir_request *request)
{
    const struct request_changes *changes = changes_of(request);
    return request->field_count - (changes != NULL ? (size_t)changes->hidden_count : 0);
}

static const struct request_change *first_brought(const struct weir_request *request)
{
    const struct request_changes *changes = changes_of(request);
    return changes != NULL ? changes->fields : NULL;
}

static const struct request_change *first_of_reply(const struct weir_request *request)
{
    const struct request_changes *changes = changes_of(request);
    return changes != NULL ? changes->reply : NULL;
}

static const uint8_t *read_packed(const uint8_t *at, struct http_field *field)
{
    uint16_t sizes[2];
    memcpy(sizes, at, REQUEST_FIELD_SIZES);
    at += REQUEST_FIELD_SIZES;
    field->name = (struct span){at, sizes[0]};
    field->value = (struct span){at + sizes[0], sizes[1]};
    return at + sizes[0] + sizes[1];
}

static struct http_field packed_at(const struct weir_request *request, size_t index)
{
    const uint8_t *at = request_text(request) + request->fields_at;
    struct http_field field;
    for (size_t i = 0;; i++) {
        at = read_packed(at, &field);
        if (!is_hidden(request, i) && index-- == 0) {
            return field;
        }
    }
}

static struct http_field brought_at(const struct weir_request *request, size_t index)
{
    const struct request_change *change = first_brought(request);
    while (!brings_field(change) || index-- > 0) {
        change = change->next;
    }
    return (struct http_field){change_name(change), change_value(change)};
}

static struct http_field field_at(const struct weir_request *request, size_t index)
{
    size_t packed = packed_count(request);
    WEIR_CHECK(index < request_header_count(request));
    return index < packed ? packed_at(request, index) : brought_at(request, index - packed);
}

size_t request_header_count(const struct weir_request *request)
{
    size_t count = packed_count(request);
    const struct request_change *change = first_brought(request);
    for (; change != NULL; change = change->next) {
        count += brings_field(change);
    }
    return count;
}

struct span request_header_name(const struct weir_request *request, size_t index)
{
    return field_at(request, index).name;
}

struct span request_header_value(const struct weir_request *request, size_t index)
{
    return field_at(request, index).value;
}

struct span request_header(const struct weir_request *request, struct span name)
{
    size_t count = request_header_count(request);
    for (size_t i = 0; i < count; i++) {
        struct http_field field = field_at(request, i);
        if (span_equal_nocase(field.name, name)) {
            return field.value;
        }
    }
    return (struct span){NULL, 0};
}

/* With "_" for "-" as well, or a client could bring what is set or taken away under a name that a
 * CGI backend reads as the same. */
static void hide(struct weir_request *request, struct span name)
{
    const uint8_t *at = request_text(request) + request->fields_at;
    for (size_t i = 0; i < request->field_count; i++) {
        struct http_field field;
        at = read_packed(at, &field);
        if (!is_hidden(request, i) && http_framing_reads_as(field.name, name)) {
            request->extra->changes->hidden[i / 64] |= (uint64_t)1 << (i % 64);
            request->extra->changes->hidden_count++;
        }
    }
}

enum weir_err request_change_field(struct weir_request *request, enum request_change_kind kind,
                                   struct span name, struct span value)
{
    enum weir_err err = prepare(request, name, value);
    if (err != WEIR_OK) {
        return err;
    }
    if (count_all(first_brought(request)) >= REQUEST_CHANGES_MAX ||
        request_header_count(request) >= HTTP_FIELDS_MAX) {
        return WEIR_ELIMIT;
    }
    err = append(&request->extra->changes->fields, kind, name, value);
    if (err == WEIR_OK && kind != REQUEST_CHANGE_ADD) {
        hide(request, name);
    }
    return err;
}

/* --- the answer's --- */

enum weir_err request_change_reply(struct weir_request *request, enum request_change_kind kind,
                                   struct span name, struct span value)
{
    enum weir_err err = prepare(request, name, value);
    if (err == WEIR_OK && count_all(first_of_reply(request)) >= REQUEST_CHANGES_MAX) {
        err = WEIR_ELIMIT;
    }
    return err == WEIR_OK ? append(&request->extra->changes->reply, kind, name, value) : err;
}

bool request_hides_reply_field(const struct weir_request *request, struct span name)
{
    const struct request_change *change = first_of_reply(request);
    for (; change != NULL; change = change->next) {
        if (change->kind != REQUEST_CHANGE_ADD && span_equal_nocase(change_name(change), name)) {
            return true;
        }
    }
    return false;
}

enum weir_err request_write_reply_fields(const struct weir_request *request, struct buffer *head,
                                         const struct reply_field *fields, size_t count)
{
    enum weir_err err = WEIR_OK;
    for (size_t i = 0; i < count && err == WEIR_OK; i++) {
        if (!request_hides_reply_field(request, fields[i].name)) {
            err = http_write_field(head, fields[i].name, fields[i].value);
        }
    }
    return err;
}

enum weir_err request_write_reply_changes(const struct weir_request *request, struct buffer *head)
{
    enum weir_err err = WEIR_OK;
    const struct request_change *change = first_of_reply(request);
    for (; change != NULL && err == WEIR_OK; change = change->next) {
        if (brings_field(change)) {
            err = http_write_field(head, change_name(change), change_value(change));
        }
    }
    return err;
}

enum weir_err request_write_reply_lines(const struct weir_request *request, struct buffer *head,
                                        struct span lines)
{
    enum weir_err err = WEIR_OK;
    while (lines.size > 0 && err == WEIR_OK) {
        struct span line = {lines.data, span_find(lines, '\n') + 1};
        struct span name = {line.data, span_find(line, ':')};
        if (!request_hides_reply_field(request, name)) {
            err = buffer_append(head, line);
        }
        lines = span_from(lines, line.size);
    }
    return err;
}
