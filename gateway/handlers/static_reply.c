/* From an open file to a response. The order is RFC 9110's: preconditions first (section 13.2.2),
 * then the range (section 14.2), each against the representation that was selected. Bodies up to
 * one piece go out in one reply; larger ones are read piece by piece as the client takes them, so
 * a slow reader costs a descriptor and no memory; after a few of them other connections have their
 * turn, or one fast reader of a large file would hold up everybody's messages.
 * Called by static.c on the workers. Reading blocks the worker for as long as the disk takes, at
 * most one piece at a time: fine for files in the page cache, slow on a cold network disk. */
#include "handlers/static_reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "handlers/static_etag.h"
#include "net/loop.h"
#include "proto/http_conditional.h"
#include "proto/http_range.h"
#include "session/request.h"
#include "session/worker_access.h"

enum {
    STREAM_MAGIC = 0x73747265,
    FIELDS_MAX = 10,
    TURN_PIECES = 16 /* sent in one turn of the loop, i.e. 1 MiB */
};

/* A large body on its way; it sits in the request's seat. */
struct stream {
    uint32_t magic;
    unsigned seat;
    struct static_worker *worker;
    struct weir_request *request;
    struct loop_timer *next_turn; /* NULL unless it waits for one */
    struct static_file file;
    off_t at;
    uint64_t left; /* bytes */
};

/* A response being made, with the texts that its fields borrow. */
struct response {
    struct static_worker *worker;
    struct weir_request *request;
    unsigned seat;
    struct static_choice *choice;
    struct http_validators validators;
    struct reply_field fields[FIELDS_MAX];
    size_t field_count;
    struct http_range range; /* of the file, that the body is */
    char etag[STATIC_ETAG_BYTES];
    char modified[CLOCK_HTTP_DATE_BYTES];
    char content_range[HTTP_CONTENT_RANGE_BYTES];
};

static uint64_t file_size(const struct response *r)
{
    return (uint64_t)r->choice->file.info.st_size;
}

enum weir_verdict static_reply_verdict(enum weir_err err)
{
    return err == WEIR_OK ? WEIR_REPLY : WEIR_DROP;
}

/* --- fields --- */

static void add_field(struct response *r, struct span name, const char *value)
{
    WEIR_CHECK(r->field_count < FIELDS_MAX);
    r->fields[r->field_count++] = (struct reply_field){name, span_of(value)};
}

/* RFC 9110, section 8.8.2.1: a date from the future is none; the time of the response stands for
 * it. */
static void find_validators(struct response *r)
{
    uint64_t now_ms = clock_wall_ms();
    int64_t now = (int64_t)(now_ms / 1000);
    int64_t modified = r->choice->file.info.st_mtim.tv_sec;
    static_etag_write(&r->choice->file.info, r->choice->is_gzip, now_ms, r->etag);
    r->validators = (struct http_validators){
        .etag = span_of(r->etag),
        .has_modified = modified >= 0,
        .modified_seconds = modified < now ? modified : now,
        .now_seconds = now,
    };
}

/* What a 304 carries too (RFC 9110, section 15.4.5), Last-Modified not. */
static void add_caching_fields(struct response *r)
{
    add_field(r, SPAN("ETag"), r->etag);
    if (r->worker->plugin->cache_control[0] != '\0') {
        add_field(r, SPAN("Cache-Control"), r->worker->plugin->cache_control);
    }
    if (r->choice->varies) {
        add_field(r, SPAN("Vary"), "Accept-Encoding");
    }
}

static void add_file_fields(struct response *r)
{
    add_field(r, SPAN("Content-Type"), r->choice->type);
    add_field(r, SPAN("X-Content-Type-Options"), "nosniff");
    add_field(r, SPAN("Accept-Ranges"), "bytes");
    if (r->validators.has_modified) {
        clock_http_date((uint64_t)r->validators.modified_seconds, r->modified);
        add_field(r, SPAN("Last-Modified"), r->modified);
    }
    if (r->choice->is_gzip) {
        add_field(r, SPAN("Content-Encoding"), "gzip");
    }
}

/* --- body --- */

