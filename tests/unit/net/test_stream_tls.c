/* What only TLS streams do: handshakes, bytes that wait inside, renewed keys, peers that are none.
 */
#include "stream_fixture.h"

static void test_the_handshake_happens_within_reads(void **state)
{
    (void)state;
    assert_true(stream_is_tls(&pair.stream));
    assert_false(stream_is_established(&pair.stream));
    shake_hands();
    assert_true(stream_is_established(&pair.stream));
    assert_int_equal(pair.got_size, 0);
    assert_int_equal(pair.end, WEIR_OK);
}

static void test_a_peer_that_speaks_no_tls_is_a_protocol_error(void **state)
{
    (void)state;
    stream_set_reading(&pair.stream, true);
    assert_true(send(pair.peer, "GET / HTTP/1.1\r\n\r\n", 18, 0) == 18);
    TURN_UNTIL(pair.end != WEIR_OK, (void)0);
    assert_int_equal(pair.end, WEIR_EPROTO);
    assert_false(stream_is_established(&pair.stream));
}

static void test_a_peer_that_leaves_during_the_handshake_is_noticed(void **state)
{
    (void)state;
    stream_set_reading(&pair.stream, true);
    SSL_do_handshake(pair.peer_ssl); /* sends the client's hello */
    turn();
    shutdown(pair.peer, SHUT_WR);
    TURN_UNTIL(pair.end != WEIR_OK, (void)0);
    assert_false(stream_is_established(&pair.stream));
}

/* A FIN without close_notify may be somebody cutting the data short (RFC 8446, section 6.1). */
static void test_an_end_without_close_notify_is_not_a_clean_one(void **state)
{
    (void)state;
    shake_hands();
    stream_set_reading(&pair.stream, true);
    shutdown(pair.peer, SHUT_WR);
    TURN_UNTIL(pair.end != WEIR_OK, (void)0);
    assert_int_not_equal(pair.end, WEIR_ECLOSED);
}

static void test_shutdown_sends_close_notify(void **state)
{
    char byte;
    (void)state;
    shake_hands();
    stream_shutdown(&pair.stream);
    while (SSL_read(pair.peer_ssl, &byte, 1) > 0) {
    }
    assert_true((SSL_get_shutdown(pair.peer_ssl) & SSL_RECEIVED_SHUTDOWN) != 0);
    assert_int_equal(recv(pair.peer, &byte, 1, 0), 0); /* and the FIN behind it */
}

static void test_shutdown_during_the_handshake_only_ends_the_socket(void **state)
{
    char byte;
    (void)state;
    stream_shutdown(&pair.stream);
    assert_int_equal(recv(pair.peer, &byte, 1, 0), 0);
}

static void test_bytes_that_wait_inside_are_told_of(void **state)
{
    char bytes[64];
    size_t got = 0;
    (void)state;
    shake_hands();
    assert_false(stream_has_pending(&pair.stream));
    assert_int_equal(peer_write("one record of many bytes", 24), 24);
    assert_int_equal(stream_read(&pair.stream, bytes, 3, &got), WEIR_OK);
    assert_int_equal(got, 3);
    /* The kernel has nothing any more, so the loop would never say so. */
    assert_true(stream_has_pending(&pair.stream));
    assert_int_equal(stream_read(&pair.stream, bytes + 3, sizeof bytes - 3, &got), WEIR_OK);
    assert_memory_equal(bytes, "one record of many bytes", 24);
    assert_false(stream_has_pending(&pair.stream));
}

/* Who took a part of a record for bytes that wait would try to read them for ever. */
static void test_a_part_of_a_record_is_nothing_that_waits(void **state)
{
    char bytes[64];
    size_t got = 0;
    (void)state;
    assert_int_equal(stream_read(&pair.stream, bytes, sizeof bytes, &got), WEIR_AGAIN);
    assert_int_equal(send(pair.peer, "\x16\x03\x01\x00\xfa\x01\x00\x00", 8, 0), 8);
    assert_int_equal(stream_read(&pair.stream, bytes, sizeof bytes, &got), WEIR_AGAIN);
    assert_false(stream_has_pending(&pair.stream));
}

