/* UTF-8 validation: vectors from the Unicode Standard, table 3-7, and RFC 3629; every sequence of
 * bytes against a plain reference; the vector path against the byte path at every alignment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/utf8.h"

enum verdict {
    BAD,   /* some byte cannot be there */
    CUT,   /* right so far, but ends inside a character */
    WHOLE, /* right */
};

/* The reference: tells how many bytes of the character at `p` are right, by decoding it and asking
 * RFC 3629, section 3 about the number. */
static enum verdict reference_character(const uint8_t *p, size_t size, size_t *used)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (length == 0 || p[0] >= 0xf8) {
        return BAD;
    }
    uint32_t low = length == 1 ? p[0] : p[0] & (0x7fU >> length);
    uint32_t high = low;
    *used = 1;
    for (size_t i = 1; i < length; i++) {
        bool there = i < size;
        if (there && (p[i] & 0xc0) != 0x80) {
            return BAD;
        }
        low = low << 6 | (there ? p[i] & 0x3f : 0);
        high = high << 6 | (there ? p[i] & 0x3f : 0x3f);
        *used += there;
    }
    /* low..high is every number that the missing bytes could still make. */
    bool possible = false;
    for (uint32_t n = low; n <= high && !possible; n += n + 64 < high ? 64 : 1) {
        possible = n >= least[length] && n <= 0x10ffff && (n < 0xd800 || n > 0xdfff);
    }
    if (!possible) {
        return BAD;
    }
    return *used == length ? WHOLE : CUT;
}

static enum verdict reference(const uint8_t *p, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t used = 0;
        enum verdict verdict = reference_character(p + at, size - at, &used);
        if (verdict != WHOLE) {
            return verdict;
        }
        at += used;
    }
    return WHOLE;
}

static enum verdict feed_whole(const uint8_t *p, size_t size)
{
    struct utf8_state state = {0};
    if (!utf8_feed(&state, p, size)) {
        return BAD;
    }
    return utf8_is_complete(&state) ? WHOLE : CUT;
}

static enum verdict feed_split(const uint8_t *p, size_t size, size_t at)
{
    struct utf8_state state = {0};
    if (!utf8_feed(&state, p, at) || !utf8_feed(&state, p + at, size - at)) {
        return BAD;
    }
    return utf8_is_complete(&state) ? WHOLE : CUT;
}

/* Byte by byte; `*good` is how many bytes were taken. */
static enum verdict feed_bytewise(const uint8_t *p, size_t size, size_t *good)
{
    struct utf8_state state = {0};
    for (*good = 0; *good < size; (*good)++) {
        if (!utf8_feed(&state, p + *good, 1)) {
            return BAD;
        }
    }
    return utf8_is_complete(&state) ? WHOLE : CUT;
}

static void expect_everywhere(enum verdict wanted, const uint8_t *p, size_t size)
{
    size_t good;
    assert_int_equal(feed_whole(p, size), wanted);
    assert_int_equal(feed_bytewise(p, size, &good), wanted);
    for (size_t at = 0; at <= size; at++) {
        assert_int_equal(feed_split(p, size, at), wanted);
    }
}

/* The text alone, and with 40 bytes of ASCII or of Greek on either side, so that vectors see it. */
static void expect(enum verdict wanted, const char *bytes, size_t size)
{
    uint8_t padded[200];
    assert_int_equal(reference((const uint8_t *)bytes, size), wanted);
    expect_everywhere(wanted, (const uint8_t *)bytes, size);
    for (size_t before = 0; before <= 40; before++) {
        memset(padded, 'a', sizeof padded);
        memcpy(padded + before, bytes, size);
        expect_everywhere(wanted, padded, before + size);
        /* A cut character cannot be followed by ASCII. */
        expect_everywhere(wanted == WHOLE ? WHOLE : BAD, padded, before + size + 40);
    }
    for (size_t i = 0; i < 40; i += 2) {
        memcpy(padded + i, "\xce\xba", 2);
    }
    memcpy(padded + 40, bytes, size);
    expect_everywhere(wanted, padded, 40 + size);
}

