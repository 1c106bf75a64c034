/* The reference page, printed from the key table: what a key is called, what it takes, what it is
 * without, and what for. The only prose of its own is the introduction.
 *
 * Called by `weir --reference`; docs/configuration.md is its output, and a test compares them. */
#include <stdio.h>
#include <string.h>

#include "base/span.h"
#include "config/config.h"
#include "config/format.h"
#include "config/key_words.h"
#include "config/keys.h"
#include "config/writer.h"

enum {
    PATH_BYTES = 256,
    CELL_BYTES = 512
};

static const char introduction[] =
    "# Configuration\n"
    "\n"
    "<!-- Made by `weir --reference`; do not edit. -->\n"
    "\n"
    "Weir reads one YAML file, by default `conf/weir.yaml`; `weir -c FILE` names another, and\n"
    "`weir -t` checks it and exits. Relative paths in the file are relative to the folder that "
    "Weir\n"
    "is started in.\n"
    "\n"
    "The file is read strictly. An unknown key, a value of the wrong type, a name that leads "
    "nowhere\n"
    "or a missing file is an error, and all errors are listed at once:\n"
    "\n"
    "```text\n"
    "conf/weir.yaml:9:7: routes[0].websocket.keep_alive_intervall: unknown key, did you mean "
    "`keep_alive_interval`?\n"
    "conf/weir.yaml:12:20: routes[0].handler.lua: plugin `ecoh` not found in plugins; did you mean "
    "`echo`?\n"
    "```\n"
    "\n"
    "An editor that knows JSON Schema can say the same while you type: the first line of the "
    "files\n"
    "in `conf/` names [weir.schema.json](../conf/weir.schema.json).\n"
    "\n"
    "## Values\n"
    "\n"
    "| type | written as |\n"
    "| --- | --- |\n"
    "| switch | `on` or `true`, `off` or `false` |\n"
    "| count | a whole number |\n"
    "| size | a whole number of bytes, or one with `B`, `KiB`, `MiB` or `GiB`: `64KiB` |\n"
    "| duration | a whole number with `ms`, `s`, `m` or `h`: `250ms`, `30s`, `1h` |\n"
    "| range | two counts with `-` between them, both included, or one count: `200-399`, `200` "
    "|\n"
    "| list | `[a, b]`, or an item on each line after `- `; one text alone needs no "
    "brackets, one mapping or plugin does |\n"
    "\n"
    "**Environment variables.** In any value, `${NAME}` is replaced by the variable's text, and\n"
    "`${NAME:-default}` by the default where the variable is not set or empty. Without a default, "
    "a\n"
    "variable that is not set is an error. `$${` stands for a literal `${`. YAML wants quotes "
    "around\n"
    "such a value inside `[ ]` and `{ }`.\n"
    "\n"
    "**Anchors.** A value marked `&name` can be used again as `*name`. Merge keys (`<<`) and tags\n"
    "(`!!str`) are not supported. A key that is written twice is an error.\n"
    "\n"
    "**A plugin's own settings** (`config`) are passed on as they are, with the types of YAML "
    "1.2:\n"
    "`5` is a number, `\"5\"` a string, and `on` and `off` are booleans, as everywhere in this "
    "file.\n"
    "\n";

static bool has_section(const struct config_key *key)
{
    return key->type == KEY_SECTION || key->type == KEY_SECTION_OPTIONAL ||
           key->type == KEY_SECTIONS || key->type == KEY_SECTIONS_BY_NAME;
}

/* GitHub's anchor of a heading made of letters and spaces. */
static void write_link(struct writer *w, const char *title)
{
    writer_print(w, "[%s](#", title);
    for (const char *at = title; *at != '\0'; at++) {
        char lower = *at >= 'A' && *at <= 'Z' ? (char)(*at | 0x20) : *at;
        writer_print(w, "%c", lower == ' ' ? '-' : lower);
    }
    writer_text(w, ")");
}

