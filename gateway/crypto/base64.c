/* Base64 and base64url (RFC 4648, sections 4 and 5), strict: of all texts that others would decode
 * to the same bytes one alone is taken, so that nobody writes a token or key in two ways. Called by
 * handshakes, plugins and weir.crypto. No OpenSSL: its decoder passes over white space, and does
 * not know base64url. */
#include <string.h>

#include "crypto/crypto.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t crypto_base64_write(struct span bytes, bool url, char *out)
{
    const char *chars = url ? alphabet_url : alphabet;
    size_t used = 0;
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        group |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        group |= left > 2 ? bytes.data[i + 2] : 0;
        out[used++] = chars[group >> 18];
        out[used++] = chars[group >> 12 & 63];
        if (left > 1 || !url) {
            out[used++] = left > 1 ? chars[group >> 6 & 63] : '=';
        }
        if (left > 2 || !url) {
            out[used++] = left > 2 ? chars[group & 63] : '=';
        }
    }
    return used;
}

enum weir_err crypto_base64_encode(struct span bytes, bool url, struct buffer *out)
{
    if (bytes.size > SIZE_MAX / 2) {
        return WEIR_ENOMEM;
    }
    enum weir_err err = buffer_reserve(out, CRYPTO_BASE64_CHARS(bytes.size));
    if (err == WEIR_OK && bytes.size > 0) {
        out->size += crypto_base64_write(bytes, url, (char *)out->data + out->size);
    }
    return err;
}

/* 0 to 63, or 64 for what is not of the alphabet. */
static uint32_t value_of(uint8_t c, bool url)
{
    if (c >= 'A' && c <= 'Z') {
        return (uint32_t)(c - 'A');
    }
    if (c >= 'a' && c <= 'z') {
        return (uint32_t)(c - 'a' + 26);
    }
    if (c >= '0' && c <= '9') {
        return (uint32_t)(c - '0' + 52);
    }
    if (c == (url ? '-' : '+')) {
        return 62;
    }
    return c == (url ? '_' : '/') ? 63 : 64;
}

/* Takes the padding off. False where it is not what the length asks for; base64url may have none
 * (RFC 4648, section 3.2). */
static bool strip_padding(struct span *text, bool url)
{
    size_t padding = 0;
    while (padding < 2 && padding < text->size && text->data[text->size - 1 - padding] == '=') {
        padding++;
    }
    bool whole = text->size % 4 == 0;
    text->size -= padding;
    return whole || (url && padding == 0 && text->size % 4 != 1);
}

/* Decodes one to three bytes from 2 to 4 characters. */
static bool decode_group(const uint8_t *text, size_t chars, bool url, uint8_t *out)
{
    uint32_t group = 0;
    uint32_t bad = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t value = i < chars ? value_of(text[i], url) : 0;
        bad |= value & 64;
        group = group << 6 | value;
    }
    /* RFC 4648, section 3.5: bits that no byte has must be 0. */
    uint32_t rest = chars == 4 ? 0 : chars == 3 ? group & 0xff : group & 0xffff;
    for (size_t i = 0; i + 1 < chars; i++) {
        out[i] = (uint8_t)(group >> (16 - 8 * i));
    }
    return bad == 0 && rest == 0;
}

enum weir_err crypto_base64_read(struct span text, bool url, uint8_t *out, size_t *size)
{
    size_t used = 0;
    if (!strip_padding(&text, url)) {
        return WEIR_EPROTO;
    }
    for (size_t i = 0; i < text.size; i += 4) {
        size_t chars = text.size - i < 4 ? text.size - i : 4;
        if (!decode_group(text.data + i, chars, url, out + used)) {
            return WEIR_EPROTO;
        }
        used += chars - 1;
    }
    *size = used;
    return WEIR_OK;
}

enum weir_err crypto_base64_decode(struct span text, bool url, struct buffer *out)
{
    size_t size = 0;
    enum weir_err err = buffer_reserve(out, CRYPTO_BASE64_BYTES(text.size));
    if (err == WEIR_OK) {
        err = crypto_base64_read(text, url, out->data + out->size, &size);
    }
    if (err == WEIR_OK) {
        out->size += size;
    }
    return err;
}