/* Fills `bytes` from the file; false where it ends before, or cannot be read. */
static bool read_all(const struct static_file *file, uint8_t *bytes, size_t size, off_t at)
{
    size_t used = 0;
    while (used < size) {
        ssize_t got = pread(file->fd, bytes + used, size - used, at + (off_t)used);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return false;
        }
        used += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static void log_short(const struct weir_request *request)
{
    log_warn("static", "%.*s could not be read to its end, or shrank while it was sent",
             SPAN_ARGS(request_path(request)));
}

static struct stream *stream_of(void *pointer)
{
    struct stream *stream = pointer;
    WEIR_CHECK(stream->magic == STREAM_MAGIC);
    return stream;
}

/* Frees it and clears its seat. */
static void stream_free(struct stream **stream)
{
    struct stream *s = *stream;
    *request_seat(s->request, s->seat) = NULL;
    loop_timer_free(&s->next_turn);
    static_root_close_file(&s->file);
    s->magic = 0;
    free(s);
    *stream = NULL;
}

/* The body is complete, or can never be: fewer bytes than were promised cut the connection. */
static void stream_end(struct stream *stream)
{
    struct weir_request *request = stream->request;
    stream_free(&stream);
    request_reply_end(request);
}

static enum weir_err send_next(struct stream *stream, bool *is_full)
{
    uint8_t *piece = stream->worker->piece;
    size_t size = stream->left < STATIC_PIECE_BYTES ? (size_t)stream->left : STATIC_PIECE_BYTES;
    if (!read_all(&stream->file, piece, size, stream->at)) {
        log_short(stream->request);
        return WEIR_EIO;
    }
    stream->at += (off_t)size;
    stream->left -= size;
    return request_reply_body(stream->request, (struct span){piece, size}, is_full);
}

static void on_next_turn(void *context);

/* Without memory for a timer the body cannot go on. */
static void wait_turn(struct stream *stream)
{
    struct loop *loop = worker_loop(stream->worker->host);
    stream->next_turn = loop_timer_new(loop, 0, false, on_next_turn, stream);
    if (stream->next_turn == NULL) {
        stream_end(stream);
    }
}

/* Sends pieces until the client is behind (on_reply_drain goes on), the turn is used up (the timer
 * goes on), or the body ends. */
static void pump(struct stream *stream)
{
    bool is_full = false;
    enum weir_err err = WEIR_OK;
    for (unsigned i = 0; i < TURN_PIECES && stream->left > 0 && !is_full && err == WEIR_OK; i++) {
        err = send_next(stream, &is_full);
    }
    if (err == WEIR_ECLOSED) {
        return; /* on_done comes */
    }
    if (err != WEIR_OK || stream->left == 0) {
        stream_end(stream);
    } else if (!is_full) {
        wait_turn(stream);
    }
}

static void on_next_turn(void *context)
{
    struct stream *stream = stream_of(context);
    loop_timer_free(&stream->next_turn);
    pump(stream);
}

static enum weir_err send_stream(struct response *r, unsigned status)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return WEIR_ENOMEM;
    }
    *stream = (struct stream){
        .magic = STREAM_MAGIC,
        .seat = r->seat,
        .worker = r->worker,
        .request = r->request,
        .file = r->choice->file,
        .at = (off_t)r->range.first,
        .left = r->range.length,
    };
    r->choice->file.fd = -1;
    enum weir_err err =
        request_reply_start(r->request, status, r->fields, r->field_count, r->range.length);
    if (err != WEIR_OK) {
        stream_free(&stream);
        return err;
    }
    *request_seat(r->request, r->seat) = stream;
    pump(stream);
    return WEIR_OK;
}

static enum weir_err send_piece(struct response *r, unsigned status)
{
    size_t size = (size_t)r->range.length;
    if (!read_all(&r->choice->file, r->worker->piece, size, (off_t)r->range.first)) {
        log_short(r->request);
        return request_reply_error(r->request, 500, "the file could not be read");
    }
    return request_reply(r->request, status, r->fields, r->field_count,
                         (struct span){r->worker->piece, size});
}

/* A HEAD promises the length and reads nothing. */
static enum weir_err send_head(struct response *r, unsigned status)
{
    enum weir_err err =
        request_reply_start(r->request, status, r->fields, r->field_count, r->range.length);
    if (err == WEIR_OK) {
        request_reply_end(r->request);
    }
    return err;
}

