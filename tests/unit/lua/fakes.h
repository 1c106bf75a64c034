/* Small stand-ins for the session room, the worker and the loop, so that the Lua host can be tested
 * alone: a session is a list of what was done to it, and time goes on when a test says so. One test
 * program includes it once. */
#ifndef WEIR_TEST_LUA_FAKES_H
#define WEIR_TEST_LUA_FAKES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/plugin.h>

#include "base/buffer.h"
#include "base/check.h"
#include "base/list.h"
#include "lua/host.h"
#include "net/http_client.h"
#include "net/loop.h"
#include "pubsub/broker.h"
#include "session/directory.h"
#include "session/request.h"
#include "session/session.h"
#include "session/worker_access.h"

enum {
    FAKE_SEATS = 4,
    FAKE_SENT = 64
};

struct weir_worker {
    unsigned id;
    bool is_exiting;
    char posted[256]; /* what directory_send and directory_close were asked for */
};

struct loop {
    struct list_node timers;
    uint64_t now_ms;
};

struct loop_timer {
    struct list_node node;
    struct loop *loop;
    uint64_t at_ms;
    uint64_t every_ms;
    loop_timer_fn fn;
    void *context;
};

struct fake_sent {
    enum weir_kind kind;
    unsigned seat;
    char *data;
    size_t size;
};

struct weir_request {
    void *seats[FAKE_SEATS];
    const char *query;
    const char *const *headers; /* name, value, ... NULL */
    unsigned replied_status;    /* 0: not yet */
    char reply[1024];           /* fields and body of the reply */
    int resumed;
    enum weir_verdict verdict; /* it was resumed with */
    enum request_framing framing;
    uint64_t body_length;
    bool body_wanted;
    bool is_plain; /* does not ask for WebSocket */
};

/* Who walks the chain on a send or a pass; NULL: nobody. */
struct fake_plugin {
    const struct weir_plugin_ops *ops;
    void *self;
};

struct weir_session {
    struct weir_request *request;
    uint64_t id;
    struct fake_plugin chain[FAKE_SEATS];
    struct fake_sent sent[FAKE_SENT]; /* to the client */
    size_t sent_count;
    struct fake_sent passed[FAKE_SENT]; /* inwards, past the last plugin */
    size_t passed_count;
    size_t bytes_sent;
    bool keeps_no_messages; /* for many */
    enum weir_err send_result;
    bool is_closed;
    uint16_t close_code;
    char close_reason[128];
    int failed;
    int pings;
    int resumed;
    enum weir_verdict verdict; /* it was resumed with */
};

static struct loop fake_loop = {.timers = {&fake_loop.timers, &fake_loop.timers}};
static struct weir_worker fake_worker = {.id = 3};

/* --- session/request.h --- */

struct span request_method(const struct weir_request *request)
{
    (void)request;
    return SPAN("GET");
}

struct span request_target(const struct weir_request *request)
{
    (void)request;
    return SPAN("/ws/a%20b?room=one");
}

struct span request_path(const struct weir_request *request)
{
    (void)request;
    return SPAN("/ws/a b");
}

struct span request_query(const struct weir_request *request)
{
    return span_of(request->query);
}

struct span request_host(const struct weir_request *request)
{
    (void)request;
    return SPAN("example.com:5000");
}

const char *request_scheme(const struct weir_request *request)
{
    (void)request;
    return "ws";
}

unsigned request_http_minor(const struct weir_request *request)
{
    (void)request;
    return 1;
}

const char *request_remote(const struct weir_request *request)
{
    (void)request;
    return "192.0.2.7";
}

unsigned request_remote_port(const struct weir_request *request)
{
    (void)request;
    return 40000;
}

/* Changes are kept by session/; here nobody looks at them. */
enum weir_err request_change_field(struct weir_request *request, enum request_change_kind kind,
                                   struct span name, struct span value)
{
    (void)request;
    (void)kind;
    (void)value;
    return name.size > 0 ? WEIR_OK : WEIR_EINVAL;
}

