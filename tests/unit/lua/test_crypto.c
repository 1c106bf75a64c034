/* weir.crypto, as plugins call it. */
#include "lua/fakes.h"

static void runs(const char *text)
{
    struct fake_loaded plugin = fake_load_with(text, "{}");
    if (plugin.self == NULL) {
        fail_msg("%s: %s", text, plugin.error);
    }
    fake_unload(&plugin);
}

static void test_digests_are_bytes_and_hex_writes_them(void **state)
{
    (void)state;
    runs("local c = weir.crypto\n"
         "assert(#c.sha1('') == 20 and #c.sha256('') == 32)\n"
         "assert(c.hex(c.sha1('abc')) == 'a9993e364706816aba3e25717850c26c9cd0d89d')\n"
         "assert(c.hex(c.sha256('abc')) ==\n"
         "    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')\n"
         "assert(c.hex('\\0\\255') == '00ff' and c.hex('') == '')\n"
         "return {}");
}

static void test_hmac_is_of_sha256_unless_told(void **state)
{
    (void)state;
    runs("local c = weir.crypto\n"
         "local data = 'what do ya want for nothing?'\n"
         "local mac = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'\n"
         "assert(c.hex(c.hmac('Jefe', data)) == mac)\n"
         "assert(c.hex(c.hmac('Jefe', data, 'sha256')) == mac)\n"
         "assert(c.hex(c.hmac('Jefe', data, 'sha1')) ==\n"
         "    'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79')\n"
         "assert(#c.hmac('', '', 'sha384') == 48 and #c.hmac('', '', 'sha512') == 64)\n"
         "return {}");
}

static void test_base64_comes_back(void **state)
{
    (void)state;
    runs("local c = weir.crypto\n"
         "assert(c.base64_encode('\\251\\239\\190a') == '++++YQ==')\n"
         "assert(c.base64url_encode('\\251\\239\\190a') == '----YQ')\n"
         "assert(c.base64_decode('++++YQ==') == '\\251\\239\\190a')\n"
         "assert(c.base64url_decode('----YQ') == '\\251\\239\\190a')\n"
         "assert(c.base64url_decode('----YQ==') == '\\251\\239\\190a')\n"
         "assert(c.base64_encode('') == '' and c.base64_decode('') == '')\n"
         "local long = ('x'):rep(100000)\n"
         "assert(c.base64_decode(c.base64_encode(long)) == long)\n"
         "return {}");
}

static void test_what_is_no_base64_is_nil_and_a_reason(void **state)
{
    (void)state;
    runs("local function refused(word, value, reason)\n"
         "    assert(value == nil and reason == word)\n"
         "end\n"
         "refused('not base64', weir.crypto.base64_decode('YQ'))\n"
         "refused('not base64', weir.crypto.base64_decode('a b='))\n"
         "refused('not base64url', weir.crypto.base64url_decode('+/+/'))\n"
         "refused('not base64url', weir.crypto.base64url_decode('Y'))\n"
         "return {}");
}

static void test_random_takes_1_to_65536(void **state)
{
    (void)state;
    runs("local random = weir.crypto.random\n"
         "assert(#random(1) == 1 and #random(65536) == 65536)\n"
         "assert(random(16) ~= random(16))\n"
         "for _, n in ipairs{0, 65537, -1, 1.5, '16', {}} do\n"
         "    local ok, words = pcall(random, n)\n"
         "    assert(not ok and words:find('n must be an integer from 1 to 65536'), words)\n"
         "end\n"
         "assert(not pcall(random))\n"
         "return {}");
}

static void test_passwords_are_checked_against_hashes(void **state)
{
    (void)state;
    runs("local check = weir.crypto.check_password\n"
         "local hash = '$2b$04$W1n2ln.TSYVpBsVJeMFkv.PkY0rbeZY/KzMLpIb7BD45NEa3aiUpe'\n"
         "assert(check('correct horse', hash) == true and check('correct horsf', hash) == false)\n"
         "assert(check('correct horse\\0', hash) == false)\n"
         "for _, wrong in ipairs({'', 'correct horse', hash .. '\\0', '\\0' .. hash}) do\n"
         "    local matches, why = check('correct horse', wrong)\n"
         "    assert(matches == nil and why == 'not a password hash')\n"
         "end\n"
         "return {}");
}

static void test_equal_compares_bytes(void **state)
{
    (void)state;
    runs("local equal = weir.crypto.equal\n"
         "assert(equal('a\\0b', 'a\\0b') == true and equal('', '') == true)\n"
         "assert(equal('a\\0b', 'a\\0c') == false and equal('a', 'aa') == false)\n"
         "return {}");
}

static void test_wrong_arguments_throw_and_say_which(void **state)
{
    (void)state;
    runs("local c = weir.crypto\n"
         "local function throws(words, fn, ...)\n"
         "    local ok, why = pcall(fn, ...)\n"
         "    assert(not ok and why:find(words, 1, true), why)\n"
         "end\n"
         "throws('data must be a string, not a nil', c.sha1, nil)\n"
         "throws('data must be a string, not a number', c.sha256, 5)\n"
         "throws('data must be a string, not a table', c.hex, {})\n"
         "throws('data must be a string, not a no value', c.base64_encode)\n"
         "throws('text must be a string', c.base64_decode, true)\n"
         "throws('key must be a string', c.hmac, nil, 'data')\n"
         "throws('data must be a string', c.hmac, 'key')\n"
         "throws('not \"md5\"', c.hmac, 'key', 'data', 'md5')\n"
         "throws('algorithm must be a string', c.hmac, 'key', 'data', 1)\n"
         "throws('b must be a string', c.equal, 'a', nil)\n"
         "return {}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digests_are_bytes_and_hex_writes_them),
        cmocka_unit_test(test_hmac_is_of_sha256_unless_told),
        cmocka_unit_test(test_base64_comes_back),
        cmocka_unit_test(test_what_is_no_base64_is_nil_and_a_reason),
        cmocka_unit_test(test_random_takes_1_to_65536),
        cmocka_unit_test(test_passwords_are_checked_against_hashes),
        cmocka_unit_test(test_equal_compares_bytes),
        cmocka_unit_test(test_wrong_arguments_throw_and_say_which),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
