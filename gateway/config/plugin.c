/* A plugin or handler is a mapping with one form's word as a key (`{lua: echo}`); the form's
 * section says which keys stand beside it. A bare name in `plugins` is a built-in plugin, or else
 * a Lua file.
 *
 * Called by load.c for each route. It looks for files and never opens them: whether a Lua file
 * compiles is found out by the Lua host, and whether a shared object is a plugin by the native
 * one. */
#include "config/plugin.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "config/format.h"
#include "config/keys_route.h"
#include "config/load_value.h"
#include "config/plugin_json.h"
#include "config/suggest.h"
#include "config/yaml_tree.h"

enum {
    NAME_BYTES = 256
};

static bool is_readable_file(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, R_OK) == 0;
}

/* `FOLDER/NAME` with the ending, where that file can be read; else NULL. */
static char *file_in_folder(struct loader *l, const char *folder, const char *name,
                            const char *ending)
{
    struct buffer path = {0};
    char *found = NULL;
    if (buffer_printf(&path, "%s/%s%s", folder, name, ending) != WEIR_OK) {
        l->arena->exhausted = true;
    } else if (is_readable_file((const char *)path.data)) {
        found = arena_text(l->arena, (const char *)path.data, path.size);
    }
    buffer_free(&path);
    return found;
}

/* Keeps the nearest name in `kept`, since the folder's entry goes with the next one. */
static void offer_files(struct suggestion *nearest, const char *folder, const char *ending,
                        char kept[NAME_BYTES])
{
    size_t ending_size = strlen(ending);
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        return;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char name[NAME_BYTES];
        size_t size = strlen(entry->d_name);
        if (size <= ending_size || size >= sizeof(name) ||
            strcmp(entry->d_name + size - ending_size, ending) != 0) {
            continue;
        }
        size -= ending_size;
        memcpy(name, entry->d_name, size);
        name[size] = '\0';
        suggest_offer(nearest, name);
        if (nearest->nearest == name) {
            memcpy(kept, name, size + 1);
            nearest->nearest = kept;
        }
    }
    closedir(dir);
}

/* `bare` tells that a built-in plugin's word could have stood here too. */
static void refuse_missing(struct loader *l, const struct yaml_node *node, const char *name,
                           const char *ending, bool bare)
{
    const struct config_strings *folders = &l->config->plugin_path;
    struct suggestion nearest = {.word = name};
    char kept[NAME_BYTES] = "";
    char searched[NAME_BYTES] = "plugin_path, which is empty";
    size_t used = 0;
    if (l->problems->count >= PROBLEMS_MAX) {
        return; /* it would not be listed, and listing folders is slow */
    }
    for (size_t i = 0; bare && i < keys_form_count; i++) {
        if (keys_forms[i].bare) {
            suggest_offer(&nearest, keys_forms[i].word);
        }
    }
    for (size_t i = 0; i < folders->count; i++) {
        offer_files(&nearest, folders->items[i], ending, kept);
        if (used < sizeof(searched)) {
            int length = snprintf(searched + used, sizeof(searched) - used, "%s%s",
                                  i > 0 ? ", " : "", folders->items[i]);
            used += length > 0 ? (size_t)length : 0;
        }
    }
    if (nearest.nearest != NULL) {
        problems_add(l->problems, node->line, node->column,
                     "plugin `%.60s` not found in %s; did you mean `%s`?", name, searched,
                     nearest.nearest);
    } else {
        problems_add(l->problems, node->line, node->column, "plugin `%.60s` not found in %s", name,
                     searched);
    }
}

static char *find_file(struct loader *l, const struct yaml_node *node, const char *name,
                       const char *ending, bool bare)
{
    const struct config_strings *folders = &l->config->plugin_path;
    for (size_t i = 0; i < folders->count; i++) {
        char *file = file_in_folder(l, folders->items[i], name, ending);
        if (file != NULL) {
            return file;
        }
    }
    refuse_missing(l, node, name, ending, bare);
    return NULL;
}

char *plugin_find_lua(struct loader *l, const struct yaml_node *node, const char *name)
{
    return find_file(l, node, name, ".lua", false);
}

