/* Walks the key table, not the file: for each row it takes the file's value or the default, and
 * what is left over in the file is an unknown key. One function for each type of value.
 *
 * Called by config.c with the root's section, and by plugin.c with the sections of forms. It stops
 * at nothing: every problem is noted and loading goes on with the default. */
#include "config/load.h"

#include <string.h>

#include "base/buffer.h"
#include "base/check.h"
#include "config/format.h"
#include "config/key_words.h"
#include "config/plugin.h"
#include "config/plugin_json.h"
#include "config/scalar.h"
#include "config/suggest.h"
#include "config/yaml_tree.h"

enum {
    SHOWN = 60 /* bytes of a wrong value that a message repeats */
};

static void *at_offset(void *base, size_t offset)
{
    return (char *)base + offset;
}

void load_refuse_kind(struct loader *l, const struct yaml_node *node, const char *wanted)
{
    if (node->kind == YAML_BROKEN) {
        l->broken++;
        return;
    }
    if (node->kind == YAML_SCALAR && node->text[0] != '\0') {
        problems_add(l->problems, node->line, node->column, "expected %s, found `%.*s`", wanted,
                     SHOWN, node->text);
        return;
    }
    problems_add(l->problems, node->line, node->column, "expected %s, found %s", wanted,
                 yaml_tree_words(node));
}

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

char *load_text(struct loader *l, const struct config_format *format, const struct yaml_node *node)
{
    char why[FORMAT_WHY_BYTES];
    if (node->kind != YAML_SCALAR) {
        load_refuse_kind(l, node, key_words_wanted(KEY_TEXT));
        return NULL;
    }
    if (node->text[0] == '\0') {
        problems_add(l->problems, node->line, node->column, "expected a string, found %s",
                     node->quoted ? "an empty one" : "nothing");
        return NULL;
    }
    if (!node->quoted && scalar_kind_of(node->text) != SCALAR_TEXT) {
        problems_add(l->problems, node->line, node->column,
                     "expected a string, found `%.*s`; put it in quotes if it is one", SHOWN,
                     node->text);
        return NULL;
    }
    if (format != NULL && !format->check(node->text, why)) {
        problems_add(l->problems, node->line, node->column, "`%.*s` %s", SHOWN, node->text, why);
        return NULL;
    }
    return arena_text(l->arena, node->text, strlen(node->text));
}

/* The default of a text is taken as it is: a folder that nobody asked for need not be there. */
static char *default_text(struct loader *l, const char *fallback)
{
    return fallback != NULL ? arena_text(l->arena, fallback, strlen(fallback)) : NULL;
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
    char *text = load_text(l, key->format, node);
    if (text == NULL) {
        return;
    }
    refuse_repeated(l, list, node);
    list->items[list->count++] = text;
}

