/* Reads an object member by member and stops where the wanted one has come, so that nothing waits
 * for the rest; a library would need the whole text. Text inside a string of the body (JSONP) is
 * taken through two layers of escapes, byte by byte, and nothing is copied but what was wished for.
 * What is passed over is checked only as far as finding its end needs. Called by session_token.c.
 * It never allocates, and recurses nowhere. */
#include "proto/json_reader.h"

#include <string.h>

#include "proto/http_chars.h"

enum {
    END_QUOTE = -3, /* beside JSON_CUT and JSON_BAD: the string that is read ends */
    FOREIGN = 0x80, /* stands for an escaped character outside ASCII */
    DEPTH_MAX = 16,
    DIGITS_MAX = 6
};

enum weir_err json_reader_stopped(int c)
{
    return c == JSON_CUT ? WEIR_AGAIN : WEIR_EINVAL;
}

int json_reader_raw(struct json_reader *r)
{
    if (r->rest.size == 0) {
        return JSON_CUT;
    }
    int c = r->rest.data[0];
    r->rest = span_from(r->rest, 1);
    return c;
}

static int take_hex4(struct json_reader *r, json_source_fn *source)
{
    int value = 0;
    for (unsigned i = 0; i < 4; i++) {
        int c = source(r);
        if (c < 0) {
            return c;
        }
        int digit = http_chars_hex((uint8_t)c);
        if (digit < 0) {
            return JSON_BAD;
        }
        value = value * 16 + digit;
    }
    return value < 0x80 ? value : FOREIGN;
}

/* Takes one character of a JSON string, or END_QUOTE (RFC 8259, section 7). */
static int take_unit(struct json_reader *r, json_source_fn *source)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    int c = source(r);
    if (c == '"') {
        return END_QUOTE;
    }
    if (c != '\\') {
        return c >= 0 && c < 0x20 ? JSON_BAD : c;
    }
    c = source(r);
    if (c < 0) {
        return c;
    }
    if (c == 'u') {
        return take_hex4(r, source);
    }
    const char *name = c != 0 ? strchr(names, c) : NULL;
    return name != NULL ? values[name - names] : JSON_BAD;
}

/* The next byte of the text itself. The string around it must not end inside of it. */
int json_reader_next(struct json_reader *r)
{
    if (!r->is_quoted) {
        return json_reader_raw(r);
    }
    int c = take_unit(r, json_reader_raw);
    return c == END_QUOTE ? JSON_BAD : c;
}

int json_reader_past_blanks(struct json_reader *r)
{
    int c;
    do {
        c = json_reader_next(r);
    } while (c == ' ' || c == '\t' || c == '\r' || c == '\n');
    return c;
}

enum weir_err json_reader_words(struct json_reader *r, json_source_fn *source, const char *words)
{
    for (; *words != 0; words++) {
        int c = source(r);
        if (c != *words) {
            return json_reader_stopped(c);
        }
    }
    return WEIR_OK;
}

/* Takes up to DIGITS_MAX digits and what stands behind them, which `*c` is then. */
enum weir_err json_reader_digits(struct json_reader *r, json_source_fn *source, int *c)
{
    unsigned count = 0;
    *c = source(r);
    while (*c >= '0' && *c <= '9') {
        if (++count > DIGITS_MAX) {
            return WEIR_EINVAL;
        }
        *c = source(r);
    }
    return *c < 0 ? json_reader_stopped(*c) : WEIR_OK;
}

/* --- JSON --- */

/* Takes the rest of a string behind its quote. What fits goes to `out`; `*size` counts all of it,
 * and `*is_plain` tells whether it is printable ASCII, as a token is. */
