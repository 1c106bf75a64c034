/* Both ends of a TLS connection are ours: a client's stream and a server's on one socketpair. */
#include "stream_fixture.h"

#include "certificates.h"
#include "net/tls_client.h"

enum {
    WHY_BYTES = 256,
    MUCH = 2000000
};

struct end {
    struct stream stream; /* first: the callback finds the end by it */
    unsigned told_gone;
    unsigned told_readable;
    enum weir_err handshake;
    enum weir_err last; /* of the last read that was not WEIR_OK */
    char why[WHY_BYTES];
    uint8_t *got;
    size_t size;
};

static struct loop *loop;
static struct tls_context *server_context;
static struct tls_client *client_context;
static struct end server;
static struct end client;
static char folder[] = "/tmp/weir-client-XXXXXX";
static char file_names[16][80];
static unsigned file_count;

/* --- files --- */

static const char *file(const char *name)
{
    static char names[8][80];
    static unsigned next;
    char *out = names[next++ % 8];
    snprintf(out, sizeof names[0], "%s/%s", folder, name);
    return out;
}

static void write_identity(const char *name, const struct identity *identity)
{
    char *certificate = file_names[file_count++];
    char *key = file_names[file_count++];
    snprintf(certificate, sizeof file_names[0], "%s/%s.pem", folder, name);
    snprintf(key, sizeof file_names[0], "%s/%s.key", folder, name);
    identity_write(identity, certificate, key);
}

static int make_identities(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as the gateway does: OpenSSL writes without MSG_NOSIGNAL */
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    struct identity authority = identity_new("our authority", NULL, NULL, 10);
    struct identity other = identity_new("another authority", NULL, NULL, 10);
    struct identity backend = identity_new(
        "backend", "DNS:backend.test,DNS:*.wild.test,IP:127.0.0.1,IP:::1", &authority, 10);
    struct identity expired = identity_new("old", "DNS:backend.test", &authority, 0);
    struct identity us = identity_new("us", NULL, &authority, 10);
    struct identity stranger = identity_new("stranger", NULL, &other, 10);
    write_identity("authority", &authority);
    write_identity("other", &other);
    write_identity("backend", &backend);
    write_identity("expired", &expired);
    write_identity("us", &us);
    write_identity("stranger", &stranger);
    identity_free(&authority);
    identity_free(&other);
    identity_free(&backend);
    identity_free(&expired);
    identity_free(&us);
    identity_free(&stranger);
    return 0;
}

static int remove_identities(void **state)
{
    (void)state;
    while (file_count > 0) {
        unlink(file_names[--file_count]);
    }
    return rmdir(folder);
}

/* --- the two ends --- */

static void hear(struct stream *stream, bool readable, bool writable)
{
    struct end *mine = (struct end *)(void *)stream;
    mine->told_readable += readable;
    mine->told_gone += !readable && !writable;
    if (mine->handshake == WEIR_AGAIN) {
        mine->handshake = stream_handshake(stream, mine->why, sizeof mine->why);
        if (mine->handshake != WEIR_OK) {
            return;
        }
    }
    while (stream->reading && stream_is_open(stream)) {
        size_t n = 0;
        mine->got = realloc(mine->got, mine->size + 65536);
        enum weir_err err = stream_read(stream, mine->got + mine->size, 65536, &n);
        if (err != WEIR_OK) {
            mine->last = err;
            if (err != WEIR_AGAIN) {
                stream_set_reading(stream, false);
            }
            return;
        }
        mine->size += n;
    }
}

static int set_up(void **state)
{
    static const int bytes = SOCKET_BYTES;
    int fds[2];
    (void)state;
    loop = loop_new();
    memset(&server, 0, sizeof server);
    memset(&client, 0, sizeof client);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) {
        return -1;
    }
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    stream_open(&server.stream, loop, fds[0], hear);
    stream_open(&client.stream, loop, fds[1], hear);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stream_close(&server.stream);
    stream_close(&client.stream);
    tls_context_free(&server_context);
    tls_client_free(&client_context);
    loop_free(&loop);
    free(server.got);
    free(client.got);
    ERR_clear_error();
    return 0;
}

