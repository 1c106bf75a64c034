/* libyaml's events become nodes with places. The document API of libyaml is not used: it keeps
 * places for nodes but not limits, and it follows aliases wherever they lead.
 *
 * Aliases are allowed and share the anchor's node. Each node carries its weight with aliases
 * followed, so a small file that would unfold into millions of nodes ("billion laughs") is refused
 * while it is read; an alias inside its own anchor is refused too, so the tree has no cycles.
 *
 * Called by config.c. It knows YAML and no key of Weir's. */
#include "config/yaml_tree.h"

#include <stdint.h>
#include <string.h>
#include <yaml.h>

#include "config/arena.h"
#include "config/problems.h"

struct anchor {
    struct anchor *next;
    const char *name;
    struct yaml_node *node;
    bool open; /* its node is still being read */
};

struct reader {
    yaml_parser_t parser;
    struct arena *arena;
    struct problems *problems;
    struct anchor *anchors;
    size_t anchor_count;
    size_t nodes;
    bool stopped; /* nothing more can be read: syntax, a limit or memory */
};

static unsigned place(size_t from_zero)
{
    return from_zero < 0x7fffffff ? (unsigned)from_zero + 1 : 0x7fffffff;
}

/* Notes a problem after which reading ends. */
static void stop(struct reader *r, yaml_mark_t at, const char *words)
{
    problems_add(r->problems, place(at.line), place(at.column), "%s", words);
    r->stopped = true;
}

static void note_syntax(struct reader *r)
{
    const yaml_parser_t *parser = &r->parser;
    const char *words = parser->problem != NULL ? parser->problem : "not enough memory";
    /* The reader's errors (bad UTF-8) have an offset and no mark. */
    yaml_mark_t at = parser->error == YAML_READER_ERROR ? parser->mark : parser->problem_mark;
    problems_leave(r->problems, 0); /* the path of half-read keys would mislead */
    if (parser->context != NULL) {
        problems_add(r->problems, place(at.line), place(at.column), "YAML: %s (%s)", words,
                     parser->context);
    } else {
        problems_add(r->problems, place(at.line), place(at.column), "YAML: %s", words);
    }
    r->stopped = true;
    if (parser->error == YAML_MEMORY_ERROR) {
        r->arena->exhausted = true;
    }
}

static bool next_event(struct reader *r, yaml_event_t *event)
{
    if (r->stopped) {
        return false;
    }
    if (yaml_parser_parse(&r->parser, event) == 0) {
        note_syntax(r);
        return false;
    }
    return true;
}

static struct yaml_node *make_node(struct reader *r, enum yaml_kind kind, yaml_mark_t at)
{
    if (++r->nodes > YAML_TREE_MAX_NODES) {
        stop(r, at, "the file has too many values");
        return NULL;
    }
    struct yaml_node *node = arena_alloc(r->arena, sizeof(*node));
    if (node == NULL) {
        r->stopped = true;
        return NULL;
    }
    node->kind = kind;
    node->line = place(at.line);
    node->column = place(at.column);
    node->weight = 1;
    return node;
}

/* A later anchor of the same name takes over, as YAML 1.2 section 7.1 says. */
static struct anchor *open_anchor(struct reader *r, const yaml_char_t *name, struct yaml_node *node)
{
    if (name == NULL || node == NULL) {
        return NULL;
    }
    if (++r->anchor_count > YAML_TREE_MAX_ANCHORS) {
        problems_add(r->problems, node->line, node->column, "the file has too many anchors");
        r->stopped = true;
        return NULL;
    }
    struct anchor *anchor = arena_alloc(r->arena, sizeof(*anchor));
    const char *text = (const char *)name;
    char *copy = arena_text(r->arena, text, strlen(text));
    if (anchor == NULL || copy == NULL) {
        r->stopped = true;
        return NULL;
    }
    *anchor = (struct anchor){r->anchors, copy, node, true};
    r->anchors = anchor;
    return anchor;
}

static struct yaml_node *follow_alias(struct reader *r, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    yaml_mark_t at = event->start_mark;
    for (struct anchor *a = r->anchors; a != NULL; a = a->next) {
        if (strcmp(a->name, name) == 0 && !a->open) {
            return a->node;
        }
        if (strcmp(a->name, name) == 0) {
            problems_add(r->problems, place(at.line), place(at.column),
                         "alias `*%.60s` stands inside its own anchor", name);
            return make_node(r, YAML_BROKEN, at);
        }
    }
    problems_add(r->problems, place(at.line), place(at.column),
                 "alias `*%.60s` has no anchor before it", name);
    return make_node(r, YAML_BROKEN, at);
}

