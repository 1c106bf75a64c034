/* The writers: exact bytes out, and nothing at all where a name or value could forge a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/http_write.h"

static void assert_written(struct buffer *out, const char *wanted)
{
    if (!span_equal(buffer_span(out), span_of(wanted))) {
        fail_msg("wrote \"%.*s\", not \"%s\"", SPAN_ARGS(buffer_span(out)), wanted);
    }
    buffer_free(out);
}

static void test_writes_a_response_head(void **state)
{
    struct buffer out = {0};
    (void)state;
    assert_int_equal(http_write_status(&out, 101), WEIR_OK);
    assert_int_equal(http_write_field(&out, SPAN("Upgrade"), SPAN("websocket")), WEIR_OK);
    assert_int_equal(http_write_field(&out, SPAN("X"), SPAN("")), WEIR_OK);
    assert_int_equal(http_write_number(&out, SPAN("Content-Length"), UINT64_MAX), WEIR_OK);
    assert_int_equal(http_write_end(&out), WEIR_OK);
    assert_written(&out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX: \r\n"
                         "Content-Length: 18446744073709551615\r\n\r\n");
}

static void test_keeps_the_space_of_a_status_without_phrase(void **state)
{
    struct buffer out = {0};
    (void)state;
    assert_int_equal(http_write_status(&out, 599), WEIR_OK);
    assert_written(&out, "HTTP/1.1 599 \r\n");
    assert_string_equal(http_write_reason(404), "Not Found");
    assert_string_equal(http_write_reason(599), "");
}

static void test_refuses_statuses_that_are_none(void **state)
{
    struct buffer out = {0};
    (void)state;
    assert_int_equal(http_write_status(&out, 99), WEIR_EINVAL);
    assert_int_equal(http_write_status(&out, 600), WEIR_EINVAL);
    assert_int_equal(http_write_status(&out, 100), WEIR_OK);
    assert_written(&out, "HTTP/1.1 100 Continue\r\n");
}

static void test_writes_a_phrase_of_the_callers(void **state)
{
    struct buffer out = {0};
    (void)state;
    assert_int_equal(http_write_status_reason(&out, 404, SPAN("Gone\tfishing \xe9")), WEIR_OK);
    assert_written(&out, "HTTP/1.1 404 Gone\tfishing \xe9\r\n");
    assert_int_equal(http_write_status_reason(&out, 200, SPAN("")), WEIR_OK);
    assert_written(&out, "HTTP/1.1 200 \r\n");
    assert_int_equal(http_write_status_reason(&out, 99, SPAN("a")), WEIR_EINVAL);
    assert_int_equal(http_write_status_reason(&out, 600, SPAN("a")), WEIR_EINVAL);
    for (unsigned c = 0; c < 256; c++) {
        uint8_t text[3] = {'a', (uint8_t)c, 'b'};
        bool is_fine = c == '\t' || (c >= 0x20 && c != 0x7f);
        assert_int_equal(http_write_status_reason(&out, 200, (struct span){text, 3}),
                         is_fine ? WEIR_OK : WEIR_EINVAL);
        assert_int_equal(out.size, is_fine ? strlen("HTTP/1.1 200 a.b\r\n") : 0);
        buffer_free(&out);
    }
}

static void test_writes_a_request_line(void **state)
{
    struct buffer out = {0};
    (void)state;
    assert_int_equal(http_write_request(&out, SPAN("GET"), SPAN("/a?b")), WEIR_OK);
    assert_int_equal(http_write_request(&out, SPAN("GE T"), SPAN("/")), WEIR_EINVAL);
    assert_int_equal(http_write_request(&out, SPAN(""), SPAN("/")), WEIR_EINVAL);
    assert_int_equal(http_write_request(&out, SPAN("GET"), SPAN("")), WEIR_EINVAL);
    assert_int_equal(http_write_request(&out, SPAN("GET"), SPAN("/ HTTP/1.1\r\nX: y")),
                     WEIR_EINVAL);
    assert_written(&out, "GET /a?b HTTP/1.1\r\n");
}

/* Each byte value in the middle of a name and of a value. */
static void test_lets_no_byte_through_that_could_forge_a_line(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        struct buffer out = {0};
        uint8_t text[3] = {'a', (uint8_t)c, 'b'};
        struct span span = {text, 3};
        bool is_value = c == '\t' || (c >= 0x20 && c != 0x7f);
        bool is_token = c > 0x20 && c < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", (int)c) == NULL;
        assert_int_equal(http_write_field(&out, SPAN("X"), span), is_value ? WEIR_OK : WEIR_EINVAL);
        assert_int_equal(out.size, is_value ? strlen("X: a.b\r\n") : 0);
        out.size = 0;
        assert_int_equal(http_write_field(&out, span, SPAN("y")), is_token ? WEIR_OK : WEIR_EINVAL);
        assert_int_equal(out.size, is_token ? strlen("a.b: y\r\n") : 0);
        buffer_free(&out);
    }
}

static void test_refuses_an_empty_name(void **state)
{
    struct buffer out = {0};
    (void)state;
    assert_int_equal(http_write_field(&out, SPAN(""), SPAN("y")), WEIR_EINVAL);
    assert_int_equal(out.size, 0);
}

static void test_writes_chunks(void **state)
{
    struct buffer out = {0};
    (void)state;
    assert_int_equal(http_write_chunk_head(&out, 255), WEIR_OK);
    assert_int_equal(http_write_chunk_end(&out), WEIR_OK);
    assert_int_equal(http_write_chunk_head(&out, 0), WEIR_EINVAL);
    assert_int_equal(http_write_last_chunk(&out), WEIR_OK);
    assert_written(&out, "ff\r\n\r\n0\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_a_response_head),
        cmocka_unit_test(test_keeps_the_space_of_a_status_without_phrase),
        cmocka_unit_test(test_refuses_statuses_that_are_none),
        cmocka_unit_test(test_writes_a_phrase_of_the_callers),
        cmocka_unit_test(test_writes_a_request_line),
        cmocka_unit_test(test_lets_no_byte_through_that_could_forge_a_line),
        cmocka_unit_test(test_refuses_an_empty_name),
        cmocka_unit_test(test_writes_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
