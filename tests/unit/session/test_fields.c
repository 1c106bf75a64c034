/* Fields that plugins change: of the request, for whoever looks at it after them, and of the
 * answer, whoever gives it. */
#include "client_fixture.h"

#define HEAD                                                                                       \
    "GET / HTTP/1.1\r\nHost: example.com\r\nX-One: 1\r\nX_One: cgi\r\nx-one: 2\r\nX-Two: 3\r\n"
#define ASKING HEAD "\r\n"
#define UPGRADE                                                                                    \
    HEAD "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"              \
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static struct weir_request *waiting(struct fixture *f, const char *request)
{
    f->plugs[2].does.request = wait_request;
    client_says(f, connect_client(f, 0), request);
    return f->plugs[2].request;
}

static enum weir_err change(struct weir_request *request, enum request_change_kind kind,
                            const char *name, const char *value)
{
    return request_change_field(request, kind, span_of(name), span_of(value));
}

static enum weir_err change_reply(struct weir_request *request, enum request_change_kind kind,
                                  const char *name, const char *value)
{
    return request_change_reply(request, kind, span_of(name), span_of(value));
}

/* All fields but Host, as "name=value ". */
static void expect_fields(const struct weir_request *request, const char *wanted)
{
    char text[512] = "";
    for (size_t i = 1; i < request_header_count(request); i++) {
        struct span name = request_header_name(request, i);
        struct span value = request_header_value(request, i);
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "%.*s=%.*s ", (int)name.size, name.data,
                 (int)value.size, value.data);
    }
    assert_string_equal(text, wanted);
}

static void test_added_field_comes_behind_the_others(void **state)
{
    struct weir_request *request = waiting(*state, ASKING);
    assert_int_equal(change(request, REQUEST_CHANGE_ADD, "X-One", "9"), WEIR_OK);
    assert_int_equal(change(request, REQUEST_CHANGE_ADD, "X-New", ""), WEIR_OK);
    expect_fields(request, "X-One=1 X_One=cgi x-one=2 X-Two=3 X-One=9 X-New= ");
}

static void test_set_field_replaces_all_that_are_read_as_it(void **state)
{
    struct weir_request *request = waiting(*state, ASKING);
    assert_int_equal(change(request, REQUEST_CHANGE_SET, "x-ONE", "9"), WEIR_OK);
    expect_fields(request, "X-Two=3 x-ONE=9 ");
    assert_int_equal(change(request, REQUEST_CHANGE_SET, "X-One", "10"), WEIR_OK);
    expect_fields(request, "X-Two=3 X-One=10 ");
    assert_memory_equal(request_header(request, SPAN("x-one")).data, "10", 2);
}

static void test_removed_field_is_gone_and_can_be_added_again(void **state)
{
    struct weir_request *request = waiting(*state, ASKING);
    struct span borrowed = request_header(request, SPAN("X-One"));
    assert_int_equal(change(request, REQUEST_CHANGE_REMOVE, "X-One", ""), WEIR_OK);
    expect_fields(request, "X-Two=3 ");
    assert_null(request_header(request, SPAN("X-One")).data);
    assert_int_equal(change(request, REQUEST_CHANGE_ADD, "X-One", "8"), WEIR_OK);
    expect_fields(request, "X-Two=3 X-One=8 ");
    assert_memory_equal(borrowed.data, "1", 1); /* what was looked at before still is */
}

static void test_fields_that_are_the_gateways_cannot_be_changed(void **state)
{
    static const char *const names[] = {"Host",
                                        "connection",
                                        "Content-Length",
                                        "content_length",
                                        "Transfer-Encoding",
                                        "TE",
                                        "Upgrade",
                                        "Keep-Alive",
                                        "Sec-WebSocket-Key",
                                        "Expect",
                                        "Date",
                                        "Bad Name",
                                        ""};
    struct weir_request *request = waiting(*state, ASKING);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(change(request, REQUEST_CHANGE_SET, names[i], "x"), WEIR_EINVAL);
        assert_int_equal(change_reply(request, REQUEST_CHANGE_SET, names[i], "x"), WEIR_EINVAL);
        assert_int_equal(change(request, REQUEST_CHANGE_REMOVE, names[i], ""), WEIR_EINVAL);
    }
    assert_int_equal(change(request, REQUEST_CHANGE_ADD, "X", "a\r\nb: c"), WEIR_EINVAL);
    assert_int_equal(change_reply(request, REQUEST_CHANGE_ADD, "X", "a\nb: c"), WEIR_EINVAL);
    expect_fields(request, "X-One=1 X_One=cgi x-one=2 X-Two=3 ");
}

static void test_changes_are_limited_in_number(void **state)
{
    struct weir_request *request = waiting(*state, ASKING);
    for (unsigned i = 0; i < 128; i++) {
        assert_int_equal(change(request, REQUEST_CHANGE_ADD, "X", "y"), WEIR_OK);
        assert_int_equal(change_reply(request, REQUEST_CHANGE_ADD, "X", "y"), WEIR_OK);
    }
    assert_int_equal(change(request, REQUEST_CHANGE_ADD, "X", "y"), WEIR_ELIMIT);
    assert_int_equal(change_reply(request, REQUEST_CHANGE_ADD, "X", "y"), WEIR_ELIMIT);
    assert_int_equal(request_header_count(request), 5 + 128);
}

/* --- the answer --- */

