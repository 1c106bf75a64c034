/* For native.test.js: a handler that does what the path or the message says, with each function of
 * the host's table at least once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/plugin.h>

enum {
    BIG_PIECE = 65536,
    BIG_PIECES = 512
};

static const struct weir_host *host;
static uint8_t piece_of_big[BIG_PIECE];

/* A worker's part: it knows its worker, which timers need. */
struct part {
    struct weir_worker *worker;
};

/* What waits for a timer; in the seat of its request or session. */
struct waiting {
    struct weir_request *request;
    struct weir_session *session;
    struct weir_timer *timer;
    unsigned seat;
    unsigned left; /* pieces of a big response */
    char text[64];
};

static struct weir_bytes bytes_of(const char *text)
{
    return (struct weir_bytes){(const uint8_t *)text, strlen(text)};
}

static int is(struct weir_bytes bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

static int worker_start(void *plugin, struct weir_worker *worker, void **self, char *error,
                        size_t error_size)
{
    (void)plugin;
    struct part *part = malloc(sizeof *part);
    if (part == NULL) {
        snprintf(error, error_size, "no memory");
        return -1;
    }
    part->worker = worker;
    *self = part;
    char line[64];
    snprintf(line, sizeof line, "on worker %u of %u", host->worker_id(worker),
             host->worker_count(worker));
    host->log(WEIR_LOG_INFO, "everything", line);
    return 0;
}

static void worker_stop(void *self)
{
    free(self);
}

static struct waiting *new_waiting(void **place, unsigned seat)
{
    struct waiting *waiting = calloc(1, sizeof *waiting);
    waiting->seat = seat;
    *place = waiting;
    return waiting;
}

static void forget(void **place)
{
    struct waiting *waiting = *place;
    if (waiting != NULL) {
        host->timer_cancel(waiting->timer);
        free(waiting);
    }
    *place = NULL;
}

/* --- requests --- */

static enum weir_status reply(struct weir_request *request, unsigned status, const char *body)
{
    struct weir_field fields[] = {{bytes_of("Content-Type"), bytes_of("text/plain")},
                                  {bytes_of("X-Native"), bytes_of("yes")}};
    return host->request_reply(request, status, fields, 2, bytes_of(body));
}

static void describe(struct weir_request *request)
{
    char text[1024];
    size_t used = 0;
    struct weir_bytes facts[] = {host->request_method(request), host->request_target(request),
                                 host->request_path(request), host->request_query(request),
                                 host->request_header(request, "x-ask")};
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%.*s\n", (int)facts[i].size,
                                 (const char *)facts[i].data);
    }
    int has_port = host->request_remote_port(request) != 0;
    int has_host = host->request_host(request).size > 0;
    int absent = host->request_header(request, "absent").data == NULL;
    int past_end = host->request_header_at(request, 1000).name.data == NULL;
    size_t count = host->request_header_count(request);
    struct weir_field last = host->request_header_at(request, count - 1);
    snprintf(text + used, sizeof text - used, "%s %s %s %d%d%d%d%d %.*s=%.*s\n",
             host->request_scheme(request), host->request_route(request),
             host->request_remote(request), has_port, has_host, absent, past_end,
             host->request_wants_session(request), (int)last.name.size,
             (const char *)last.name.data, (int)last.value.size, (const char *)last.value.data);
    (void)reply(request, 200, text);
}

static void send_big(struct weir_request *request, struct waiting *waiting)
{
    int full = 0;
    while (waiting->left > 0 && !full) {
        struct weir_bytes bytes = {piece_of_big, sizeof piece_of_big};
        if (host->request_reply_body(request, bytes, &full) != WEIR_STATUS_OK) {
            return;
        }
        waiting->left--;
    }
    if (waiting->left == 0) {
        host->request_reply_end(request);
    } else {
        host->log(WEIR_LOG_INFO, "everything", "the client is behind");
    }
}

static void late_reply(void *context)
{
    struct waiting *waiting = context;
    waiting->timer = NULL;
    (void)reply(waiting->request, 202, "late");
    host->request_resume(waiting->request, waiting->seat, WEIR_REPLY);
}

static enum weir_verdict accept_upgrade(struct weir_request *request)
{
    struct weir_field field = {bytes_of("X-Accepted"), bytes_of("by C")};
    struct weir_field wrong = {bytes_of("Upgrade"), bytes_of("h2c")};
    char line[64];
    snprintf(line, sizeof line, "prepare %d %d %d",
             host->request_prepare_accept(request, bytes_of("never.offered"), NULL, 0),
             host->request_prepare_accept(request, bytes_of(""), &wrong, 1),
             host->request_prepare_accept(request, bytes_of("second"), &field, 1));
    host->log(WEIR_LOG_INFO, "everything", line);
    return WEIR_ACCEPT;
}

