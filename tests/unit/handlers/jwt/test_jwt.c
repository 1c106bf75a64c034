/* The plugin through its ops, with small stand-ins for requests, sessions and timers: what a client
 * without a good token is answered, where tokens are looked for, which subprotocol is agreed, and
 * how a session ends with its token. */
#include "handlers/jwt/jwt_fixture.h"

#include "base/clock.h"
#include "config/config.h"
#include "handlers/jwt/jwt.h"
#include "net/loop.h"
#include "session/request.h"
#include "session/session.h"
#include "session/worker_access.h"

enum {
    SEAT = 2,
    FIELDS = 4
};

struct weir_request {
    const char *headers[2 * FIELDS + 2]; /* names and values in turn, NULL at the end */
    const char *query;
    bool is_plain; /* wants no session */
    struct config_websocket websocket;
    void *seat;
    unsigned status;
    char fields[500];
    bool was_prepared;
    char prepared[500]; /* the subprotocol */
    enum weir_err prepare_result;
    char user[40];
    enum weir_err user_result;
};

struct weir_session {
    struct weir_request *request;
    unsigned close_code;
    unsigned failed;
};

/* --- the one timer --- */

struct loop_timer {
    uint64_t delay_ms;
    loop_timer_fn fn;
    void *context;
};

static struct loop_timer *the_timer;
static bool timers_fail;

struct loop *worker_loop(struct weir_worker *worker)
{
    (void)worker;
    return NULL;
}

struct loop_timer *loop_timer_new(struct loop *loop, uint64_t delay_ms, bool repeats,
                                  loop_timer_fn fn, void *context)
{
    (void)loop;
    assert_false(repeats);
    assert_null(the_timer);
    if (!timers_fail) {
        the_timer = calloc(1, sizeof(*the_timer));
        assert_non_null(the_timer);
        *the_timer = (struct loop_timer){delay_ms, fn, context};
    }
    return the_timer;
}

void loop_timer_free(struct loop_timer **timer)
{
    if (*timer != NULL) {
        assert_ptr_equal(*timer, the_timer);
        free(*timer);
        *timer = NULL;
        the_timer = NULL;
    }
}

/* --- requests --- */