static enum weir_err send_range(struct response *r, unsigned status)
{
    if (span_equal(request_method(r->request), SPAN("HEAD"))) {
        return send_head(r, status);
    }
    return r->range.length > STATIC_PIECE_BYTES ? send_stream(r, status) : send_piece(r, status);
}

/* --- the answer --- */

static void read_conditions(struct response *r, struct http_conditional *conditional)
{
    conditional->validators = &r->validators;
    for (size_t i = 0; i < request_header_count(r->request); i++) {
        http_conditional_add(conditional, request_header_name(r->request, i),
                             request_header_value(r->request, i));
    }
}

/* The value of the Range field; empty where there is none or more than one, which nobody means. */
static struct span range_field(const struct weir_request *request)
{
    struct span value = SPAN("");
    unsigned found = 0;
    for (size_t i = 0; i < request_header_count(request); i++) {
        if (span_equal_nocase(request_header_name(request, i), SPAN("Range"))) {
            value = request_header_value(request, i);
            found++;
        }
    }
    return found == 1 ? value : SPAN("");
}

static enum http_range_kind choose_range(struct response *r,
                                         const struct http_conditional *conditional)
{
    /* RFC 9110, section 14.2: Range means something for GET alone. */
    if (!span_equal(request_method(r->request), SPAN("GET")) ||
        !http_conditional_allows_range(conditional)) {
        return HTTP_RANGE_WHOLE;
    }
    return http_range_parse(range_field(r->request), file_size(r), &r->range);
}

static enum weir_err send_unsatisfiable(struct response *r)
{
    http_range_write(NULL, file_size(r), r->content_range);
    add_field(r, SPAN("Content-Range"), r->content_range);
    add_field(r, SPAN("Content-Type"), "text/plain; charset=utf-8");
    return request_reply(r->request, 416, r->fields, r->field_count,
                         SPAN("the file has no such range\n"));
}

static enum weir_err send_selected(struct response *r, const struct http_conditional *conditional)
{
    unsigned status = 200;
    r->range = (struct http_range){0, file_size(r)};
    switch (choose_range(r, conditional)) {
    case HTTP_RANGE_UNSATISFIABLE:
        return send_unsatisfiable(r);
    case HTTP_RANGE_PART:
        status = 206;
        http_range_write(&r->range, file_size(r), r->content_range);
        add_field(r, SPAN("Content-Range"), r->content_range);
        break;
    case HTTP_RANGE_WHOLE:
        break;
    }
    add_caching_fields(r);
    add_file_fields(r);
    return send_range(r, status);
}

static enum weir_err answer(struct response *r)
{
    struct http_conditional conditional = {0};
    find_validators(r);
    read_conditions(r, &conditional);
    switch (http_conditional_judge(&conditional)) {
    case HTTP_PRECONDITION_FAILED:
        return request_reply_error(r->request, 412, "the file is not the one that was expected");
    case HTTP_PRECONDITION_NOT_MODIFIED:
        add_caching_fields(r);
        return request_reply(r->request, 304, r->fields, r->field_count, SPAN(""));
    case HTTP_PRECONDITION_PASSED:
        break;
    }
    return send_selected(r, &conditional);
}

enum weir_verdict static_reply_send(struct static_worker *worker, struct weir_request *request,
                                    unsigned seat, struct static_choice *choice)
{
    struct response r = {
        .worker = worker,
        .request = request,
        .seat = seat,
        .choice = choice,
    };
    enum weir_err err = answer(&r);
    static_root_close_file(&choice->file);
    return static_reply_verdict(err);
}

void static_reply_drain(struct weir_request *request, unsigned seat)
{
    void *pointer = *request_seat(request, seat);
    struct stream *stream = pointer != NULL ? stream_of(pointer) : NULL;
    if (stream != NULL && stream->next_turn == NULL) {
        pump(stream);
    }
}

void static_reply_done(struct weir_request *request, unsigned seat)
{
    void *pointer = *request_seat(request, seat);
    if (pointer != NULL) {
        struct stream *stream = stream_of(pointer);
        stream_free(&stream);
    }
}
