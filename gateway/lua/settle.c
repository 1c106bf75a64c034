/* Between the outcome of a run (done, parked, failed) and what the gateway hears of it. A failed
 * callback fails its session with 1011, or its request with 500; the rest of the worker goes on. A
 * parked callback owes its verdict, which session_resume or request_resume brings when it is done.
 *
 * `serve` is one long callback: it owes a verdict for the message it works on, and gives it when it
 * asks for the next one. Called by host.c and by timers; never runs Lua except through call.c. */
#include "lua/settle.h"

#include "base/check.h"
#include "base/log.h"
#include "lua/api_conn.h"
#include "lua/api_request.h"
#include "lua/api_timer.h"
#include "lua/call.h"
#include "lua/wait.h"
#include "session/request.h"
#include "session/session.h"

static const uint16_t NORMAL_CLOSURE = 1000; /* RFC 6455, section 7.4.1 */

static void park(struct lua_runner *runner)
{
    list_append(&runner->instance->parked, &runner->node);
    runner->session = NULL; /* from now on conn and req know whether these live */
    runner->request = NULL;
    if (runner->conn != NULL) {
        runner->conn->runners++;
    }
    if (runner->req != NULL) {
        runner->req->runners++;
    }
}

static enum weir_verdict verdict_of_failure(enum lua_callback callback)
{
    switch (callback) {
    case CALLBACK_ON_REQUEST:
        return WEIR_REPLY;
    case CALLBACK_ON_OPEN:
    case CALLBACK_ON_MESSAGE:
    case CALLBACK_SERVE:
        return WEIR_CLOSE;
    default:
        return WEIR_DROP;
    }
}

static void fail_request(struct weir_request *request, const struct api_request *req)
{
    if (req != NULL && req->is_replied) {
        return;
    }
    enum weir_err err = request_reply_error(request, 500, "a plugin failed");
    if (err != WEIR_OK) {
        log_error("lua", "no reply for a failed plugin: %s", weir_err_name(err));
    }
}

/* Hands on the message that a callback returned in place of the one it was given. It stays on the
 * runner's stack meanwhile. */
static void hand_on(struct lua_runner *runner, struct weir_session *session)
{
    struct weir_message message = {.kind = runner->kind};
    message.payload.data = (const uint8_t *)lua_tolstring(runner->L, -1, &message.payload.size);
    if (runner->callback == CALLBACK_ON_MESSAGE) {
        session_pass(session, runner->seat, &message);
        return;
    }
    struct span payload = {message.payload.data, message.payload.size};
    enum weir_err err = session_send(session, runner->seat, message.kind, payload);
    if (err == WEIR_EINVAL) {
        log_error("lua", "plugin %s: on_send returned text that is not UTF-8",
                  runner->instance->plugin->name);
        session_fail(session);
    }
}

enum weir_verdict settle_now(struct lua_runner *runner)
{
    struct weir_session *session = runner->session;
    struct weir_request *request = runner->request;
    enum lua_callback callback = runner->callback;
    unsigned seat = runner->seat;
    switch (call_resume(runner)) {
    case CALL_DONE:
        break;
    case CALL_PARKED:
        park(runner);
        return WEIR_WAIT;
    case CALL_FAILED:
        if (session != NULL && callback != CALLBACK_ON_CLOSE) {
            session_fail(session);
        } else if (callback == CALLBACK_ON_REQUEST) {
            fail_request(request, api_request_of(request, seat));
        }
        return verdict_of_failure(callback);
    }
    enum weir_verdict verdict = runner->verdict;
    if (runner->changed) {
        hand_on(runner, session);
    }
    call_release(runner);
    return verdict;
}

/* What serve does when it has run for a while: its verdict for the message it was given, if any. */
static enum weir_verdict serve_verdict(struct api_conn *conn, enum call_outcome outcome)
{
    struct lua_runner *runner = conn->serve;
    if (outcome == CALL_PARKED) {
        return conn->is_waiting ? WEIR_DROP : WEIR_WAIT;
    }
    conn->serve = NULL;
    if (outcome == CALL_DONE) {
        call_release(runner);
    } else if (conn->session != NULL) {
        session_fail(conn->session);
    }
    return WEIR_CLOSE;
}

static enum weir_verdict serve_start(struct lua_runner *runner)
{
    struct weir_session *session = runner->session;
    enum call_outcome outcome = call_resume(runner);
    if (outcome == CALL_PARKED) {
        runner->conn->serve = runner;
        park(runner);
        return WEIR_NEXT;
    }
    if (outcome == CALL_DONE) {
        call_release(runner);
    } else {
        session_fail(session);
    }
    return WEIR_CLOSE;
}

enum weir_verdict settle_serve(struct lua_instance *instance, struct weir_session *session,
                               unsigned seat)
{
    struct lua_runner *runner = call_take(instance, CALLBACK_SERVE, seat);
    if (runner == NULL) {
        session_fail(session);
        return WEIR_CLOSE;
    }
    runner->session = session;
    runner->conn = api_conn_of(session, seat);
    return serve_start(runner);
}

/* Runs a parked serve; the runner leaves the list of the parked while it runs. */
static enum weir_verdict serve_go_on(struct api_conn *conn)
{
    struct lua_runner *runner = conn->serve;
    struct lua_instance *instance = runner->instance;
    conn->is_waiting = false;
    list_remove(&runner->node);
    enum call_outcome outcome = call_resume(runner);
    if (outcome == CALL_PARKED) {
        list_append(&instance->parked, &runner->node);
    }
    enum weir_verdict verdict = serve_verdict(conn, outcome);
    if (outcome != CALL_PARKED) {
        api_conn_unpark(instance, conn);
    }
    return verdict;
}

