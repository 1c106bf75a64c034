/* A YAML file as a tree of nodes that know their line and column. */
#ifndef WEIR_CONFIG_YAML_TREE_H
#define WEIR_CONFIG_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct problems;

/* What a file may hold at most, so that a hostile one cannot take the machine. */
enum {
    YAML_TREE_MAX_BYTES = 1024 * 1024,
    YAML_TREE_MAX_DEPTH = 32,
    YAML_TREE_MAX_ITEMS = 4096,  /* in one list or mapping */
    YAML_TREE_MAX_NODES = 65536, /* written in the file */
    YAML_TREE_MAX_ANCHORS = 256,
    YAML_TREE_MAX_WEIGHT = 2 * 1024 * 1024 /* nodes and bytes, with aliases followed */
};

enum yaml_kind {
    YAML_SCALAR,
    YAML_LIST,
    YAML_MAP,
    YAML_BROKEN /* its problem has been noted; readers pass over it */
};

struct yaml_node;

/* One item of a list (key NULL) or one pair of a mapping, in the file's order. */
struct yaml_child {
    struct yaml_child *next;
    struct yaml_node *key; /* always a scalar */
    struct yaml_node *value;
};

struct yaml_node {
    enum yaml_kind kind;
    unsigned line;   /* from 1 */
    unsigned column; /* from 1, in characters */
    bool quoted;     /* a scalar in quotes or a block: a string whatever it looks like */
    bool expanded;   /* `${NAME}` has been replaced */
    char *text;      /* a scalar's text, terminated, without NUL bytes inside; else NULL */
    struct yaml_child *children;
    size_t count;
    size_t weight; /* nodes and bytes below and with this one, aliases followed */
};

/* Reads one document of `size` bytes (borrowed). Nodes live in `arena`; an alias is the very node
 * of its anchor. Syntax errors, duplicate keys, tags and passed limits are noted in `problems`.
 * Returns the root, or NULL where there is no tree to go on with. Control thread. */
struct yaml_node *yaml_tree_read(const char *text, size_t size, struct arena *arena,
                                 struct problems *problems);

/* The value of a mapping's key, or NULL; NULL too where `map` is NULL or no mapping. */
struct yaml_node *yaml_tree_get(const struct yaml_node *map, const char *key);

/* The key's own node, or NULL as above. */
struct yaml_node *yaml_tree_get_key(const struct yaml_node *map, const char *key);

/* What a node is, in words for messages: "a list", "a mapping", "nothing", "a string". */
const char *yaml_tree_words(const struct yaml_node *node);

#endif