enum weir_err request_change_reply(struct weir_request *request, enum request_change_kind kind,
                                   struct span name, struct span value)
{
    return request_change_field(request, kind, name, value);
}

struct span request_user(const struct weir_request *request)
{
    (void)request;
    return SPAN("ada");
}

const char *request_client_subject(const struct weir_request *request)
{
    (void)request;
    return "CN=someone";
}

bool request_wants_session(const struct weir_request *request)
{
    return !request->is_plain;
}

struct span request_subprotocol(const struct weir_request *request)
{
    (void)request;
    return SPAN("chat.v1");
}

const char *request_route(const struct weir_request *request)
{
    (void)request;
    return "/ws";
}

size_t request_header_count(const struct weir_request *request)
{
    size_t count = 0;
    while (request->headers != NULL && request->headers[2 * count] != NULL) {
        count++;
    }
    return count;
}

struct span request_header_name(const struct weir_request *request, size_t index)
{
    return span_of(request->headers[2 * index]);
}

struct span request_header_value(const struct weir_request *request, size_t index)
{
    return span_of(request->headers[2 * index + 1]);
}

void **request_seat(struct weir_request *request, unsigned seat)
{
    return &request->seats[seat];
}

/* Good enough for names and values that need no decoding. */
bool request_query_next(struct span *rest, struct buffer *name, struct buffer *value)
{
    if (rest->size == 0) {
        return false;
    }
    size_t end = span_find(*rest, '&');
    struct span pair = {rest->data, end};
    size_t equals = span_find(pair, '=');
    WEIR_CHECK(buffer_append(name, (struct span){pair.data, equals}) == WEIR_OK);
    WEIR_CHECK(buffer_append(value, span_from(pair, equals + 1)) == WEIR_OK);
    *rest = span_from(*rest, end + 1);
    return true;
}

static inline void fake_note(struct weir_request *request, struct span text, const char *after)
{
    size_t used = strlen(request->reply);
    snprintf(request->reply + used, sizeof request->reply - used, "%.*s%s", SPAN_ARGS(text), after);
}

enum weir_err request_reply(struct weir_request *request, unsigned status,
                            const struct reply_field *fields, size_t count, struct span body)
{
    if (request->replied_status != 0) {
        return WEIR_EINVAL;
    }
    request->replied_status = status;
    for (size_t i = 0; i < count; i++) {
        fake_note(request, fields[i].name, ": ");
        fake_note(request, fields[i].value, "\n");
    }
    fake_note(request, body, "");
    return WEIR_OK;
}

enum weir_err request_reply_error(struct weir_request *request, unsigned status, const char *why)
{
    return request_reply(request, status, NULL, 0, span_of(why));
}

enum request_framing request_framing(const struct weir_request *request, uint64_t *length)
{
    *length = request->body_length;
    return request->framing;
}

void request_want_body(struct weir_request *request, unsigned seat)
{
    (void)seat;
    request->body_wanted = true;
}

enum weir_err request_prepare_accept(struct weir_request *request, struct span subprotocol,
                                     const struct reply_field *fields, size_t count)
{
    if (subprotocol.size > 0 && !span_equal(subprotocol, SPAN("chat.v1"))) {
        return WEIR_EINVAL;
    }
    request->reply[0] = '\0';
    fake_note(request, subprotocol.data != NULL ? subprotocol : SPAN("(any)"), "\n");
    for (size_t i = 0; i < count; i++) {
        if (span_equal(fields[i].name, SPAN("Upgrade"))) {
            return WEIR_EINVAL;
        }
        fake_note(request, fields[i].name, ": ");
        fake_note(request, fields[i].value, "\n");
    }
    return WEIR_OK;
}

