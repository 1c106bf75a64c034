/* Upgrades that a handler prepares: checked before anything is done for them, and answered with the
 * subprotocol and the fields that it wants. */
#include "client_fixture.h"

#define OFFERS                                                                                     \
    "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n"                            \
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                                         \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: one, two\r\n"          \
    "sec-websocket-protocol: three\r\n"
#define OFFERING OFFERS "\r\n"

static char *ours[] = {(char *)(uintptr_t) "two", (char *)(uintptr_t) "one"};

static struct weir_request *waiting(struct fixture *f, const char *request)
{
    f->plugs[2].does.request = wait_request;
    f->websocket.subprotocols = (struct config_strings){ours, 2};
    client_says(f, connect_client(f, 0), request);
    f->journal.size = 0;
    return f->plugs[2].request;
}

/* The answer to a request that is accepted now. */
static const char *accepted(struct fixture *f)
{
    request_resume(f->plugs[2].request, 2, WEIR_ACCEPT);
    turns(f);
    return received(&f->clients[0]);
}

static void expect_subprotocol(struct fixture *f, const char *wanted)
{
    struct span agreed = request_subprotocol(session_request(f->plugs[2].session));
    assert_int_equal(agreed.size, strlen(wanted));
    assert_memory_equal(agreed.data, wanted, agreed.size);
}

static void test_without_preparation_the_routes_list_decides(void **state)
{
    struct fixture *f = *state;
    waiting(f, OFFERING);
    assert_true(contains(accepted(f), "Sec-WebSocket-Protocol: one\r\n"));
    expect_subprotocol(f, "one");
}

static void test_prepared_subprotocol_is_answered(void **state)
{
    static const char *const offers[] = {"one", "two", "three"};
    struct fixture *f = *state;
    for (size_t i = 0; i < 3; i++) {
        char line[64];
        struct weir_request *request = waiting(f, OFFERING);
        assert_int_equal(request_prepare_accept(request, span_of(offers[i]), NULL, 0), WEIR_OK);
        assert_int_equal(request_subprotocol(request).size, 0); /* not agreed yet */
        snprintf(line, sizeof line, "\r\nSec-WebSocket-Protocol: %s\r\n", offers[i]);
        const char *answer = accepted(f);
        assert_true(contains(answer, line));
        assert_int_equal(count_of(answer, "-Protocol:"), 1);
        expect_subprotocol(f, offers[i]);
        client_closes(f, &f->clients[0]);
        f->clients[0].ended = false;
    }
}

static void test_prepared_without_a_subprotocol_there_is_none(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, OFFERING);
    assert_int_equal(request_prepare_accept(request, SPAN(""), NULL, 0), WEIR_OK);
    const char *answer = accepted(f);
    assert_true(contains(answer, "HTTP/1.1 101 "));
    assert_false(contains(answer, "Sec-WebSocket-Protocol"));
    assert_int_equal(request_subprotocol(session_request(f->plugs[2].session)).size, 0);
}

static void test_subprotocol_that_was_not_offered_is_refused(void **state)
{
    static const char *const wrong[] = {"four", "on", "One", "one, two", "one "};
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, OFFERING);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(request_prepare_accept(request, span_of(wrong[i]), NULL, 0), WEIR_EINVAL);
    }
    assert_true(contains(accepted(f), "Sec-WebSocket-Protocol: one\r\n")); /* as if not asked */
}

static void test_prepared_fields_are_in_the_answer(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, OFFERING);
    char value[] = "a=1";
    struct reply_field fields[] = {
        {SPAN("Set-Cookie"), {(uint8_t *)value, 3}},
        {SPAN("X-Backend"), SPAN("b")},
        {SPAN("date"), SPAN("theirs")},
        {SPAN("Server"), SPAN("theirs")},
    };
    assert_int_equal(request_prepare_accept(request, SPAN("two"), fields, 4), WEIR_OK);
    memset(value, '-', sizeof value - 1); /* they were copied */
    const char *answer = accepted(f);
    assert_true(contains(answer, "\r\nSet-Cookie: a=1\r\n"));
    assert_true(contains(answer, "\r\nX-Backend: b\r\n"));
    assert_true(contains(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_false(contains(answer, "theirs"));
    assert_string_equal(body_of(answer), "");
    send_text(f, &f->clients[0], "hello");
    expect_journal(f, "a:open b:open c:open a:message(hello) b:message(hello) c:message(hello) ");
}

static void test_fields_that_are_the_gateways_are_refused(void **state)
{
    static const char *const names[] = {
        "Upgrade",           "connection",           "Content-Length", "Transfer-Encoding",
        "Sec-WebSocket-Key", "sec-websocket-accept", "Bad Name"};
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, OFFERING);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct reply_field field = {span_of(names[i]), SPAN("x")};
        assert_int_equal(request_prepare_accept(request, SPAN("two"), &field, 1), WEIR_EINVAL);
    }
    struct reply_field split = {SPAN("X"), SPAN("a\r\nb: c")};
    assert_int_equal(request_prepare_accept(request, SPAN("two"), &split, 1), WEIR_EINVAL);
    assert_true(contains(accepted(f), "Sec-WebSocket-Protocol: one\r\n"));
}

