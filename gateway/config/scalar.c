/* Numbers with units, read strictly: one number, one unit, no spaces, no fractions. A value that
 * could mean two things (`30`, `1M`) is refused with words that say how to write it.
 *
 * Called by the loader, the checks of defaults, the settings writer and the reference page. It
 * never allocates and knows no key. */
#include "config/scalar.h"

#include <stdio.h>
#include <string.h>

#include "base/span.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* Smallest first: writing takes the last that divides. */
static const struct unit size_units[] = {
    {"B", 1}, {"KiB", 1024}, {"MiB", 1024 * 1024}, {"GiB", 1024 * 1024 * 1024}, {NULL, 0}};
static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}, {NULL, 0}};

bool scalar_read_switch(const char *text, bool *out)
{
    if (strcmp(text, "on") == 0 || strcmp(text, "true") == 0) {
        *out = true;
        return true;
    }
    if (strcmp(text, "off") == 0 || strcmp(text, "false") == 0) {
        *out = false;
        return true;
    }
    return false;
}

static size_t count_digits(const char *text)
{
    return strspn(text, "0123456789");
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(text, *words) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_integer(const char *text)
{
    if (strncmp(text, "0x", 2) == 0) {
        return text[2] != '\0' && text[2 + strspn(text + 2, "0123456789abcdefABCDEF")] == '\0';
    }
    if (strncmp(text, "0o", 2) == 0) {
        return text[2] != '\0' && text[2 + strspn(text + 2, "01234567")] == '\0';
    }
    text += text[0] == '+' || text[0] == '-' ? 1 : 0;
    size_t digits = count_digits(text);
    return digits > 0 && text[digits] == '\0';
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_float(const char *text)
{
    static const char *const others[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf",
                                         "+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
                                         ".NaN",  ".NAN",  NULL};
    if (is_one_of(text, others)) {
        return true;
    }
    text += text[0] == '+' || text[0] == '-' ? 1 : 0;
    size_t whole = count_digits(text);
    text += whole;
    size_t part = 0;
    if (text[0] == '.') {
        part = count_digits(text + 1);
        text += part + 1;
    }
    if (whole + part == 0) {
        return false;
    }
    if (text[0] == 'e' || text[0] == 'E') {
        text += text[1] == '+' || text[1] == '-' ? 2 : 1;
        size_t exponent = count_digits(text);
        return exponent > 0 && text[exponent] == '\0';
    }
    return text[0] == '\0';
}

enum scalar_kind scalar_kind_of(const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const switches[] = {"on",    "off",   "true",  "True", "TRUE",
                                           "false", "False", "FALSE", NULL};
    if (is_one_of(text, nulls)) {
        return SCALAR_NULL;
    }
    if (is_one_of(text, switches)) {
        return SCALAR_SWITCH;
    }
    if (is_integer(text)) {
        return SCALAR_INTEGER;
    }
    return is_float(text) ? SCALAR_FLOAT : SCALAR_TEXT;
}

const char *scalar_read_count(const char *text, uint64_t *out)
{
    size_t digits = count_digits(text);
    if (digits == 0 || text[digits] != '\0') {
        return "is not a whole number";
    }
    return span_to_u64(span_of(text), out) ? NULL : "is too large";
}

/* `bare` is the factor of a number without a unit; 0 where a unit is needed. */
static const char *read_unit(const char *text, const struct unit *units, uint64_t bare,
                             uint64_t *out)
{
    size_t digits = count_digits(text);
    uint64_t number = 0;
    if (!span_to_u64((struct span){(const uint8_t *)text, digits}, &number)) {
        return digits == 0 ? "does not begin with a number" : "is too large";
    }
    const char *name = text + digits;
    if (name[0] == '\0' && (bare > 0 || number == 0)) {
        *out = number;
        return NULL;
    }
    for (; units->name != NULL; units++) {
        if (strcmp(units->name, name) == 0) {
            return __builtin_mul_overflow(number, units->factor, out) ? "is too large" : NULL;
        }
    }
    return name[0] == '\0' ? "has no unit" : "has an unknown unit";
}

const char *scalar_read_size(const char *text, uint64_t *out_bytes)
{
    return read_unit(text, size_units, 1, out_bytes);
}

const char *scalar_read_duration(const char *text, uint64_t *out_ms)
{
    return read_unit(text, duration_units, 0, out_ms);
}

static void write_unit(uint64_t value, const struct unit *units, char *out)
{
    const struct unit *best = units;
    for (; units->name != NULL; units++) {
        if (value % units->factor == 0) {
            best = units;
        }
    }
    if (value == 0) {
        snprintf(out, SCALAR_BYTES, "0");
        return;
    }
    snprintf(out, SCALAR_BYTES, "%llu%s", (unsigned long long)(value / best->factor), best->name);
}

void scalar_write_size(uint64_t bytes, char out[SCALAR_BYTES])
{
    write_unit(bytes, size_units, out);
}

void scalar_write_duration(uint64_t ms, char out[SCALAR_BYTES])
{
    write_unit(ms, duration_units, out);
}
