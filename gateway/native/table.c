/* The table of host functions: thin translations of what session/ offers into the types of the
 * public interface. Called by plugins, within their callbacks; it keeps nothing. */
#include "native/table.h"

#include <weir/plugin.h>

#include "base/err.h"
#include "base/log.h"
#include "base/span.h"
#include "native/part.h"
#include "net/loop.h"
#include "session/request.h"
#include "session/session.h"
#include "session/worker_access.h"

static struct span span_in(struct weir_bytes bytes)
{
    return (struct span){bytes.data, bytes.size};
}

static struct weir_bytes bytes_out(struct span span)
{
    return (struct weir_bytes){span.data, span.size};
}

static enum weir_status status_of(enum weir_err err)
{
    switch (err) {
    case WEIR_OK:
        return WEIR_STATUS_OK;
    case WEIR_ELIMIT:
        return WEIR_STATUS_FULL;
    case WEIR_ECLOSED:
    case WEIR_EIO:
        return WEIR_STATUS_CLOSED;
    case WEIR_ENOMEM:
        return WEIR_STATUS_NO_MEMORY;
    case WEIR_EINVAL:
    case WEIR_EPROTO:
    case WEIR_AGAIN:
        break;
    }
    return WEIR_STATUS_INVALID;
}

static void host_log(enum weir_log_level level, const char *who, const char *text)
{
    static const enum log_level levels[] = {
        [WEIR_LOG_DEBUG] = LOG_DEBUG,
        [WEIR_LOG_INFO] = LOG_INFO,
        [WEIR_LOG_WARN] = LOG_WARN,
        [WEIR_LOG_ERROR] = LOG_ERROR,
    };
    size_t row = (size_t)level < sizeof levels / sizeof levels[0] ? (size_t)level : WEIR_LOG_ERROR;
    log_line(levels[row], "plugin", "%s: %s", who, text);
}

/* --- a request --- */

static struct weir_bytes host_request_method(const struct weir_request *request)
{
    return bytes_out(request_method(request));
}

static struct weir_bytes host_request_target(const struct weir_request *request)
{
    return bytes_out(request_target(request));
}

static struct weir_bytes host_request_path(const struct weir_request *request)
{
    return bytes_out(request_path(request));
}

static struct weir_bytes host_request_query(const struct weir_request *request)
{
    return bytes_out(request_query(request));
}

static struct weir_bytes host_request_host(const struct weir_request *request)
{
    return bytes_out(request_host(request));
}

static struct weir_bytes host_request_subprotocol(const struct weir_request *request)
{
    return bytes_out(request_subprotocol(request));
}

static int host_wants_session(const struct weir_request *request)
{
    return request_wants_session(request);
}

static struct weir_field host_header_at(const struct weir_request *request, size_t index)
{
    if (index >= request_header_count(request)) {
        return (struct weir_field){{NULL, 0}, {NULL, 0}};
    }
    return (struct weir_field){bytes_out(request_header_name(request, index)),
                               bytes_out(request_header_value(request, index))};
}

static struct weir_bytes host_header(const struct weir_request *request, const char *name)
{
    return bytes_out(request_header(request, span_of(name)));
}

/* False: there are more than one call takes. */
static bool fields_in(const struct weir_field *fields, size_t count,
                      struct reply_field out[WEIR_FIELDS_MAX])
{
    if (count > WEIR_FIELDS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        out[i] = (struct reply_field){span_in(fields[i].name), span_in(fields[i].value)};
    }
    return true;
}

static enum weir_status host_reply(struct weir_request *request, unsigned status,
                                   const struct weir_field *fields, size_t count,
                                   struct weir_bytes body)
{
    struct reply_field own[WEIR_FIELDS_MAX];
    if (!fields_in(fields, count, own)) {
        return WEIR_STATUS_INVALID;
    }
    return status_of(request_reply(request, status, own, count, span_in(body)));
}

static enum weir_status host_reply_start(struct weir_request *request, unsigned status,
                                         const struct weir_field *fields, size_t count,
                                         uint64_t length)
{
    struct reply_field own[WEIR_FIELDS_MAX];
    if (!fields_in(fields, count, own)) {
        return WEIR_STATUS_INVALID;
    }
    return status_of(request_reply_start(request, status, own, count, length));
}

static enum weir_status host_reply_body(struct weir_request *request, struct weir_bytes bytes,
                                        int *full)
{
    bool is_full = false;
    enum weir_err err = request_reply_body(request, span_in(bytes), &is_full);
    *full = is_full;
    return status_of(err);
}

static void host_pause_body(struct weir_request *request, int on)
{
    request_pause_body(request, on != 0);
}

static enum weir_status host_prepare_accept(struct weir_request *request,
                                            struct weir_bytes subprotocol,
                                            const struct weir_field *fields, size_t count)
{
    struct reply_field own[WEIR_FIELDS_MAX];
    if (!fields_in(fields, count, own)) {
        return WEIR_STATUS_INVALID;
    }
    return status_of(request_prepare_accept(request, span_in(subprotocol), own, count));
}

typedef enum weir_err (*change_fn)(struct weir_request *request, enum request_change_kind kind,
                                   struct span name, struct span value);