void request_resume(struct weir_request *request, unsigned seat, enum weir_verdict verdict)
{
    (void)seat;
    request->resumed++;
    request->verdict = verdict;
}

uint64_t request_id(const struct weir_request *request)
{
    (void)request;
    return 77;
}

/* --- session/session.h --- */

struct weir_request *session_request(struct weir_session *session)
{
    return session->request;
}

uint64_t session_id(const struct weir_session *session)
{
    return session->id;
}

void **session_seat(struct weir_session *session, unsigned seat)
{
    return &session->request->seats[seat];
}

static inline void fake_keep(struct fake_sent *list, size_t *count, unsigned seat,
                             enum weir_kind kind, struct span payload)
{
    WEIR_CHECK(*count < FAKE_SENT);
    struct fake_sent *sent = &list[(*count)++];
    *sent = (struct fake_sent){.kind = kind, .seat = seat, .size = payload.size};
    sent->data = malloc(payload.size + 1);
    WEIR_CHECK(sent->data != NULL);
    if (payload.size > 0) {
        memcpy(sent->data, payload.data, payload.size);
    }
    sent->data[payload.size] = '\0';
}

enum weir_err session_send(struct weir_session *session, unsigned seat, enum weir_kind kind,
                           struct span payload)
{
    if (session->is_closed) {
        return WEIR_ECLOSED;
    }
    if (session->send_result != WEIR_OK) {
        return session->send_result;
    }
    struct weir_message message = {kind, {payload.data, payload.size}};
    for (unsigned outer = seat; outer > 0; outer--) {
        struct fake_plugin *plugin = &session->chain[outer - 1];
        if (plugin->ops != NULL && plugin->ops->on_send != NULL &&
            plugin->ops->on_send(plugin->self, session, outer - 1, &message) != WEIR_NEXT) {
            return WEIR_OK;
        }
    }
    session->bytes_sent += payload.size;
    if (!session->keeps_no_messages) {
        fake_keep(session->sent, &session->sent_count, seat, kind, payload);
    }
    return WEIR_OK;
}

void session_pass(struct weir_session *session, unsigned seat, const struct weir_message *message)
{
    struct span payload = {message->payload.data, message->payload.size};
    fake_keep(session->passed, &session->passed_count, seat, message->kind, payload);
}

enum weir_err session_ping(struct weir_session *session, struct span payload)
{
    (void)payload;
    session->pings++;
    return session->is_closed ? WEIR_ECLOSED : WEIR_OK;
}

enum weir_err session_close(struct weir_session *session, uint16_t code, struct span reason)
{
    if (session->is_closed) {
        return WEIR_ECLOSED;
    }
    if (code < 1000 || code == 1005 || code == 1006) {
        return WEIR_EINVAL;
    }
    session->is_closed = true;
    session->close_code = code;
    snprintf(session->close_reason, sizeof session->close_reason, "%.*s", SPAN_ARGS(reason));
    return WEIR_OK;
}

void session_fail(struct weir_session *session)
{
    session->failed++;
    if (!session->is_closed) {
        session->is_closed = true;
        session->close_code = 1011;
    }
}

void session_resume(struct weir_session *session, unsigned seat, enum weir_verdict verdict)
{
    (void)seat;
    session->resumed++;
    session->verdict = verdict;
}

size_t session_buffered(const struct weir_session *session)
{
    (void)session;
    return 12;
}

/* --- pubsub/broker.h: what was asked for last, and what to answer --- */

static struct fake_broker {
    char topic[300];
    char data[64];
    enum weir_kind kind;
    struct weir_session *except;
    unsigned seat;
    unsigned calls;
    enum weir_err result;
} fake_broker;

static inline void fake_broker_note(struct span topic, struct weir_session *session, unsigned seat)
{
    snprintf(fake_broker.topic, sizeof fake_broker.topic, "%.*s", SPAN_ARGS(topic));
    fake_broker.except = session;
    fake_broker.seat = seat;
    fake_broker.calls++;
}

