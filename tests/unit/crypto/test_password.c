/* Hashes of the common forms, as htpasswd, mkpasswd and openssl write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/password.h"

static const char *const hashes[] = {
    "$2b$04$W1n2ln.TSYVpBsVJeMFkv.PkY0rbeZY/KzMLpIb7BD45NEa3aiUpe",
    "$2y$05$GKuODqR1IIYmskChPocAuujjDD5pyN1nJw4YxjFziniMGkFw5XjRy",
    ("$6$rounds=1000$RIUpK2Oy7HSBMMhC$6Jl42ZYJqF2BsuR5bI8VBxxo9vUHiscDtxCTphDm7UYGgoKq5IPVWLrD1gLY/"
     "s7khG4AIs2XQ2krM.5/V46dY1"),
    "$5$rounds=1000$Lm.tGED5Mb4tvRwO$mVPrLd4rNBV4bQI1vDqxAKRF22In0wuXrttMNZCw.R7",
    "$y$j75$9YFptmWY8Is6czTENxYQ/1$TbBvOmhGGxFejLd0iuie5eOuIuRFJNON0t6YtfQr5DB",
};

static bool matches(struct span password, const char *hash)
{
    bool result = false;
    assert_int_equal(password_check(password, hash, &result), WEIR_OK);
    return result;
}

static void test_password_matches_its_hash_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        assert_true(matches(SPAN("correct horse"), hashes[i]));
        assert_false(matches(SPAN("correct horsf"), hashes[i]));
        assert_false(matches(SPAN("correct hors"), hashes[i]));
        assert_false(matches(SPAN(""), hashes[i]));
    }
}

static void test_changed_hash_matches_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        char changed[256];
        size_t size = strlen(hashes[i]);
        memcpy(changed, hashes[i], size + 1);
        changed[size - 3] = changed[size - 3] == 'a' ? 'b' : 'a';
        assert_false(matches(SPAN("correct horse"), changed));
        changed[size - 3] = '\0';
        assert_false(matches(SPAN("correct horse"), changed));
    }
}

static void test_password_with_nul_or_too_long_never_matches(void **state)
{
    char many[600];
    memset(many, 'x', sizeof many);
    (void)state;
    assert_false(matches(SPAN("correct horse\0"), hashes[0]));
    assert_false(matches(SPAN("correct horse\0more"), hashes[0]));
    assert_false(matches((struct span){(const uint8_t *)many, sizeof many}, hashes[0]));
    assert_false(matches((struct span){(const uint8_t *)many, 512}, hashes[1]));
    assert_false(matches((struct span){(const uint8_t *)many, 511}, hashes[1]));
}

static void test_what_is_no_hash_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",          "*",       "secret",         "rqXexS6ZhobKA",
        "$",         "$$",      "$apr1$salt$x",   "{SHA}W6ph5Mm5Pz8",
        "$9$salt$x", "!$6$a$b", "$2y$99$tooshort"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        bool result = true;
        if (password_check(SPAN("secret"), wrong[i], &result) != WEIR_EINVAL || result) {
            fail_msg("%s was taken", wrong[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_password_matches_its_hash_alone),
        cmocka_unit_test(test_changed_hash_matches_nothing),
        cmocka_unit_test(test_password_with_nul_or_too_long_never_matches),
        cmocka_unit_test(test_what_is_no_hash_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