enum weir_verdict settle_serve_message(struct lua_instance *instance, struct api_conn *conn,
                                       const struct weir_message *message)
{
    if (conn->serve == NULL) {
        return WEIR_DROP; /* it has returned, and the session closes */
    }
    if (!conn->is_waiting) {
        if (!api_conn_keep_message(instance, conn, message)) {
            session_fail(conn->session);
            return WEIR_CLOSE;
        }
        conn->owes_verdict = true;
        return WEIR_WAIT;
    }
    conn->serve->message = message;
    enum weir_verdict verdict = serve_go_on(conn);
    conn->owes_verdict = verdict == WEIR_WAIT;
    if (conn->serve != NULL) {
        conn->serve->message = NULL; /* borrowed for this call, whether it was taken or not */
    }
    return verdict;
}

void settle_serve_end(struct api_conn *conn)
{
    conn->owes_verdict = false;
    if (conn->serve != NULL && conn->is_waiting) {
        conn->serve->message = NULL;
        (void)serve_go_on(conn);
    }
}

static void wake_serve(struct lua_runner *runner)
{
    struct api_conn *conn = runner->conn;
    unsigned seat = runner->seat;
    struct weir_session *session = conn->session; /* conn may be collected when serve is over */
    bool owed = conn->owes_verdict;
    enum weir_verdict verdict = serve_go_on(conn);
    if (session == NULL || verdict == WEIR_WAIT) {
        return;
    }
    if (owed) {
        conn->owes_verdict = false;
        session_resume(session, seat, verdict);
    } else if (verdict == WEIR_CLOSE) {
        enum weir_err err = session_close(session, NORMAL_CLOSURE, (struct span){NULL, 0});
        (void)err; /* it is closing already: as well */
    }
}

/* on_open has waited and is done: serve starts now. */
static enum weir_verdict open_serve(struct lua_instance *instance, struct weir_session *session,
                                    unsigned seat, enum weir_verdict verdict)
{
    if (verdict != WEIR_NEXT || !instance_has(instance, CALLBACK_SERVE)) {
        return verdict;
    }
    return settle_serve(instance, session, seat);
}

/* What became of a runner that was woken, once it is done or has failed. */
struct woken {
    struct lua_instance *instance;
    enum lua_callback callback;
    unsigned seat;
    bool failed;
    enum weir_verdict verdict;
};

/* Goes on with a runner, and gives it back when it is over. False: it waits again. */
static bool go_on(struct lua_runner *runner, struct woken *woken)
{
    struct api_conn *conn = runner->conn;
    *woken = (struct woken){.instance = runner->instance,
                            .callback = runner->callback,
                            .seat = runner->seat,
                            .verdict = verdict_of_failure(runner->callback)};
    enum call_outcome outcome = call_resume(runner);
    if (outcome == CALL_PARKED) {
        list_append(&woken->instance->parked, &runner->node);
        return false;
    }
    woken->failed = outcome == CALL_FAILED;
    if (!woken->failed) {
        woken->verdict = runner->verdict;
        if (runner->changed && conn->session != NULL) {
            hand_on(runner, conn->session);
        }
        call_release(runner);
    }
    return true;
}

static void wake_session(struct lua_runner *runner)
{
    struct api_conn *conn = runner->conn;
    struct woken woken;
    if (!go_on(runner, &woken)) {
        return;
    }
    struct weir_session *session = conn->session;
    if (woken.failed && session != NULL) {
        session_fail(session);
    }
    api_conn_unpark(woken.instance, conn);
    if (session == NULL) {
        return;
    }
    enum weir_verdict verdict = woken.verdict;
    if (woken.callback == CALLBACK_ON_OPEN) {
        verdict = open_serve(woken.instance, session, woken.seat, verdict);
    }
    if (woken.callback == CALLBACK_ON_OPEN || woken.callback == CALLBACK_ON_MESSAGE) {
        session_resume(session, woken.seat, verdict);
    }
}

static void wake_request(struct lua_runner *runner)
{
    struct api_request *req = runner->req;
    struct woken woken;
    if (!go_on(runner, &woken)) {
        return;
    }
    struct weir_request *request = req->request;
    bool is_awaited = request != NULL && woken.callback == CALLBACK_ON_REQUEST;
    if (woken.failed && is_awaited) {
        fail_request(request, req);
    }
    api_request_unpark(woken.instance, req);
    if (is_awaited) {
        request_resume(request, woken.seat, woken.verdict);
    }
}

static void wake_timer(struct lua_runner *runner)
{
    struct api_timer *timer = runner->timer;
    struct woken woken;
    if (go_on(runner, &woken)) {
        api_timer_done(woken.instance, timer);
    }
}

void settle_wake(struct lua_runner *runner)
{
    list_remove(&runner->node);
    wait_end(runner);
    if (runner->callback == CALLBACK_SERVE) {
        wake_serve(runner);
    } else if (runner->callback >= CALLBACK_TIMER) {
        wake_timer(runner);
    } else if (runner->conn != NULL) {
        wake_session(runner);
    } else {
        wake_request(runner);
    }
}

void settle_timer(struct lua_instance *instance, struct api_timer *timer)
{
    struct lua_runner *runner = call_take(instance, api_timer_callback(timer), 0);
    if (runner == NULL) {
        api_timer_done(instance, timer);
        return;
    }
    runner->timer = timer;
    wake_timer(runner);
}
