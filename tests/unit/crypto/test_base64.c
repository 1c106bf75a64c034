/* Base64 by the vectors of RFC 4648, section 10, and all that a strict decoder refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"

static void expect_text(struct span bytes, bool url, const char *text)
{
    struct buffer out = {0};
    assert_int_equal(buffer_append(&out, SPAN("kept:")), WEIR_OK);
    assert_int_equal(crypto_base64_encode(bytes, url, &out), WEIR_OK);
    assert_int_equal(out.size, 5 + strlen(text));
    assert_memory_equal(out.data, "kept:", 5);
    assert_memory_equal(out.data + 5, text, strlen(text));
    buffer_free(&out);
}

static void expect_bytes(const char *text, bool url, struct span bytes)
{
    struct buffer out = {0};
    assert_int_equal(buffer_append(&out, SPAN("kept:")), WEIR_OK);
    if (crypto_base64_decode(span_of(text), url, &out) != WEIR_OK) {
        fail_msg("%s was refused", text);
    }
    assert_int_equal(out.size, 5 + bytes.size);
    if (bytes.size > 0) {
        assert_memory_equal(out.data + 5, bytes.data, bytes.size);
    }
    buffer_free(&out);
}

static void expect_refusal(struct span text, bool url)
{
    struct buffer out = {0};
    assert_int_equal(buffer_append(&out, SPAN("kept:")), WEIR_OK);
    if (crypto_base64_decode(text, url, &out) != WEIR_EPROTO) {
        fail_msg("%.*s was taken", SPAN_ARGS(text));
    }
    assert_int_equal(out.size, 5);
    buffer_free(&out);
}

static const struct {
    const char *bytes;
    const char *text;
    const char *bare; /* without padding */
} vectors[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
};

static void test_encodes_the_vectors_of_rfc_4648(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        expect_text(span_of(vectors[i].bytes), false, vectors[i].text);
        expect_text(span_of(vectors[i].bytes), true, vectors[i].bare);
    }
}

static void test_decodes_the_vectors_of_rfc_4648(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        expect_bytes(vectors[i].text, false, span_of(vectors[i].bytes));
        expect_bytes(vectors[i].bare, true, span_of(vectors[i].bytes));
    }
}

static void test_base64url_may_have_its_padding(void **state)
{
    (void)state;
    expect_bytes("Zg==", true, SPAN("f"));
    expect_bytes("Zm8=", true, SPAN("fo"));
}

static void test_base64_must_have_its_padding(void **state)
{
    (void)state;
    expect_refusal(SPAN("Zg"), false);
    expect_refusal(SPAN("Zg="), false);
    expect_refusal(SPAN("Zm8"), false);
}

static void test_refuses_padding_that_the_length_does_not_ask_for(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "=", "==", "====", "Zg=", "Zm9v=", "Z===", "Zm9v==", "Zm9v====", "Zg==Zg==", "Zg=a"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        expect_refusal(span_of(texts[i]), false);
        expect_refusal(span_of(texts[i]), true);
    }
}

/* RFC 4648, section 3.5: else many texts would stand for the same bytes. */
static void test_refuses_bits_that_no_byte_has(void **state)
{
    (void)state;
    expect_refusal(SPAN("Zh=="), false);
    expect_refusal(SPAN("Zm9="), false);
    expect_refusal(SPAN("Zh"), true);
    expect_refusal(SPAN("Zm9"), true);
}

static void test_refuses_one_character_over(void **state)
{
    (void)state;
    expect_refusal(SPAN("Z"), true);
    expect_refusal(SPAN("Zm9vY"), true);
}

static void test_each_alphabet_refuses_the_others_characters(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0xfb, 0xff, 0xbf};
    expect_text((struct span){bytes, 3}, false, "+/+/");
    expect_text((struct span){bytes, 3}, true, "-_-_");
    expect_bytes("+/+/", false, (struct span){bytes, 3});
    expect_bytes("-_-_", true, (struct span){bytes, 3});
    expect_refusal(SPAN("+/+/"), true);
    expect_refusal(SPAN("-_-_"), false);
}

static void test_refuses_every_byte_outside_the_alphabet_at_every_place(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        bool known = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                     (byte >= '0' && byte <= '9') || byte == '+' || byte == '/';
        for (size_t place = 0; !known && place < 8; place++) {
            uint8_t text[8] = {'Z', 'm', '9', 'v', 'Y', 'm', 'F', 'y'};
            text[place] = (uint8_t)byte;
            if (byte != '=' || place < 7) {
                expect_refusal((struct span){text, 8}, false);
            }
        }
    }
}

static void test_all_bytes_come_back(void **state)
{
    (void)state;
    uint8_t bytes[256];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 167 + 13);
    }
    for (size_t size = 0; size <= sizeof bytes; size++) {
        for (int url = 0; url < 2; url++) {
            struct buffer text = {0};
            struct buffer back = {0};
            struct span some = {bytes, size};
            assert_int_equal(crypto_base64_encode(some, url != 0, &text), WEIR_OK);
            assert_int_equal(crypto_base64_decode(buffer_span(&text), url != 0, &back), WEIR_OK);
            assert_true(span_equal(buffer_span(&back), some));
            buffer_free(&text);
            buffer_free(&back);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encodes_the_vectors_of_rfc_4648),
        cmocka_unit_test(test_decodes_the_vectors_of_rfc_4648),
        cmocka_unit_test(test_base64url_may_have_its_padding),
        cmocka_unit_test(test_base64_must_have_its_padding),
        cmocka_unit_test(test_refuses_padding_that_the_length_does_not_ask_for),
        cmocka_unit_test(test_refuses_bits_that_no_byte_has),
        cmocka_unit_test(test_refuses_one_character_over),
        cmocka_unit_test(test_each_alphabet_refuses_the_others_characters),
        cmocka_unit_test(test_refuses_every_byte_outside_the_alphabet_at_every_place),
        cmocka_unit_test(test_all_bytes_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
