/* The JSON Schema (draft 2020-12) of the file, printed from the key table, so that editors complete
 * and check what the loader would. It is a little more lenient than the loader: it cannot look for
 * files or compare keys.
 *
 * Editors read YAML 1.2, where `on` is a string; so a switch is a boolean or one of the strings.
 * Every value may hold a `${VARIABLE}` instead. Nothing is shared by `$ref`: some editors drop
 * what stands beside one. Called by `weir --schema`; conf/weir.schema.json is its output. */
#include <string.h>

#include "base/span.h"
#include "config/config.h"
#include "config/format.h"
#include "config/key_words.h"
#include "config/keys.h"
#include "config/writer.h"

static const char variable[] = "{\"type\": \"string\", \"pattern\": \"\\\\$\\\\{\"}";
static const char switch_values[] = "{\"enum\": [true, false, \"on\", \"off\"]}";

static void write_indent(struct writer *w, unsigned indent)
{
    writer_print(w, "\n%*s", (int)indent, "");
}

/* `"on"`, and `1.2` beside `"1.2"`, since that is what an unquoted one is to an editor. */
static void write_words(struct writer *w, const struct config_word *words)
{
    writer_text(w, "{\"enum\": [");
    for (const struct config_word *word = words; word->name != NULL; word++) {
        writer_text(w, word == words ? "" : ", ");
        writer_json(w, word->name);
        if (scalar_kind_of(word->name) == SCALAR_FLOAT ||
            scalar_kind_of(word->name) == SCALAR_INTEGER) {
            writer_print(w, ", %s", word->name);
        }
        if (scalar_kind_of(word->name) == SCALAR_SWITCH) {
            writer_text(w, strcmp(word->name, "off") == 0 ? ", false" : ", true");
        }
    }
    writer_text(w, "]}");
}

static void write_range(struct writer *w, const struct config_key *key)
{
    writer_print(w, "{\"type\": \"integer\", \"minimum\": %llu, \"maximum\": %llu}",
                 (unsigned long long)key->min, (unsigned long long)key->max);
}

static void write_number(struct writer *w, const struct config_key *key)
{
    writer_text(w, "\"anyOf\": [");
    if (key->type == KEY_DURATION) {
        writer_text(w, "{\"type\": \"string\", \"pattern\": \"^[0-9]+(ms|s|m|h)$\"}");
        writer_text(w, key->min == 0 || key->words != NULL ? ", {\"const\": 0}" : "");
    } else {
        write_range(w, key);
    }
    if (key->type == KEY_SIZE) {
        writer_text(w, ", {\"type\": \"string\", \"pattern\": \"^[0-9]+(B|KiB|MiB|GiB)$\"}");
    }
    if (key->words != NULL) {
        writer_text(w, ", ");
        write_words(w, key->words);
    }
    writer_print(w, ", %s]", variable);
}

/* Members of a schema object for one text, without its braces. */
static void write_text(struct writer *w, const struct config_format *format)
{
    writer_text(w, "\"type\": \"string\", \"minLength\": 1");
    if (format != NULL && format->pattern != NULL) {
        writer_text(w, ", \"anyOf\": [{\"pattern\": ");
        writer_json(w, format->pattern);
        writer_print(w, "}, %s]", variable);
    }
}

static void write_texts(struct writer *w, const struct config_key *key)
{
    writer_text(w, "\"anyOf\": [{");
    write_text(w, key->format);
    writer_text(w, "}, {\"type\": \"array\", \"uniqueItems\": true, \"items\": {");
    write_text(w, key->format);
    writer_text(w, "}}]");
}

/* `200`, `200-399`, and `"200"` as an editor would have it from a variable. */
static void write_span_of_counts(struct writer *w, const struct config_key *key)
{
    writer_text(w, "\"anyOf\": [");
    write_range(w, key);
    writer_print(w, ", {\"type\": \"string\", \"pattern\": \"^[0-9]+(-[0-9]+)?$\"}, %s]", variable);
}

static void write_names(struct writer *w, const struct config_format *format)
{
    writer_text(w, "\"type\": \"object\", \"propertyNames\": {\"pattern\": ");
    writer_json(w, format->pattern);
    writer_text(w, "}, \"additionalProperties\": {");
}

static void write_pairs(struct writer *w, const struct config_key *key)
{
    write_names(w, key->name_format);
    write_text(w, key->format);
    writer_text(w, "}");
}

static void write_object(struct writer *w, const struct config_section *section, unsigned indent);

static void write_section(struct writer *w, const struct config_key *key, unsigned indent)
{
    if (!key->section->switchable) {
        write_object(w, key->section, indent);
        return;
    }
    writer_print(w, "\"anyOf\": [%s, {", switch_values);
    write_indent(w, indent + 2);
    write_object(w, key->section, indent + 2);
    write_indent(w, indent);
    writer_print(w, "}, %s]", variable);
}

static void write_sections(struct writer *w, const struct config_key *key, unsigned indent)
{
    bool has_short = key->section->short_key != NULL;
    writer_print(w, "\"type\": \"array\", \"minItems\": %d, \"items\": {", key->required ? 1 : 0);
    if (has_short) {
        writer_text(w, "\"anyOf\": [{\"type\": \"string\", \"minLength\": 1}, {");
    }
    write_indent(w, indent + 2);
    write_object(w, key->section, indent + 2);
    write_indent(w, indent);
    writer_text(w, has_short ? "}]}" : "}");
}