static void load_texts(struct loader *l, const struct config_key *key, const struct yaml_node *node,
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

static void default_texts(struct loader *l, const char *fallback, struct config_strings *out)
{
    if (fallback == NULL) {
        return;
    }
    out->items = arena_alloc(l->arena, sizeof(out->items[0]));
    char *text = default_text(l, fallback);
    if (out->items != NULL && text != NULL) {
        out->items[out->count++] = text;
    }
}

/* `*on` tells whether the section is to be loaded, and `*map` from what. */
static void read_section_node(struct loader *l, const struct config_section *section,
                              const struct yaml_node *node, bool *on, const struct yaml_node **map)
{
    *on = node->kind == YAML_MAP;
    *map = *on ? node : NULL;
    if (*on) {
        return;
    }
    if (!section->switchable) {
        load_refuse_kind(l, node, key_words_wanted(KEY_SECTION));
    } else if (node->kind != YAML_SCALAR || node->quoted || !scalar_read_switch(node->text, on)) {
        load_refuse_kind(l, node, "`on`, `off` or a mapping");
    }
}

static void set_line(const struct config_section *section, const struct yaml_node *node, void *out)
{
    if (section->line_offset > 0) {
        memcpy(at_offset(out, section->line_offset), &node->line, sizeof(node->line));
    }
}

static void load_inside(struct loader *l, const struct config_key *key,
                        const struct yaml_node *node, void *out)
{
    const struct config_section *section = key->section;
    const struct yaml_node *map = NULL;
    bool on = false;
    if (node != NULL) {
        read_section_node(l, section, node, &on, &map);
    } else if (section->switchable) {
        WEIR_CHECK(scalar_read_switch(key->fallback, &on));
    }
    load_section(l, section, map, out);
    if (section->switchable) {
        memcpy(at_offset(out, section->enabled_offset), &on, sizeof(on));
    }
}

static void load_optional(struct loader *l, const struct config_section *section,
                          const struct yaml_node *node, void **out)
{
    const struct yaml_node *map = NULL;
    bool on = false;
    if (node != NULL) {
        read_section_node(l, section, node, &on, &map);
    }
    void *struct_of_section = on ? arena_alloc(l->arena, section->size) : NULL;
    if (struct_of_section != NULL) {
        set_line(section, node, struct_of_section);
        load_section(l, section, map, struct_of_section);
        *out = struct_of_section;
    }
}

static void load_item(struct loader *l, const struct config_key *key, const struct yaml_node *node,
                      void *out)
{
    if (key->type == KEY_PLUGINS) {
        plugin_load(l, node, true, out);
    } else if (node->kind != YAML_MAP) {
        load_refuse_kind(l, node, key_words_wanted(KEY_SECTION));
    } else {
        set_line(key->section, node, out);
        load_section(l, key->section, node, out);
    }
}

/* Lists of sections and of plugins: an array of structs, in the file's order. */
static void load_items(struct loader *l, const struct config_key *key, const struct yaml_node *node,
                       void **out, size_t *out_count)
{
    bool plugins = key->type == KEY_PLUGINS;
    size_t size = plugins ? sizeof(struct config_plugin) : key->section->size;
    if (node->kind != YAML_LIST) {
        load_refuse_kind(l, node, key_words_wanted(key->type));
        return;
    }
    if (node->count == 0) {
        if (key->required) {
            problems_add(l->problems, node->line, node->column, "is empty; at least one is needed");
        }
        return;
    }
    char *items = arena_alloc(l->arena, node->count * size);
    if (items == NULL) {
        return;
    }
    size_t index = 0;
    for (const struct yaml_child *child = node->children; child != NULL; child = child->next) {
        size_t mark = problems_enter_item(l->problems, index);
        load_item(l, key, child->value, items + index * size);
        problems_leave(l->problems, mark);
        index++;
    }
    *out = items;
    *out_count = node->count;
}

static void load_free(struct loader *l, const struct yaml_node *node, char **out)
{
    struct buffer json = {0};
    if (node != NULL && node->kind != YAML_MAP) {
        load_refuse_kind(l, node, key_words_wanted(KEY_FREE));
        node = NULL;
    }
    enum weir_err err = node != NULL ? plugin_json_from_node(node, l->problems, &json)
                                     : buffer_append(&json, SPAN("{}"));
    if (err == WEIR_OK) {
        *out = arena_text(l->arena, (const char *)json.data, json.size);
    } else {
        l->arena->exhausted = true;
    }
    buffer_free(&json);
}

/* Numbers and words; `node` NULL, or not a good value, loads the default. */
static void load_plain(struct loader *l, const struct config_key *key, const struct yaml_node *node,
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
        good = node != NULL && load_word(l, key, node, &value);
        WEIR_CHECK(good || key_words_find(key->words, key->fallback, &value));
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

static void load_value(struct loader *l, const struct config_key *key, const struct yaml_node *node,
                       void *section_struct)
{
    void *out = at_offset(section_struct, key->offset);
    switch (key->type) {
    case KEY_SWITCH:
    case KEY_COUNT:
    case KEY_SIZE:
    case KEY_DURATION:
    case KEY_WORD:
        load_plain(l, key, node, out);
        break;
    case KEY_TEXT:
        *(char **)out =
            node != NULL ? load_text(l, key->format, node) : default_text(l, key->fallback);
        break;
    case KEY_TEXTS:
        if (node != NULL) {
            load_texts(l, key, node, out);
        } else {
            default_texts(l, key->fallback, out);
        }
        break;
    case KEY_SECTION:
        load_inside(l, key, node, out);
        break;
    case KEY_SECTION_OPTIONAL:
        load_optional(l, key->section, node, out);
        break;
    case KEY_SECTIONS:
    case KEY_PLUGINS:
        if (node != NULL) {
            load_items(l, key, node, out, at_offset(section_struct, key->count_offset));
        }
        break;
    case KEY_PLUGIN:
        if (node != NULL) {
            plugin_load(l, node, false, out);
        }
        break;
    case KEY_FREE:
        load_free(l, node, out);
        break;
    }
}

static bool is_key(const struct config_section *section, const char *name)
{
    for (size_t i = 0; i < section->key_count; i++) {
        if (strcmp(section->keys[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void refuse_unknown(struct loader *l, const struct config_section *section,
                           const struct yaml_node *key)
{
    struct suggestion nearest = {.word = key->text};
    for (size_t i = 0; i < section->key_count; i++) {
        suggest_offer(&nearest, section->keys[i].name);
    }
    size_t mark = problems_enter_key(l->problems, key->text);
    if (nearest.nearest != NULL) {
        problems_add(l->problems, key->line, key->column, "unknown key, did you mean `%s`?",
                     nearest.nearest);
    } else {
        problems_add(l->problems, key->line, key->column, "unknown key");
    }
    problems_leave(l->problems, mark);
}

void load_section(struct loader *l, const struct config_section *section,
                  const struct yaml_node *map, void *out)
{
    size_t before = l->problems->count + l->broken;
    for (size_t i = 0; i < section->key_count; i++) {
        const struct config_key *key = &section->keys[i];
        const struct yaml_node *node = yaml_tree_get(map, key->name);
        size_t mark = problems_enter_key(l->problems, key->name);
        load_value(l, key, node, out);
        problems_leave(l->problems, mark);
        if (node == NULL && map != NULL && key->required) {
            problems_add(l->problems, map->line, map->column, "missing key `%s`", key->name);
        }
    }
    const struct yaml_child *child = map != NULL ? map->children : NULL;
    for (; child != NULL; child = child->next) {
        if (!is_key(section, child->key->text)) {
            refuse_unknown(l, section, child->key);
        }
    }
    if (section->check != NULL && !l->arena->exhausted) {
        section->check(l, map, out, l->problems->count + l->broken == before);
    }
}