/* Types come from the key table, so a tag has nothing to say; `!` alone means "a string". */
static void refuse_tag(struct reader *r, const yaml_char_t *tag, struct yaml_node *node)
{
    if (tag == NULL || node == NULL || strcmp((const char *)tag, "!") == 0) {
        return;
    }
    problems_add(r->problems, node->line, node->column,
                 "tags like `%.60s` are not supported; put a string in quotes", (const char *)tag);
    node->kind = YAML_BROKEN;
}

static struct yaml_node *read_scalar(struct reader *r, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t size = event->data.scalar.length;
    struct yaml_node *node = make_node(r, YAML_SCALAR, event->start_mark);
    if (node == NULL) {
        return NULL;
    }
    node->text = arena_text(r->arena, text, size);
    node->weight += size;
    node->quoted =
        event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE || (event->data.scalar.tag != NULL);
    if (node->text == NULL) {
        r->stopped = true;
        return NULL;
    }
    if (memchr(text, '\0', size) != NULL) {
        problems_add(r->problems, node->line, node->column, "a string cannot hold a NUL character");
        node->kind = YAML_BROKEN;
    }
    refuse_tag(r, event->data.scalar.tag, node);
    struct anchor *anchor = open_anchor(r, event->data.scalar.anchor, node);
    if (anchor != NULL) {
        anchor->open = false;
    }
    return node;
}

static struct yaml_node *read_node(struct reader *r, yaml_event_t *event, unsigned depth);

/* Adds a child and its weight; false where a limit is passed. */
static bool add_child(struct reader *r, struct yaml_node *node, struct yaml_child ***tail,
                      struct yaml_child pair, yaml_mark_t at)
{
    struct yaml_child *child = arena_alloc(r->arena, sizeof(*child));
    if (child == NULL) {
        r->stopped = true;
        return false;
    }
    *child = pair;
    **tail = child;
    *tail = &child->next;
    node->count++;
    node->weight += pair.value->weight + (pair.key != NULL ? pair.key->weight : 0);
    if (node->count > YAML_TREE_MAX_ITEMS) {
        stop(r, at, "a list or mapping has too many items");
    } else if (node->weight > YAML_TREE_MAX_WEIGHT) {
        stop(r, at, "the aliases unfold into too much");
    }
    return !r->stopped;
}

static bool read_list(struct reader *r, struct yaml_node *node, unsigned depth)
{
    struct yaml_child **tail = &node->children;
    yaml_event_t event;
    while (next_event(r, &event)) {
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return true;
        }
        yaml_mark_t at = event.start_mark;
        size_t mark = problems_enter_item(r->problems, node->count);
        struct yaml_node *value = read_node(r, &event, depth);
        problems_leave(r->problems, mark);
        if (value == NULL ||
            !add_child(r, node, &tail, (struct yaml_child){NULL, NULL, value}, at)) {
            return false;
        }
    }
    return false;
}

/* The key's node, given the event (taken); NULL ends the reading. */
static struct yaml_node *read_key(struct reader *r, yaml_event_t *event)
{
    yaml_mark_t at = event->start_mark;
    if (event->type == YAML_ALIAS_EVENT || event->type == YAML_SCALAR_EVENT) {
        struct yaml_node *key = read_node(r, event, YAML_TREE_MAX_DEPTH);
        if (key == NULL || key->kind == YAML_SCALAR) {
            return key;
        }
    } else {
        yaml_event_delete(event);
    }
    if (!r->stopped) {
        stop(r, at, "a key must be a plain word");
    }
    return NULL;
}

static void refuse_duplicate(struct reader *r, const struct yaml_node *map,
                             const struct yaml_node *key)
{
    const struct yaml_node *first = yaml_tree_get_key(map, key->text);
    if (first != NULL) {
        problems_add(r->problems, key->line, key->column, "duplicate key, first on line %u",
                     first->line);
    }
}

