/* UTF-8 validation that can stop and go on at any byte (RFC 3629; RFC 6455, section 8.1). Called by
 * ws_decoder for text, by ws_close for reasons, and by session/ for inflated text.
 * Three gears: runs of ASCII are skipped 64 bytes at a time; from the first other byte on, 32 bytes
 * or more go through a lookup validator on AVX2, which classifies each byte by its high nibble and
 * both nibbles of the byte before (Keiser and Lemire, "Validating UTF-8 In Less Than One
 * Instruction Per Byte", 2021); what is shorter, or another CPU, goes byte by byte. Only the byte
 * path ever sets the state, so what a piece cuts is judged by one piece of code.
 * It never decodes a code point. */
#include "proto/utf8.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
    VECTOR = 32
};

#define HIGH_BITS UINT64_C(0x8080808080808080)

typedef uint64_t vec16 __attribute__((vector_size(16)));

/* Where the run of ASCII at the front ends, as far as blocks of 64 and 8 bytes tell: a position at
 * or before the first byte that is not ASCII, and within 8 bytes of it or of the end. */
static inline size_t skip_ascii(const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    for (; size - at >= 64; at += 64) {
        vec16 v[4];
        memcpy(v, bytes + at, sizeof v);
        vec16 all = v[0] | v[1] | v[2] | v[3];
        if (((all[0] | all[1]) & HIGH_BITS) != 0) {
            break;
        }
    }
    for (; size - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof word);
        if ((word & HIGH_BITS) != 0) {
            break;
        }
    }
    return at;
}

/* Starts a character of two to four bytes: what RFC 3629, section 4 allows after `lead`. */
static inline bool start_character(struct utf8_state *state, uint8_t lead)
{
    state->lower = 0x80;
    state->upper = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) { /* c0 and c1 could only be overlong */
        state->need = 1;
    } else if ((lead & 0xf0) == 0xe0) {
        state->need = 2;
        if (lead == 0xe0) {
            state->lower = 0xa0; /* overlong below */
        } else if (lead == 0xed) {
            state->upper = 0x9f; /* surrogates above */
        }
    } else if (lead >= 0xf0 && lead <= 0xf4) { /* f5 and up are past U+10FFFF */
        state->need = 3;
        if (lead == 0xf0) {
            state->lower = 0x90; /* overlong below */
        } else if (lead == 0xf4) {
            state->upper = 0x8f; /* past U+10FFFF above */
        }
    } else {
        return false;
    }
    return true;
}

static bool feed_bytes(struct utf8_state *state, const uint8_t *bytes, size_t size)
{
    struct utf8_state s = *state;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = bytes[i];
        if (s.need == 0) {
            if (byte >= 0x80 && !start_character(&s, byte)) {
                return false;
            }
            continue;
        }
        if (byte < s.lower || byte > s.upper) {
            return false;
        }
        s.need--;
        s.lower = 0x80;
        s.upper = 0xbf;
    }
    *state = s;
    return true;
}

#if defined(__x86_64__)
/* What can be wrong with a pair of neighbours; one bit each, so that three table look-ups ANDed
 * leave the bits that hold for all three nibbles. */
enum {
    TOO_SHORT = 1 << 0,      /* a lead, then no continuation */
    TOO_LONG = 1 << 1,       /* ASCII, then a continuation */
    OVERLONG_3 = 1 << 2,     /* e0 80..9f */
    TOO_LARGE = 1 << 3,      /* f4 90..bf, f5..ff 90..bf */
    SURROGATE = 1 << 4,      /* ed a0..bf */
    OVERLONG_2 = 1 << 5,     /* c0, c1 */
    TOO_LARGE_1000 = 1 << 6, /* f5..ff 80..8f */
    OVERLONG_4 = 1 << 6,     /* f0 80..8f */
    TWO_CONTINUATIONS = 1 << 7,
    ANY_LOW_NIBBLE = TOO_SHORT | TOO_LONG | TWO_CONTINUATIONS
};

