/* The chunked decoder: what it yields, what it refuses, and that no split changes either. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http_feed.h"
#include "proto/http_chunked.h"

struct result {
    enum weir_err err; /* of the last call */
    size_t consumed;
    bool done;
    size_t size;
    uint8_t body[256];
    size_t trailer_size;
    uint8_t trailers[256];
};

/* Decodes `bytes`, pushed in pieces of `first` bytes and then `step` bytes, each from memory of its
 * own, as a caller would that drops all that was consumed. */
static struct result decode(struct span bytes, size_t first, size_t step)
{
    struct http_chunked chunked = {0};
    struct result result = {.err = WEIR_AGAIN};
    size_t piece = first;
    for (size_t at = 0; at < bytes.size && result.err == WEIR_AGAIN; at += piece, piece = step) {
        piece = piece < bytes.size - at ? piece : bytes.size - at;
        if (piece == 0) {
            continue;
        }
        uint8_t *copy = malloc(piece);
        assert_non_null(copy);
        memcpy(copy, bytes.data + at, piece);
        size_t used = 0;
        do {
            size_t consumed = 0;
            struct span data = {NULL, 0};
            const char *why = "";
            result.err =
                http_chunked_next(&chunked, copy + used, piece - used, &consumed, &data, &why);
            used += consumed;
            uint8_t *to = chunked.is_trailer ? result.trailers : result.body;
            size_t *to_size = chunked.is_trailer ? &result.trailer_size : &result.size;
            memcpy(to + *to_size, data.data != NULL ? data.data : copy, data.size);
            *to_size += data.size;
            assert_false(chunked.done && chunked.is_trailer);
            if (result.err == WEIR_OK && !chunked.done) {
                assert_true(data.size > 0);
                result.err = used == piece ? WEIR_AGAIN : WEIR_OK;
            } else if (result.err == WEIR_AGAIN) {
                assert_int_equal(used, piece);
            } else if (result.err != WEIR_OK) {
                assert_true(strlen(why) > 0);
            }
        } while (result.err == WEIR_OK && !chunked.done);
        result.consumed += used;
        free(copy);
    }
    result.done = chunked.done;
    return result;
}

struct good {
    struct span bytes;
    const char *body;
    size_t rest;
    const char *trailers;
};

static const struct good GOOD[] = {
    {BYTES("0\r\n\r\n"), "", 0, ""},
    {BYTES("5\r\nhello\r\n0\r\n\r\nGET"), "hello", 3, ""},
    {BYTES("1\r\na\r\n2\r\nbc\r\n000\r\n\r\n"), "abc", 0, ""},
    {BYTES("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"), "01234567890123456789", 0, ""},
    {BYTES("0000000000000005\r\nhello\r\n0\r\n\r\n"), "hello", 0, ""},
    {BYTES("2\r\n\r\n\r\n0\r\n\r\n"), "\r\n", 0, ""},
    {BYTES("1;a\r\nx\r\n1;a=b\r\ny\r\n1 ; a = \"q;\\\"\t \"\r\nz\r\n0\r\n\r\n"), "xyz", 0, ""},
    {BYTES("1;a=b;c;d=\"e\"\r\nx\r\n0;last\r\n\r\n"), "x", 0, ""},
    {BYTES("1 ;\ta\t=\t\"\\\xff \x80\" ; b\r\nx\r\n0\r\n\r\n"), "x", 0, ""},
    {BYTES("1\r\nx\r\n0\r\nA: b\r\nC:\r\nD: \t e\t\r\n\r\n\r\n"), "x", 2,
     "A: b\r\nC:\r\nD: \t e\t\r\n"},
    {BYTES("0\r\nA:\r\n\r\nB: c\r\n"), "", 6, "A:\r\n"},
};

static void test_yields_the_body_however_it_is_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
        for (size_t cut = 0; cut <= GOOD[i].bytes.size; cut++) {
            struct result result = decode(GOOD[i].bytes, cut, cut % 2 == 0 ? 1 : SIZE_MAX / 2);
            assert_int_equal(result.err, WEIR_OK);
            assert_true(result.done);
            assert_int_equal(result.size, strlen(GOOD[i].body));
            assert_memory_equal(result.body, GOOD[i].body, result.size);
            struct span trailers = GOOD[i].trailers != NULL ? span_of(GOOD[i].trailers) : SPAN("");
            assert_true(span_equal((struct span){result.trailers, result.trailer_size}, trailers));
            assert_int_equal(result.consumed, GOOD[i].bytes.size - GOOD[i].rest);
        }
    }
}