static bool read_map(struct reader *r, struct yaml_node *node, unsigned depth)
{
    struct yaml_child **tail = &node->children;
    yaml_event_t event;
    while (next_event(r, &event)) {
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return true;
        }
        yaml_mark_t at = event.start_mark;
        struct yaml_node *key = read_key(r, &event);
        if (key == NULL) {
            return false;
        }
        size_t mark = problems_enter_key(r->problems, key->text);
        refuse_duplicate(r, node, key);
        struct yaml_node *value = next_event(r, &event) ? read_node(r, &event, depth) : NULL;
        problems_leave(r->problems, mark);
        if (value == NULL ||
            !add_child(r, node, &tail, (struct yaml_child){NULL, key, value}, at)) {
            return false;
        }
    }
    return false;
}

static struct yaml_node *read_collection(struct reader *r, const yaml_event_t *event,
                                         unsigned depth)
{
    bool is_map = event->type == YAML_MAPPING_START_EVENT;
    const yaml_char_t *tag =
        is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    const yaml_char_t *name =
        is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    if (depth == YAML_TREE_MAX_DEPTH) {
        stop(r, event->start_mark, "nested too deeply");
        return NULL;
    }
    struct yaml_node *node = make_node(r, is_map ? YAML_MAP : YAML_LIST, event->start_mark);
    struct anchor *anchor = open_anchor(r, name, node);
    if (node == NULL || r->stopped) {
        return NULL;
    }
    bool whole = is_map ? read_map(r, node, depth + 1) : read_list(r, node, depth + 1);
    refuse_tag(r, tag, node);
    if (anchor != NULL) {
        anchor->open = false;
    }
    return whole ? node : NULL;
}

/* Takes the event and reads what it begins. */
static struct yaml_node *read_node(struct reader *r, yaml_event_t *event, unsigned depth)
{
    struct yaml_node *node = NULL;
    if (event->type == YAML_ALIAS_EVENT) {
        node = follow_alias(r, event);
    } else if (event->type == YAML_SCALAR_EVENT) {
        node = read_scalar(r, event);
    } else {
        node = read_collection(r, event, depth);
    }
    yaml_event_delete(event);
    return node;
}

/* Reads up to the end of the stream; a second document is refused. */
static struct yaml_node *read_stream(struct reader *r)
{
    struct yaml_node *root = NULL;
    yaml_event_t event;
    while (next_event(r, &event)) {
        yaml_event_type_t type = event.type;
        yaml_mark_t at = event.start_mark;
        if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_END_EVENT) {
            yaml_event_delete(&event);
        } else if (type == YAML_STREAM_END_EVENT) {
            yaml_event_delete(&event);
            return root;
        } else if (type == YAML_DOCUMENT_START_EVENT) {
            yaml_event_delete(&event);
            if (root != NULL) {
                stop(r, at, "a second document; the configuration is one");
            }
        } else {
            root = read_node(r, &event, 0);
        }
    }
    return NULL;
}

struct yaml_node *yaml_tree_read(const char *text, size_t size, struct arena *arena,
                                 struct problems *problems)
{
    struct reader r = {.arena = arena, .problems = problems};
    if (size > YAML_TREE_MAX_BYTES) {
        problems_add(problems, 1, 1, "the file is larger than 1MiB");
        return NULL;
    }
    if (yaml_parser_initialize(&r.parser) == 0) {
        arena->exhausted = true;
        return NULL;
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
    struct yaml_node *root = read_stream(&r);
    yaml_parser_delete(&r.parser);
    problems_leave(problems, 0);
    return root;
}

static const struct yaml_child *find(const struct yaml_node *map, const char *key)
{
    if (map == NULL || map->kind != YAML_MAP) {
        return NULL;
    }
    for (const struct yaml_child *child = map->children; child != NULL; child = child->next) {
        if (strcmp(child->key->text, key) == 0) {
            return child;
        }
    }
    return NULL;
}

struct yaml_node *yaml_tree_get(const struct yaml_node *map, const char *key)
{
    const struct yaml_child *child = find(map, key);
    return child != NULL ? child->value : NULL;
}

struct yaml_node *yaml_tree_get_key(const struct yaml_node *map, const char *key)
{
    const struct yaml_child *child = find(map, key);
    return child != NULL ? child->key : NULL;
}

const char *yaml_tree_words(const struct yaml_node *node)
{
    if (node->kind == YAML_LIST) {
        return "a list";
    }
    if (node->kind == YAML_MAP) {
        return "a mapping";
    }
    return node->text[0] == '\0' && !node->quoted ? "nothing" : "a string";
}