/* Adds, sets and takes away, and says what came of a field that is the gateway's. */
static void change_fields(struct weir_request *request)
{
    struct weir_field set = {bytes_of("X-Native"), bytes_of("changed")};
    struct weir_field add = {bytes_of("X-Added"), bytes_of("by C")};
    struct weir_field server = {bytes_of("Server"), {NULL, 0}};
    struct weir_field last = {bytes_of("X-Last"), {NULL, 0}};
    struct weir_field wrong = {bytes_of("Content-Length"), bytes_of("1")};
    char line[64];
    snprintf(line, sizeof line, "change %d%d%d%d%d%d%d",
             host->request_change_reply(request, WEIR_CHANGE_SET, set),
             host->request_change_reply(request, WEIR_CHANGE_ADD, add),
             host->request_change_reply(request, WEIR_CHANGE_REMOVE, server),
             host->request_change_field(request, WEIR_CHANGE_SET, add),
             host->request_change_field(request, WEIR_CHANGE_REMOVE, last),
             host->request_change_field(request, WEIR_CHANGE_SET, wrong),
             host->request_change_reply(request, (enum weir_change)9, add));
    host->log(WEIR_LOG_INFO, "everything", line);
}

static enum weir_verdict on_request(void *self, struct weir_request *request, unsigned seat)
{
    struct part *part = self;
    struct weir_bytes path = host->request_path(request);
    if (host->request_wants_session(request)) {
        return host->request_header(request, "sec-websocket-protocol").data == NULL
                   ? WEIR_NEXT
                   : accept_upgrade(request);
    }
    if (is(path, "/change")) {
        change_fields(request);
        describe(request);
        return WEIR_REPLY;
    }
    if (is(path, "/big")) {
        memset(piece_of_big, 'b', sizeof piece_of_big);
        struct waiting *waiting = new_waiting(host->request_seat(request, seat), seat);
        waiting->left = BIG_PIECES;
        (void)host->request_reply_start(request, 200, NULL, 0, WEIR_LENGTH_UNKNOWN);
        send_big(request, waiting);
        return WEIR_REPLY;
    }
    if (is(path, "/body")) {
        host->request_want_body(request, seat);
        host->request_pause_body(request, 1);
        host->request_pause_body(request, 0);
        (void)host->request_reply_start(request, 200, NULL, 0, WEIR_LENGTH_UNKNOWN);
        return WEIR_REPLY;
    }
    if (is(path, "/late")) {
        struct waiting *waiting = new_waiting(host->request_seat(request, seat), seat);
        waiting->request = request;
        waiting->timer = host->timer_start(part->worker, 20, 0, late_reply, waiting);
        return WEIR_WAIT;
    }
    if (is(path, "/wrong")) {
        static struct weir_field many[WEIR_FIELDS_MAX + 1];
        struct weir_field bad = {bytes_of("Bad Name"), bytes_of("x")};
        char text[64];
        snprintf(text, sizeof text, "%d %d",
                 host->request_reply(request, 200, many, WEIR_FIELDS_MAX + 1, bytes_of("")),
                 host->request_reply(request, 200, &bad, 1, bytes_of("")));
        (void)reply(request, 200, text);
        return WEIR_REPLY;
    }
    if (is(path, "/drop")) {
        return WEIR_DROP;
    }
    describe(request);
    return WEIR_REPLY;
}

static void on_body(void *self, struct weir_request *request, unsigned seat,
                    struct weir_bytes piece, int last)
{
    (void)self;
    (void)seat;
    int full = 0;
    if (piece.size > 0) {
        (void)host->request_reply_body(request, piece, &full);
    }
    if (last) {
        host->request_reply_end(request);
    }
}

static void on_reply_drain(void *self, struct weir_request *request, unsigned seat)
{
    (void)self;
    host->log(WEIR_LOG_INFO, "everything", "drain of a response");
    send_big(request, *host->request_seat(request, seat));
}

static void on_done(void *self, struct weir_request *request, unsigned seat,
                    const struct weir_ending *ending)
{
    (void)self;
    char line[64];
    snprintf(line, sizeof line, "done %u %s", ending->status, ending->closed_by);
    host->log(WEIR_LOG_INFO, "everything", line);
    forget(host->request_seat(request, seat));
}

/* --- sessions --- */

static void send_text(struct weir_session *session, unsigned seat, const char *text)
{
    (void)host->session_send(session, seat, WEIR_TEXT, bytes_of(text));
}

static enum weir_verdict on_open(void *self, struct weir_session *session, unsigned seat)
{
    (void)self;
    new_waiting(host->session_seat(session, seat), seat)->session = session;
    return WEIR_NEXT;
}

static void tell(struct weir_session *session, unsigned seat)
{
    struct weir_request *request = host->session_request(session);
    struct weir_bytes agreed = host->request_subprotocol(request);
    char text[128];
    snprintf(text, sizeof text, "%s %.*s %d %d %d %d", host->request_scheme(request),
             (int)agreed.size, (const char *)agreed.data,
             host->session_id(session) == host->request_id(request), host->session_is_open(session),
             host->session_is_behind(session), host->session_sends_whole(session, seat));
    send_text(session, seat, text);
}

