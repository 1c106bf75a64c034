/* PROXY headers of both versions, split at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http_feed.h"
#include "proto/proxy_protocol.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

struct good {
    struct span bytes;
    size_t rest;
    unsigned version;
    bool is_local;
    const char *source;
    const char *destination;
};

static const struct good GOOD[] = {
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET /"), 5, 1, false, "192.0.2.1:56324",
     "192.0.2.2:443"},
    {BYTES("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n"), 0, 1, false, "0.0.0.0:0",
     "255.255.255.255:65535"},
    {BYTES("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), 0, 1, false, "[2001:db8::1]:1", "[::1]:2"},
    {BYTES("PROXY UNKNOWN\r\n"), 0, 1, true, "unknown", "unknown"},
    {BYTES("PROXY UNKNOWN ffff::1 whatever \r \x01\r\nX"), 1, 1, true, "unknown", "unknown"},
    {BYTES(SIGNATURE "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb"
                     "GET"),
     3, 2, false, "192.0.2.1:56324", "192.0.2.2:443"},
    {BYTES(SIGNATURE "\x21\x11\x00\x10\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb\x04\x00\x01"
                     "x"),
     0, 2, false, "192.0.2.1:56324", "192.0.2.2:443"},
    {BYTES(SIGNATURE "\x21\x21\x00\x24"
                     "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                     "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
                     "\x00\x01\x00\x02"),
     0, 2, false, "[2001:db8::1]:1", "[::1]:2"},
    {BYTES(SIGNATURE "\x20\x00\x00\x00"
                     "GET"),
     3, 2, true, "unknown", "unknown"},
    {BYTES(SIGNATURE "\x20\x11\x00\x03"
                     "abc"),
     0, 2, true, "unknown", "unknown"},
    {BYTES(SIGNATURE "\x21\x00\x00\x02"
                     "ab"),
     0, 2, true, "unknown", "unknown"},
};

/* From memory of exactly `size` bytes, so that ASan sees an overread. */
static enum weir_err parse(struct span bytes, size_t size, struct proxy_header *header,
                           size_t *consumed, const char **why)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes.data, size);
    enum weir_err err = proxy_protocol_parse((struct span){copy, size}, header, consumed, why);
    free(copy);
    return err;
}

static void assert_address(const struct ip_address *address, const char *wanted)
{
    char text[IP_ADDRESS_TEXT_BYTES];
    ip_address_format(address, true, text);
    assert_string_equal(text, wanted);
}

static void test_parses_headers_and_waits_for_their_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
        struct proxy_header header;
        size_t consumed = 0;
        const char *why;
        size_t whole = GOOD[i].bytes.size - GOOD[i].rest;
        for (size_t size = 0; size < whole; size++) {
            assert_int_equal(parse(GOOD[i].bytes, size, &header, &consumed, &why), WEIR_AGAIN);
        }
        for (size_t size = whole; size <= GOOD[i].bytes.size; size++) {
            assert_int_equal(parse(GOOD[i].bytes, size, &header, &consumed, &why), WEIR_OK);
            assert_int_equal(consumed, whole);
            assert_int_equal(header.version, GOOD[i].version);
            assert_int_equal(header.is_local, GOOD[i].is_local);
            assert_address(&header.source, GOOD[i].source);
            assert_address(&header.destination, GOOD[i].destination);
        }
    }
}

static void test_takes_unix_sockets_without_address(void **state)
{
    uint8_t text[16 + 216] = SIGNATURE "\x21\x31\x00\xd8/run/a";
    struct proxy_header header;
    size_t consumed;
    const char *why;
    (void)state;
    struct span bytes = {text, sizeof text};
    assert_int_equal(parse(bytes, sizeof text, &header, &consumed, &why), WEIR_OK);
    assert_int_equal(consumed, sizeof text);
    assert_int_equal(header.source.family, IP_NONE);
    assert_false(header.is_local);
}

struct bad {
    const char *name;
    struct span bytes;
};