static void test_wants_more_until_the_body_is_over(void **state)
{
    struct span bytes = SPAN("3;a=\"b\"\r\nabc\r\n0\r\nX: y\r\n\r\n");
    (void)state;
    for (size_t size = 1; size < bytes.size; size++) {
        struct result result = decode((struct span){bytes.data, size}, size, 1);
        assert_int_equal(result.err, WEIR_AGAIN);
        assert_false(result.done);
        assert_int_equal(result.consumed, size);
    }
}

struct bad {
    const char *name;
    struct span bytes;
};

static const struct bad BAD[] = {
    {"no size", BYTES("\r\n0\r\n\r\n")},
    {"size with 0x", BYTES("0x5\r\nhello\r\n0\r\n\r\n")},
    {"size with plus", BYTES("+5\r\nhello\r\n0\r\n\r\n")},
    {"size with minus", BYTES("-1\r\nhello\r\n0\r\n\r\n")},
    {"size with leading space", BYTES(" 5\r\nhello\r\n0\r\n\r\n")},
    {"size with leading tab", BYTES("\t5\r\nhello\r\n0\r\n\r\n")},
    {"size with trailing space", BYTES("5 \r\nhello\r\n0\r\n\r\n")},
    {"size with trailing tab", BYTES("5\t\r\nhello\r\n0\r\n\r\n")},
    {"size with inner space", BYTES("5 5\r\nhello\r\n0\r\n\r\n")},
    {"size with inner underscore", BYTES("0_5\r\nhello\r\n0\r\n\r\n")},
    {"size with other letters", BYTES("5g\r\nhello\r\n0\r\n\r\n")},
    {"size with h", BYTES("5h\r\nhello\r\n0\r\n\r\n")},
    {"size with NUL", BYTES("5\0\r\nhello\r\n0\r\n\r\n")},
    {"size with vertical tab", BYTES("5\x0b\r\nhello\r\n0\r\n\r\n")},
    {"size with comma", BYTES("5,5\r\nhello\r\n0\r\n\r\n")},
    {"size in quotes", BYTES("\"5\"\r\nhello\r\n0\r\n\r\n")},
    {"size over 63 bits", BYTES("8000000000000000\r\nhello")},
    {"size that wraps 64 bits", BYTES("10000000000000005\r\nhello\r\n0\r\n\r\n")},
    {"size that wraps 32 bits, with 17 digits", BYTES("00000000100000005\r\nhello")},
    {"endless zeros", BYTES("00000000000000000\r\n\r\n")},
    {"bare LF behind the size", BYTES("5\nhello\r\n0\r\n\r\n")},
    {"bare CR behind the size", BYTES("5\rhello\r\n0\r\n\r\n")},
    {"two CRs behind the size", BYTES("5\r\r\nhello\r\n0\r\n\r\n")},
    {"LF CR behind the size", BYTES("5\n\rhello\r\n0\r\n\r\n")},
    {"bare LF behind the data", BYTES("5\r\nhello\n0\r\n\r\n")},
    {"bare CR behind the data", BYTES("5\r\nhello\r0\r\n\r\n")},
    {"no CR LF behind the data", BYTES("5\r\nhello0\r\n\r\n")},
    {"two bytes for CR LF behind the data", BYTES("5\r\nhelloXX0\r\n\r\n")},
    {"data longer than its size", BYTES("4\r\nhello\r\n0\r\n\r\n")},
    {"data shorter than its size", BYTES("6\r\nhello\r\n0\r\n\r\n")},
    {"bare LF in extension (TERM.EXT)", BYTES("5;\nxx\r\nhello\r\n0\r\n\r\n")},
    {"bare LF behind extension name", BYTES("5;a\nhello\r\n0\r\n\r\n")},
    {"bare LF in extension value (EXT.TERM)", BYTES("5;a=b\nc\r\nhello\r\n0\r\n\r\n")},
    {"bare LF in quoted value", BYTES("5;a=\"\n\"\r\nhello\r\n0\r\n\r\n")},
    {"CR LF in quoted value", BYTES("5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n")},
    {"escaped LF in quoted value", BYTES("5;a=\"\\\n\"\r\nhello\r\n0\r\n\r\n")},
    {"bare CR in extension", BYTES("5;a\rX\r\nhello\r\n0\r\n\r\n")},
    {"bare CR in quoted value", BYTES("5;a=\"\rX\"\r\nhello\r\n0\r\n\r\n")},
    {"bare CR before CR LF in extension", BYTES("5;a\r\r\nhello\r\n0\r\n\r\n")},
    {"NUL in extension", BYTES("5;a\0\r\nhello\r\n0\r\n\r\n")},
    {"NUL in quoted value", BYTES("5;a=\"\0\"\r\nhello\r\n0\r\n\r\n")},
    {"extension without name", BYTES("5;\r\nhello\r\n0\r\n\r\n")},
    {"extension of blanks", BYTES("5; \r\nhello\r\n0\r\n\r\n")},
    {"two semicolons", BYTES("5;;a\r\nhello\r\n0\r\n\r\n")},
    {"semicolon at the end", BYTES("5;a;\r\nhello\r\n0\r\n\r\n")},
    {"extension without semicolon", BYTES("5 a=b\r\nhello\r\n0\r\n\r\n")},
    {"extension without value", BYTES("5;a=\r\nhello\r\n0\r\n\r\n")},
    {"extension with empty value", BYTES("5;a=;b\r\nhello\r\n0\r\n\r\n")},
    {"extension with only a value", BYTES("5;=b\r\nhello\r\n0\r\n\r\n")},
    {"extension with two values", BYTES("5;a=b=c\r\nhello\r\n0\r\n\r\n")},
    {"bytes behind a quoted value", BYTES("5;a=\"b\"c\r\nhello\r\n0\r\n\r\n")},
    {"blank behind a name", BYTES("5;a \r\nhello\r\n0\r\n\r\n")},
    {"blank behind a value", BYTES("5;a=b \r\nhello\r\n0\r\n\r\n")},
    {"blanks between names", BYTES("5;a b\r\nhello\r\n0\r\n\r\n")},
    {"high byte in extension", BYTES("5;\xc3\xa9\r\nhello\r\n0\r\n\r\n")},
    {"last chunk with bare LF", BYTES("0\n\n")},
    {"last chunk ended by bare LF", BYTES("0\r\n\n")},
    {"last chunk ended by bare CR", BYTES("0\r\n\rX")},
    {"request instead of trailers", BYTES("0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"trailer with space before colon", BYTES("0\r\nA : b\r\n\r\n")},
    {"trailer without name", BYTES("0\r\n: b\r\n\r\n")},
    {"trailer without colon", BYTES("0\r\nA\r\n\r\n")},
    {"folded trailer", BYTES("0\r\nA: b\r\n c\r\n\r\n")},
    {"trailer that starts with a space", BYTES("0\r\n A: b\r\n\r\n")},
    {"bare LF in trailer", BYTES("0\r\nA: b\nC: d\r\n\r\n")},
    {"bare CR in trailer", BYTES("0\r\nA: b\rC: d\r\n\r\n")},
    {"NUL in trailer", BYTES("0\r\nA: \0\r\n\r\n")},
    {"NUL in trailer name", BYTES("0\r\nA\0: b\r\n\r\n")},
};

static void test_refuses_malformed_bodies_however_they_are_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        for (size_t cut = 0; cut <= BAD[i].bytes.size; cut++) {
            struct result result = decode(BAD[i].bytes, cut, cut % 2 == 0 ? 1 : SIZE_MAX / 2);
            if (result.err != WEIR_EPROTO || result.done) {
                fail_msg("%s, cut at %zu: %s", BAD[i].name, cut, weir_err_name(result.err));
            }
        }
    }
}

