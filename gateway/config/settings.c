/* Writes JSON: from YAML subtrees, where a plain scalar has the type of YAML 1.2's core schema and
 * a quoted one is a string, and from loaded sections, where the key table knows the types.
 *
 * Called by load.c and plugin.c; schema.c borrows the string writer. It allocates only in the
 * buffer that it is given, and never reads JSON. */
#include "config/settings.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "config/keys.h"
#include "config/problems.h"
#include "config/scalar.h"
#include "config/yaml_tree.h"

static enum weir_err append_char(struct buffer *out, char c)
{
    return buffer_append(out, (struct span){(const uint8_t *)&c, 1});
}

static enum weir_err append_string(struct buffer *out, const char *text)
{
    return buffer_append(out, span_of(text));
}

static enum weir_err write_escaped(struct buffer *out, char c)
{
    unsigned char byte = (unsigned char)c;
    if (byte == '"' || byte == '\\') {
        return buffer_printf(out, "\\%c", c);
    }
    /* RFC 8259, section 7: these must be escaped; DEL need not but looks like nothing. */
    return byte < 0x20 || byte == 0x7f ? buffer_printf(out, "\\u%04x", byte) : append_char(out, c);
}

enum weir_err settings_write_text(struct buffer *out, const char *text)
{
    enum weir_err err = append_char(out, '"');
    for (; err == WEIR_OK && *text != '\0'; text++) {
        err = write_escaped(out, *text);
    }
    return err == WEIR_OK ? append_char(out, '"') : err;
}

/* Decimal digits without the leading zeros and the plus sign that JSON does not take. */
static enum weir_err write_decimal(struct buffer *out, const char *text)
{
    bool minus = text[0] == '-';
    text += text[0] == '+' || text[0] == '-' ? 1 : 0;
    while (text[0] == '0' && text[1] >= '0' && text[1] <= '9') {
        text++;
    }
    enum weir_err err = minus ? append_char(out, '-') : WEIR_OK;
    return err == WEIR_OK ? append_string(out, text) : err;
}

static enum weir_err write_integer(const struct yaml_node *node, struct problems *problems,
                                   struct buffer *out)
{
    const char *text = node->text;
    if (text[0] != '0' || (text[1] != 'x' && text[1] != 'o')) {
        return write_decimal(out, text);
    }
    size_t most = text[1] == 'x' ? 16 : 21; /* digits that are sure to fit into 64 bits */
    if (strlen(text + 2) > most) {
        problems_add(problems, node->line, node->column, "`%.60s` is too large", text);
        return WEIR_OK;
    }
    return buffer_printf(out, "%llu", strtoull(text + 2, NULL, text[1] == 'x' ? 16 : 8));
}

/* JSON wants digits on both sides of the point (RFC 8259, section 6); YAML does not. */
static enum weir_err write_float(const struct yaml_node *node, struct problems *problems,
                                 struct buffer *out)
{
    const char *text = node->text;
    if (strpbrk(text, "iInN") != NULL) {
        problems_add(problems, node->line, node->column, "`%.60s` is a number that JSON has not",
                     text);
        return WEIR_OK;
    }
    enum weir_err err = text[0] == '-' ? append_char(out, '-') : WEIR_OK;
    text += text[0] == '+' || text[0] == '-' ? 1 : 0;
    while (text[0] == '0' && text[1] >= '0' && text[1] <= '9') {
        text++;
    }
    if (err == WEIR_OK && text[0] == '.') {
        err = append_char(out, '0');
    }
    for (; err == WEIR_OK && *text != '\0'; text++) {
        err = append_char(out, *text);
        if (err == WEIR_OK && *text == '.' && (text[1] < '0' || text[1] > '9')) {
            err = append_char(out, '0');
        }
    }
    return err;
}

static enum weir_err write_scalar(const struct yaml_node *node, struct problems *problems,
                                  struct buffer *out)
{
    enum scalar_kind kind = node->quoted ? SCALAR_TEXT : scalar_kind_of(node->text);
    bool on = strcmp(node->text, "on") == 0 || node->text[0] == 't' || node->text[0] == 'T';
    switch (kind) {
    case SCALAR_NULL:
        return buffer_append(out, SPAN("null"));
    case SCALAR_SWITCH:
        return append_string(out, on ? "true" : "false");
    case SCALAR_INTEGER:
        return write_integer(node, problems, out);
    case SCALAR_FLOAT:
        return write_float(node, problems, out);
    case SCALAR_TEXT:
        break;
    }
    return settings_write_text(out, node->text);
}

