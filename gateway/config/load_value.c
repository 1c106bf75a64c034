/* Single values: numbers, ranges, switches, words, texts, and lists and mappings of texts. One
 * function for each type; each notes what is wrong and goes on with the default.
 *
 * Called by load.c for the rows of the key table, and by plugin.c for names. It knows nothing of
 * sections. */
#include "config/load_value.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/span.h"
#include "config/format.h"
#include "config/key_words.h"
#include "config/load.h"
#include "config/scalar.h"
#include "config/suggest.h"
#include "config/yaml_tree.h"

enum {
    SHOWN = 60 /* bytes of a wrong value that a message repeats */
};

static const char *number_hint(enum config_key_type type)
{
    if (type == KEY_SIZE) {
        return "; sizes are bytes, or have KiB, MiB or GiB";
    }
    return type == KEY_DURATION ? "; durations have ms, s, m or h" : "";
}

/* A number may be quoted where it has a unit, since it is text to YAML anyway. */
static bool load_number(struct loader *l, const struct config_key *key,
                        const struct yaml_node *node, uint64_t *out)
{
    uint64_t value = 0;
    char least[SCALAR_BYTES];
    char most[SCALAR_BYTES];
    if (node->kind != YAML_SCALAR || node->text[0] == '\0') {
        load_refuse_kind(l, node, key_words_wanted(key->type));
        return false;
    }
    if (key_words_find(key->words, node->text, out)) {
        return true;
    }
    const char *why = node->quoted && key->type == KEY_COUNT
                          ? "is in quotes, so it is a string and not a number"
                          : key_words_read(key->type, node->text, &value);
    if (why != NULL) {
        problems_add(l->problems, node->line, node->column, "`%.*s` %s%s", SHOWN, node->text, why,
                     number_hint(key->type));
        return false;
    }
    bool zero_is_off = value == 0 && key_words_find(key->words, "off", &value);
    if (!zero_is_off && (value < key->min || value > key->max)) {
        key_words_write(key->type, key->min, least);
        key_words_write(key->type, key->max, most);
        problems_add(l->problems, node->line, node->column, "`%.*s` is out of range: %s to %s",
                     SHOWN, node->text, least, most);
        return false;
    }
    *out = value;
    return true;
}

static bool load_switch(struct loader *l, const struct yaml_node *node, bool *out)
{
    if (node->kind == YAML_SCALAR && !node->quoted && scalar_read_switch(node->text, out)) {
        return true;
    }
    load_refuse_kind(l, node, key_words_wanted(KEY_SWITCH));
    return false;
}

static bool load_word(struct loader *l, const struct config_key *key, const struct yaml_node *node,
                      uint64_t *out)
{
    char valid[256];
    key_words_list(key->words, valid, sizeof(valid));
    if (node->kind == YAML_SCALAR && key_words_find(key->words, node->text, out)) {
        return true;
    }
    if (node->kind != YAML_SCALAR || node->text[0] == '\0') {
        load_refuse_kind(l, node, valid);
        return false;
    }
    struct suggestion nearest = {.word = node->text};
    for (const struct config_word *word = key->words; word->name != NULL; word++) {
        suggest_offer(&nearest, word->name);
    }
    if (nearest.nearest != NULL) {
        problems_add(l->problems, node->line, node->column,
                     "`%.*s` is not one of %s; did you mean `%s`?", SHOWN, node->text, valid,
                     nearest.nearest);
    } else {
        problems_add(l->problems, node->line, node->column, "`%.*s` is not one of %s", SHOWN,
                     node->text, valid);
    }
    return false;
}

/* Why an unquoted text is none. What a hidden form holds is a text whatever it looks like, so that
 * a secret of digits alone serves too. */
static bool check_text(struct loader *l, const struct config_format *format,
                       const struct yaml_node *node)
{
    char why[FORMAT_WHY_BYTES];
    bool hidden = format != NULL && format->hidden;
    if (!node->quoted && !hidden && scalar_kind_of(node->text) != SCALAR_TEXT) {
        problems_add(l->problems, node->line, node->column,
                     "expected a string, found `%.*s`; put it in quotes if it is one", SHOWN,
                     node->text);
        return false;
    }
    if (format == NULL || format->check(node->text, why)) {
        return true;
    }
    if (hidden) {
        problems_add(l->problems, node->line, node->column, "%s", why);
    } else {
        problems_add(l->problems, node->line, node->column, "`%.*s` %s", SHOWN, node->text, why);
    }
    return false;
}