/* Feeds `text` and gives the last error. */
static enum weir_err push(struct http_chunked *chunked, const char *text)
{
    size_t at = 0;
    size_t size = strlen(text);
    enum weir_err err = WEIR_AGAIN;
    while (at < size && !chunked->done) {
        size_t consumed = 0;
        struct span data;
        const char *why;
        err = http_chunked_next(chunked, (const uint8_t *)text + at, size - at, &consumed, &data,
                                &why);
        if (err != WEIR_OK) {
            return err;
        }
        at += consumed;
    }
    return err;
}

static void test_gives_trailer_lines_before_the_end(void **state)
{
    struct http_chunked chunked = {0};
    const uint8_t *bytes = (const uint8_t *)"1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\nnext";
    size_t consumed = 0;
    struct span data;
    const char *why;
    (void)state;
    assert_int_equal(http_chunked_next(&chunked, bytes, 29, &consumed, &data, &why), WEIR_OK);
    assert_false(chunked.is_trailer);
    size_t at = consumed;
    assert_int_equal(http_chunked_next(&chunked, bytes + at, 29 - at, &consumed, &data, &why),
                     WEIR_OK);
    assert_true(chunked.is_trailer && !chunked.done);
    assert_true(span_equal(data, SPAN("A: b\r\nC: d\r\n")));
    at += consumed;
    assert_int_equal(http_chunked_next(&chunked, bytes + at, 29 - at, &consumed, &data, &why),
                     WEIR_OK);
    assert_true(chunked.done && !chunked.is_trailer);
    assert_int_equal(data.size, 0);
    assert_string_equal((const char *)bytes + at + consumed, "next");
}