#define B(x) (char)(x)
#define TWICE(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)                                      \
    _mm256_setr_epi8(B(a), B(b), B(c), B(d), B(e), B(f), B(g), B(h), B(i), B(j), B(k), B(l), B(m), \
                     B(n), B(o), B(p), B(a), B(b), B(c), B(d), B(e), B(f), B(g), B(h), B(i), B(j), \
                     B(k), B(l), B(m), B(n), B(o), B(p))

__attribute__((target("avx2"))) static inline __m256i high_nibbles(__m256i v)
{
    return _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(0x0f));
}

/* Not zero in each byte that cannot follow the three before it. */
__attribute__((target("avx2"))) static inline __m256i errors_of(__m256i now, __m256i before_1,
                                                                __m256i before_2, __m256i before_3)
{
    const __m256i by_first_high =
        TWICE(TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
              TWO_CONTINUATIONS, TWO_CONTINUATIONS, TWO_CONTINUATIONS, TWO_CONTINUATIONS,
              TOO_SHORT | OVERLONG_2, TOO_SHORT, TOO_SHORT | OVERLONG_3 | SURROGATE,
              TOO_SHORT | TOO_LARGE | TOO_LARGE_1000 | OVERLONG_4);
    const __m256i by_first_low = TWICE(
        ANY_LOW_NIBBLE | OVERLONG_3 | OVERLONG_2 | OVERLONG_4, ANY_LOW_NIBBLE | OVERLONG_2,
        ANY_LOW_NIBBLE, ANY_LOW_NIBBLE, ANY_LOW_NIBBLE | TOO_LARGE,
        ANY_LOW_NIBBLE | TOO_LARGE | TOO_LARGE_1000, ANY_LOW_NIBBLE | TOO_LARGE | TOO_LARGE_1000,
        ANY_LOW_NIBBLE | TOO_LARGE | TOO_LARGE_1000, ANY_LOW_NIBBLE | TOO_LARGE | TOO_LARGE_1000,
        ANY_LOW_NIBBLE | TOO_LARGE | TOO_LARGE_1000, ANY_LOW_NIBBLE | TOO_LARGE | TOO_LARGE_1000,
        ANY_LOW_NIBBLE | TOO_LARGE | TOO_LARGE_1000, ANY_LOW_NIBBLE | TOO_LARGE | TOO_LARGE_1000,
        ANY_LOW_NIBBLE | TOO_LARGE | TOO_LARGE_1000 | SURROGATE,
        ANY_LOW_NIBBLE | TOO_LARGE | TOO_LARGE_1000, ANY_LOW_NIBBLE | TOO_LARGE | TOO_LARGE_1000);
    const __m256i by_second_high = TWICE(
        TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
        TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | OVERLONG_3 | TOO_LARGE_1000 | OVERLONG_4,
        TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | OVERLONG_3 | TOO_LARGE,
        TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | SURROGATE | TOO_LARGE,
        TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | SURROGATE | TOO_LARGE, TOO_SHORT, TOO_SHORT,
        TOO_SHORT, TOO_SHORT);

    __m256i first_low = _mm256_and_si256(before_1, _mm256_set1_epi8(0x0f));
    __m256i pair = _mm256_and_si256(
        _mm256_and_si256(_mm256_shuffle_epi8(by_first_high, high_nibbles(before_1)),
                         _mm256_shuffle_epi8(by_first_low, first_low)),
        _mm256_shuffle_epi8(by_second_high, high_nibbles(now)));
    /* Two continuations in a row are wrong unless a lead of 3 or 4 stands two or three before;
     * there they are required. Saturating subtraction leaves the top bit only for such leads. */
    __m256i third = _mm256_subs_epu8(before_2, _mm256_set1_epi8(0xe0 - 0x80));
    __m256i fourth = _mm256_subs_epu8(before_3, _mm256_set1_epi8(0xf0 - 0x80));
    __m256i must = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8(B(0x80)));
    return _mm256_xor_si256(must, pair);
}