char *load_value_text(struct loader *l, const struct config_format *format,
                      const struct yaml_node *node)
{
    if (node->kind != YAML_SCALAR) {
        load_refuse_kind(l, node, key_words_wanted(KEY_TEXT));
        return NULL;
    }
    if (node->text[0] == '\0') {
        problems_add(l->problems, node->line, node->column, "expected a string, found %s",
                     node->quoted ? "an empty one" : "nothing");
        return NULL;
    }
    return check_text(l, format, node) ? arena_text(l->arena, node->text, strlen(node->text))
                                       : NULL;
}

static void refuse_repeated(struct loader *l, const struct config_strings *list,
                            const struct yaml_node *node)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], node->text) == 0) {
            problems_add(l->problems, node->line, node->column, "`%.*s` is listed twice", SHOWN,
                         node->text);
            return;
        }
    }
}

static void append_text(struct loader *l, const struct config_key *key,
                        const struct yaml_node *node, struct config_strings *list)
{
    char *text = load_value_text(l, key->format, node);
    if (text == NULL) {
        return;
    }
    refuse_repeated(l, list, node);
    list->items[list->count++] = text;
}

static void read_texts(struct loader *l, const struct config_key *key, const struct yaml_node *node,
                       struct config_strings *out)
{
    bool is_list = node->kind == YAML_LIST;
    if (!is_list && (node->kind != YAML_SCALAR || (node->text[0] == '\0' && !node->quoted))) {
        load_refuse_kind(l, node, key_words_wanted(KEY_TEXTS));
        return;
    }
    out->items = arena_alloc(l->arena, (is_list ? node->count : 1) * sizeof(out->items[0]));
    if (out->items == NULL) {
        return;
    }
    if (!is_list) {
        append_text(l, key, node, out);
        return;
    }
    size_t index = 0;
    for (const struct yaml_child *child = node->children; child != NULL; child = child->next) {
        size_t mark = problems_enter_item(l->problems, index++);
        append_text(l, key, child->value, out);
        problems_leave(l->problems, mark);
    }
}

/* The default of a text is taken as it is: a folder that nobody asked for need not be there. */
static void default_texts(struct loader *l, const char *fallback, struct config_strings *out)
{
    struct span rest = fallback != NULL ? span_of(fallback) : (struct span){0};
    struct span item;
    size_t most = 0;
    while (span_list_next(&rest, &item)) {
        most++;
    }
    if (most == 0) {
        return;
    }
    out->items = arena_alloc(l->arena, most * sizeof(out->items[0]));
    rest = span_of(fallback);
    while (out->items != NULL && span_list_next(&rest, &item)) {
        char *text = arena_text(l->arena, (const char *)item.data, item.size);
        if (text != NULL) {
            out->items[out->count++] = text;
        }
    }
}

void load_value_texts(struct loader *l, const struct config_key *key, const struct yaml_node *node,
                      struct config_strings *out)
{
    if (node != NULL) {
        read_texts(l, key, node, out);
    } else {
        default_texts(l, key->fallback, out);
    }
}

bool load_value_name(struct loader *l, const struct config_format *format,
                     const struct yaml_node *name)
{
    char why[FORMAT_WHY_BYTES];
    if (format == NULL || format->check(name->text, why)) {
        return true;
    }
    problems_add(l->problems, name->line, name->column, "`%.*s` %s", SHOWN, name->text, why);
    return false;
}

/* Names of header fields are the same in either case; YAML compares them byte by byte. */
static bool is_new_pair(struct loader *l, const struct config_pairs *pairs,
                        const struct yaml_node *name)
{
    for (size_t i = 0; i < pairs->count; i++) {
        if (strcasecmp(pairs->items[i].name, name->text) == 0) {
            problems_add(l->problems, name->line, name->column, "`%.*s` is listed twice", SHOWN,
                         name->text);
            return false;
        }
    }
    return true;
}

