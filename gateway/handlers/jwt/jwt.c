/* Stands in a route's chain and lets only requests with a good token on to the handler; the others
 * are answered as RFC 6750 says. A session remembers when its token ends, and a timer closes it
 * then. Called through its ops by the chain. A token costs a request one check on its worker, tens
 * of microseconds for a public key; nothing waits, and nothing of a token is kept but its subject
 * and its end. */
#include "handlers/jwt/jwt.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "handlers/jwt/settings.h"
#include "handlers/jwt/source.h"
#include "handlers/jwt/token.h"
#include "net/loop.h"
#include "session/request.h"
#include "session/session.h"
#include "session/worker_access.h"

enum {
    PLUGIN_MAGIC = 0x6a777470, /* "jwtp" */
    WORKER_MAGIC = 0x6a777477, /* "jwtw" */
    GRANT_MAGIC = 0x6a777467,  /* "jwtg" */
    LOOK_AGAIN_MS = 600 * 1000 /* the wall clock may be set meanwhile */
};

struct jwt_plugin {
    uint32_t magic;
    struct jwt_settings *settings;
};

struct jwt_worker {
    uint32_t magic;
    const struct jwt_settings *settings;
    struct weir_worker *host;
};

/* What a session has at the plugin's seat: when it ends. */
struct jwt_grant {
    uint32_t magic;
    const struct jwt_worker *worker;
    struct weir_session *session; /* NULL until it is open */
    struct loop_timer *timer;
    uint64_t expires_ms; /* wall clock */
};

/* --- the process part --- */

static void unload(void *plugin)
{
    struct jwt_plugin *p = plugin;
    WEIR_CHECK(p->magic == PLUGIN_MAGIC);
    jwt_settings_free(&p->settings);
    p->magic = 0;
    free(p);
}

static int load(const struct weir_plugin_config *config, void **plugin, char *error,
                size_t error_size)
{
    struct jwt_plugin *p = calloc(1, sizeof(*p));
    if (p == NULL) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    p->magic = PLUGIN_MAGIC;
    if (jwt_settings_read(config->file, config->settings_json, error, error_size, &p->settings) !=
        WEIR_OK) {
        unload(p);
        return -1;
    }
    *plugin = p;
    return 0;
}

/* --- the worker part --- */

static struct jwt_worker *worker_of(void *self)
{
    struct jwt_worker *worker = self;
    WEIR_CHECK(worker->magic == WORKER_MAGIC);
    return worker;
}

static int worker_start(void *plugin, struct weir_worker *host, void **self, char *error,
                        size_t error_size)
{
    const struct jwt_plugin *p = plugin;
    WEIR_CHECK(p->magic == PLUGIN_MAGIC);
    struct jwt_worker *worker = malloc(sizeof(*worker));
    if (worker == NULL) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    *worker = (struct jwt_worker){WORKER_MAGIC, p->settings, host};
    *self = worker;
    return 0;
}

static void worker_stop(void *self)
{
    struct jwt_worker *worker = worker_of(self);
    worker->magic = 0;
    free(worker);
}

/* --- requests --- */

static enum weir_verdict challenge(struct weir_request *request, unsigned status, const char *error,
                                   const char *why)
{
    char value[200] = "Bearer realm=\"weir\"";
    if (error != NULL) {
        snprintf(value, sizeof value,
                 "Bearer realm=\"weir\", error=\"%s\", error_description=\"%s\"", error, why);
    }
    const struct reply_field fields[] = {
        {SPAN("WWW-Authenticate"), span_of(value)},
        {SPAN("Content-Type"), SPAN("text/plain; charset=utf-8")},
        {SPAN("Cache-Control"), SPAN("no-store")},
    };
    char body[120];
    int size = snprintf(body, sizeof body, "%s\n", why);
    struct span text = {(const uint8_t *)body, (size_t)size};
    log_debug("jwt", "request %llu refused: %s", (unsigned long long)request_id(request), why);
    return request_reply(request, status, fields, 3, text) == WEIR_OK ? WEIR_REPLY : WEIR_DROP;
}

/* The client is let in until `expires_ms`. */
static enum weir_verdict let_in(const struct jwt_worker *worker, struct weir_request *request,
                                unsigned seat, const struct jwt_found *found, uint64_t expires_ms)
{
    if (!request_wants_session(request)) {
        return WEIR_NEXT;
    }
    if (found->place == JWT_IN_SUBPROTOCOL && jwt_source_agree(request, found->token) != WEIR_OK) {
        return WEIR_DROP;
    }
    if (expires_ms == UINT64_MAX) {
        return WEIR_NEXT;
    }
    struct jwt_grant *grant = calloc(1, sizeof(*grant));
    if (grant == NULL) {
        return WEIR_DROP;
    }
    grant->magic = GRANT_MAGIC;
    grant->worker = worker;
    grant->expires_ms = expires_ms;
    *request_seat(request, seat) = grant;
    return WEIR_NEXT;
}

