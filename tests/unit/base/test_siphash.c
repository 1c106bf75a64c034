/* SipHash-2-4 against the vectors of its paper (appendix A) and of its authors' reference code: key
 * 00 01 .. 0f, and the message 00 01 .. of each length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/siphash.h"

static const struct siphash_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

static void test_gives_the_published_hashes(void **state)
{
    static const struct {
        size_t size;
        uint64_t hash;
    } vectors[] = {
        {0, 0x726fdb47dd0e0e31}, {1, 0x74f839c593dc67fd},  {7, 0xab0200f58b01d137},
        {8, 0x93f5f5799a932462}, {15, 0xa129ca6149be45e5},
    };
    uint8_t message[16];
    (void)state;
    for (size_t i = 0; i < sizeof message; i++) {
        message[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        assert_int_equal(siphash(&key, (struct span){message, vectors[i].size}), vectors[i].hash);
    }
}

static void test_another_key_gives_another_hash(void **state)
{
    struct siphash_key other = key;
    (void)state;
    other.high ^= 1;
    assert_int_not_equal(siphash(&key, SPAN("sid")), siphash(&other, SPAN("sid")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_the_published_hashes),
        cmocka_unit_test(test_another_key_gives_another_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