static void test_one_read_takes_several_records(void **state)
{
    char bytes[64];
    size_t got = 0;
    (void)state;
    shake_hands();
    assert_int_equal(peer_write("first", 5), 5);
    assert_int_equal(peer_write("second", 6), 6);
    assert_int_equal(stream_read(&pair.stream, bytes, sizeof bytes, &got), WEIR_OK);
    assert_int_equal(got, 11);
    assert_memory_equal(bytes, "firstsecond", 11);
}

/* RFC 8446, section 4.6.3: the answer to a request for new keys is a write that a read causes. */
static void test_new_keys_are_agreed_between_messages(void **state)
{
    const size_t much = 100000;
    uint8_t *bytes = patterned(0, much);
    size_t at = 0;
    (void)state;
    shake_hands();
    stream_set_reading(&pair.stream, true);
    for (size_t round = 1; round <= 5; round++) {
        size_t sent = 0;
        assert_int_equal(SSL_key_update(pair.peer_ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        TURN_UNTIL(sent == much, sent += peer_write(bytes + sent, much - sent));
        TURN_UNTIL(pair.got_size == much * round, (void)0);
        write_pattern(at, much, WEIR_OK);
        peer_takes(&at, much);
    }
    assert_memory_equal(pair.got + 4 * much, bytes, much);
    assert_int_equal(pair.end, WEIR_OK);
    free(bytes);
}

static void test_bytes_changed_on_the_way_are_a_protocol_error(void **state)
{
    static const char forged[] = "\x17\x03\x03\x00\x20"
                                 "0123456789abcdef0123456789abcdef";
    (void)state;
    shake_hands();
    stream_set_reading(&pair.stream, true);
    assert_true(send(pair.peer, forged, sizeof forged - 1, 0) == sizeof forged - 1);
    TURN_UNTIL(pair.end != WEIR_OK, (void)0);
    assert_int_equal(pair.end, WEIR_EPROTO);
    assert_int_equal(pair.got_size, 0);
}

static void test_a_client_without_a_certificate_has_no_name(void **state)
{
    (void)state;
    shake_hands();
    assert_null(stream_client_subject(&pair.stream));
}

/* --- contexts --- */

static void refused_context(const char *certificate, const char *key, const char *words)
{
    struct tls_certificate one = {NULL, certificate, key};
    struct tls_settings settings = {.certificates = &one, .certificate_count = 1};
    struct tls_context *context = NULL;
    char why[256] = "";
    assert_int_equal(tls_context_new(&settings, why, sizeof why, &context), WEIR_EINVAL);
    assert_null(context);
    assert_non_null(strstr(why, words));
}

static void test_files_that_do_not_serve_are_named(void **state)
{
    (void)state;
    refused_context("/no/such/file", key_file, "/no/such/file: cannot be used as certificate");
    refused_context(key_file, key_file, "cannot be used as certificate");
    refused_context(certificate_file, "/no/such/file", "cannot be used as private_key");
    refused_context(certificate_file, certificate_file, "cannot be used as private_key");
    assert_int_equal(ERR_peek_error(), 0);
}

#define TLS(name) cmocka_unit_test_setup_teardown(name, begin_tls, close_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TLS(test_the_handshake_happens_within_reads),
        TLS(test_a_peer_that_speaks_no_tls_is_a_protocol_error),
        TLS(test_a_peer_that_leaves_during_the_handshake_is_noticed),
        TLS(test_an_end_without_close_notify_is_not_a_clean_one),
        TLS(test_shutdown_sends_close_notify),
        TLS(test_shutdown_during_the_handshake_only_ends_the_socket),
        TLS(test_bytes_that_wait_inside_are_told_of),
        TLS(test_a_part_of_a_record_is_nothing_that_waits),
        TLS(test_one_read_takes_several_records),
        TLS(test_new_keys_are_agreed_between_messages),
        TLS(test_bytes_changed_on_the_way_are_a_protocol_error),
        TLS(test_a_client_without_a_certificate_has_no_name),
        cmocka_unit_test(test_files_that_do_not_serve_are_named),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