static enum weir_verdict check(const struct jwt_worker *worker, struct weir_request *request,
                               unsigned seat, const struct jwt_found *found)
{
    uint64_t expires_ms = UINT64_MAX;
    struct buffer subject = {0};
    const char *why = "";
    enum jwt_outcome outcome = jwt_token_check(worker->settings, found->token, clock_wall_ms(),
                                               &expires_ms, &subject, &why);
    if (outcome == JWT_VALID && subject.size > 0 &&
        request_set_user(request, buffer_span(&subject)) != WEIR_OK) {
        outcome = JWT_NO_MEMORY;
    }
    buffer_free(&subject);
    switch (outcome) {
    case JWT_VALID:
        return let_in(worker, request, seat, found, expires_ms);
    case JWT_INVALID:
        return challenge(request, 401, "invalid_token", why);
    case JWT_INSUFFICIENT:
        return challenge(request, 403, "insufficient_scope", why);
    case JWT_NO_MEMORY:
        break;
    }
    return WEIR_DROP;
}

static enum weir_verdict on_request(void *self, struct weir_request *request, unsigned seat)
{
    const struct jwt_worker *worker = worker_of(self);
    struct buffer scratch = {0};
    struct jwt_found found;
    enum weir_verdict verdict = WEIR_DROP;
    enum weir_err err = jwt_source_find(worker->settings, request, &scratch, &found);
    if (err == WEIR_EPROTO) {
        verdict = challenge(request, 400, "invalid_request", "there is more than one token");
    } else if (err == WEIR_OK && found.token.data == NULL) {
        /* RFC 6750, section 3.1: who has sent no token is told of no error. */
        verdict = challenge(request, 401, NULL, "this needs a token");
    } else if (err == WEIR_OK) {
        verdict = check(worker, request, seat, &found);
    }
    buffer_free(&scratch);
    return verdict;
}

/* --- the end of a token --- */

static void grant_free(void **seat)
{
    struct jwt_grant *grant = *seat;
    *seat = NULL;
    if (grant != NULL) {
        WEIR_CHECK(grant->magic == GRANT_MAGIC);
        loop_timer_free(&grant->timer);
        grant->magic = 0;
        free(grant);
    }
}

static void look_at_the_clock(void *context);

static bool arm(struct jwt_grant *grant, uint64_t now_ms)
{
    uint64_t left_ms = grant->expires_ms > now_ms ? grant->expires_ms - now_ms : 0;
    struct loop *loop = worker_loop(grant->worker->host);
    loop_timer_free(&grant->timer);
    grant->timer = loop_timer_new(loop, left_ms < LOOK_AGAIN_MS ? left_ms : LOOK_AGAIN_MS, false,
                                  look_at_the_clock, grant);
    return grant->timer != NULL;
}

static void look_at_the_clock(void *context)
{
    struct jwt_grant *grant = context;
    WEIR_CHECK(grant->magic == GRANT_MAGIC);
    uint64_t now_ms = clock_wall_ms();
    if (now_ms < grant->expires_ms) {
        if (!arm(grant, now_ms)) {
            session_fail(grant->session);
        }
        return;
    }
    loop_timer_free(&grant->timer);
    enum weir_err err = session_close(grant->session, grant->worker->settings->close_code,
                                      SPAN("the token has expired"));
    (void)err; /* it is closing already */
}

static enum weir_verdict on_open(void *self, struct weir_session *session, unsigned seat)
{
    (void)self;
    struct jwt_grant *grant = *session_seat(session, seat);
    if (grant == NULL) {
        return WEIR_NEXT; /* a token without an end */
    }
    WEIR_CHECK(grant->magic == GRANT_MAGIC);
    grant->session = session;
    if (!arm(grant, clock_wall_ms())) {
        session_fail(session);
    }
    return WEIR_NEXT;
}

static void on_close(void *self, struct weir_session *session, unsigned seat,
                     const struct weir_ending *ending)
{
    (void)self;
    (void)ending;
    grant_free(session_seat(session, seat));
}

static void on_done(void *self, struct weir_request *request, unsigned seat,
                    const struct weir_ending *ending)
{
    (void)self;
    (void)ending;
    grant_free(request_seat(request, seat));
}

const struct weir_plugin_ops *jwt_ops(void)
{
    static const struct weir_plugin_ops ops = {.struct_size = sizeof ops,
                                               .load = load,
                                               .unload = unload,
                                               .worker_start = worker_start,
                                               .worker_stop = worker_stop,
                                               .on_request = on_request,
                                               .on_done = on_done,
                                               .on_open = on_open,
                                               .on_close = on_close};
    return &ops;
}