char *plugin_find_native(struct loader *l, const struct yaml_node *node, const char *name)
{
    return find_file(l, node, name, ".so", false);
}

/* A folder that the key table's format has checked, or a file that is made when it is opened. */
char *plugin_find_path(struct loader *l, const struct yaml_node *node, const char *name)
{
    (void)node;
    return arena_text(l->arena, name, strlen(name));
}

static void refuse_upstream(struct loader *l, const struct yaml_node *node, const char *name)
{
    struct suggestion nearest = {.word = name};
    bool listed = l->problems->count < PROBLEMS_MAX; /* else comparing names is for nothing */
    for (size_t i = 0; listed && i < l->config->upstream_count; i++) {
        suggest_offer(&nearest, l->config->upstreams[i].name);
    }
    if (nearest.nearest != NULL) {
        problems_add(l->problems, node->line, node->column,
                     "there is no upstream `%.60s`; did you mean `%s`?", name, nearest.nearest);
    } else {
        problems_add(l->problems, node->line, node->column, "there is no upstream `%.60s`", name);
    }
}

char *plugin_find_upstream(struct loader *l, const struct yaml_node *node, const char *name)
{
    for (size_t i = 0; i < l->config->upstream_count; i++) {
        const char *known = l->config->upstreams[i].name;
        if (known != NULL && strcmp(known, name) == 0) {
            return arena_text(l->arena, name, strlen(name));
        }
    }
    refuse_upstream(l, node, name);
    return NULL;
}

char *plugin_find_upstream_or_all(struct loader *l, const struct yaml_node *node, const char *name)
{
    if (strcmp(name, FORMAT_ALL_UPSTREAMS) == 0) {
        return arena_text(l->arena, name, strlen(name));
    }
    return plugin_find_upstream(l, node, name);
}

static bool is_allowed(const struct config_plugin_form *form, bool in_chain)
{
    return in_chain ? form->in_chain : form->is_handler;
}

/* "`lua`, `static` or `proxy`": the forms that may stand here. */
static void list_forms(bool in_chain, char *out, size_t size)
{
    size_t used = 0;
    size_t left = 0;
    for (size_t i = 0; i < keys_form_count; i++) {
        left += is_allowed(&keys_forms[i], in_chain) ? 1 : 0;
    }
    out[0] = '\0';
    for (size_t i = 0; i < keys_form_count && used < size; i++) {
        if (is_allowed(&keys_forms[i], in_chain)) {
            const char *before = used == 0 ? "" : left == 1 ? " or " : ", ";
            int length = snprintf(out + used, size - used, "%s`%s`", before, keys_forms[i].word);
            used += length > 0 ? (size_t)length : 0;
            left--;
        }
    }
}

static void refuse_formless(struct loader *l, const struct yaml_node *node, bool in_chain)
{
    char valid[NAME_BYTES];
    list_forms(in_chain, valid, sizeof(valid));
    if (node->children == NULL) {
        problems_add(l->problems, node->line, node->column, "names no plugin; expected %s", valid);
        return;
    }
    const struct yaml_node *key = node->children->key;
    struct suggestion nearest = {.word = key->text};
    for (size_t i = 0; i < keys_form_count; i++) {
        if (is_allowed(&keys_forms[i], in_chain)) {
            suggest_offer(&nearest, keys_forms[i].word);
        }
    }
    if (nearest.nearest != NULL) {
        problems_add(l->problems, key->line, key->column,
                     "unknown kind of plugin `%.60s`, did you mean `%s`?", key->text,
                     nearest.nearest);
    } else {
        problems_add(l->problems, key->line, key->column,
                     "unknown kind of plugin `%.60s`, expected %s", key->text, valid);
    }
}

