/* Writes JSON: from YAML subtrees, where a plain scalar has the type of YAML 1.2's core schema and
 * a quoted one is a string, and from loaded sections, where the key table knows the types.
 *
 * Called by load.c and plugin.c. It allocates only in the buffer that it is given, and never reads
 * JSON. */
#include "config/plugin_json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "config/keys.h"
#include "config/problems.h"
#include "config/scalar.h"
#include "config/writer.h"
#include "config/yaml_tree.h"

/* Skips what JSON does not take before a number: a plus sign and leading zeros. */
static const char *write_sign(struct writer *w, const char *text)
{
    if (text[0] == '-') {
        writer_text(w, "-");
    }
    text += text[0] == '+' || text[0] == '-' ? 1 : 0;
    while (text[0] == '0' && text[1] >= '0' && text[1] <= '9') {
        text++;
    }
    return text;
}

static void write_integer(struct writer *w, const struct yaml_node *node, struct problems *problems)
{
    const char *text = node->text;
    if (text[0] != '0' || (text[1] != 'x' && text[1] != 'o')) {
        writer_text(w, write_sign(w, text));
        return;
    }
    size_t most = text[1] == 'x' ? 16 : 21; /* digits that are sure to fit into 64 bits */
    if (strlen(text + 2) > most) {
        problems_add(problems, node->line, node->column, "`%.60s` is too large", text);
        return;
    }
    writer_print(w, "%llu", strtoull(text + 2, NULL, text[1] == 'x' ? 16 : 8));
}

/* JSON wants digits on both sides of the point (RFC 8259, section 6); YAML does not. */
static void write_float(struct writer *w, const struct yaml_node *node, struct problems *problems)
{
    const char *text = node->text;
    if (strpbrk(text, "iInN") != NULL) {
        problems_add(problems, node->line, node->column, "`%.60s` is a number that JSON has not",
                     text);
        return;
    }
    text = write_sign(w, text);
    if (text[0] == '.') {
        writer_text(w, "0");
    }
    for (; *text != '\0'; text++) {
        bool bare_point = *text == '.' && (text[1] < '0' || text[1] > '9');
        writer_print(w, bare_point ? "%c0" : "%c", *text);
    }
}

static void write_scalar(struct writer *w, const struct yaml_node *node, struct problems *problems)
{
    enum scalar_kind kind = node->quoted ? SCALAR_TEXT : scalar_kind_of(node->text);
    bool on = strcmp(node->text, "on") == 0 || node->text[0] == 't' || node->text[0] == 'T';
    switch (kind) {
    case SCALAR_NULL:
        writer_text(w, "null");
        break;
    case SCALAR_SWITCH:
        writer_text(w, on ? "true" : "false");
        break;
    case SCALAR_INTEGER:
        write_integer(w, node, problems);
        break;
    case SCALAR_FLOAT:
        write_float(w, node, problems);
        break;
    case SCALAR_TEXT:
        writer_json(w, node->text);
        break;
    }
}

static void write_node(struct writer *w, const struct yaml_node *node, struct problems *problems);

/* One item of a list or one pair of a mapping. */
static void write_child(struct writer *w, const struct yaml_child *child, size_t index,
                        struct problems *problems)
{
    size_t mark = child->key != NULL ? problems_enter_key(problems, child->key->text)
                                     : problems_enter_item(problems, index);
    if (child->key != NULL) {
        writer_json(w, child->key->text);
        writer_text(w, ":");
    }
    write_node(w, child->value, problems);
    problems_leave(problems, mark);
}

/* Recursion ends at YAML_TREE_MAX_DEPTH. */
static void write_node(struct writer *w, const struct yaml_node *node, struct problems *problems)
{
    if (node->kind == YAML_BROKEN) {
        return; /* its problem is noted, so nobody will read this */
    }
    if (node->kind == YAML_SCALAR) {
        write_scalar(w, node, problems);
        return;
    }
    size_t index = 0;
    writer_text(w, node->kind == YAML_MAP ? "{" : "[");
    for (const struct yaml_child *child = node->children; child != NULL; child = child->next) {
        writer_text(w, index > 0 ? "," : "");
        write_child(w, child, index++, problems);
    }
    writer_text(w, node->kind == YAML_MAP ? "}" : "]");
}

enum weir_err plugin_json_from_node(const struct yaml_node *node, struct problems *problems,
                                    struct buffer *out)
{
    struct writer w = {.out = out};
    write_node(&w, node, problems);
    return w.err;
}

static void write_texts(struct writer *w, const struct config_strings *texts)
{
    writer_text(w, "[");
    for (size_t i = 0; i < texts->count; i++) {
        writer_text(w, i > 0 ? "," : "");
        writer_json(w, texts->items[i]);
    }
    writer_text(w, "]");
}

static void write_word(struct writer *w, const struct config_word *words, const void *value)
{
    unsigned word = 0;
    memcpy(&word, value, sizeof(word));
    while (words->value != word) {
        words++;
    }
    writer_json(w, words->name);
}

static void write_pairs(struct writer *w, const struct config_pairs *pairs)
{
    writer_text(w, "{");
    for (size_t i = 0; i < pairs->count; i++) {
        writer_text(w, i > 0 ? "," : "");
        writer_json(w, pairs->items[i].name);
        writer_text(w, ":");
        writer_json(w, pairs->items[i].value);
    }
    writer_text(w, "}");
}

static void write_section(struct writer *w, const struct config_section *section,
                          const void *values, size_t skip_offset);

static void write_value(struct writer *w, const struct config_key *key, const void *value)
{
    switch (key->type) {
    case KEY_SWITCH:
        writer_text(w, *(const bool *)value ? "true" : "false");
        break;
    case KEY_COUNT:
    case KEY_SIZE:
    case KEY_DURATION:
        writer_print(w, "%llu", (unsigned long long)*(const uint64_t *)value);
        break;
    case KEY_WORD:
        write_word(w, key->words, value);
        break;
    case KEY_TEXT:
        writer_json(w, *(char *const *)value);
        break;
    case KEY_TEXTS:
        write_texts(w, value);
        break;
    case KEY_PAIRS:
        write_pairs(w, value);
        break;
    case KEY_SECTION:
        write_section(w, key->section, value, SIZE_MAX);
        break;
    default:
        WEIR_CHECK(key->type < KEY_SECTION); /* nothing else stands in a form's section */
    }
}

static void write_section(struct writer *w, const struct config_section *section,
                          const void *values, size_t skip_offset)
{
    bool first = true;
    writer_text(w, "{");
    for (size_t i = 0; i < section->key_count; i++) {
        const struct config_key *key = &section->keys[i];
        const void *value = (const char *)values + key->offset;
        bool unset = key->type == KEY_TEXT && *(char *const *)value == NULL;
        if (key->offset == skip_offset || unset) {
            continue;
        }
        writer_text(w, first ? "" : ",");
        first = false;
        writer_json(w, key->name);
        writer_text(w, ":");
        write_value(w, key, value);
    }
    writer_text(w, "}");
}

enum weir_err plugin_json_from_section(const struct config_section *section, const void *values,
                                       size_t skip_offset, struct buffer *out)
{
    struct writer w = {.out = out};
    write_section(&w, section, values, skip_offset);
    return w.err;
}