static const struct bad BAD[] = {
    {"a request", BYTES("GET / HTTP/1.1\r\n")},
    {"a request that starts alike", BYTES("PROPFIND / HTTP/1.1\r\n")},
    {"TLS", BYTES("\x16\x03\x01")},
    {"lower case", BYTES("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n")},
    {"no words", BYTES("PROXY \r\n")},
    {"unknown protocol", BYTES("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n")},
    {"protocol only", BYTES("PROXY TCP4\r\n")},
    {"UNKNOWN with a tail", BYTES("PROXY UNKNOWNX\r\n")},
    {"port missing", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n")},
    {"port empty", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n")},
    {"word too many", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n")},
    {"two spaces", BYTES("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n")},
    {"two spaces before the protocol", BYTES("PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n")},
    {"trailing space", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n")},
    {"tabs", BYTES("PROXY TCP4\t1.2.3.4\t1.2.3.4\t1\t2\r\n")},
    {"IPv6 as TCP4", BYTES("PROXY TCP4 ::1 ::1 1 2\r\n")},
    {"IPv4 as TCP6", BYTES("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n")},
    {"mixed families", BYTES("PROXY TCP4 1.2.3.4 ::1 1 2\r\n")},
    {"address with port", BYTES("PROXY TCP4 1.2.3.4:5 1.2.3.4 1 2\r\n")},
    {"address in brackets", BYTES("PROXY TCP6 [::1] ::1 1 2\r\n")},
    {"address that is none", BYTES("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n")},
    {"address with NUL", BYTES("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n")},
    {"port too large", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n")},
    {"port with leading zero", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n")},
    {"signed port", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n")},
    {"bare LF", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n")},
    {"bare CR", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1\r 2\r\n")},
    {"LF within the prefix", BYTES("PROXY\r\n")},
    {"signature with a wrong byte", BYTES("\r\n\r\n\0\r\nQUIX\n")},
    {"an empty line", BYTES("\r\nPROXY")},
    {"version 1 in version 2", BYTES(SIGNATURE "\x11")},
    {"version 3", BYTES(SIGNATURE "\x31")},
    {"unknown command", BYTES(SIGNATURE "\x22")},
    {"unknown family", BYTES(SIGNATURE "\x21\x41\x00\x00")},
    {"unknown transport", BYTES(SIGNATURE "\x21\x13\x00\x00")},
    {"family without transport", BYTES(SIGNATURE "\x21\x10\x00\x00")},
    {"datagrams over IPv4", BYTES(SIGNATURE "\x21\x12\x00\x0c"
                                            "123456789012")},
    {"too short for IPv4", BYTES(SIGNATURE "\x21\x11\x00\x0b"
                                           "12345678901")},
    {"too short for IPv6", BYTES(SIGNATURE "\x21\x21\x00\x0c"
                                           "123456789012")},
    {"too short for unix", BYTES(SIGNATURE "\x21\x31\x00\x0c"
                                           "123456789012")},
};

static void test_refuses_malformed_headers_however_they_are_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct proxy_header header;
        size_t consumed;
        const char *why = "";
        for (size_t size = 0; size < BAD[i].bytes.size; size++) {
            enum weir_err err = parse(BAD[i].bytes, size, &header, &consumed, &why);
            assert_true(err == WEIR_AGAIN || err == WEIR_EPROTO);
        }
        enum weir_err err = parse(BAD[i].bytes, BAD[i].bytes.size, &header, &consumed, &why);
        if (err != WEIR_EPROTO || strlen(why) == 0) {
            fail_msg("%s: %s", BAD[i].name, weir_err_name(err));
        }
    }
}

static void test_limits_version_1_lines(void **state)
{
    char text[128] = "PROXY UNKNOWN";
    struct proxy_header header;
    size_t consumed;
    const char *why;
    (void)state;
    memset(text + 13, ' ', sizeof text - 13);
    memcpy(text + PROXY_V1_BYTES_MAX - 2, "\r\n", 2);
    assert_int_equal(
        parse((struct span){(uint8_t *)text, sizeof text}, sizeof text, &header, &consumed, &why),
        WEIR_OK);
    assert_int_equal(consumed, PROXY_V1_BYTES_MAX);
    memcpy(text + PROXY_V1_BYTES_MAX - 2, " \r\n", 3);
    struct span bytes = {(uint8_t *)text, sizeof text};
    assert_int_equal(parse(bytes, PROXY_V1_BYTES_MAX - 1, &header, &consumed, &why), WEIR_AGAIN);
    assert_int_equal(parse(bytes, PROXY_V1_BYTES_MAX, &header, &consumed, &why), WEIR_EPROTO);
    assert_int_equal(parse(bytes, sizeof text, &header, &consumed, &why), WEIR_EPROTO);
}

static void test_limits_version_2_lengths(void **state)
{
    static uint8_t text[PROXY_BYTES_MAX + 1] = SIGNATURE "\x20\x00\x08\x00";
    struct span bytes = {text, sizeof text};
    struct proxy_header header;
    size_t consumed;
    const char *why;
    (void)state;
    assert_int_equal(parse(bytes, PROXY_BYTES_MAX - 1, &header, &consumed, &why), WEIR_AGAIN);
    assert_int_equal(parse(bytes, PROXY_BYTES_MAX, &header, &consumed, &why), WEIR_OK);
    assert_int_equal(consumed, PROXY_BYTES_MAX);
    text[15] = 1;
    assert_int_equal(parse(bytes, 16, &header, &consumed, &why), WEIR_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parses_headers_and_waits_for_their_end),
        cmocka_unit_test(test_takes_unix_sockets_without_address),
        cmocka_unit_test(test_refuses_malformed_headers_however_they_are_split),
        cmocka_unit_test(test_limits_version_1_lines),
        cmocka_unit_test(test_limits_version_2_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