static enum weir_status change_with(change_fn fn, struct weir_request *request,
                                    enum weir_change change, struct weir_field field)
{
    struct span value = span_in(field.value);
    enum request_change_kind kind = REQUEST_CHANGE_ADD;
    switch (change) {
    case WEIR_CHANGE_ADD:
        break;
    case WEIR_CHANGE_SET:
        kind = REQUEST_CHANGE_SET;
        break;
    case WEIR_CHANGE_REMOVE:
        kind = REQUEST_CHANGE_REMOVE;
        value = (struct span){NULL, 0};
        break;
    default:
        return WEIR_STATUS_INVALID;
    }
    return status_of(fn(request, kind, span_in(field.name), value));
}

static enum weir_status host_change_field(struct weir_request *request, enum weir_change change,
                                          struct weir_field field)
{
    return change_with(request_change_field, request, change, field);
}

static enum weir_status host_change_reply(struct weir_request *request, enum weir_change change,
                                          struct weir_field field)
{
    return change_with(request_change_reply, request, change, field);
}

/* --- a session --- */

static bool is_kind(enum weir_kind kind)
{
    return kind == WEIR_TEXT || kind == WEIR_BINARY;
}

static enum weir_status host_send(struct weir_session *session, unsigned seat, enum weir_kind kind,
                                  struct weir_bytes payload)
{
    if (!is_kind(kind)) {
        return WEIR_STATUS_INVALID;
    }
    return status_of(session_send(session, seat, kind, span_in(payload)));
}

static int host_sends_whole(const struct weir_session *session, unsigned seat)
{
    return session_sends_whole(session, seat);
}

static enum weir_status host_send_piece(struct weir_session *session, enum weir_kind kind,
                                        struct weir_bytes bytes, int first, int last)
{
    if (!is_kind(kind)) {
        return WEIR_STATUS_INVALID;
    }
    return status_of(session_send_piece(session, kind, span_in(bytes), first != 0, last != 0));
}

static enum weir_status host_ping(struct weir_session *session, struct weir_bytes payload)
{
    return status_of(session_ping(session, span_in(payload)));
}

static enum weir_status host_close(struct weir_session *session, uint16_t code,
                                   struct weir_bytes reason)
{
    return status_of(session_close(session, code, span_in(reason)));
}

static int host_is_open(const struct weir_session *session)
{
    return session_is_open(session);
}

static int host_is_behind(struct weir_session *session)
{
    return session_is_behind(session);
}

static void host_pause(struct weir_session *session, int on)
{
    session_pause(session, on != 0);
}

/* --- the worker --- */

static unsigned host_worker_id(const struct weir_worker *worker)
{
    return worker_id(part_of(worker)->worker);
}

static unsigned host_worker_count(const struct weir_worker *worker)
{
    return worker_count(part_of(worker)->worker);
}

static uint64_t host_now_ms(const struct weir_worker *worker)
{
    return loop_now_ms(worker_loop(part_of(worker)->worker));
}

static struct weir_timer *host_timer_start(struct weir_worker *worker, uint64_t delay_ms,
                                           int repeats, weir_task_fn fn, void *context)
{
    return part_timer_start(worker, delay_ms, repeats != 0, fn, context);
}

const struct weir_host *native_table(void)
{
    static const struct weir_host table = {
        .struct_size = sizeof table,
        .major = WEIR_ABI_MAJOR,
        .minor = WEIR_ABI_MINOR,
        .log = host_log,
        .request_method = host_request_method,
        .request_target = host_request_target,
        .request_path = host_request_path,
        .request_query = host_request_query,
        .request_host = host_request_host,
        .request_scheme = request_scheme,
        .request_route = request_route,
        .request_remote = request_remote,
        .request_remote_port = request_remote_port,
        .request_id = request_id,
        .request_wants_session = host_wants_session,
        .request_subprotocol = host_request_subprotocol,
        .request_header_count = request_header_count,
        .request_header_at = host_header_at,
        .request_header = host_header,
        .request_seat = request_seat,
        .request_reply = host_reply,
        .request_reply_start = host_reply_start,
        .request_reply_body = host_reply_body,
        .request_reply_end = request_reply_end,
        .request_want_body = request_want_body,
        .request_pause_body = host_pause_body,
        .request_resume = request_resume,
        .request_prepare_accept = host_prepare_accept,
        .session_request = session_request,
        .session_id = session_id,
        .session_seat = session_seat,
        .session_send = host_send,
        .session_sends_whole = host_sends_whole,
        .session_send_piece = host_send_piece,
        .session_pass = session_pass,
        .session_ping = host_ping,
        .session_close = host_close,
        .session_resume = session_resume,
        .session_buffered = session_buffered,
        .session_is_open = host_is_open,
        .session_is_behind = host_is_behind,
        .session_pause = host_pause,
        .worker_id = host_worker_id,
        .worker_count = host_worker_count,
        .worker_now_ms = host_now_ms,
        .timer_start = host_timer_start,
        .timer_cancel = part_timer_cancel,
        .worker_post = part_post,
        .request_change_field = host_change_field,
        .request_change_reply = host_change_reply,
    };
    return &table;
}