/* A chunk with `size` bytes of extension: a name behind the ";", and the line's CR. */
static enum weir_err push_extension(struct http_chunked *chunked, size_t size)
{
    char text[2048];
    assert_true(size >= 2 && size < sizeof text - 16);
    memset(text, 'a', sizeof text);
    memcpy(text, "1;", 2);
    strcpy(text + size + 1, "\r\nx\r\n");
    return push(chunked, text);
}

static void test_limits_extensions_of_a_whole_body(void **state)
{
    struct http_chunked one = {0};
    struct http_chunked other = {0};
    struct http_chunked several = {0};
    (void)state;
    assert_int_equal(push_extension(&one, HTTP_CHUNK_EXTENSIONS_MAX), WEIR_AGAIN);
    assert_int_equal(one.extension_bytes, HTTP_CHUNK_EXTENSIONS_MAX);
    assert_int_equal(push_extension(&one, 2), WEIR_ELIMIT);
    assert_int_equal(push_extension(&other, HTTP_CHUNK_EXTENSIONS_MAX + 1), WEIR_ELIMIT);
    for (size_t i = 0; i < HTTP_CHUNK_EXTENSIONS_MAX / 4; i++) {
        assert_int_equal(push_extension(&several, 4), WEIR_AGAIN);
    }
    assert_int_equal(push_extension(&several, 2), WEIR_ELIMIT);
}

static void test_limits_trailers(void **state)
{
    static char text[HTTP_CHUNK_TRAILERS_MAX + 16];
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        struct http_chunked chunked = {0};
        size_t size = HTTP_CHUNK_TRAILERS_MAX + over; /* with the empty line */
        memset(text, 'a', sizeof text);
        memcpy(text, "0\r\nA:", 5);
        strcpy(text + 3 + size - 4, "\r\n\r\n");
        assert_int_equal(push(&chunked, text), over == 0 ? WEIR_OK : WEIR_ELIMIT);
        assert_int_equal(chunked.done, over == 0);
    }
}

static void test_takes_sizes_up_to_63_bits(void **state)
{
    struct http_chunked chunked = {0};
    (void)state;
    assert_int_equal(push(&chunked, "7fffffffffffffff\r\nabc"), WEIR_OK);
    assert_int_equal(chunked.remaining, (uint64_t)INT64_MAX - 3);
}

static void test_stays_done(void **state)
{
    struct http_chunked chunked = {0};
    size_t consumed = 1;
    struct span data = {NULL, 1};
    const char *why;
    (void)state;
    assert_int_equal(push(&chunked, "0\r\n\r\n"), WEIR_OK);
    assert_int_equal(
        http_chunked_next(&chunked, (const uint8_t *)"5\r\n", 3, &consumed, &data, &why), WEIR_OK);
    assert_int_equal(consumed, 0);
    assert_int_equal(data.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yields_the_body_however_it_is_split),
        cmocka_unit_test(test_wants_more_until_the_body_is_over),
        cmocka_unit_test(test_refuses_malformed_bodies_however_they_are_split),
        cmocka_unit_test(test_gives_trailer_lines_before_the_end),
        cmocka_unit_test(test_limits_extensions_of_a_whole_body),
        cmocka_unit_test(test_limits_trailers),
        cmocka_unit_test(test_takes_sizes_up_to_63_bits),
        cmocka_unit_test(test_stays_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