void load_value_pairs(struct loader *l, const struct config_key *key, const struct yaml_node *node,
                      struct config_pairs *out)
{
    if (node == NULL) {
        return;
    }
    if (node->kind != YAML_MAP) {
        load_refuse_kind(l, node, key_words_wanted(KEY_PAIRS));
        return;
    }
    out->items = arena_alloc(l->arena, node->count * sizeof(out->items[0]));
    if (out->items == NULL) {
        return;
    }
    for (const struct yaml_child *child = node->children; child != NULL; child = child->next) {
        size_t mark = problems_enter_key(l->problems, child->key->text);
        bool good =
            load_value_name(l, key->name_format, child->key) && is_new_pair(l, out, child->key);
        char *text = load_value_text(l, key->format, child->value);
        char *name = arena_text(l->arena, child->key->text, strlen(child->key->text));
        problems_leave(l->problems, mark);
        if (good && text != NULL && name != NULL) {
            out->items[out->count++] = (struct config_pair){name, text};
        }
    }
}

/* `FROM-TO`, or one number that is both. */
static const char *read_range(const char *text, uint64_t *least, uint64_t *most)
{
    struct span whole = span_of(text);
    size_t dash = span_find(whole, '-');
    struct span right = dash < whole.size ? span_from(whole, dash + 1) : whole;
    if (!span_to_u64((struct span){whole.data, dash}, least) || !span_to_u64(right, most)) {
        return "is not a number or a range like `200-399`";
    }
    return *least > *most ? "ends before it begins" : NULL;
}

static bool load_range(struct loader *l, const struct config_key *key, const struct yaml_node *node,
                       uint64_t *least, uint64_t *most)
{
    if (node->kind != YAML_SCALAR || node->text[0] == '\0') {
        load_refuse_kind(l, node, key_words_wanted(KEY_RANGE));
        return false;
    }
    const char *why = read_range(node->text, least, most);
    if (why != NULL) {
        problems_add(l->problems, node->line, node->column, "`%.*s` %s", SHOWN, node->text, why);
        return false;
    }
    if (*least < key->min || *most > key->max) {
        problems_add(l->problems, node->line, node->column, "`%.*s` is out of range: %llu to %llu",
                     SHOWN, node->text, (unsigned long long)key->min, (unsigned long long)key->max);
        return false;
    }
    return true;
}

void load_value_range(struct loader *l, const struct config_key *key, const struct yaml_node *node,
                      uint64_t *least, uint64_t *most)
{
    bool good = node != NULL && load_range(l, key, node, least, most);
    WEIR_CHECK(good || read_range(key->fallback, least, most) == NULL);
}

/* Numbers and words; `node` NULL, or not a good value, loads the default. */
void load_value_plain(struct loader *l, const struct config_key *key, const struct yaml_node *node,
                      void *out)
{
    uint64_t value = 0;
    bool on = false;
    bool good = false;
    if (key->type == KEY_SWITCH) {
        good = node != NULL && load_switch(l, node, &on);
        WEIR_CHECK(good || scalar_read_switch(key->fallback, &on));
        memcpy(out, &on, sizeof(on));
        return;
    }
    if (key->type == KEY_WORD) {
        /* A required word has no default; its absence is noted, and any of the words will do. */
        const char *fallback = key->required ? key->words[0].name : key->fallback;
        good = node != NULL && load_word(l, key, node, &value);
        WEIR_CHECK(good || key_words_find(key->words, fallback, &value));
        unsigned word = (unsigned)value; /* what gcc and clang make an enum of */
        memcpy(out, &word, sizeof(word));
        return;
    }
    good = node != NULL && load_number(l, key, node, &value);
    if (!good && key->inherits != NULL) {
        memcpy(&value, (const char *)l->config + key->inherits_offset, sizeof(value));
        good = true;
    }
    WEIR_CHECK(good || key_words_find(key->words, key->fallback, &value) ||
               key_words_read(key->type, key->fallback, &value) == NULL);
    memcpy(out, &value, sizeof(value));
}
