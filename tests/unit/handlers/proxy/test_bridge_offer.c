/* The opening handshake with the backend. */
#include "bridge_fixture.h"

/* The fields that a bridge writes, terminated; the bridge is kept. */
static void fields_of(struct fixture *f, struct buffer *head)
{
    f->bridge = bridge_new(&f->proxy, &f->request, SEAT);
    assert_non_null(f->bridge);
    assert_int_equal(bridge_write_fields(f->bridge, head), WEIR_OK);
    assert_int_equal(buffer_append(head, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
}

static void test_writes_the_fields_of_an_opening_handshake(void **state)
{
    struct fixture *f = *state;
    struct buffer head = {0};
    char wanted[256];
    fields_of(f, &head);
    const char *text = (const char *)head.data;
    snprintf(wanted, sizeof wanted,
             "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: %.24s\r\n",
             key_in(text));
    assert_string_equal(text, wanted);
    bridge_free(&f->bridge);
    assert_null(f->bridge);
    bridge_free(&f->bridge);
    buffer_free(&head);
}

static void test_uses_a_new_key_for_each_session_and_the_same_for_a_second_try(void **state)
{
    struct fixture *f = *state;
    struct buffer first = {0};
    struct buffer again = {0};
    struct buffer other = {0};
    fields_of(f, &first);
    assert_int_equal(bridge_write_fields(f->bridge, &again), WEIR_OK);
    assert_memory_equal(first.data, again.data, again.size);
    bridge_free(&f->bridge);
    fields_of(f, &other);
    assert_string_not_equal((const char *)first.data, (const char *)other.data);
    bridge_free(&f->bridge);
    buffer_free(&first);
    buffer_free(&again);
    buffer_free(&other);
}

static void offers(struct fixture *f, const char *wanted)
{
    struct buffer head = {0};
    char line[128];
    fields_of(f, &head);
    snprintf(line, sizeof line, "\r\nSec-WebSocket-Protocol: %s\r\n", wanted);
    if (wanted[0] != '\0') {
        assert_non_null(strstr((const char *)head.data, line));
    } else {
        assert_null(strstr((const char *)head.data, "Sec-WebSocket-Protocol"));
    }
    bridge_free(&f->bridge);
    buffer_free(&head);
}

static void test_offers_the_clients_subprotocols_in_its_order(void **state)
{
    struct fixture *f = *state;
    offers(f, "");
    f->request.protocols[0] = "chat.v2,  chat.v1,,";
    f->request.protocols[1] = "soap";
    f->request.protocol_count = 2;
    offers(f, "chat.v2, chat.v1, soap");
}

static void test_offers_only_subprotocols_that_the_route_allows(void **state)
{
    struct fixture *f = *state;
    char *allowed[] = {(char *)(uintptr_t) "chat.v1", (char *)(uintptr_t) "soap"};
    f->request.websocket.subprotocols.items = allowed;
    f->request.websocket.subprotocols.count = 2;
    f->request.protocols[0] = "chat.v2, soap, Chat.v1";
    f->request.protocol_count = 1;
    offers(f, "soap");
    f->request.protocols[0] = "chat.v2";
    offers(f, "");
}

static void test_passes_on_no_subprotocol_that_is_no_token(void **state)
{
    struct fixture *f = *state;
    f->request.protocols[0] = "a b, \"q\", ok";
    f->request.protocol_count = 1;
    offers(f, "ok");
}

static void test_offers_compression_only_where_the_settings_say_so(void **state)
{
    struct fixture *f = *state;
    struct buffer head = {0};
    f->settings.compression = true;
    fields_of(f, &head);
    const char *line = strstr((const char *)head.data, "\r\nSec-WebSocket-Extensions: ");
    assert_non_null(line);
    assert_non_null(strstr(line, "permessage-deflate"));
    assert_non_null(strstr(line, "server_no_context_takeover"));
    assert_non_null(strstr(line, "client_no_context_takeover"));
    assert_string_equal(line + strlen(line) - 2, "\r\n");
    bridge_free(&f->bridge);
    buffer_free(&head);
}

static void shakes_hands(struct fixture *f, enum weir_err wanted)
{
    struct buffer head = {0};
    const char *why = "";
    assert_int_equal(shake_hands(f, &head, SPAN("early"), &why), wanted);
    if (wanted == WEIR_OK) {
        assert_ptr_equal(f->backend.owner, f->bridge);
        assert_null(f->bridge->offer);
    } else {
        assert_string_not_equal(why, "");
        assert_null(f->backend.owner);
        assert_null(f->bridge->backend);
        assert_null(f->bridge->kept);
        bridge_free(&f->bridge);
    }
    buffer_free(&head);
}

static void test_tells_the_client_what_the_backend_chose(void **state)
{
    struct fixture *f = *state;
    f->request.protocols[0] = "a, b";
    f->request.protocol_count = 1;
    f->subprotocol = "b";
    shakes_hands(f, WEIR_OK);
    assert_true(span_equal(buffer_span(&f->request.accepted), SPAN("<b> Set-Cookie=a=b")));
}

static void test_agrees_on_no_subprotocol_where_the_backend_names_none(void **state)
{
    struct fixture *f = *state;
    f->request.protocols[0] = "a, b";
    f->request.protocol_count = 1;
    shakes_hands(f, WEIR_OK);
    assert_true(span_equal(buffer_span(&f->request.accepted), SPAN("<> Set-Cookie=a=b")));
}

static void test_refuses_a_subprotocol_that_was_not_offered(void **state)
{
    struct fixture *f = *state;
    f->request.protocols[0] = "a, b";
    f->request.protocol_count = 1;
    f->subprotocol = "c";
    shakes_hands(f, WEIR_EPROTO);
}

static void test_refuses_compression_that_was_not_offered(void **state)
{
    struct fixture *f = *state;
    f->compresses = true;
    f->settings.compression = false;
    shakes_hands(f, WEIR_EPROTO);
}

static void test_refuses_fields_that_cannot_stand_in_the_101(void **state)
{
    struct fixture *f = *state;
    f->compresses = true;
    f->settings.compression = true;
    f->request.accept_result = WEIR_EINVAL;
    shakes_hands(f, WEIR_EPROTO);
}

static void test_passes_on_that_memory_is_out(void **state)
{
    struct fixture *f = *state;
    struct buffer head = {0};
    const char *why = "";
    f->request.accept_result = WEIR_ENOMEM;
    assert_int_equal(shake_hands(f, &head, SPAN("early"), &why), WEIR_ENOMEM);
    assert_null(f->backend.owner);
    bridge_free(&f->bridge);
    buffer_free(&head);
}

static void test_refuses_a_wrong_accept_key(void **state)
{
    struct fixture *f = *state;
    struct buffer head = {0};
    const char *why = "";
    struct http_response response = {.status = 101, .minor = 1, .field_count = 3};
    response.fields[0] = (struct http_field){SPAN("Upgrade"), SPAN("websocket")};
    response.fields[1] = (struct http_field){SPAN("Connection"), SPAN("Upgrade")};
    response.fields[2] =
        (struct http_field){SPAN("Sec-WebSocket-Accept"), SPAN("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")};
    fields_of(f, &head);
    assert_int_equal(
        bridge_connected(f->bridge, &response, NULL, 0, &f->backend, (struct span){0}, &why),
        WEIR_EPROTO);
    assert_string_not_equal(why, "");
    assert_null(f->backend.owner);
    assert_int_equal(f->request.accepted.size, 0);
    bridge_free(&f->bridge);
    buffer_free(&head);
}

static void test_stays_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct bridge) <= 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_writes_the_fields_of_an_opening_handshake),
        TEST(test_uses_a_new_key_for_each_session_and_the_same_for_a_second_try),
        TEST(test_offers_the_clients_subprotocols_in_its_order),
        TEST(test_offers_only_subprotocols_that_the_route_allows),
        TEST(test_passes_on_no_subprotocol_that_is_no_token),
        TEST(test_offers_compression_only_where_the_settings_say_so),
        TEST(test_tells_the_client_what_the_backend_chose),
        TEST(test_agrees_on_no_subprotocol_where_the_backend_names_none),
        TEST(test_refuses_a_subprotocol_that_was_not_offered),
        TEST(test_refuses_compression_that_was_not_offered),
        TEST(test_refuses_fields_that_cannot_stand_in_the_101),
        TEST(test_passes_on_that_memory_is_out),
        TEST(test_refuses_a_wrong_accept_key),
        cmocka_unit_test(test_stays_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