__attribute__((target("avx2"))) static inline __m256i load32(const uint8_t *from)
{
    return _mm256_loadu_si256((const __m256i_u *)from);
}

/* The errors of the 32 bytes at `at`, which has three bytes before it. */
__attribute__((target("avx2"))) static inline __m256i errors_at(const uint8_t *at)
{
    __m256i now = load32(at);
    __m256i before_3 = load32(at - 3);
    if (_mm256_movemask_epi8(_mm256_or_si256(now, before_3)) == 0) {
        return _mm256_setzero_si256();
    }
    return errors_of(now, load32(at - 1), load32(at - 2), before_3);
}

/* Whether no byte of a text that starts a character is wrong; its last character may be cut.
 * `size` is 32, or 35 and more, so that the block that ends the text has three bytes before it. */
__attribute__((target("avx2"))) static bool check_vectors(const uint8_t *bytes, size_t size)
{
    __m256i now = load32(bytes);
    /* Before the first block lie zeros, which is as good as ASCII. */
    __m256i shifted = _mm256_permute2x128_si256(now, now, 0x08);
    __m256i errors =
        errors_of(now, _mm256_alignr_epi8(now, shifted, 15), _mm256_alignr_epi8(now, shifted, 14),
                  _mm256_alignr_epi8(now, shifted, 13));
    size_t at = VECTOR;
    for (; size - at >= VECTOR; at += VECTOR) {
        errors = _mm256_or_si256(errors, errors_at(bytes + at));
    }
    if (at < size) {
        errors = _mm256_or_si256(errors, errors_at(bytes + size - VECTOR));
    }
    return _mm256_testz_si256(errors, errors) != 0;
}
/* Where the byte path must go on after `size` bytes without error: at the lead of the last
 * character if that may be cut, else at `size`. */
static size_t last_lead(const uint8_t *bytes, size_t size)
{
    for (size_t back = 1; back <= 3; back++) {
        if ((bytes[size - back] & 0xc0) != 0x80) {
            return size - back;
        }
    }
    return size; /* three continuations: nothing longer exists */
}

/* Checks what vectors can of a text that starts a character; false at an error, else `*done` is
 * where the byte path goes on. */
static bool feed_vectors(const uint8_t *bytes, size_t size, size_t *done)
{
    *done = 0;
    if (size < VECTOR || !__builtin_cpu_supports("avx2")) {
        return true;
    }
    size_t checked = size < VECTOR + 3 ? VECTOR : size;
    if (!check_vectors(bytes, checked)) {
        return false;
    }
    *done = last_lead(bytes, checked);
    return true;
}
#else
static bool feed_vectors(const uint8_t *bytes, size_t size, size_t *done)
{
    (void)bytes;
    (void)size;
    *done = 0;
    return true;
}
#endif

/* Feeds the rest of a character that was cut; `*done` is how much that took. */
static bool finish_character(struct utf8_state *state, const uint8_t *bytes, size_t size,
                             size_t *done)
{
    *done = state->need < size ? state->need : size;
    return feed_bytes(state, bytes, *done);
}

bool utf8_feed(struct utf8_state *state, const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    if (state->need != 0 && !finish_character(state, bytes, size, &at)) {
        return false;
    }
    if (at == size) {
        return true;
    }
    at += skip_ascii(bytes + at, size - at);
    size_t done;
    if (!feed_vectors(bytes + at, size - at, &done)) {
        return false;
    }
    at += done;
    return feed_bytes(state, bytes + at, size - at);
}

bool utf8_is_complete(const struct utf8_state *state)
{
    return state->need == 0;
}

bool utf8_is_valid(const uint8_t *bytes, size_t size)
{
    struct utf8_state state = {0};
    return utf8_feed(&state, bytes, size) && utf8_is_complete(&state);
}