size_t request_header_count(const struct weir_request *request)
{
    size_t count = 0;
    while (request->headers[2 * count] != NULL) {
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

struct span request_query(const struct weir_request *request)
{
    return span_of(request->query != NULL ? request->query : "");
}

/* Decodes nothing; that is session/'s own. */
bool request_query_next(struct span *rest, struct buffer *name, struct buffer *value)
{
    if (rest->size == 0) {
        return false;
    }
    size_t end = span_find(*rest, '&');
    struct span pair = {rest->data, end};
    size_t equals = span_find(pair, '=');
    assert_int_equal(buffer_append(name, (struct span){pair.data, equals}), WEIR_OK);
    assert_int_equal(buffer_append(value, span_from(pair, equals + 1)), WEIR_OK);
    *rest = span_from(*rest, end + 1);
    return true;
}

bool request_wants_session(const struct weir_request *request)
{
    return !request->is_plain;
}

const struct config_websocket *request_websocket(const struct weir_request *request)
{
    return &request->websocket;
}

uint64_t request_id(const struct weir_request *request)
{
    (void)request;
    return 7;
}

void **request_seat(struct weir_request *request, unsigned seat)
{
    assert_int_equal(seat, SEAT);
    return &request->seat;
}

enum weir_err request_set_user(struct weir_request *request, struct span user)
{
    snprintf(request->user, sizeof request->user, "%.*s", SPAN_ARGS(user));
    return request->user_result;
}

enum weir_err request_prepare_accept(struct weir_request *request, struct span subprotocol,
                                     const struct reply_field *fields, size_t count)
{
    (void)fields;
    assert_int_equal(count, 0);
    request->was_prepared = true;
    snprintf(request->prepared, sizeof request->prepared, "%.*s", SPAN_ARGS(subprotocol));
    return request->prepare_result;
}

enum weir_err request_reply(struct weir_request *request, unsigned status,
                            const struct reply_field *fields, size_t count, struct span body)
{
    assert_true(body.size > 0);
    request->status = status;
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(request->fields);
        snprintf(request->fields + used, sizeof request->fields - used, "%.*s: %.*s\n",
                 SPAN_ARGS(fields[i].name), SPAN_ARGS(fields[i].value));
    }
    return WEIR_OK;
}

/* --- sessions --- */

void **session_seat(struct weir_session *session, unsigned seat)
{
    return request_seat(session->request, seat);
}

enum weir_err session_close(struct weir_session *session, uint16_t code, struct span reason)
{
    assert_true(span_equal(reason, SPAN("the token has expired")));
    session->close_code = code;
    return WEIR_OK;
}

void session_fail(struct weir_session *session)
{
    session->failed++;
}

/* --- the plugin --- */

struct loaded {
    void *plugin;
    void *self;
};

static struct loaded load_with(const char *more)
{
    char json[500];
    char error[200] = "";
    struct loaded loaded = {NULL, NULL};
    snprintf(json, sizeof json, "{\"secret\":\"%s\"%s}", JWT_TEST_SECRET, more);
    struct weir_plugin_config config = {
        .struct_size = sizeof config, .name = "secret", .file = "secret", .settings_json = json};
    if (jwt_ops()->load(&config, &loaded.plugin, error, sizeof error) != 0) {
        fail_msg("%s: %s", json, error);
    }
    assert_int_equal(
        jwt_ops()->worker_start(loaded.plugin, NULL, &loaded.self, error, sizeof error), 0);
    return loaded;
}

static void unload(struct loaded *loaded)
{
    jwt_ops()->worker_stop(loaded->self);
    jwt_ops()->unload(loaded->plugin);
    assert_null(the_timer);
}

static enum weir_verdict ask(struct loaded *loaded, struct weir_request *request)
{
    return jwt_ops()->on_request(loaded->self, request, SEAT);
}

static void expect_refused(struct loaded *loaded, struct weir_request *request, unsigned status,
                           const char *field)
{
    assert_int_equal(ask(loaded, request), WEIR_REPLY);
    assert_int_equal(request->status, status);
    assert_null(request->seat);
    if (strstr(request->fields, field) == NULL) {
        fail_msg("%s", request->fields);
    }
}

/* A good token, after `prefix`, that ends in so many milliseconds; static. */
static const char *good(const char *prefix, int64_t ends_in_ms)
{
    static char text[600];
    char claims[100];
    snprintf(claims, sizeof claims, "{\"sub\":\"ada\",\"exp\":%.3f}",
             (double)((int64_t)clock_wall_ms() + ends_in_ms) / 1000);
    struct buffer token = token_of(JWT_TEST_HEADER, claims);
    snprintf(text, sizeof text, "%s%.*s", prefix, SPAN_ARGS(buffer_span(&token)));
    buffer_free(&token);
    return text;
}

static void test_who_has_no_token_is_told_of_no_error(void **state)
{
    (void)state;
    struct loaded loaded = load_with("");
    struct weir_request none = {.query = "access_token=x"};
    expect_refused(&loaded, &none, 401, "WWW-Authenticate: Bearer realm=\"weir\"\n");
    struct weir_request basic = {.headers = {"Authorization", "Basic YTpi"}};
    expect_refused(&loaded, &basic, 401, "WWW-Authenticate: Bearer realm=\"weir\"\n");
    struct weir_request word = {.headers = {"Authorization", "Bearer"}};
    expect_refused(&loaded, &word, 401, "WWW-Authenticate: Bearer realm=\"weir\"\n");
    struct weir_request joined = {.headers = {"Authorization", "Bearers x.y.z"}};
    expect_refused(&loaded, &joined, 401, "WWW-Authenticate: Bearer realm=\"weir\"\n");
    unload(&loaded);
}

static void test_a_bad_token_is_refused_with_words(void **state)
{
    (void)state;
    struct loaded loaded = load_with(",\"claims\":{\"role\":\"member\"}");
    struct weir_request bad = {.headers = {"Authorization", "Bearer x.y.z"}};
    expect_refused(&loaded, &bad, 401,
                   "error=\"invalid_token\", error_description=\"the token is malformed\"");
    struct weir_request empty = {.headers = {"Authorization", "Bearer  "}};
    expect_refused(&loaded, &empty, 401, "error=\"invalid_token\"");
    struct weir_request other = {.headers = {"Authorization", good("Bearer ", 60000)}};
    expect_refused(&loaded, &other, 403, "error=\"insufficient_scope\"");
    unload(&loaded);
}

static void test_two_tokens_in_one_place_are_a_bad_request(void **state)
{
    (void)state;
    struct loaded loaded = load_with(",\"from\":[\"header\",\"query t\",\"subprotocol\"]");
    struct weir_request header = {
        .headers = {"Authorization", good("Bearer ", 60000), "authorization", "Basic YTpi"}};
    expect_refused(&loaded, &header, 400, "error=\"invalid_request\"");
    struct weir_request query = {.query = "t=a&t=b"};
    expect_refused(&loaded, &query, 400, "error=\"invalid_request\"");
    struct weir_request offers = {.headers = {"Sec-WebSocket-Protocol", "eyA.a.b, chat",
                                              "Sec-WebSocket-Protocol", "eyA.c.d"}};
    expect_refused(&loaded, &offers, 400, "error=\"invalid_request\"");
    unload(&loaded);
}

static void test_places_are_asked_in_the_configured_order(void **state)
{
    (void)state;
    struct loaded loaded = load_with(",\"from\":[\"query t\",\"header\"]");
    struct weir_request both = {.headers = {"Authorization", good("bearer ", 60000)},
                                .query = "a=b&t=bad"};
    expect_refused(&loaded, &both, 401, "error=\"invalid_token\"");
    both.query = "a=b";
    assert_int_equal(ask(&loaded, &both), WEIR_NEXT);
    jwt_ops()->on_done(loaded.self, &both, SEAT, NULL);
    struct weir_request nothing = {.query = "t="};
    expect_refused(&loaded, &nothing, 401, "error=\"invalid_token\"");
    unload(&loaded);
}

/* --- subprotocols --- */

static void expect_agreed(const char *const *ours, size_t count, const char *offers,
                          const char *prepared)
{
    struct loaded loaded = load_with(",\"from\":[\"subprotocol\"]");
    struct weir_request request = {
        .headers = {"sec-websocket-protocol", offers},
        .websocket = {.subprotocols = {(char **)(uintptr_t)ours, count}}};
    assert_int_equal(ask(&loaded, &request), WEIR_NEXT);
    assert_int_equal(request.was_prepared, prepared != NULL);
    if (prepared != NULL) {
        assert_string_equal(request.prepared, prepared);
    }
    jwt_ops()->on_done(loaded.self, &request, SEAT, NULL);
    assert_null(request.seat);
    unload(&loaded);
}

static void test_agrees_on_an_offer_that_is_no_token(void **state)
{
    (void)state;
    char offers[700];
    expect_agreed(NULL, 0, good("chat.v1, ", 60000), "chat.v1");
    snprintf(offers, sizeof offers, "%s, chat.v2, chat.v1", good("", 60000));
    expect_agreed(NULL, 0, offers, "chat.v2");
}

static void test_agrees_on_the_token_where_there_is_no_other(void **state)
{
    (void)state;
    const char *token = good("", 60000);
    const char *const ours[] = {"chat.v1"};
    expect_agreed(NULL, 0, token, token);
    expect_agreed(ours, 1, token, token);
}

static void test_the_routes_own_list_chooses_first(void **state)
{
    (void)state;
    const char *const ours[] = {"chat.v1"};
    expect_agreed(ours, 1, good("chat.v1, ", 60000), NULL);
    expect_agreed(ours, 1, good("chat.v9, ", 60000), NULL);
}

static void test_an_answer_that_cannot_be_prepared_drops_the_request(void **state)
{
    (void)state;
    struct loaded loaded = load_with(",\"from\":[\"subprotocol\"]");
    struct weir_request request = {.headers = {"Sec-WebSocket-Protocol", good("", 60000)},
                                   .prepare_result = WEIR_ENOMEM};
    assert_int_equal(ask(&loaded, &request), WEIR_DROP);
    assert_null(request.seat);
    unload(&loaded);
}

/* --- the end of a token --- */

static struct weir_session open_session(struct loaded *loaded, struct weir_request *request)
{
    struct weir_session session = {.request = request};
    assert_int_equal(ask(loaded, request), WEIR_NEXT);
    return session;
}

static void fire(void)
{
    struct loop_timer *timer = the_timer;
    assert_non_null(timer);
    timer->fn(timer->context);
}

static void test_a_session_is_closed_when_its_token_ends(void **state)
{
    (void)state;
    struct loaded loaded = load_with(",\"leeway\":1000,\"close_code\":4321");
    struct weir_request request = {.headers = {"Authorization", good("Bearer ", -800)}};
    struct weir_session session = open_session(&loaded, &request);
    assert_int_equal(jwt_ops()->on_open(loaded.self, &session, SEAT), WEIR_NEXT);
    assert_true(the_timer->delay_ms <= 200);
    while (the_timer != NULL) {
        fire(); /* the clock goes on by itself; until then it is armed again */
    }
    assert_int_equal(session.close_code, 4321);
    jwt_ops()->on_close(loaded.self, &session, SEAT, NULL);
    assert_null(request.seat);
    unload(&loaded);
}

static void test_looks_at_the_clock_now_and_then(void **state)
{
    (void)state;
    struct loaded loaded = load_with("");
    struct weir_request request = {.headers = {"Authorization", good("Bearer ", 86400000)}};
    struct weir_session session = open_session(&loaded, &request);
    assert_int_equal(jwt_ops()->on_open(loaded.self, &session, SEAT), WEIR_NEXT);
    assert_int_equal(the_timer->delay_ms, 600000);
    fire();
    assert_int_equal(the_timer->delay_ms, 600000);
    assert_int_equal(session.close_code, 0);
    jwt_ops()->on_close(loaded.self, &session, SEAT, NULL);
    unload(&loaded);
}

static void test_a_session_without_a_timer_is_no_session(void **state)
{
    (void)state;
    struct loaded loaded = load_with("");
    struct weir_request request = {.headers = {"Authorization", good("Bearer ", 60000)}};
    struct weir_session session = open_session(&loaded, &request);
    timers_fail = true;
    (void)jwt_ops()->on_open(loaded.self, &session, SEAT);
    timers_fail = false;
    assert_int_equal(session.failed, 1);
    jwt_ops()->on_close(loaded.self, &session, SEAT, NULL);
    unload(&loaded);
}

static void test_a_token_without_an_end_costs_nothing(void **state)
{
    (void)state;
    struct loaded loaded = load_with("");
    struct buffer token = token_of(JWT_TEST_HEADER, "{}");
    char field[300];
    snprintf(field, sizeof field, "Bearer %.*s", SPAN_ARGS(buffer_span(&token)));
    buffer_free(&token);
    struct weir_request request = {.headers = {"Authorization", field}};
    struct weir_session session = open_session(&loaded, &request);
    assert_null(request.seat);
    assert_int_equal(jwt_ops()->on_open(loaded.self, &session, SEAT), WEIR_NEXT);
    assert_null(the_timer);
    jwt_ops()->on_close(loaded.self, &session, SEAT, NULL);
    unload(&loaded);
}

static void test_tells_who_the_client_is(void **state)
{
    (void)state;
    struct loaded loaded = load_with("");
    struct weir_request request = {.headers = {"Authorization", good("Bearer ", 60000)},
                                   .is_plain = true};
    assert_int_equal(ask(&loaded, &request), WEIR_NEXT);
    assert_string_equal(request.user, "ada");
    request.user_result = WEIR_ENOMEM;
    assert_int_equal(ask(&loaded, &request), WEIR_DROP);
    unload(&loaded);
}

static void test_a_plain_request_keeps_nothing(void **state)
{
    (void)state;
    struct loaded loaded = load_with("");
    struct weir_request request = {.headers = {"Authorization", good("Bearer ", 60000)},
                                   .is_plain = true};
    assert_int_equal(ask(&loaded, &request), WEIR_NEXT);
    assert_null(request.seat);
    jwt_ops()->on_done(loaded.self, &request, SEAT, NULL);
    unload(&loaded);
}

/* --- settings --- */

static void expect_settings_refused(const char *file, const char *json, const char *words)
{
    void *plugin = NULL;
    char error[300] = "";
    struct weir_plugin_config config = {
        .struct_size = sizeof config, .name = file, .file = file, .settings_json = json};
    assert_int_equal(jwt_ops()->load(&config, &plugin, error, sizeof error), -1);
    assert_null(plugin);
    if (strstr(error, words) == NULL) {
        fail_msg("%s: %s", json, error);
    }
}

static void test_settings_that_cannot_work_are_refused(void **state)
{
    (void)state;
    expect_settings_refused("secret", "{}", "`jwt: secret` needs `secret`");
    expect_settings_refused("secret", "{\"secret\":\"0123456789abcdef0123456789abcde\"}",
                            "`secret` is shorter than 32 bytes");
    expect_settings_refused("k.pem", "{\"secret\":\"" JWT_TEST_SECRET "\"}",
                            "`secret` needs `jwt: secret`");
    expect_settings_refused("/nowhere.pem", "{}", "cannot use the key file `/nowhere.pem`");
    expect_settings_refused("secret", "{\"secret\":\"" JWT_TEST_SECRET "\",\"from\":[\"query \"]}",
                            "`from`: expected");
    expect_settings_refused(
        "secret", "{\"secret\":\"" JWT_TEST_SECRET "\",\"algorithms\":[\"none\"]}", "`algorithms`");
    expect_settings_refused("secret",
                            "{\"secret\":\"" JWT_TEST_SECRET "\",\"algorithms\":[\"ES256\"]}",
                            "there is no key for `algorithms`");
    expect_settings_refused("secret", "{\"secret\":\"" JWT_TEST_SECRET "\",\"isuer\":\"x\"}",
                            "isuer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_has_no_token_is_told_of_no_error),
        cmocka_unit_test(test_a_bad_token_is_refused_with_words),
        cmocka_unit_test(test_two_tokens_in_one_place_are_a_bad_request),
        cmocka_unit_test(test_places_are_asked_in_the_configured_order),
        cmocka_unit_test(test_agrees_on_an_offer_that_is_no_token),
        cmocka_unit_test(test_agrees_on_the_token_where_there_is_no_other),
        cmocka_unit_test(test_the_routes_own_list_chooses_first),
        cmocka_unit_test(test_an_answer_that_cannot_be_prepared_drops_the_request),
        cmocka_unit_test(test_a_session_is_closed_when_its_token_ends),
        cmocka_unit_test(test_looks_at_the_clock_now_and_then),
        cmocka_unit_test(test_a_session_without_a_timer_is_no_session),
        cmocka_unit_test(test_a_token_without_an_end_costs_nothing),
        cmocka_unit_test(test_tells_who_the_client_is),
        cmocka_unit_test(test_a_plain_request_keeps_nothing),
        cmocka_unit_test(test_settings_that_cannot_work_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
