/* Masking against the formula of RFC 6455, section 5.3, at every size and alignment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ws_mask.h"

static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};

enum {
    ARENA = 70000
};

static uint8_t arena[ARENA];

static uint8_t plain(size_t i)
{
    return (uint8_t)(i * 7 + i / 256);
}

static void fill(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = plain(i);
    }
}

static void expect_masked(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != (plain(i) ^ key[i % 4])) {
            fail_msg("byte %zu of %zu", i, size);
        }
    }
}

static void expect_rotated(const uint8_t mask[4], size_t count)
{
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(mask[i], key[(i + count) % 4]);
    }
}

static void test_follows_the_formula_at_every_size_and_alignment(void **unused)
{
    (void)unused;
    for (size_t alignment = 0; alignment < 33; alignment++) {
        for (size_t size = 0; size <= 600; size++) {
            uint8_t mask[4];
            uint8_t *bytes = arena + 64 + alignment;
            memcpy(mask, key, sizeof mask);
            memset(arena, 0xee, 1000);
            fill(bytes, size);
            ws_mask_apply(mask, bytes, size);
            expect_masked(bytes, size);
            expect_rotated(mask, size);
            assert_int_equal(bytes[-1], 0xee);
            assert_int_equal(bytes[size], 0xee);
        }
    }
}

static void test_follows_the_formula_on_large_payloads(void **unused)
{
    (void)unused;
    static const size_t sizes[] = {1023, 1024, 4096, 16384, 65535, 65536, 65537};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t mask[4];
        memcpy(mask, key, sizeof mask);
        fill(arena + 1, sizes[i]);
        ws_mask_apply(mask, arena + 1, sizes[i]);
        expect_masked(arena + 1, sizes[i]);
    }
}

static void test_goes_on_where_it_stopped_at_every_split(void **unused)
{
    (void)unused;
    for (size_t split = 0; split <= 300; split++) {
        uint8_t mask[4];
        memcpy(mask, key, sizeof mask);
        fill(arena, 300);
        ws_mask_apply(mask, arena, split);
        ws_mask_apply(mask, arena + split, 300 - split);
        expect_masked(arena, 300);
        expect_rotated(mask, 300);
    }
}

static void test_sees_a_high_bit_at_every_place(void **unused)
{
    (void)unused;
    for (size_t size = 0; size <= 400; size++) {
        for (size_t high = 0; high <= size; high++) {
            uint8_t mask[4];
            memcpy(mask, key, sizeof mask);
            for (size_t i = 0; i < size; i++) {
                arena[i] = 0x7f ^ key[i % 4];
            }
            arena[high] ^= 0x80; /* behind the end when high == size */
            assert_int_equal(ws_mask_apply_is_ascii(mask, arena, size), high == size);
        }
    }
}

static void test_touches_only_its_bytes(void **unused)
{
    (void)unused;
    /* Exactly sized heap blocks: AddressSanitizer watches both ends. */
    for (size_t size = 1; size <= 600; size++) {
        uint8_t mask[4] = {0};
        uint8_t *bytes = malloc(size);
        assert_non_null(bytes);
        memset(bytes, 'a', size);
        assert_true(ws_mask_apply_is_ascii(mask, bytes, size));
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_follows_the_formula_at_every_size_and_alignment),
        cmocka_unit_test(test_follows_the_formula_on_large_payloads),
        cmocka_unit_test(test_goes_on_where_it_stopped_at_every_split),
        cmocka_unit_test(test_sees_a_high_bit_at_every_place),
        cmocka_unit_test(test_touches_only_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
