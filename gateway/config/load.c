/* Walks the key table, not the file: for each row it takes the file's value or the default, and
 * what is left over in the file is an unknown key. One function for each way to nest; load_value.c
 * has single values.
 *
 * Called by config.c with the root's section, and by plugin.c with the sections of forms. It stops
 * at nothing: every problem is noted and loading goes on with the default. */
#include "config/load.h"

#include <string.h>

#include "base/buffer.h"
#include "base/check.h"
#include "config/key_words.h"
#include "config/load_value.h"
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

/* A string in a list of mappings is short for a mapping with one key. */
static const struct yaml_node *unfold_short(struct loader *l, const struct config_section *section,
                                            const struct yaml_node *node)
{
    if (section->short_key == NULL || node->kind != YAML_SCALAR || node->text[0] == '\0') {
        return node;
    }
    struct yaml_node *map = arena_alloc(l->arena, sizeof(*map));
    struct yaml_node *name = arena_alloc(l->arena, sizeof(*name));
    struct yaml_child *child = arena_alloc(l->arena, sizeof(*child));
    struct yaml_node *value = arena_alloc(l->arena, sizeof(*value));
    if (map == NULL || name == NULL || child == NULL || value == NULL) {
        return node;
    }
    *value = *node;
    *name = (struct yaml_node){.kind = YAML_SCALAR, .line = node->line, .column = node->column};
    name->text = arena_text(l->arena, section->short_key, strlen(section->short_key));
    *child = (struct yaml_child){NULL, name, value};
    *map = (struct yaml_node){.kind = YAML_MAP, .line = node->line, .column = node->column};
    map->children = child;
    map->count = 1;
    return name->text != NULL ? map : node;
}

static void load_item(struct loader *l, const struct config_key *key, const struct yaml_node *node,
                      void *out)
{
    if (key->type == KEY_PLUGINS) {
        plugin_load(l, node, true, out);
        return;
    }
    node = unfold_short(l, key->section, node);
    if (node->kind != YAML_MAP) {
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

/* One section under a name of the user's choice. Its line is the name's. */
static void load_named(struct loader *l, const struct config_key *key,
                       const struct yaml_child *child, void *out)
{
    const struct config_section *section = key->section;
    char *name = arena_text(l->arena, child->key->text, strlen(child->key->text));
    memcpy(at_offset(out, section->name_offset), &name, sizeof(name));
    set_line(section, child->key, out);
    load_value_name(l, key->name_format, child->key);
    if (child->value->kind == YAML_MAP) {
        load_section(l, section, child->value, out);
    } else {
        load_refuse_kind(l, child->value, key_words_wanted(KEY_SECTION));
    }
}

/* A mapping of names to sections: an array of structs, in the file's order. */
static void load_by_name(struct loader *l, const struct config_key *key,
                         const struct yaml_node *node, void **out, size_t *out_count)
{
    size_t size = key->section->size;
    if (node->kind != YAML_MAP) {
        load_refuse_kind(l, node, key_words_wanted(key->type));
        return;
    }
    char *items = node->count > 0 ? arena_alloc(l->arena, node->count * size) : NULL;
    if (items == NULL) {
        return;
    }
    size_t index = 0;
    for (const struct yaml_child *child = node->children; child != NULL; child = child->next) {
        size_t mark = problems_enter_key(l->problems, child->key->text);
        load_named(l, key, child, items + index * size);
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

/* The default of a text is taken as it is: what nobody asked for need not be there. */
static char *load_one_text(struct loader *l, const struct config_key *key,
                           const struct yaml_node *node)
{
    if (node != NULL) {
        return load_value_text(l, key->format, node);
    }
    return key->fallback != NULL ? arena_text(l->arena, key->fallback, strlen(key->fallback))
                                 : NULL;
}

/* The types of which an absent key leaves nothing. */
static void load_written(struct loader *l, const struct config_key *key,
                         const struct yaml_node *node, void *out, void *out_count)
{
    if (node == NULL) {
        return;
    }
    if (key->type == KEY_PLUGIN) {
        plugin_load(l, node, false, out);
    } else if (key->type == KEY_SECTIONS_BY_NAME) {
        load_by_name(l, key, node, out, out_count);
    } else {
        load_items(l, key, node, out, out_count);
    }
}

static void load_key(struct loader *l, const struct config_key *key, const struct yaml_node *node,
                     void *section_struct)
{
    void *out = at_offset(section_struct, key->offset);
    switch (key->type) {
    case KEY_SWITCH:
    case KEY_COUNT:
    case KEY_SIZE:
    case KEY_DURATION:
    case KEY_WORD:
        load_value_plain(l, key, node, out);
        break;
    case KEY_RANGE:
        load_value_range(l, key, node, out, at_offset(section_struct, key->count_offset));
        break;
    case KEY_TEXT:
        *(char **)out = load_one_text(l, key, node);
        break;
    case KEY_TEXTS:
        load_value_texts(l, key, node, out);
        break;
    case KEY_PAIRS:
        load_value_pairs(l, key, node, out);
        break;
    case KEY_SECTION:
        load_inside(l, key, node, out);
        break;
    case KEY_SECTION_OPTIONAL:
        load_optional(l, key->section, node, out);
        break;
    case KEY_SECTIONS:
    case KEY_SECTIONS_BY_NAME:
    case KEY_PLUGIN:
    case KEY_PLUGINS:
        load_written(l, key, node, out, at_offset(section_struct, key->count_offset));
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
        load_key(l, key, node, out);
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
