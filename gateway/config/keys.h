/* The declarative table of all keys. The loader, the defaults, the suggestions, the reference page
 * and the JSON Schema all come from it; adding a key is adding a row and a struct member. */
#ifndef WEIR_CONFIG_KEYS_H
#define WEIR_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

struct config_format;
struct config_section;
struct loader;
struct yaml_node;

/* What a key holds, and the type of the struct member at its offset. */
enum config_key_type {
    KEY_SWITCH,           /* bool */
    KEY_COUNT,            /* uint64_t */
    KEY_SIZE,             /* uint64_t, bytes */
    KEY_DURATION,         /* uint64_t, milliseconds */
    KEY_WORD,             /* an enum, by `words` */
    KEY_TEXT,             /* char * */
    KEY_RANGE,            /* uint64_t, and another at count_offset: `FROM-TO`, or one number */
    KEY_TEXTS,            /* struct config_strings; one string alone is a list of one */
    KEY_PAIRS,            /* struct config_pairs: a mapping of names to texts */
    KEY_SECTION,          /* the section's struct, inside its parent */
    KEY_SECTION_OPTIONAL, /* a pointer to it; NULL where the key is absent */
    KEY_SECTIONS,         /* a pointer to an array of it, and a size_t */
    KEY_SECTIONS_BY_NAME, /* the same; a mapping, whose keys are the names of the sections */
    KEY_PLUGIN,           /* struct config_plugin: a mapping of one of the forms */
    KEY_PLUGINS,          /* a pointer to an array of them, and a size_t */
    KEY_FREE              /* char *: any mapping, as JSON text */
};

/* A word and what it stands for; a list of them ends with a NULL name. */
struct config_word {
    const char *name;
    uint64_t value;
};

/* Names and texts, in the file's order. */
struct config_pairs {
    struct config_pair {
        char *name;
        char *value;
    } * items;
    size_t count;
};

struct config_key {
    const char *name;
    enum config_key_type type;
    bool required;
    size_t offset;        /* of the member in the section's struct */
    size_t count_offset;  /* KEY_SECTIONS.., KEY_PLUGINS: of the count; KEY_RANGE: of the end */
    const char *fallback; /* the default as a user would write it, items of a list with commas
                             between them; NULL: none */
    const char *inherits; /* of numbers: the key before it whose value is the default; NULL: none */
    size_t inherits_offset; /* of that value, a uint64_t, in struct config */
    uint64_t min;           /* of numbers, in their base unit, both included */
    uint64_t max;
    const struct config_word *words; /* KEY_WORD: all; numbers: words besides a number */
    const struct config_format
        *format; /* of KEY_TEXT, of each of KEY_TEXTS and KEY_PAIRS; NULL: any */
    const struct config_format *name_format; /* of the names of KEY_PAIRS, KEY_SECTIONS_BY_NAME */
    const struct config_section *section;    /* of the KEY_SECTION types */
    const char *doc;     /* one line of Markdown, a sentence; what it does and what it is for */
    const char *example; /* a value as a user would write it; NULL: the default serves; the name,
                            for KEY_SECTIONS_BY_NAME */
    bool apart;          /* cannot stand beside all other keys, so the example leaves it out */
};

struct config_section {
    const char *title; /* for the reference page */
    const char *doc;   /* a Markdown paragraph */
    size_t size;       /* of its struct */
    const struct config_key *keys;
    size_t key_count;
    bool switchable;       /* `on` is the mapping with all defaults, `off` is absent */
    size_t enabled_offset; /* switchable KEY_SECTION: of the bool that says so */
    size_t name_offset;    /* KEY_SECTIONS_BY_NAME: of the char * for the name */
    const char *short_key; /* KEY_SECTIONS: a string alone is short for a mapping with this key */
    size_t line_offset;    /* of the unsigned that keeps its line; 0: none */
    /* Checks across keys; NULL: none. `map` is NULL where only defaults were loaded. `clean` tells
     * that every key of the section was good; without it, values may be missing. */
    void (*check)(struct loader *l, const struct yaml_node *map, void *section, bool clean);
};

/* One kind of plugin or handler, written as a mapping with `word` as one of its keys. */
struct config_plugin_form {
    const char *word;
    enum config_plugin_kind kind;
    bool in_chain;   /* may stand in `plugins` */
    bool is_handler; /* may stand in `handler` */
    const struct config_section *section;
    size_t name_offset; /* of the member for `word` in the section's struct */
    bool bare;          /* in `plugins`, the word alone is the form with all its defaults */
    /* Finds what the name means and gives its path, allocated by the loader; NULL after noting a
     * problem. */
    char *(*find)(struct loader *l, const struct yaml_node *node, const char *name);
};

extern const struct config_section keys_root;
extern const struct config_section keys_route;
extern const struct config_section keys_listener;
extern const struct config_section keys_upstream;
extern const struct config_section keys_resolver;

extern const struct config_plugin_form keys_forms[];
extern const size_t keys_form_count;

#define KEYS_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