enum weir_err broker_subscribe(struct weir_worker *worker, struct weir_session *session,
                               unsigned seat, struct span topic)
{
    WEIR_CHECK(worker == &fake_worker);
    fake_broker_note(topic, session, seat);
    return fake_broker.result;
}

bool broker_unsubscribe(struct weir_worker *worker, struct weir_session *session, struct span topic)
{
    WEIR_CHECK(worker == &fake_worker);
    fake_broker_note(topic, session, 0);
    return fake_broker.result == WEIR_OK;
}

enum weir_err broker_publish(struct weir_worker *worker, struct weir_session *except,
                             struct span topic, enum weir_kind kind, struct span payload)
{
    WEIR_CHECK(worker == &fake_worker);
    fake_broker_note(topic, except, 0);
    snprintf(fake_broker.data, sizeof fake_broker.data, "%.*s", SPAN_ARGS(payload));
    fake_broker.kind = kind;
    return fake_broker.result;
}

/* --- net/loop.h and the worker --- */

struct loop_timer *loop_timer_new(struct loop *loop, uint64_t delay_ms, bool repeats,
                                  loop_timer_fn fn, void *context)
{
    struct loop_timer *timer = calloc(1, sizeof *timer);
    WEIR_CHECK(timer != NULL);
    timer->loop = loop;
    timer->at_ms = loop->now_ms + delay_ms;
    timer->every_ms = repeats ? delay_ms : 0;
    timer->fn = fn;
    timer->context = context;
    list_append(&loop->timers, &timer->node);
    return timer;
}

void loop_timer_free(struct loop_timer **timer)
{
    if (*timer != NULL) {
        list_remove(&(*timer)->node);
        free(*timer);
        *timer = NULL;
    }
}

static inline struct loop_timer *fake_due(struct loop *loop)
{
    struct loop_timer *first = NULL;
    for (struct list_node *at = loop->timers.next; at != &loop->timers; at = at->next) {
        struct loop_timer *timer = list_item(at, struct loop_timer, node);
        if (timer->at_ms <= loop->now_ms && (first == NULL || timer->at_ms < first->at_ms)) {
            first = timer;
        }
    }
    return first;
}

/* Lets time go on and fires what is due. */
static inline void fake_advance(uint64_t ms)
{
    uint64_t end = fake_loop.now_ms + ms;
    while (fake_loop.now_ms <= end) {
        struct loop_timer *timer = fake_due(&fake_loop);
        if (timer == NULL) {
            fake_loop.now_ms++;
            continue;
        }
        if (timer->every_ms > 0) {
            timer->at_ms += timer->every_ms;
        } else {
            timer->at_ms = UINT64_MAX;
        }
        timer->fn(timer->context);
    }
    fake_loop.now_ms = end;
}

struct loop *worker_loop(struct weir_worker *worker)
{
    (void)worker;
    return &fake_loop;
}

unsigned worker_id(const struct weir_worker *worker)
{
    return worker->id;
}

unsigned worker_count(const struct weir_worker *worker)
{
    (void)worker;
    return 8;
}

bool worker_is_exiting(const struct weir_worker *worker)
{
    return worker->is_exiting;
}

/* Session 1 is there, 2 is full, and others have gone. */
static inline enum weir_err fake_found(uint64_t id)
{
    return id == 1 ? WEIR_OK : id == 2 ? WEIR_ELIMIT : WEIR_ECLOSED;
}

enum weir_err directory_send(struct weir_worker *worker, uint64_t id, enum weir_kind kind,
                             struct span payload)
{
    snprintf(worker->posted, sizeof worker->posted, "%llu %d %.*s", (unsigned long long)id, kind,
             SPAN_ARGS(payload));
    return fake_found(id);
}