#define EXPECT(wanted, literal) expect(wanted, literal, sizeof(literal) - 1)

static void test_accepts_first_and_last_of_each_length(void **unused)
{
    (void)unused;
    EXPECT(WHOLE, "");
    EXPECT(WHOLE, "\x00");
    EXPECT(WHOLE, "\x7f");
    EXPECT(WHOLE, "\xc2\x80");
    EXPECT(WHOLE, "\xdf\xbf");
    EXPECT(WHOLE, "\xe0\xa0\x80");
    EXPECT(WHOLE, "\xef\xbf\xbf");
    EXPECT(WHOLE, "\xf0\x90\x80\x80");
    EXPECT(WHOLE, "\xf4\x8f\xbf\xbf");
}

static void test_accepts_both_sides_of_the_surrogates(void **unused)
{
    (void)unused;
    EXPECT(WHOLE, "\xed\x9f\xbf");
    EXPECT(WHOLE, "\xee\x80\x80");
    EXPECT(WHOLE, "\xef\xbf\xbd");
}

static void test_accepts_text_of_many_scripts(void **unused)
{
    (void)unused;
    EXPECT(WHOLE, "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!");
    EXPECT(WHOLE, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5");
    EXPECT(WHOLE, "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e");
    EXPECT(WHOLE, "\xf0\x9f\x98\x80 \xf0\x9f\x9a\x80");
    EXPECT(WHOLE, "\xef\xbb\xbf"
                  "byte order mark");
}

static void test_accepts_noncharacters(void **unused)
{
    (void)unused;
    EXPECT(WHOLE, "\xef\xbf\xbe");
    for (unsigned plane = 1; plane <= 16; plane++) {
        char text[4] = {(char)(0xf0 | plane >> 2), (char)(0x8f | (plane & 3) << 4), (char)0xbf,
                        (char)0xbe};
        expect(WHOLE, text, 4);
        text[3] = (char)0xbf;
        expect(WHOLE, text, 4);
    }
}

static void test_rejects_stray_continuations(void **unused)
{
    (void)unused;
    EXPECT(BAD, "\x80");
    EXPECT(BAD, "\xbf");
    EXPECT(BAD, "\x80\xbf\x80\xbf");
    EXPECT(BAD, "\xc3\xa9\x80");
    EXPECT(BAD, "\xe2\x82\xac\x80");
    EXPECT(BAD, "\xf0\x9f\x98\x80\x80");
    for (unsigned byte = 0x80; byte <= 0xbf; byte++) {
        char text = (char)byte;
        expect(BAD, &text, 1);
    }
}

static void test_rejects_a_lead_without_its_continuations(void **unused)
{
    (void)unused;
    EXPECT(BAD, "\xc3 ");
    EXPECT(BAD, "\xe2 ");
    EXPECT(BAD, "\xe2\x82 ");
    EXPECT(BAD, "\xf0 ");
    EXPECT(BAD, "\xf0\x9f ");
    EXPECT(BAD, "\xf0\x9f\x98 ");
    EXPECT(BAD, "\xc3\xc3\xa9");
    EXPECT(BAD, "\xe2\x82\xe2\x82\xac");
}

static void test_tells_a_cut_character_from_a_wrong_one(void **unused)
{
    (void)unused;
    EXPECT(CUT, "\xc3");
    EXPECT(CUT, "\xe2");
    EXPECT(CUT, "\xe2\x82");
    EXPECT(CUT, "\xf0");
    EXPECT(CUT, "\xf0\x9f");
    EXPECT(CUT, "\xf0\x9f\x98");
    EXPECT(CUT, "\xf4\x8f\xbf");
}

static void test_rejects_bytes_that_never_stand_in_utf8(void **unused)
{
    (void)unused;
    static const uint8_t never[] = {0xc0, 0xc1, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9,
                                    0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff};
    for (size_t i = 0; i < sizeof never; i++) {
        const char text[6] = {(char)never[i], (char)0x80, (char)0x80,
                              (char)0x80,     (char)0x80, (char)0x80};
        for (size_t size = 1; size <= sizeof text; size++) {
            expect(BAD, text, size);
        }
    }
}

static void test_rejects_overlong_forms_at_the_second_byte(void **unused)
{
    (void)unused;
    EXPECT(BAD, "\xe0\x80");
    EXPECT(BAD, "\xe0\x9f");
    EXPECT(BAD, "\xe0\x9f\xbf");
    EXPECT(BAD, "\xf0\x80");
    EXPECT(BAD, "\xf0\x8f");
    EXPECT(BAD, "\xf0\x8f\xbf\xbf");
    EXPECT(BAD, "\xc0\xaf");
    EXPECT(BAD, "\xe0\x80\xaf");
    EXPECT(BAD, "\xf0\x80\x80\xaf");
    EXPECT(BAD, "\xf8\x80\x80\x80\xaf");
}

static void test_rejects_surrogates_at_the_second_byte(void **unused)
{
    (void)unused;
    EXPECT(BAD, "\xed\xa0");
    EXPECT(BAD, "\xed\xbf");
    EXPECT(BAD, "\xed\xa0\x80");
    EXPECT(BAD, "\xed\xaf\xbf");
    EXPECT(BAD, "\xed\xb0\x80");
    EXPECT(BAD, "\xed\xbf\xbf");
    EXPECT(BAD, "\xed\xa0\x80\xed\xb0\x80");
}

static void test_rejects_past_the_last_code_point_at_the_second_byte(void **unused)
{
    (void)unused;
    EXPECT(BAD, "\xf4\x90");
    EXPECT(BAD, "\xf4\xbf");
    EXPECT(BAD, "\xf4\x90\x80\x80");
}

static void test_fails_at_the_first_bad_byte_of_a_text(void **unused)
{
    (void)unused;
    static const uint8_t text[] = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80"
                                  "edited";
    size_t good;
    assert_int_equal(feed_bytewise(text, sizeof text - 1, &good), BAD);
    assert_int_equal(good, 12);
}

/* Every sequence of up to three bytes, and all of four that start with a lead of four. */
static void test_agrees_with_the_reference_on_every_short_sequence(void **unused)
{
    (void)unused;
    for (unsigned a = 0; a < 256; a++) {
        uint8_t text[3] = {(uint8_t)a};
        assert_int_equal(feed_whole(text, 1), reference(text, 1));
        for (unsigned b = 0; b < 256; b++) {
            text[1] = (uint8_t)b;
            enum verdict pair = reference(text, 2);
            assert_int_equal(feed_whole(text, 2), pair);
            for (unsigned c = 0; c < 256 && pair != BAD; c++) {
                text[2] = (uint8_t)c;
                if (feed_whole(text, 3) != reference(text, 3)) {
                    fail_msg("%02x %02x %02x", a, b, c);
                }
            }
        }
    }
}

/* In a vector all of it at once: four bytes among ASCII, from the borders of every class. */
static void test_vectors_agree_with_the_reference_on_every_class_of_four(void **unused)
{
    (void)unused;
    static const uint8_t edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0,
                                    0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef,
                                    0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xff};
    enum {
        COUNT = sizeof edges
    };
    uint8_t text[96];
    for (size_t n = 0; n < (size_t)COUNT * COUNT * COUNT * COUNT; n++) {
        const uint8_t four[4] = {edges[n % COUNT], edges[n / COUNT % COUNT],
                                 edges[n / COUNT / COUNT % COUNT],
                                 edges[n / COUNT / COUNT / COUNT]};
        size_t at = n % 61;
        memset(text, 'a', sizeof text);
        memcpy(text + at, four, sizeof four);
        enum verdict inside = reference(four, 4) == WHOLE ? WHOLE : BAD;
        if (feed_whole(text, at + 35) != inside || feed_whole(text, at + 4) != reference(four, 4)) {
            fail_msg("%02x %02x %02x %02x at %zu", four[0], four[1], four[2], four[3], at);
        }
    }
}