static void in_pieces(struct weir_session *session, unsigned seat)
{
    (void)host->session_send_piece(session, WEIR_TEXT, bytes_of("one "), 1, 0);
    enum weir_status between = host->session_send(session, seat, WEIR_TEXT, bytes_of("no"));
    char text[32];
    snprintf(text, sizeof text, "%d", between);
    (void)host->session_send_piece(session, WEIR_TEXT, bytes_of(text), 0, 1);
}

static void wrong_sends(struct weir_session *session, unsigned seat)
{
    static const uint8_t not_utf8[] = {0xff};
    char text[64];
    snprintf(text, sizeof text, "%d %d %d %d",
             host->session_send(session, seat, WEIR_TEXT, (struct weir_bytes){not_utf8, 1}),
             host->session_send(session, seat, (enum weir_kind)7, bytes_of("x")),
             host->session_ping(session, (struct weir_bytes){piece_of_big, 126}),
             host->session_close(session, 1005, bytes_of("")));
    send_text(session, seat, text);
}

static void fill(struct weir_session *session, unsigned seat)
{
    struct weir_bytes bytes = {piece_of_big, sizeof piece_of_big};
    unsigned sent = 0;
    enum weir_status status = WEIR_STATUS_OK;
    while (status == WEIR_STATUS_OK) {
        status = host->session_send(session, seat, WEIR_BINARY, bytes);
        sent++;
    }
    char line[64];
    snprintf(line, sizeof line, "status %d after %s, buffered %d", status,
             sent > 1 ? "many" : "few", host->session_buffered(session) > 0);
    host->log(WEIR_LOG_INFO, "everything", line);
}

static void wake(void *context)
{
    struct waiting *waiting = context;
    waiting->timer = NULL;
    send_text(waiting->session, waiting->seat, waiting->text);
    host->session_resume(waiting->session, waiting->seat, WEIR_NEXT);
}

static void go_on(void *context)
{
    struct waiting *waiting = context;
    waiting->timer = NULL;
    host->session_pause(waiting->session, 0);
}

static enum weir_verdict on_message(void *self, struct weir_session *session, unsigned seat,
                                    const struct weir_message *message)
{
    struct part *part = self;
    struct waiting *waiting = *host->session_seat(session, seat);
    struct weir_bytes said = message->payload;
    if (is(said, "tell")) {
        tell(session, seat);
    } else if (is(said, "pieces")) {
        in_pieces(session, seat);
    } else if (is(said, "wrong")) {
        wrong_sends(session, seat);
    } else if (is(said, "fill")) {
        fill(session, seat);
    } else if (is(said, "ping")) {
        (void)host->session_ping(session, bytes_of("are you there"));
    } else if (is(said, "wait")) {
        uint64_t now = host->worker_now_ms(part->worker);
        snprintf(waiting->text, sizeof waiting->text, "waited%s", now > 0 ? "" : " without clock");
        waiting->timer = host->timer_start(part->worker, 20, 0, wake, waiting);
        return WEIR_WAIT;
    } else if (is(said, "wait long")) {
        waiting->timer = host->timer_start(part->worker, 3600000, 0, wake, waiting);
        return WEIR_WAIT;
    } else if (is(said, "pause")) {
        host->session_pause(session, 1);
        waiting->timer = host->timer_start(part->worker, 20, 0, go_on, waiting);
    } else if (is(said, "close")) {
        (void)host->session_close(session, 4001, bytes_of("as you wish"));
        if (host->session_send(session, seat, WEIR_TEXT, said) == WEIR_STATUS_CLOSED) {
            host->log(WEIR_LOG_INFO, "everything", "closed");
        }
    } else if (is(said, "leave")) {
        return WEIR_CLOSE;
    } else {
        (void)host->session_send(session, seat, message->kind, said);
    }
    return WEIR_NEXT;
}

static void on_drain(void *self, struct weir_session *session, unsigned seat)
{
    (void)self;
    send_text(session, seat, "drained");
}

static void on_close(void *self, struct weir_session *session, unsigned seat,
                     const struct weir_ending *ending)
{
    (void)self;
    char line[64];
    snprintf(line, sizeof line, "close %u %s", ending->code, ending->closed_by);
    host->log(WEIR_LOG_INFO, "everything", line);
    forget(host->session_seat(session, seat));
}

static const struct weir_plugin_ops ops = {
    .struct_size = sizeof(struct weir_plugin_ops),
    .major = WEIR_ABI_MAJOR,
    .minor = WEIR_ABI_MINOR,
    .worker_start = worker_start,
    .worker_stop = worker_stop,
    .on_request = on_request,
    .on_body = on_body,
    .on_reply_drain = on_reply_drain,
    .on_done = on_done,
    .on_open = on_open,
    .on_message = on_message,
    .on_drain = on_drain,
    .on_close = on_close,
};

const struct weir_plugin_ops *weir_plugin(const struct weir_host *table)
{
    host = table;
    return &ops;
}