static enum weir_err take_string(struct json_reader *r, char *out, size_t room, size_t *size,
                                 bool *is_plain)
{
    *size = 0;
    *is_plain = true;
    for (;;) {
        int c = take_unit(r, json_reader_next);
        if (c == END_QUOTE) {
            return WEIR_OK;
        }
        if (c < 0) {
            return json_reader_stopped(c);
        }
        if (*size < room) {
            out[*size] = (char)c;
        }
        *size += 1;
        *is_plain = *is_plain && c > 0x20 && c < 0x7f;
    }
}

static bool is_of_scalar(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' ||
           c == 'E';
}

/* Passes over a number, true, false or null that starts with `c`. Its spelling does not matter
 * here. */
static enum weir_err skip_scalar(struct json_reader *r, int c)
{
    struct json_reader before = *r;
    if (!is_of_scalar(c)) {
        return json_reader_stopped(c);
    }
    while (is_of_scalar(c)) {
        before = *r;
        c = json_reader_next(r);
    }
    if (c < 0) {
        return json_reader_stopped(c);
    }
    *r = before;
    return WEIR_OK;
}

/* Passes over the rest of an array or object: strings, and brackets that close again. */
static enum weir_err skip_nested(struct json_reader *r)
{
    unsigned depth = 1;
    while (depth > 0) {
        size_t size = 0;
        bool is_plain;
        int c = json_reader_next(r);
        if (c < 0) {
            return json_reader_stopped(c);
        }
        if (c == '"') {
            enum weir_err err = take_string(r, NULL, 0, &size, &is_plain);
            if (err != WEIR_OK) {
                return err;
            }
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
        if (depth > DEPTH_MAX) {
            return WEIR_EINVAL;
        }
    }
    return WEIR_OK;
}

/* Passes over a value that starts with `c`. */
static enum weir_err skip_value(struct json_reader *r, int c)
{
    size_t size = 0;
    bool is_plain;
    if (c == '"') {
        return take_string(r, NULL, 0, &size, &is_plain);
    }
    return c == '{' || c == '[' ? skip_nested(r) : skip_scalar(r, c);
}

/* Takes the value of a wish, which must be a token. */
static enum weir_err take_token(struct json_reader *r, int c, struct json_wish *wish)
{
    bool is_plain = false;
    if (c != '"') {
        return json_reader_stopped(c);
    }
    enum weir_err err = take_string(r, wish->out, JSON_WISH_MAX, &wish->size, &is_plain);
    if (err != WEIR_OK) {
        return err;
    }
    wish->found = is_plain && wish->size > 0 && wish->size <= JSON_WISH_MAX;
    return wish->found ? WEIR_OK : WEIR_EINVAL;
}

/* Takes one member behind the quote of its name. */
static enum weir_err take_member(struct json_reader *r, struct json_wish *wishes, size_t count)
{
    char name[32];
    size_t size = 0;
    bool is_plain;
    enum weir_err err = take_string(r, name, sizeof name, &size, &is_plain);
    if (err != WEIR_OK) {
        return err;
    }
    int c = json_reader_past_blanks(r);
    if (c != ':') {
        return json_reader_stopped(c);
    }
    c = json_reader_past_blanks(r);
    for (size_t i = 0; size <= sizeof name && i < count; i++) {
        if (span_equal((struct span){(uint8_t *)name, size}, wishes[i].name) && !wishes[i].found) {
            return take_token(r, c, &wishes[i]);
        }
    }
    return skip_value(r, c);
}

/* Reads an object behind its "{" until the first wish, which is the best, has come, or the object
 * has ended. */
enum weir_err json_reader_object(struct json_reader *r, struct json_wish *wishes, size_t count)
{
    int c = json_reader_past_blanks(r);
    while (c == '"') {
        enum weir_err err = take_member(r, wishes, count);
        if (err != WEIR_OK || wishes[0].found) {
            return err;
        }
        c = json_reader_past_blanks(r);
        if (c == '}') {
            return WEIR_OK;
        }
        if (c != ',') {
            return json_reader_stopped(c);
        }
        c = json_reader_past_blanks(r);
    }
    return json_reader_stopped(c);
}
