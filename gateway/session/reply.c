/* Responses: heads with their fixed fields, whole or streamed bodies, and refusals of what never
 * became a request. What comes from a backend begins in reply_forward.c. All of it leaves through
 * the cork, so pipelined responses share a system call.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "proto/http_error.h"
#include "proto/http_write.h"
#include "session/output.h"
#include "session/request_internal.h"

bool request_is_unanswered(const struct weir_request *request)
{
    return request->status == 0;
}

bool request_is_complete(const struct weir_request *request)
{
    bool body_matters = request->keep_alive || request->switched;
    return request->reply_done && (request->body_done || !body_matters);
}

static struct span server_fields(struct weir_worker *worker)
{
    uint64_t second = clock_wall_ms() / 1000;
    if (second != worker->server_fields_second) {
        char date[CLOCK_HTTP_DATE_BYTES];
        clock_http_date(second, date);
        int size = snprintf(worker->server_fields_text, sizeof worker->server_fields_text,
                            "Date: %s\r\nServer: weir\r\n", date);
        worker->server_fields =
            (struct span){(const uint8_t *)worker->server_fields_text, (size_t)size};
        worker->server_fields_second = second;
    }
    return worker->server_fields;
}

struct span reply_date(struct weir_worker *worker)
{
    struct span both = server_fields(worker);
    both.size = span_find(both, '\n') + 1;
    return both;
}

static struct buffer *empty_head(struct weir_worker *worker)
{
    worker->reply.size = 0;
    return &worker->reply;
}

enum weir_err reply_begin(struct weir_request *request, unsigned status,
                          const struct reply_field *fields, size_t count, struct buffer **head)
{
    struct weir_worker *worker = request->connection->worker;
    bool is_nameless = request_hides_reply_field(request, SPAN("Server"));
    *head = empty_head(worker);
    enum weir_err err = http_write_status(*head, status);
    if (err == WEIR_OK) {
        err = buffer_append(*head, is_nameless ? reply_date(worker) : server_fields(worker));
    }
    return err == WEIR_OK ? request_write_reply_fields(request, *head, fields, count) : err;
}

/* RFC 9110, sections 6.4.1 and 15: no body on the wire, whatever was said about its length. */
static bool has_no_body(const struct weir_request *request, unsigned status)
{
    return status == 204 || status == 304 || span_equal(request_method(request), SPAN("HEAD"));
}

static enum weir_err write_framing(struct weir_request *request, struct buffer *head,
                                   const struct reply_frame *frame)
{
    uint64_t length = frame->length;
    bool says_nothing =
        frame->forwarded ? length == REPLY_LENGTH_UNKNOWN : frame->status == 304 && length == 0;
    if (frame->status == 204 || (says_nothing && has_no_body(request, frame->status))) {
        return WEIR_OK; /* RFC 9110, section 8.6: never with 204 */
    }
    if (length != REPLY_LENGTH_UNKNOWN) {
        return http_write_number(head, SPAN("Content-Length"), length);
    }
    if (request->minor == 0) {
        request->keep_alive =
            false; /* HTTP/1.0 knows no chunks; the end of the connection ends the body */
        return WEIR_OK;
    }
    request->reply_chunked = true;
    return http_write_field(head, SPAN("Transfer-Encoding"), SPAN("chunked"));
}

static enum weir_err write_connection(const struct weir_request *request, struct buffer *head)
{
    if (!request->keep_alive) {
        return http_write_field(head, SPAN("Connection"), SPAN("close"));
    }
    if (request->minor == 0) {
        return http_write_field(head, SPAN("Connection"), SPAN("keep-alive"));
    }
    return WEIR_OK;
}

static void decide_keep_alive(struct weir_request *request)
{
    /* A client that still waits for 100 Continue may or may not send its body: only a new
     * connection is unambiguous (RFC 9110, section 10.1.1). */
    bool body_in_doubt = request->expects_continue && !request->body_done;
    if (request->connection->worker->draining || body_in_doubt) {
        request->keep_alive = false;
    }
}

enum weir_err reply_is_possible(const struct weir_request *request)
{
    if (!request_is_unanswered(request)) {
        return WEIR_EINVAL;
    }
    bool has_gone = request->ended || request->connection->state == CONNECTION_DEAD;
    return has_gone ? WEIR_ECLOSED : WEIR_OK;
}

enum weir_err reply_send_head(struct weir_request *request, struct buffer *head,
                              const struct reply_frame *frame)
{
    decide_keep_alive(request);
    enum weir_err err = request_write_reply_changes(request, head);
    if (err == WEIR_OK) {
        err = write_framing(request, head, frame);
    }
    if (err == WEIR_OK) {
        err = write_connection(request, head);
    }
    if (err == WEIR_OK) {
        err = http_write_end(head);
    }
    if (err != WEIR_OK) {
        request->reply_chunked = false;
        return err;
    }
    request->status = (uint16_t)frame->status;
    request->reply_bodyless = has_no_body(request, frame->status);
    request->reply_left = frame->length;
    return output_write(request->connection, buffer_span(head), (struct span){0});
}