/* One item of a list or one pair of a mapping, with the comma before it. */
static enum weir_err write_child(const struct yaml_child *child, size_t index,
                                 struct problems *problems, struct buffer *out)
{
    enum weir_err err = index > 0 ? append_char(out, ',') : WEIR_OK;
    if (err == WEIR_OK && child->key != NULL) {
        err = settings_write_text(out, child->key->text);
    }
    if (err == WEIR_OK && child->key != NULL) {
        err = append_char(out, ':');
    }
    if (err != WEIR_OK) {
        return err;
    }
    size_t mark = child->key != NULL ? problems_enter_key(problems, child->key->text)
                                     : problems_enter_item(problems, index);
    err = settings_from_node(child->value, problems, out);
    problems_leave(problems, mark);
    return err;
}

/* Recursion ends at YAML_TREE_MAX_DEPTH. */
enum weir_err settings_from_node(const struct yaml_node *node, struct problems *problems,
                                 struct buffer *out)
{
    if (node->kind == YAML_BROKEN) {
        return buffer_append(out, SPAN("null"));
    }
    if (node->kind == YAML_SCALAR) {
        return write_scalar(node, problems, out);
    }
    bool is_map = node->kind == YAML_MAP;
    enum weir_err err = append_char(out, is_map ? '{' : '[');
    size_t index = 0;
    const struct yaml_child *child = node->children;
    for (; err == WEIR_OK && child != NULL; child = child->next) {
        err = write_child(child, index++, problems, out);
    }
    return err == WEIR_OK ? append_char(out, is_map ? '}' : ']') : err;
}

static enum weir_err write_texts(const struct config_strings *texts, struct buffer *out)
{
    enum weir_err err = append_char(out, '[');
    for (size_t i = 0; err == WEIR_OK && i < texts->count; i++) {
        err = i > 0 ? append_char(out, ',') : WEIR_OK;
        if (err == WEIR_OK) {
            err = settings_write_text(out, texts->items[i]);
        }
    }
    return err == WEIR_OK ? append_char(out, ']') : err;
}

static enum weir_err write_word(const struct config_key *key, const void *value, struct buffer *out)
{
    unsigned word = 0;
    memcpy(&word, value, sizeof(word));
    const struct config_word *words = key->words;
    while (words->value != word) {
        words++;
    }
    return settings_write_text(out, words->name);
}

/* Sections inside the sections of forms do not exist; a form that needs one extends this. */
static enum weir_err write_value(const struct config_key *key, const void *value,
                                 struct buffer *out)
{
    switch (key->type) {
    case KEY_SWITCH:
        return append_string(out, *(const bool *)value ? "true" : "false");
    case KEY_COUNT:
    case KEY_SIZE:
    case KEY_DURATION:
        return buffer_printf(out, "%llu", (unsigned long long)*(const uint64_t *)value);
    case KEY_WORD:
        return write_word(key, value, out);
    case KEY_TEXT:
        return settings_write_text(out, *(char *const *)value);
    case KEY_TEXTS:
        return write_texts(value, out);
    case KEY_FREE:
        return append_string(out, *(char *const *)value);
    default:
        return WEIR_EINVAL;
    }
}

static bool is_written(const struct config_key *key, const void *value, size_t skip_offset)
{
    return key->offset != skip_offset && (key->type != KEY_TEXT || *(char *const *)value != NULL);
}

enum weir_err settings_from_section(const struct config_section *section, const void *values,
                                    size_t skip_offset, struct buffer *out)
{
    enum weir_err err = append_char(out, '{');
    bool first = true;
    for (size_t i = 0; err == WEIR_OK && i < section->key_count; i++) {
        const struct config_key *key = &section->keys[i];
        const void *value = (const char *)values + key->offset;
        if (!is_written(key, value, skip_offset)) {
            continue;
        }
        err = first ? WEIR_OK : append_char(out, ',');
        first = false;
        err = err == WEIR_OK ? settings_write_text(out, key->name) : err;
        err = err == WEIR_OK ? append_char(out, ':') : err;
        err = err == WEIR_OK ? write_value(key, value, out) : err;
    }
    return err == WEIR_OK ? append_char(out, '}') : err;
}