static void test_last_preparation_counts(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, OFFERING);
    struct reply_field first = {SPAN("X-First"), SPAN("1")};
    struct reply_field second = {SPAN("X-Second"), SPAN("2")};
    assert_int_equal(request_prepare_accept(request, SPAN("two"), &first, 1), WEIR_OK);
    assert_int_equal(request_prepare_accept(request, SPAN("three"), &second, 1), WEIR_OK);
    const char *answer = accepted(f);
    assert_false(contains(answer, "X-First"));
    assert_true(contains(answer, "X-Second: 2\r\n"));
    expect_subprotocol(f, "three");
}

/* --- checking beforehand --- */

static void test_good_upgrade_passes_the_check_unanswered(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, OFFERING);
    assert_true(request_check_upgrade(request));
    assert_true(request_check_upgrade(request));
    turns(f);
    assert_string_equal(received(&f->clients[0]), "");
    assert_true(contains(accepted(f), "HTTP/1.1 101 "));
}

static void expect_refusal(struct fixture *f, const char *request, const char *status)
{
    assert_false(request_check_upgrade(waiting(f, request)));
    turns(f);
    assert_true(contains(received(&f->clients[0]), status));
    assert_true(f->clients[0].ended);
    client_closes(f, &f->clients[0]);
    f->clients[0].ended = false;
}

static void test_bad_upgrade_is_refused_by_the_check(void **state)
{
    static char *origins[] = {(char *)(uintptr_t) "https://example.com"};
    struct fixture *f = *state;
    f->websocket.allowed_origins = (struct config_strings){origins, 1};
    expect_refusal(f, GET_HEAD, "HTTP/1.1 426 ");
    expect_refusal(f, OFFERS "Origin: https://evil.example\r\n\r\n", "HTTP/1.1 403 ");
    expect_refusal(f,
                   "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\n\r\n",
                   "HTTP/1.1 400 ");
    f->worker.draining = true;
    expect_refusal(f, OFFERING, "HTTP/1.1 503 ");
}

static void test_answered_request_does_not_pass_the_check(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, OFFERING);
    assert_int_equal(request_reply(request, 401, NULL, 0, SPAN("no")), WEIR_OK);
    assert_false(request_check_upgrade(request));
    turns(f);
    assert_int_equal(count_of(received(&f->clients[0]), "HTTP/1.1 "), 1);
}

/* --- the record of a backend --- */

static void test_record_of_a_backend_is_made_when_asked_for(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, OFFERING);
    assert_null(request_upstream(request));
    assert_int_equal(request_prepare_accept(request, SPAN(""), NULL, 0), WEIR_OK);
    assert_null(request_upstream(request)); /* although they share memory */
    struct request_upstream *record = request_upstream_record(request);
    assert_non_null(record);
    record->tries = 3;
    assert_ptr_equal(request_upstream_record(request), record);
    accepted(f);
    assert_int_equal(request_upstream(session_request(f->plugs[2].session))->tries, 3);
}

/* --- who the client is --- */

static void test_the_user_is_whom_the_last_plugin_named(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, OFFERING);
    assert_int_equal(request_user(request).size, 0);
    assert_int_equal(request_set_user(request, SPAN("ada")), WEIR_OK);
    assert_true(span_equal(request_user(request), SPAN("ada")));
    assert_int_equal(request_set_user(request, SPAN("bob")), WEIR_OK);
    assert_null(request_upstream(request));
    accepted(f);
    struct weir_request *kept = session_request(f->plugs[2].session);
    assert_true(span_equal(request_user(kept), SPAN("bob")));
    assert_int_equal(request_set_user(kept, SPAN("")), WEIR_OK);
    assert_int_equal(request_user(kept).size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_without_preparation_the_routes_list_decides),
        TEST(test_prepared_subprotocol_is_answered),
        TEST(test_prepared_without_a_subprotocol_there_is_none),
        TEST(test_subprotocol_that_was_not_offered_is_refused),
        TEST(test_prepared_fields_are_in_the_answer),
        TEST(test_fields_that_are_the_gateways_are_refused),
        TEST(test_last_preparation_counts),
        TEST(test_good_upgrade_passes_the_check_unanswered),
        TEST(test_bad_upgrade_is_refused_by_the_check),
        TEST(test_answered_request_does_not_pass_the_check),
        TEST(test_record_of_a_backend_is_made_when_asked_for),
        TEST(test_the_user_is_whom_the_last_plugin_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