enum weir_err request_reply_start(struct weir_request *request, unsigned status,
                                  const struct reply_field *fields, size_t count, uint64_t length)
{
    struct reply_frame frame = {status, length, false};
    struct buffer *head = NULL;
    enum weir_err err = status < 200 ? WEIR_EINVAL : reply_is_possible(request);
    if (err == WEIR_OK) {
        err = reply_begin(request, status, fields, count, &head);
    }
    return err == WEIR_OK ? reply_send_head(request, head, &frame) : err;
}

static enum weir_err write_chunk(struct connection *connection, struct span part)
{
    struct buffer *head = &connection->worker->reply;
    head->size = 0;
    enum weir_err err = http_write_chunk_head(head, part.size);
    if (err == WEIR_OK) {
        err = output_write(connection, buffer_span(head), part);
    }
    return err == WEIR_OK ? output_write(connection, SPAN("\r\n"), (struct span){0}) : err;
}

enum weir_err request_reply_body(struct weir_request *request, struct span part, bool *full)
{
    struct connection *connection = request->connection;
    *full = false;
    if (request_is_unanswered(request) || request->reply_done) {
        return WEIR_EINVAL;
    }
    if (connection->state == CONNECTION_DEAD || request->ended) {
        return WEIR_ECLOSED;
    }
    if (request->reply_bodyless || part.size == 0) {
        return WEIR_OK;
    }
    if (request->reply_left != REPLY_LENGTH_UNKNOWN) {
        if (part.size > request->reply_left) {
            return WEIR_EINVAL;
        }
        request->reply_left -= part.size;
    }
    request->bytes_out += part.size;
    enum weir_err err = request->reply_chunked ? write_chunk(connection, part)
                                               : output_write(connection, part, (struct span){0});
    if (err == WEIR_OK && connection->choked) {
        connection_output_grew(connection, true);
        *full = true;
    }
    return err;
}

/* Our direction of a pipe ends; the client's may go on. */
static void end_pipe(struct weir_request *request)
{
    struct connection *connection = request->connection;
    struct cork *cork = &connection->worker->cork;
    if (cork->owner == &connection->stream) {
        cork_flush(cork);
    }
    if (connection->state != CONNECTION_DEAD) {
        stream_shutdown(&connection->stream);
    }
}

void request_reply_end_trailers(struct weir_request *request, struct span lines)
{
    struct connection *connection = request->connection;
    enum weir_err err = WEIR_OK;
    if (request_is_unanswered(request) || request->reply_done) {
        return;
    }
    request->reply_done = true;
    if (request->switched) {
        end_pipe(request);
    } else if (!request->reply_bodyless && request->reply_chunked) {
        err = output_write(connection, SPAN("0\r\n"), lines);
        err = err == WEIR_OK ? output_write(connection, SPAN("\r\n"), (struct span){0}) : err;
    } else if (!request->reply_bodyless && request->reply_left > 0 &&
               request->reply_left != REPLY_LENGTH_UNKNOWN) {
        connection_close(connection, WEIR_CLOSE_RESET);
    }
    (void)err; /* the connection has been closed */
    if (!request->switched) {
        connection_pause_input(connection, false); /* what is left of the body is read away */
    }
    connection_sweep_later(connection);
}

void request_reply_end(struct weir_request *request)
{
    request_reply_end_trailers(request, (struct span){0});
}

enum weir_err request_reply(struct weir_request *request, unsigned status,
                            const struct reply_field *fields, size_t count, struct span body)
{
    bool full = false;
    enum weir_err err = request_reply_start(request, status, fields, count, body.size);
    if (err == WEIR_OK) {
        err = request_reply_body(request, body, &full);
    }
    if (err == WEIR_OK) {
        request_reply_end(request);
    }
    return err;
}

enum weir_err request_reply_error(struct weir_request *request, unsigned status, const char *why)
{
    struct buffer body = {0};
    const char *type = NULL;
    enum weir_err err =
        http_error_body(&body, status, why, request_header(request, SPAN("Accept")), &type);
    if (err == WEIR_OK) {
        struct reply_field field = {SPAN("Content-Type"), span_of(type)};
        err = request_reply(request, status, &field, 1, buffer_span(&body));
    }
    buffer_free(&body);
    return err;
}

void reply_refuse(struct connection *connection, unsigned status, const char *why)
{
    struct buffer body = {0};
    struct buffer *head = empty_head(connection->worker);
    const char *type = NULL;
    enum weir_err err = http_error_body(&body, status, why, (struct span){0}, &type);
    if (err == WEIR_OK) {
        err = http_write_status(head, status);
    }
    if (err == WEIR_OK) {
        err = buffer_append(head, server_fields(connection->worker));
    }
    if (err == WEIR_OK) {
        err = http_write_field(head, SPAN("Content-Type"), span_of(type));
    }
    if (err == WEIR_OK) {
        err = http_write_field(head, SPAN("Connection"), SPAN("close"));
    }
    if (err == WEIR_OK) {
        err = http_write_number(head, SPAN("Content-Length"), body.size);
    }
    if (err == WEIR_OK) {
        err = http_write_end(head);
    }
    if (err == WEIR_OK) {
        err = output_write(connection, buffer_span(head), buffer_span(&body));
    }
    buffer_free(&body);
    enum close_reason reason = status == 408 ? WEIR_CLOSE_HTTP_TIMEOUT : WEIR_CLOSE_HTTP_BAD;
    if (err == WEIR_OK) {
        connection_finish(connection, reason);
    } else {
        connection_close(connection, reason);
    }
}
