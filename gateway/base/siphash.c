/* SipHash-2-4 as its paper has it: four words of state, two rounds for each eight bytes, four at
 * the end. Called by tables that peers fill. It is no signature: 64 bits are too few for that. */
#include "base/siphash.h"

enum {
    WORD_BYTES = 8,
    WORD_ROUNDS = 2,
    FINAL_ROUNDS = 4
};

struct state {
    uint64_t v0;
    uint64_t v1;
    uint64_t v2;
    uint64_t v3;
};

static uint64_t rotate(uint64_t word, unsigned by)
{
    return word << by | word >> (64 - by);
}

static void mix(struct state *s, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 = rotate(s->v2, 32);
    }
}

static uint64_t little_endian(const uint8_t *bytes, size_t count)
{
    uint64_t word = 0;
    for (size_t i = 0; i < count; i++) {
        word |= (uint64_t)bytes[i] << (8 * i);
    }
    return word;
}

static void take(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    mix(s, WORD_ROUNDS);
    s->v0 ^= word;
}

uint64_t siphash(const struct siphash_key *key, struct span bytes)
{
    struct state s = {key->low ^ 0x736f6d6570736575, key->high ^ 0x646f72616e646f6d,
                      key->low ^ 0x6c7967656e657261, key->high ^ 0x7465646279746573};
    size_t whole = bytes.size - bytes.size % WORD_BYTES;
    for (size_t at = 0; at < whole; at += WORD_BYTES) {
        take(&s, little_endian(bytes.data + at, WORD_BYTES));
    }
    uint64_t last = (uint64_t)bytes.size << 56;
    if (whole < bytes.size) {
        last |= little_endian(bytes.data + whole, bytes.size - whole);
    }
    take(&s, last);
    s.v2 ^= 0xff;
    mix(&s, FINAL_ROUNDS);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