enum weir_err directory_close(struct weir_worker *worker, uint64_t id, uint16_t code,
                              struct span reason)
{
    snprintf(worker->posted, sizeof worker->posted, "%llu close %d %.*s", (unsigned long long)id,
             code, SPAN_ARGS(reason));
    return code == 1005 ? WEIR_EINVAL : fake_found(id);
}

/* --- net/http_client.h --- */

enum {
    FAKE_CALLS = 8
};

/* A call that Lua has started; the test answers it. */
struct http_call {
    bool is_open;
    char wished[1024]; /* "METHOD URL|name: value|...|body|timeout_ms max_response verify ca" */
    http_call_fn fn;
    void *context;
};

static struct http_call fake_calls[FAKE_CALLS];
static unsigned fake_cancelled;

static inline unsigned fake_open_calls(void)
{
    unsigned count = 0;
    for (size_t i = 0; i < FAKE_CALLS; i++) {
        count += fake_calls[i].is_open;
    }
    return count;
}

struct http_client *worker_http_client(struct weir_worker *worker)
{
    return (struct http_client *)(void *)worker; /* nobody looks into it */
}

static unsigned fake_holds;

void worker_hold(struct weir_worker *worker)
{
    (void)worker;
    fake_holds++;
}

void worker_let_go(struct weir_worker *worker)
{
    (void)worker;
    WEIR_CHECK(fake_holds > 0);
    fake_holds--;
}

static inline void fake_write_wish(struct http_call *call, const struct http_call_wish *wish)
{
    char *at = call->wished;
    char *end = at + sizeof call->wished;
    at += snprintf(at, (size_t)(end - at), "%.*s %.*s|", SPAN_ARGS(wish->method),
                   SPAN_ARGS(wish->url));
    for (size_t i = 0; i < wish->header_count; i++) {
        at += snprintf(at, (size_t)(end - at), "%.*s: %.*s|", SPAN_ARGS(wish->headers[i].name),
                       SPAN_ARGS(wish->headers[i].value));
    }
    snprintf(at, (size_t)(end - at), "%.*s|%llu %zu %d %.*s", SPAN_ARGS(wish->body),
             (unsigned long long)wish->timeout_ms, wish->max_response, wish->verify,
             SPAN_ARGS(wish->ca));
}

enum weir_err http_client_start(struct http_client *client, const struct http_call_wish *wish,
                                http_call_fn fn, void *context, char *why, struct http_call **out)
{
    (void)client;
    if (span_equal(wish->url, SPAN("bad"))) {
        snprintf(why, HTTP_CALL_WHY_BYTES, "no valid URL");
        return WEIR_EINVAL;
    }
    for (size_t i = 0; i < FAKE_CALLS; i++) {
        if (!fake_calls[i].is_open) {
            fake_calls[i] = (struct http_call){.is_open = true, .fn = fn, .context = context};
            fake_write_wish(&fake_calls[i], wish);
            *out = &fake_calls[i];
            return WEIR_OK;
        }
    }
    return WEIR_ENOMEM;
}

void http_call_cancel(struct http_call **call)
{
    if (*call != NULL) {
        (*call)->is_open = false;
        fake_cancelled++;
        *call = NULL;
    }
}

/* Ends the call with that number with a response, or with words where `status` is 0. */
static inline void fake_answer(size_t number, unsigned status, const char *body_or_why)
{
    struct http_call *call = &fake_calls[number];
    const struct http_call_header headers[] = {{SPAN("X-One"), SPAN("1")},
                                               {SPAN("Set-Cookie"), SPAN("a=1")},
                                               {SPAN("set-cookie"), SPAN("b=2")}};
    struct http_call_answer answer = {.status = status, .why = body_or_why};
    if (status != 0) {
        answer.headers = headers;
        answer.header_count = 3;
        answer.body = span_of(body_or_why);
        answer.why = "";
    }
    WEIR_CHECK(call->is_open);
    call->is_open = false;
    call->fn(call->context, &answer);
}

/* --- plugins from text --- */