static void write_by_name(struct writer *w, const struct config_key *key, unsigned indent)
{
    write_names(w, key->name_format);
    write_indent(w, indent + 2);
    write_object(w, key->section, indent + 2);
    write_indent(w, indent);
    writer_text(w, "}");
}

/* The forms that may stand in a chain or as a handler, as alternatives. */
static void write_forms(struct writer *w, bool in_chain, unsigned indent)
{
    bool first = true;
    writer_text(w, "\"anyOf\": [");
    if (in_chain) {
        writer_text(w, "{");
        write_text(w, &format_name);
        writer_text(w, "}");
        first = false;
    }
    for (size_t i = 0; i < keys_form_count; i++) {
        const struct config_plugin_form *form = &keys_forms[i];
        if (!(in_chain ? form->in_chain : form->is_handler)) {
            continue;
        }
        writer_text(w, first ? "{" : ", {");
        first = false;
        write_indent(w, indent + 2);
        write_object(w, form->section, indent + 2);
        write_indent(w, indent);
        writer_text(w, "}");
    }
    writer_text(w, "]");
}

static void write_list(struct writer *w, const char *fallback)
{
    struct span rest = span_of(fallback);
    struct span item;
    const char *before = "";
    writer_text(w, "[");
    while (span_list_next(&rest, &item)) {
        writer_print(w, "%s\"%.*s\"", before, SPAN_ARGS(item)); /* no quotes in our own defaults */
        before = ", ";
    }
    writer_text(w, "]");
}

static void write_default(struct writer *w, const struct config_key *key, unsigned indent)
{
    bool on = false;
    if (key->fallback == NULL) {
        return;
    }
    writer_text(w, ",");
    write_indent(w, indent);
    writer_text(w, "\"default\": ");
    bool number = key->type == KEY_COUNT || key->type == KEY_SIZE;
    bool is_switch = key->type == KEY_SWITCH || key->type == KEY_SECTION;
    if (is_switch && scalar_read_switch(key->fallback, &on)) {
        writer_text(w, on ? "true" : "false");
    } else if (number && scalar_kind_of(key->fallback) == SCALAR_INTEGER) {
        writer_text(w, key->fallback);
    } else if (key->type == KEY_TEXTS) {
        write_list(w, key->fallback);
    } else {
        writer_json(w, key->fallback);
    }
}

/* What a key takes, as members of its schema object. */
static void write_type(struct writer *w, const struct config_key *key, unsigned indent)
{
    switch (key->type) {
    case KEY_SWITCH:
        writer_print(w, "\"anyOf\": [%s, %s]", switch_values, variable);
        break;
    case KEY_COUNT:
    case KEY_SIZE:
    case KEY_DURATION:
        write_number(w, key);
        break;
    case KEY_WORD:
        writer_text(w, "\"anyOf\": [");
        write_words(w, key->words);
        writer_print(w, ", %s]", variable);
        break;
    case KEY_TEXT:
        write_text(w, key->format);
        break;
    case KEY_RANGE:
        write_span_of_counts(w, key);
        break;
    case KEY_TEXTS:
        write_texts(w, key);
        break;
    case KEY_PAIRS:
        write_pairs(w, key);
        break;
    case KEY_SECTIONS_BY_NAME:
        write_by_name(w, key, indent);
        break;
    case KEY_SECTION:
    case KEY_SECTION_OPTIONAL:
        write_section(w, key, indent);
        break;
    case KEY_SECTIONS:
        write_sections(w, key, indent);
        break;
    case KEY_PLUGIN:
        write_forms(w, false, indent);
        break;
    case KEY_PLUGINS:
        writer_text(w, "\"type\": \"array\", \"items\": {");
        write_forms(w, true, indent);
        writer_text(w, "}");
        break;
    case KEY_FREE:
        writer_text(w, "\"type\": \"object\"");
        break;
    }
}

static void write_required(struct writer *w, const struct config_section *section, unsigned indent)
{
    bool first = true;
    for (size_t i = 0; i < section->key_count; i++) {
        if (!section->keys[i].required) {
            continue;
        }
        if (first) {
            write_indent(w, indent);
        }
        writer_text(w, first ? "\"required\": [" : ", ");
        writer_json(w, section->keys[i].name);
        first = false;
    }
    writer_text(w, first ? "" : "],");
}

/* The members of an object schema, without its braces. */
static void write_object(struct writer *w, const struct config_section *section, unsigned indent)
{
    writer_text(w, "\"type\": \"object\", \"additionalProperties\": false,");
    write_required(w, section, indent);
    write_indent(w, indent);
    writer_text(w, "\"properties\": {");
    for (size_t i = 0; i < section->key_count; i++) {
        const struct config_key *key = &section->keys[i];
        writer_text(w, i > 0 ? "," : "");
        write_indent(w, indent + 2);
        writer_json(w, key->name);
        writer_text(w, ": {");
        write_indent(w, indent + 4);
        writer_text(w, "\"description\": ");
        writer_json(w, key->doc);
        write_default(w, key, indent + 4);
        writer_text(w, ",");
        write_indent(w, indent + 4);
        write_type(w, key, indent + 4);
        write_indent(w, indent + 2);
        writer_text(w, "}");
    }
    write_indent(w, indent);
    writer_text(w, "}");
}

enum weir_err config_schema(struct buffer *out)
{
    struct writer w = {.out = out};
    writer_text(&w, "{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
                    "  \"title\": \"Weir\",\n"
                    "  \"description\": \"The configuration of the WebSocket gateway Weir. Made by "
                    "`weir --schema`; do not edit.\",\n  ");
    write_object(&w, &keys_root, 2);
    writer_text(&w, "\n}\n");
    return w.err;
}