static void write_number_type(struct writer *w, const struct config_key *key, const char *name)
{
    char least[SCALAR_BYTES];
    char most[SCALAR_BYTES];
    char words[CELL_BYTES];
    key_words_write(key->type, key->min, least);
    key_words_write(key->type, key->max, most);
    writer_print(w, "%s, %s to %s", name, least, most);
    if (key->words != NULL) {
        key_words_list(key->words, words, sizeof(words));
        writer_print(w, ", or %s", words);
    }
}

static void write_type(struct writer *w, const struct config_key *key)
{
    const char *form = key->format != NULL ? key->format->name : "text";
    char words[CELL_BYTES];
    switch (key->type) {
    case KEY_SWITCH:
        writer_text(w, "switch");
        break;
    case KEY_COUNT:
        write_number_type(w, key, "count");
        break;
    case KEY_SIZE:
        write_number_type(w, key, "size");
        break;
    case KEY_DURATION:
        write_number_type(w, key, "duration");
        break;
    case KEY_WORD:
        key_words_list(key->words, words, sizeof(words));
        writer_text(w, words);
        break;
    case KEY_TEXT:
        writer_text(w, form);
        break;
    case KEY_RANGE:
        writer_print(w, "count or range, %llu to %llu", (unsigned long long)key->min,
                     (unsigned long long)key->max);
        break;
    case KEY_TEXTS:
        writer_print(w, "list: %s", form);
        break;
    case KEY_PAIRS:
        writer_print(w, "mapping: %s to %s", key->name_format->name, form);
        break;
    case KEY_SECTIONS_BY_NAME:
        writer_text(w, "mapping of names: ");
        write_link(w, key->section->title);
        break;
    case KEY_SECTION:
    case KEY_SECTION_OPTIONAL:
        write_link(w, key->section->title);
        writer_text(w, key->section->switchable ? ", or a switch" : "");
        break;
    case KEY_SECTIONS:
        writer_text(w, "list: ");
        write_link(w, key->section->title);
        break;
    case KEY_PLUGIN:
        write_link(w, "Handlers and plugins");
        break;
    case KEY_PLUGINS:
        writer_text(w, "list: ");
        write_link(w, "Handlers and plugins");
        break;
    case KEY_FREE:
        writer_text(w, "mapping");
        break;
    }
}

/* `[a, "::1"]`: in quotes where YAML would read something else. */
static void write_list(struct writer *w, const char *fallback)
{
    struct span rest = span_of(fallback);
    struct span item;
    const char *before = "";
    writer_text(w, "`[");
    while (span_list_next(&rest, &item)) {
        bool quoted = item.data[0] == ':';
        writer_print(w, quoted ? "%s\"%.*s\"" : "%s%.*s", before, SPAN_ARGS(item));
        before = ", ";
    }
    writer_text(w, "]`");
}

static void write_default(struct writer *w, const struct config_key *key)
{
    bool is_list = key->type == KEY_TEXTS || key->type == KEY_PLUGINS || key->type == KEY_SECTIONS;
    bool is_map =
        key->type == KEY_FREE || key->type == KEY_PAIRS || key->type == KEY_SECTIONS_BY_NAME;
    if (key->required) {
        writer_text(w, "**required**");
    } else if (key->fallback != NULL && key->type == KEY_TEXTS) {
        write_list(w, key->fallback);
    } else if (key->fallback != NULL) {
        writer_print(w, "`%s`", key->fallback);
    } else if (key->inherits != NULL) {
        writer_print(w, "as `%s`", key->inherits);
    } else if (is_list) {
        writer_text(w, "`[]`");
    } else if (key->type == KEY_SECTION) {
        writer_text(w, "all defaults");
    } else if (is_map) {
        writer_text(w, "`{}`");
    } else {
        writer_text(w, "none");
    }
}

static void write_table(struct writer *w, const struct config_section *section)
{
    writer_text(w, "| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < section->key_count; i++) {
        const struct config_key *key = &section->keys[i];
        writer_print(w, "| `%s` | ", key->name);
        write_type(w, key);
        writer_text(w, " | ");
        write_default(w, key);
        writer_print(w, " | %s |\n", key->doc);
    }
    writer_text(w, "\n");
}