struct fake_loaded {
    void *plugin;
    void *self;
    char error[512];
};

static inline const struct weir_plugin_ops *fake_ops(void)
{
    return lua_host_ops();
}

/* Writes `text` to a file of its own and loads it; `error` is set when that fails. */
static inline struct fake_loaded fake_load_with(const char *text, const char *settings)
{
    struct fake_loaded loaded = {.plugin = NULL, .self = NULL, .error = ""};
    char file[] = "/tmp/weir-test-XXXXXX.lua";
    int fd = mkstemps(file, 4);
    WEIR_CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    struct weir_plugin_config config = {
        .struct_size = sizeof config, .name = "test", .file = file, .settings_json = settings};
    if (fake_ops()->load(&config, &loaded.plugin, loaded.error, sizeof loaded.error) == 0) {
        WEIR_CHECK(fake_ops()->worker_start(loaded.plugin, &fake_worker, &loaded.self, loaded.error,
                                            sizeof loaded.error) == 0);
    }
    unlink(file);
    return loaded;
}

static inline struct fake_loaded fake_load(const char *text)
{
    struct fake_loaded loaded = fake_load_with(text, "{}");
    if (loaded.self == NULL) {
        fail_msg("%s", loaded.error);
    }
    return loaded;
}

static inline void fake_unload(struct fake_loaded *loaded)
{
    if (loaded->self != NULL) {
        fake_ops()->worker_stop(loaded->self);
    }
    if (loaded->plugin != NULL) {
        fake_ops()->unload(loaded->plugin);
    }
    assert_true(list_is_empty(&fake_loop.timers));
}

static inline struct weir_session *fake_session(void)
{
    static uint64_t last_id = 100;
    struct weir_session *session = calloc(1, sizeof *session);
    WEIR_CHECK(session != NULL);
    session->request = calloc(1, sizeof *session->request);
    WEIR_CHECK(session->request != NULL);
    session->request->query = "room=one&empty=&room=two";
    session->id = ++last_id;
    return session;
}

static inline void fake_session_free(struct weir_session *session)
{
    for (size_t i = 0; i < session->sent_count; i++) {
        free(session->sent[i].data);
    }
    for (size_t i = 0; i < session->passed_count; i++) {
        free(session->passed[i].data);
    }
    free(session->request);
    free(session);
}

static inline enum weir_verdict fake_message_kind(struct fake_loaded *loaded,
                                                  struct weir_session *session, const char *text,
                                                  enum weir_kind kind)
{
    /* In memory of its own, so that a sanitizer sees who keeps it for too long. */
    size_t size = strlen(text);
    uint8_t *copy = malloc(size + 1);
    WEIR_CHECK(copy != NULL);
    memcpy(copy, text, size + 1);
    struct weir_message message = {kind, {copy, size}};
    enum weir_verdict verdict = fake_ops()->on_message(loaded->self, session, 0, &message);
    free(copy);
    return verdict;
}

static inline enum weir_verdict fake_message(struct fake_loaded *loaded,
                                             struct weir_session *session, const char *text)
{
    return fake_message_kind(loaded, session, text, WEIR_TEXT);
}

/* Ends and frees a session. */
static inline void fake_end(struct fake_loaded *loaded, struct weir_session *session, uint16_t code,
                            const char *reason)
{
    struct weir_ending ending = {.struct_size = sizeof ending,
                                 .code = code,
                                 .reason = {(const uint8_t *)reason, strlen(reason)},
                                 .status = 101,
                                 .closed_by = "client",
                                 .words = "it closed",
                                 .duration_us = 1500000,
                                 .messages_in = 3,
                                 .messages_out = 4,
                                 .bytes_in = 5,
                                 .bytes_out = 6};
    session->is_closed = true;
    fake_ops()->on_close(loaded->self, session, 0, &ending);
    assert_null(session->request->seats[0]);
    fake_session_free(session);
}

#endif
