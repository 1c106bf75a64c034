/* Responses that come from a backend: final and interim heads as it has sent them, with the
 * client's own framing; the switch to another protocol; and the cut of what cannot be completed.
 * Called by the proxy. Bodies go the way of all others (reply.c); what may be passed on is decided
 * by the caller. */
#include "proto/http_write.h"
#include "session/output.h"
#include "session/request_internal.h"

static enum weir_err write_status(struct buffer *out, unsigned status, struct span reason)
{
    out->size = 0;
    return reason.size > 0 ? http_write_status_reason(out, status, reason)
                           : http_write_status(out, status);
}

/* RFC 9110, section 6.6.1: who passes a response on without Date adds it. */
static enum weir_err write_date(struct weir_worker *worker, const struct reply_head *head)
{
    for (size_t i = 0; i < head->count; i++) {
        if (span_equal_nocase(head->fields[i].name, SPAN("Date"))) {
            return WEIR_OK;
        }
    }
    return buffer_append(&worker->reply, reply_date(worker));
}

enum weir_err request_forward_start(struct weir_request *request, const struct reply_head *head)
{
    struct weir_worker *worker = request->connection->worker;
    struct reply_frame frame = {head->status, head->length, true};
    enum weir_err err = head->status < 200 ? WEIR_EINVAL : reply_is_possible(request);
    if (err == WEIR_OK) {
        err = write_status(&worker->reply, head->status, head->reason);
    }
    if (err == WEIR_OK) {
        err = write_date(worker, head);
    }
    if (err == WEIR_OK) {
        err = request_write_reply_fields(request, &worker->reply, head->fields, head->count);
    }
    return err == WEIR_OK ? reply_send_head(request, &worker->reply, &frame) : err;
}

/* A head without a length: of an interim response, or of a switch, where plugins have their say. */
static enum weir_err send_bare_head(struct weir_request *request, const struct reply_head *head)
{
    struct buffer *out = &request->connection->worker->reply;
    enum weir_err err = write_status(out, head->status, head->reason);
    if (err == WEIR_OK) {
        err = request_write_reply_fields(request, out, head->fields, head->count);
    }
    if (err == WEIR_OK && head->status == 101) {
        err = request_write_reply_changes(request, out);
    }
    if (err == WEIR_OK) {
        err = http_write_end(out);
    }
    return err == WEIR_OK ? output_write(request->connection, buffer_span(out), (struct span){0})
                          : err;
}

enum weir_err request_reply_interim(struct weir_request *request, const struct reply_head *head)
{
    if (head->status < 100 || head->status > 199 || head->status == 101) {
        return WEIR_EINVAL;
    }
    if (request->ended || request->connection->state == CONNECTION_DEAD) {
        return WEIR_ECLOSED;
    }
    if (request->minor == 0 || !request_is_unanswered(request)) {
        return WEIR_OK;
    }
    enum weir_err err = send_bare_head(request, head);
    if (err == WEIR_OK && head->status == 100) {
        request->expects_continue = false; /* RFC 9110, section 10.1.1: the body comes now */
        connection_restart_clock(request->connection);
    }
    return err;
}

enum weir_err request_switch(struct weir_request *request, unsigned seat,
                             const struct reply_head *head)
{
    /* RFC 9110, section 7.8: the request is to be read whole before its connection is something
     * else; and HTTP/1.0 has no upgrades. */
    if (head->status != 101 || !request->body_done || request->minor == 0 ||
        seat >= request->walk) {
        return WEIR_EINVAL;
    }
    enum weir_err err = reply_is_possible(request);
    if (err == WEIR_OK) {
        err = send_bare_head(request, head);
    }
    if (err != WEIR_OK) {
        return err;
    }
    request->status = 101;
    request->switched = true;
    request->watched = false;
    request->keep_alive = false;
    request->body_wanted = true;
    request->body_seat = (uint16_t)seat;
    request->body_done = false;
    request->reply_left = REPLY_LENGTH_UNKNOWN;
    connection_hold_input(request->connection, false);
    connection_sweep_later(request->connection); /* bytes may have come early */
    return WEIR_OK;
}

void request_reply_abort(struct weir_request *request, enum close_reason reason)
{
    struct connection *connection = request->connection;
    if (request->ended || request->reply_done) {
        return;
    }
    bool is_framed = request->reply_chunked || request->reply_left != REPLY_LENGTH_UNKNOWN;
    if (request_is_unanswered(request)) {
        connection_close(connection, reason);
    } else if (is_framed) {
        /* The frame shows what is missing, so that what was sent may still arrive. */
        connection_finish(connection, reason);
    } else {
        stream_reset_at_close(&connection->stream);
        connection_close(connection, reason);
    }
}