/* A section and what lies below it; `path` is where it stands, "" for the root. */
static void write_section(struct writer *w, const struct config_section *section, const char *path)
{
    writer_print(w, "## %s\n\n", section->title);
    if (path[0] != '\0') {
        writer_print(w, "`%s`\n\n", path);
    }
    writer_print(w, "%s\n\n", section->doc);
    write_table(w, section);
    for (size_t i = 0; i < section->key_count; i++) {
        const struct config_key *key = &section->keys[i];
        char below[PATH_BYTES];
        snprintf(below, sizeof(below), "%s%s%s%s", path, path[0] != '\0' ? "." : "", key->name,
                 key->type == KEY_SECTIONS           ? "[]"
                 : key->type == KEY_SECTIONS_BY_NAME ? ".NAME"
                                                     : "");
        if (has_section(key)) {
            write_section(w, key->section, below);
        }
    }
}

/* What lies below a form's own keys; keys that share a section are described once. */
static void write_form_sections(struct writer *w, const struct config_section *section)
{
    const struct config_section *before = NULL;
    for (size_t i = 0; i < section->key_count; i++) {
        const struct config_section *below = section->keys[i].section;
        if (below != NULL && below != before) {
            writer_print(w, "#### %s\n\n%s\n\n", below->title, below->doc);
            write_table(w, below);
            before = below;
        }
    }
}

static void write_forms(struct writer *w)
{
    writer_text(w, "## Handlers and plugins\n\n"
                   "`routes[].handler`, `routes[].plugins[]`\n\n"
                   "A mapping of one kind of plugin to a name, with its other keys beside it. The\n"
                   "handler ends the chain; plugins stand before it.\n\n");
    for (size_t i = 0; i < keys_form_count; i++) {
        const struct config_plugin_form *form = &keys_forms[i];
        const char *where = form->in_chain ? "a handler or a plugin" : "a handler";
        writer_print(w, "### %s\n\n`%s: …`, as %s\n\n%s\n\n", form->section->title, form->word,
                     form->is_handler ? where : "a plugin", form->section->doc);
        write_table(w, form->section);
        write_form_sections(w, form->section);
    }
}

static void write_example(struct writer *w, const struct config_section *section, unsigned indent,
                          bool in_list);

static void write_example_key(struct writer *w, const struct config_key *key, unsigned indent)
{
    if (has_section(key)) {
        bool list = key->type == KEY_SECTIONS;
        bool named = key->type == KEY_SECTIONS_BY_NAME;
        writer_print(w, "%s:\n", key->name);
        if (named) {
            writer_print(w, "%*s%s:\n", (int)indent + 2, "", key->example);
        }
        write_example(w, key->section, indent + (list || named ? 4 : 2), list);
        return;
    }
    const char *value = key->example != NULL ? key->example : key->fallback;
    bool quoted = key->type == KEY_WORD && scalar_kind_of(value) != SCALAR_TEXT;
    writer_print(w, quoted ? "%s: \"%s\"\n" : "%s: %s\n", key->name, value);
}

/* Every key once that is not apart, with its example or else its default. */
static void write_example(struct writer *w, const struct config_section *section, unsigned indent,
                          bool in_list)
{
    for (size_t i = 0; i < section->key_count; i++) {
        bool dash = in_list && i == 0;
        if (section->keys[i].apart) {
            continue;
        }
        writer_print(w, "%*s%s", (int)(dash ? indent - 2 : indent), "", dash ? "- " : "");
        write_example_key(w, &section->keys[i], indent);
    }
}

enum weir_err config_reference(struct buffer *out)
{
    struct writer w = {.out = out};
    writer_text(&w, introduction);
    write_section(&w, &keys_root, "");
    write_forms(&w);
    writer_text(&w,
                "## All keys in one example\n\n"
                "Every key that can stand beside the others, with its default or with an "
                "example of a\nvalue. A real file needs only `listen` and `routes`.\n\n```yaml\n");
    write_example(&w, &keys_root, 0, false);
    writer_text(&w, "```\n");
    return w.err;
}