static size_t put_character(uint8_t *out, uint32_t n)
{
    if (n < 0x80) {
        out[0] = (uint8_t)n;
        return 1;
    }
    size_t length = n < 0x800 ? 2 : n < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (n & 0x3f));
        n >>= 6;
    }
    out[0] = (uint8_t)((0xf00 >> length) | n);
    return length;
}

static void test_accepts_every_code_point_and_rejects_every_surrogate(void **unused)
{
    (void)unused;
    uint8_t text[4];
    for (uint32_t n = 0; n < 0x1fffff; n++) {
        size_t length = put_character(text, n);
        bool right = n <= 0x10ffff && (n < 0xd800 || n > 0xdfff);
        if (feed_whole(text, length) != (right ? WHOLE : BAD)) {
            fail_msg("U+%04X", n);
        }
    }
}

static uint32_t random_next(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static uint32_t random_code_point(uint32_t *seed)
{
    static const uint32_t limits[] = {0x80, 0x80, 0x800, 0xd800, 0x110000};
    uint32_t n = random_next(seed) % limits[random_next(seed) % 5];
    return n >= 0xd800 && n <= 0xdfff ? 'x' : n;
}

/* Valid text of random scripts; then one byte changed. The byte path judges. */
static void test_vectors_agree_with_bytes_at_every_alignment_and_length(void **unused)
{
    (void)unused;
    static uint8_t arena[512];
    uint32_t seed = 42;
    for (size_t size = 0; size <= 300; size++) {
        for (size_t alignment = 0; alignment < 32; alignment++) {
            uint8_t *text = arena + alignment;
            size_t used = 0;
            while (used < size) {
                used += put_character(text + used, random_code_point(&seed));
            }
            size_t good;
            assert_int_equal(feed_whole(text, size), feed_bytewise(text, size, &good));
            if (size > 0) {
                text[random_next(&seed) % size] = (uint8_t)random_next(&seed);
            }
            assert_int_equal(feed_whole(text, size), feed_bytewise(text, size, &good));
            size_t cut = random_next(&seed) % (size + 1);
            assert_int_equal(feed_split(text, size, cut), feed_bytewise(text, size, &good));
        }
    }
}

static void test_reads_only_its_bytes(void **unused)
{
    (void)unused;
    /* Exactly sized heap blocks: AddressSanitizer watches both ends. */
    for (size_t size = 1; size <= 200; size++) {
        uint8_t *text = malloc(size);
        assert_non_null(text);
        memset(text, 'a', size);
        assert_int_equal(feed_whole(text, size), WHOLE);
        text[0] = 0xc3;
        assert_int_equal(feed_whole(text, size), size == 1 ? CUT : BAD);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts_first_and_last_of_each_length),
        cmocka_unit_test(test_accepts_both_sides_of_the_surrogates),
        cmocka_unit_test(test_accepts_text_of_many_scripts),
        cmocka_unit_test(test_accepts_noncharacters),
        cmocka_unit_test(test_rejects_stray_continuations),
        cmocka_unit_test(test_rejects_a_lead_without_its_continuations),
        cmocka_unit_test(test_tells_a_cut_character_from_a_wrong_one),
        cmocka_unit_test(test_rejects_bytes_that_never_stand_in_utf8),
        cmocka_unit_test(test_rejects_overlong_forms_at_the_second_byte),
        cmocka_unit_test(test_rejects_surrogates_at_the_second_byte),
        cmocka_unit_test(test_rejects_past_the_last_code_point_at_the_second_byte),
        cmocka_unit_test(test_fails_at_the_first_bad_byte_of_a_text),
        cmocka_unit_test(test_agrees_with_the_reference_on_every_short_sequence),
        cmocka_unit_test(test_vectors_agree_with_the_reference_on_every_class_of_four),
        cmocka_unit_test(test_accepts_every_code_point_and_rejects_every_surrogate),
        cmocka_unit_test(test_vectors_agree_with_bytes_at_every_alignment_and_length),
        cmocka_unit_test(test_reads_only_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