static void change_answer(struct weir_request *request)
{
    assert_int_equal(change_reply(request, REQUEST_CHANGE_ADD, "X-Added", "a"), WEIR_OK);
    assert_int_equal(change_reply(request, REQUEST_CHANGE_SET, "x-theirs", "ours"), WEIR_OK);
    assert_int_equal(change_reply(request, REQUEST_CHANGE_REMOVE, "Server", ""), WEIR_OK);
    assert_int_equal(change_reply(request, REQUEST_CHANGE_ADD, "X-Gone", "1"), WEIR_OK);
    assert_int_equal(change_reply(request, REQUEST_CHANGE_REMOVE, "x-gone", ""), WEIR_OK);
}

static void expect_changed(const char *answer)
{
    assert_true(contains(answer, "\r\nX-Added: a\r\n"));
    assert_true(contains(answer, "\r\nx-theirs: ours\r\n"));
    assert_true(contains(answer, "\r\nDate: "));
    assert_false(contains(answer, "Server"));
    assert_false(contains(answer, "X-Theirs"));
    assert_false(contains(answer, "X-Gone"));
}

static struct reply_field theirs[] = {{SPAN("X-Theirs"), SPAN("1")}, {SPAN("X-Theirs"), SPAN("2")}};

static void test_reply_carries_what_plugins_changed(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, ASKING);
    change_answer(request);
    assert_int_equal(request_reply(request, 200, theirs, 2, SPAN("body")), WEIR_OK);
    assert_int_equal(change_reply(request, REQUEST_CHANGE_ADD, "X", "y"), WEIR_ECLOSED);
    assert_int_equal(change(request, REQUEST_CHANGE_ADD, "X", "y"), WEIR_ECLOSED);
    turns(f);
    const char *answer = received(&f->clients[0]);
    expect_changed(answer);
    assert_string_equal(body_of(answer), "body");
}

static void test_error_of_the_gateway_carries_it_too(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, ASKING);
    change_answer(request);
    request_resume(request, 2, WEIR_NEXT);
    turns(f);
    const char *answer = received(&f->clients[0]);
    assert_true(contains(answer, "HTTP/1.1 426 "));
    expect_changed(answer);
}

static void test_forwarded_answer_carries_it_and_its_interim_does_not(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, ASKING);
    struct reply_head early = {.status = 103, .length = 0};
    struct reply_head head = {.status = 200, .fields = theirs, .count = 2, .length = 0};
    change_answer(request);
    assert_int_equal(request_reply_interim(request, &early), WEIR_OK);
    turns(f);
    assert_false(contains(received(&f->clients[0]), "X-Added"));
    assert_int_equal(request_forward_start(request, &head), WEIR_OK);
    request_reply_end(request);
    turns(f);
    expect_changed(received(&f->clients[0]));
}

static void test_101_of_a_session_carries_it(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, UPGRADE);
    change_answer(request);
    assert_int_equal(request_prepare_accept(request, SPAN(""), theirs, 2), WEIR_OK);
    request_resume(request, 2, WEIR_ACCEPT);
    turns(f);
    const char *answer = received(&f->clients[0]);
    assert_true(contains(answer, "HTTP/1.1 101 "));
    assert_true(contains(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    expect_changed(answer);
    assert_string_equal(body_of(answer), "");
}

static void test_101_of_a_tunnel_carries_it(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, ASKING);
    struct reply_field fields[] = {{SPAN("Upgrade"), SPAN("x")},
                                   {SPAN("Connection"), SPAN("Upgrade")},
                                   {SPAN("X-Theirs"), SPAN("1")}};
    struct reply_head head = {.status = 101, .fields = fields, .count = 3};
    assert_int_equal(change_reply(request, REQUEST_CHANGE_SET, "x-theirs", "ours"), WEIR_OK);
    assert_int_equal(request_switch(request, 2, &head), WEIR_OK);
    turns(f);
    const char *answer = received(&f->clients[0]);
    assert_true(
        contains(answer, "\r\nUpgrade: x\r\nConnection: Upgrade\r\nx-theirs: ours\r\n\r\n"));
    assert_false(contains(answer, "X-Theirs"));
}

static void test_next_request_of_the_connection_is_as_it_came(void **state)
{
    struct fixture *f = *state;
    struct weir_request *request = waiting(f, ASKING);
    change_answer(request);
    assert_int_equal(change(request, REQUEST_CHANGE_REMOVE, "X-One", ""), WEIR_OK);
    assert_int_equal(request_reply(request, 200, NULL, 0, SPAN("")), WEIR_OK);
    turns(f);
    received(&f->clients[0]);
    client_says(f, &f->clients[0], ASKING);
    expect_fields(f->plugs[2].request, "X-One=1 X_One=cgi x-one=2 X-Two=3 ");
    assert_int_equal(request_reply(f->plugs[2].request, 200, NULL, 0, SPAN("")), WEIR_OK);
    turns(f);
    assert_false(contains(received(&f->clients[0]), "X-Added"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_added_field_comes_behind_the_others),
        TEST(test_set_field_replaces_all_that_are_read_as_it),
        TEST(test_removed_field_is_gone_and_can_be_added_again),
        TEST(test_fields_that_are_the_gateways_cannot_be_changed),
        TEST(test_changes_are_limited_in_number),
        TEST(test_reply_carries_what_plugins_changed),
        TEST(test_error_of_the_gateway_carries_it_too),
        TEST(test_forwarded_answer_carries_it_and_its_interim_does_not),
        TEST(test_101_of_a_session_carries_it),
        TEST(test_101_of_a_tunnel_carries_it),
        TEST(test_next_request_of_the_connection_is_as_it_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