/* The one form whose word is a key of the mapping; NULL after noting a problem. */
static const struct config_plugin_form *choose_form(struct loader *l, const struct yaml_node *node,
                                                    bool in_chain)
{
    const struct config_plugin_form *chosen = NULL;
    for (size_t i = 0; i < keys_form_count; i++) {
        const struct config_plugin_form *form = &keys_forms[i];
        const struct yaml_node *key = yaml_tree_get_key(node, form->word);
        if (key != NULL && chosen != NULL) {
            problems_add(l->problems, key->line, key->column, "names both `%s` and `%s`",
                         chosen->word, form->word);
            return NULL;
        }
        chosen = key != NULL ? form : chosen;
    }
    if (chosen == NULL) {
        refuse_formless(l, node, in_chain);
        return NULL;
    }
    if (!is_allowed(chosen, in_chain)) {
        const struct yaml_node *key = yaml_tree_get_key(node, chosen->word);
        problems_add(l->problems, key->line, key->column, "`%s` can only be %s", chosen->word,
                     in_chain ? "a handler" : "in `plugins`");
        return NULL;
    }
    return chosen;
}

/* The settings of a form are its free mapping where it has one, else its other keys. */
static char *make_settings(struct loader *l, const struct config_plugin_form *form, void *values)
{
    for (size_t i = 0; i < form->section->key_count; i++) {
        if (form->section->keys[i].type == KEY_FREE) {
            return *(char **)((char *)values + form->section->keys[i].offset);
        }
    }
    struct buffer json = {0};
    char *text = NULL;
    if (plugin_json_from_section(form->section, values, form->name_offset, &json) == WEIR_OK) {
        text = arena_text(l->arena, (const char *)json.data, json.size);
    } else {
        l->arena->exhausted = true;
    }
    buffer_free(&json);
    return text;
}

/* `map` NULL: all defaults. `place` is where the name stands, for the finder's problem. */
static void load_form(struct loader *l, const struct config_plugin_form *form,
                      const struct yaml_node *map, const struct yaml_node *place,
                      struct config_plugin *out)
{
    void *values = arena_alloc(l->arena, form->section->size);
    if (values == NULL) {
        return;
    }
    load_section(l, form->section, map, values);
    out->kind = form->kind;
    out->name = *(char **)((char *)values + form->name_offset);
    out->settings_json = make_settings(l, form, values);
    if (form->kind == CONFIG_PLUGIN_LUA) {
        const struct keys_lua_plugin *lua = values;
        out->lua = lua->limits;
        out->trusted = lua->trusted;
    }
    if (out->name != NULL) {
        size_t mark = problems_enter_key(l->problems, form->word);
        out->file = form->find(l, place, out->name);
        problems_leave(l->problems, mark);
    }
}

/* The built-in plugin of that name, or NULL. */
static const struct config_plugin_form *find_bare(const char *name)
{
    for (size_t i = 0; i < keys_form_count; i++) {
        if (keys_forms[i].bare && strcmp(keys_forms[i].word, name) == 0) {
            return &keys_forms[i];
        }
    }
    return NULL;
}

static void load_bare(struct loader *l, const struct yaml_node *node, struct config_plugin *out)
{
    char *name = load_value_text(l, &format_name, node);
    if (name == NULL) {
        return;
    }
    const struct config_plugin_form *built_in = find_bare(name);
    if (built_in != NULL) {
        load_form(l, built_in, NULL, node, out);
    } else {
        out->kind = CONFIG_PLUGIN_LUA;
        out->file = find_file(l, node, name, ".lua", true);
        out->settings_json = arena_text(l->arena, "{}", 2);
        out->lua = l->config->lua;
    }
    out->name = name;
}

void plugin_load(struct loader *l, const struct yaml_node *node, bool in_chain,
                 struct config_plugin *out)
{
    out->line = node->line;
    if (in_chain && node->kind == YAML_SCALAR) {
        load_bare(l, node, out);
        return;
    }
    if (node->kind != YAML_MAP) {
        load_refuse_kind(l, node,
                         in_chain ? "a plugin's name or a mapping like `{lua: NAME}`"
                                  : "a mapping like `{lua: NAME}` or `{static: FOLDER}`");
        return;
    }
    const struct config_plugin_form *form = choose_form(l, node, in_chain);
    if (form != NULL) {
        load_form(l, form, node, yaml_tree_get(node, form->word), out);
    }
}