static void start_server(const char *certificate, const char *key,
                         enum tls_client_certificate wants, bool tls_1_3_only)
{
    char why[WHY_BYTES];
    struct tls_certificate pair_files = {NULL, file(certificate), file(key)};
    struct tls_settings settings = {.certificates = &pair_files,
                                    .certificate_count = 1,
                                    .client_ca = file("authority.pem"),
                                    .client_certificate = wants,
                                    .tls_1_3_only = tls_1_3_only,
                                    .session_resumption = true};
    assert_int_equal(tls_context_new(&settings, why, sizeof why, &server_context), WEIR_OK);
    assert_int_equal(stream_start_tls(&server.stream, server_context), WEIR_OK);
    server.handshake = WEIR_AGAIN;
}

static enum weir_err start_client(const struct tls_client_settings *settings, const char *name)
{
    char why[WHY_BYTES];
    assert_int_equal(tls_client_new(settings, why, sizeof why, &client_context), WEIR_OK);
    client.handshake = WEIR_AGAIN;
    return stream_start_tls_client(&client.stream, client_context, name);
}

static void loop_once(void)
{
    loop_turn(loop, false);
}

#define BOTH_UNTIL(condition)                                                                      \
    do {                                                                                           \
        uint64_t give_up = clock_monotonic_ms() + GIVE_UP_MS;                                      \
        while (!(condition)) {                                                                     \
            loop_once();                                                                           \
            if (clock_monotonic_ms() > give_up) {                                                  \
                fail_msg("in vain: " #condition "; %d %d %s", (int)client.handshake,               \
                         (int)server.handshake, client.why);                                       \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* Goes on until both know how it went. */
static void shake(void)
{
    stream_set_reading(&server.stream, true);
    stream_set_reading(&client.stream, true);
    client.handshake = stream_handshake(&client.stream, client.why, sizeof client.why);
    BOTH_UNTIL(client.handshake != WEIR_AGAIN);
    if (client.handshake != WEIR_OK) {
        stream_close(&client.stream); /* as an owner does */
    }
    BOTH_UNTIL(server.handshake != WEIR_AGAIN);
}

static const struct tls_client_settings *verifying(void)
{
    static struct tls_client_settings settings;
    settings = (struct tls_client_settings){.verify = true, .ca = file("authority.pem")};
    return &settings;
}

static void believed(const char *name)
{
    start_server("backend.pem", "backend.key", TLS_CLIENT_NONE, false);
    assert_int_equal(start_client(verifying(), name), WEIR_OK);
    shake();
    assert_int_equal(client.handshake, WEIR_OK);
    assert_int_equal(server.handshake, WEIR_OK);
    assert_true(stream_is_established(&client.stream));
    assert_true(stream_is_tls(&client.stream));
}

static void not_believed(const char *certificate, const char *key,
                         const struct tls_client_settings *settings, const char *name,
                         const char *words)
{
    start_server(certificate, key, TLS_CLIENT_NONE, false);
    assert_int_equal(start_client(settings, name), WEIR_OK);
    shake();
    assert_int_equal(client.handshake, WEIR_EPROTO);
    assert_non_null(strstr(client.why, "is not believed"));
    assert_non_null(strstr(client.why, words));
    assert_int_equal(ERR_peek_error(), 0);
    assert_int_not_equal(server.handshake, WEIR_OK);
}

/* --- whom we believe --- */

static void test_a_certificate_for_the_name_is_believed(void **state)
{
    (void)state;
    believed("backend.test");
    const char *asked = SSL_get_servername(server.stream.tls, TLSEXT_NAMETYPE_host_name);
    assert_string_equal(asked, "backend.test");
}

static void test_case_and_a_last_dot_do_not_matter(void **state)
{
    (void)state;
    believed("Backend.TEST.");
    const char *asked = SSL_get_servername(server.stream.tls, TLSEXT_NAMETYPE_host_name);
    assert_string_equal(asked, "Backend.TEST");
}

static void test_a_wildcard_is_believed_for_one_label(void **state)
{
    (void)state;
    believed("any.wild.test");
}

static void test_a_wildcard_is_not_believed_for_two_labels(void **state)
{
    (void)state;
    not_believed("backend.pem", "backend.key", verifying(), "a.b.wild.test", "hostname mismatch");
}

/* RFC 6066, section 3: addresses are no server names. */
static void test_an_ipv4_address_is_looked_for_but_not_asked_for(void **state)
{
    (void)state;
    believed("127.0.0.1");
    assert_null(SSL_get_servername(server.stream.tls, TLSEXT_NAMETYPE_host_name));
}

static void test_an_ipv6_address_is_looked_for_but_not_asked_for(void **state)
{
    (void)state;
    believed("::1");
    assert_null(SSL_get_servername(server.stream.tls, TLSEXT_NAMETYPE_host_name));
}

static void test_without_a_name_only_the_chain_counts(void **state)
{
    (void)state;
    believed(NULL);
}

static void test_another_name_is_not_believed(void **state)
{
    (void)state;
    not_believed("backend.pem", "backend.key", verifying(), "other.test", "hostname mismatch");
}

static void test_another_address_is_not_believed(void **state)
{
    (void)state;
    not_believed("backend.pem", "backend.key", verifying(), "127.0.0.2", "IP address mismatch");
}

static void test_another_authority_is_not_believed(void **state)
{
    struct tls_client_settings settings = {.verify = true, .ca = file("other.pem")};
    (void)state;
    not_believed("backend.pem", "backend.key", &settings, "backend.test", "issuer certificate");
}

static void test_the_systems_authorities_do_not_know_ours(void **state)
{
    struct tls_client_settings settings = {.verify = true};
    (void)state;
    not_believed("backend.pem", "backend.key", &settings, "backend.test", "issuer certificate");
}

static void test_an_expired_certificate_is_not_believed(void **state)
{
    (void)state;
    not_believed("expired.pem", "expired.key", verifying(), "backend.test", "expired");
}

static void test_without_verification_all_are_believed(void **state)
{
    struct tls_client_settings settings = {.verify = false};
    (void)state;
    start_server("expired.pem", "expired.key", TLS_CLIENT_NONE, false);
    assert_int_equal(start_client(&settings, "no.such.name"), WEIR_OK);
    shake();
    assert_int_equal(client.handshake, WEIR_OK);
    const char *asked = SSL_get_servername(server.stream.tls, TLSEXT_NAMETYPE_host_name);
    assert_string_equal(asked, "no.such.name");
}

static void test_what_is_no_name_leaves_the_stream_plain(void **state)
{
    char longer[300];
    (void)state;
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(start_client(verifying(), longer), WEIR_EINVAL);
    assert_int_equal(stream_start_tls_client(&client.stream, client_context, ""), WEIR_EINVAL);
    assert_false(stream_is_tls(&client.stream));
    assert_int_equal(stream_handshake(&client.stream, client.why, WHY_BYTES), WEIR_OK);
}

/* --- who we are --- */

static void test_our_certificate_is_shown_when_it_is_asked_for(void **state)
{
    struct tls_client_settings settings = {.verify = true,
                                           .ca = file("authority.pem"),
                                           .certificate = file("us.pem"),
                                           .private_key = file("us.key")};
    (void)state;
    start_server("backend.pem", "backend.key", TLS_CLIENT_REQUIRED, false);
    assert_int_equal(start_client(&settings, "backend.test"), WEIR_OK);
    shake();
    assert_int_equal(client.handshake, WEIR_OK);
    assert_int_equal(server.handshake, WEIR_OK);
    char *subject = stream_client_subject(&server.stream);
    assert_string_equal(subject, "CN=us");
    free(subject);
}

static void server_refuses(const struct tls_client_settings *settings)
{
    start_server("backend.pem", "backend.key", TLS_CLIENT_REQUIRED, true);
    assert_int_equal(start_client(settings, "backend.test"), WEIR_OK);
    stream_set_reading(&server.stream, true);
    stream_set_reading(&client.stream, true);
    client.handshake = stream_handshake(&client.stream, client.why, sizeof client.why);
    BOTH_UNTIL(server.handshake != WEIR_AGAIN && client.handshake != WEIR_AGAIN);
    assert_int_equal(server.handshake, WEIR_EPROTO);
    BOTH_UNTIL(client.last != WEIR_OK && client.last != WEIR_AGAIN);
    assert_int_equal(client.last, WEIR_EPROTO);
}

/* RFC 8446, section 4.4.2.4: the client has finished by then, and finds the alert when it reads. */
static void test_a_server_that_wants_a_certificate_refuses_clients_without(void **state)
{
    (void)state;
    server_refuses(verifying());
}

static void test_a_server_refuses_a_certificate_of_a_stranger(void **state)
{
    struct tls_client_settings settings = {.verify = true,
                                           .ca = file("authority.pem"),
                                           .certificate = file("stranger.pem"),
                                           .private_key = file("stranger.key")};
    (void)state;
    server_refuses(&settings);
}

/* --- handshakes that fail --- */

static void test_a_server_that_speaks_no_tls_is_a_protocol_error(void **state)
{
    static const char words[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    struct iovec piece = {(void *)(uintptr_t)words, sizeof words - 1};
    (void)state;
    assert_int_equal(start_client(verifying(), "backend.test"), WEIR_OK);
    stream_set_reading(&client.stream, true);
    client.handshake = stream_handshake(&client.stream, client.why, sizeof client.why);
    assert_int_equal(client.handshake, WEIR_AGAIN);
    assert_int_equal(stream_write(&server.stream, &piece, 1), WEIR_OK);
    BOTH_UNTIL(client.handshake != WEIR_AGAIN);
    assert_int_equal(client.handshake, WEIR_EPROTO);
    assert_non_null(strstr(client.why, "the TLS handshake failed: wrong version number"));
}

static void test_a_server_that_leaves_during_the_handshake_is_told_of(void **state)
{
    (void)state;
    assert_int_equal(start_client(verifying(), "backend.test"), WEIR_OK);
    stream_set_reading(&client.stream, true);
    client.handshake = stream_handshake(&client.stream, client.why, sizeof client.why);
    assert_int_equal(client.handshake, WEIR_AGAIN);
    shutdown(server.stream.fd, SHUT_WR);
    BOTH_UNTIL(client.handshake != WEIR_AGAIN);
    assert_int_equal(client.handshake, WEIR_ECLOSED);
    assert_non_null(strstr(client.why, "during the TLS handshake"));
}

static void test_an_old_version_is_refused(void **state)
{
    (void)state;
    start_server("backend.pem", "backend.key", TLS_CLIENT_NONE, false);
    SSL_set_security_level(server.stream.tls, 0);
    SSL_set_min_proto_version(server.stream.tls, TLS1_VERSION);
    SSL_set_max_proto_version(server.stream.tls, TLS1_1_VERSION);
    assert_int_equal(start_client(verifying(), "backend.test"), WEIR_OK);
    /* Whatever the system's OpenSSL is configured to refuse by itself. */
    SSL_set_security_level(client.stream.tls, 0);
    assert_int_equal(SSL_get_min_proto_version(client.stream.tls), TLS1_2_VERSION);
    shake();
    assert_int_equal(client.handshake, WEIR_EPROTO);
    assert_int_not_equal(server.handshake, WEIR_OK);
}

static void test_tls_1_2_still_works(void **state)
{
    (void)state;
    start_server("backend.pem", "backend.key", TLS_CLIENT_NONE, false);
    SSL_set_max_proto_version(server.stream.tls, TLS1_2_VERSION);
    assert_int_equal(start_client(verifying(), "backend.test"), WEIR_OK);
    shake();
    assert_int_equal(client.handshake, WEIR_OK);
    assert_string_equal(SSL_get_version(client.stream.tls), "TLSv1.2");
}

/* --- the stream behind it --- */

static void test_much_goes_both_ways_through_the_queues(void **state)
{
    (void)state;
    believed("backend.test");
    uint8_t *bytes = patterned(0, MUCH);
    struct iovec piece = {bytes, MUCH};
    assert_int_equal(stream_write(&client.stream, &piece, 1), WEIR_OK);
    assert_int_equal(stream_write(&server.stream, &piece, 1), WEIR_OK);
    assert_true(stream_queued(&client.stream) > 0);
    BOTH_UNTIL(server.size == MUCH && client.size == MUCH);
    assert_memory_equal(server.got, bytes, MUCH);
    assert_memory_equal(client.got, bytes, MUCH);
    free(bytes);
}

static void test_streams_hold_what_they_need_of_a_freed_client(void **state)
{
    (void)state;
    start_server("backend.pem", "backend.key", TLS_CLIENT_NONE, false);
    assert_int_equal(start_client(verifying(), "backend.test"), WEIR_OK);
    tls_client_free(&client_context);
    tls_client_free(&client_context);
    shake();
    assert_int_equal(client.handshake, WEIR_OK);
}

static void write_text(struct end *from, const char *text)
{
    struct iovec piece = {(void *)(uintptr_t)text, strlen(text)};
    assert_int_equal(stream_write(&from->stream, &piece, 1), WEIR_OK);
}

/* What a pool sees of a connection that waits in it. */
static void test_session_tickets_are_no_end_and_close_notify_is_one(void **state)
{
    (void)state;
    believed("backend.test");
    stream_set_reading(&client.stream, false);
    loop_once();
    assert_false(stream_peer_is_gone(&client.stream));
    assert_int_equal(client.told_gone, 0);
    assert_int_equal(SSL_shutdown(server.stream.tls), 0); /* close_notify, and no FIN behind it */
    BOTH_UNTIL(client.told_gone > 0);
    assert_true(stream_peer_is_gone(&client.stream));
    assert_false(stream_is_broken(&client.stream));
    client.last = WEIR_OK;
    stream_set_reading(&client.stream, true); /* and who reads on is told of it */
    BOTH_UNTIL(client.last == WEIR_ECLOSED);
}

static void test_a_server_notices_a_close_notify_while_it_does_not_read(void **state)
{
    (void)state;
    believed("backend.test");
    stream_set_reading(&server.stream, false);
    assert_int_equal(SSL_shutdown(client.stream.tls), 0);
    BOTH_UNTIL(server.told_gone > 0);
    assert_true(stream_peer_is_gone(&server.stream));
}

/* The kernel will not tell of these bytes again. */
static void test_what_was_decrypted_while_looking_is_told_of(void **state)
{
    (void)state;
    believed("backend.test");
    stream_set_reading(&client.stream, false);
    write_text(&server, "an early answer");
    assert_false(stream_peer_is_gone(&client.stream));
    BOTH_UNTIL(stream_has_pending(&client.stream));
    unsigned before = client.told_readable;
    for (int i = 0; i < 3; i++) {
        loop_once();
    }
    assert_int_equal(client.told_readable, before);
    assert_int_equal(client.told_gone, 0);
    stream_set_reading(&client.stream, true);
    BOTH_UNTIL(client.size == 15);
    assert_memory_equal(client.got, "an early answer", 15);
}

static void test_an_end_behind_unread_bytes_is_seen_once_they_are_read(void **state)
{
    (void)state;
    believed("backend.test");
    stream_set_reading(&client.stream, false);
    write_text(&server, "last words");
    stream_shutdown(&server.stream);
    for (int i = 0; i < 3; i++) {
        loop_once();
    }
    assert_false(stream_peer_is_gone(&client.stream));
    assert_int_equal(client.told_gone, 0);
    stream_set_reading(&client.stream, true);
    BOTH_UNTIL(client.last == WEIR_ECLOSED);
    assert_int_equal(client.size, 10);
    assert_true(stream_peer_is_gone(&client.stream));
}

/* RFC 8446, section 6.1: without close_notify, it is a connection that was cut. */
static void test_an_end_without_close_notify_is_a_cut_connection(void **state)
{
    (void)state;
    believed("backend.test");
    stream_set_reading(&client.stream, false);
    shutdown(server.stream.fd, SHUT_WR);
    BOTH_UNTIL(client.told_gone > 0);
    assert_true(stream_is_broken(&client.stream));
    assert_true(stream_peer_is_gone(&client.stream));
}

/* --- files that do not serve --- */

static void refused(struct tls_client_settings settings, const char *words)
{
    struct tls_client *made = NULL;
    char why[WHY_BYTES] = "";
    assert_int_equal(tls_client_new(&settings, why, sizeof why, &made), WEIR_EINVAL);
    assert_null(made);
    assert_non_null(strstr(why, words));
    assert_int_equal(ERR_peek_error(), 0);
}

static void test_files_that_do_not_serve_are_named(void **state)
{
    const char *good = file("us.pem");
    const char *key = file("us.key");
    (void)state;
    refused((struct tls_client_settings){.verify = true, .ca = "/no/such/file"},
            "/no/such/file: cannot be used as ca");
    refused((struct tls_client_settings){.ca = key}, "cannot be used as ca");
    refused((struct tls_client_settings){.certificate = "/no/such", .private_key = key},
            "/no/such: cannot be used as certificate");
    refused((struct tls_client_settings){.certificate = good, .private_key = good},
            "cannot be used as private_key");
    refused((struct tls_client_settings){.certificate = good, .private_key = file("backend.key")},
            "backend.key: ");
}

#define TLS(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TLS(test_a_certificate_for_the_name_is_believed),
        TLS(test_case_and_a_last_dot_do_not_matter),
        TLS(test_a_wildcard_is_believed_for_one_label),
        TLS(test_a_wildcard_is_not_believed_for_two_labels),
        TLS(test_an_ipv4_address_is_looked_for_but_not_asked_for),
        TLS(test_an_ipv6_address_is_looked_for_but_not_asked_for),
        TLS(test_without_a_name_only_the_chain_counts),
        TLS(test_another_name_is_not_believed),
        TLS(test_another_address_is_not_believed),
        TLS(test_another_authority_is_not_believed),
        TLS(test_the_systems_authorities_do_not_know_ours),
        TLS(test_an_expired_certificate_is_not_believed),
        TLS(test_without_verification_all_are_believed),
        TLS(test_what_is_no_name_leaves_the_stream_plain),
        TLS(test_our_certificate_is_shown_when_it_is_asked_for),
        TLS(test_a_server_that_wants_a_certificate_refuses_clients_without),
        TLS(test_a_server_refuses_a_certificate_of_a_stranger),
        TLS(test_a_server_that_speaks_no_tls_is_a_protocol_error),
        TLS(test_a_server_that_leaves_during_the_handshake_is_told_of),
        TLS(test_an_old_version_is_refused),
        TLS(test_tls_1_2_still_works),
        TLS(test_much_goes_both_ways_through_the_queues),
        TLS(test_streams_hold_what_they_need_of_a_freed_client),
        TLS(test_session_tickets_are_no_end_and_close_notify_is_one),
        TLS(test_a_server_notices_a_close_notify_while_it_does_not_read),
        TLS(test_what_was_decrypted_while_looking_is_told_of),
        TLS(test_an_end_behind_unread_bytes_is_seen_once_they_are_read),
        TLS(test_an_end_without_close_notify_is_a_cut_connection),
        cmocka_unit_test(test_files_that_do_not_serve_are_named),
    };
    return cmocka_run_group_tests(tests, make_identities, remove_identities);
}
