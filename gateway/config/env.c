/* Walks the tree once after it has been read and before any key is known, so a variable works in
 * every value alike and its text is typed by the key it stands at.
 *
 * Called by config.c. It never splits a value into several and never reads a variable's text as
 * YAML. */
#include "config/env.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "config/arena.h"
#include "config/problems.h"
#include "config/yaml_tree.h"

enum {
    NAME_BYTES = 128,
    EXPANDED_BYTES = 64 * 1024 /* of one value, after all */
};

struct expander {
    struct arena *arena;
    struct problems *problems;
};

/* One `${…}`: its parts inside the text, borrowed. */
struct reference {
    struct span name;
    struct span fallback; /* data NULL: none */
};

static bool is_name_byte(uint8_t c, bool first)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    return letter || (!first && c >= '0' && c <= '9');
}

/* Takes `NAME}` or `NAME:-default}` off the front of `*rest`; false where it is neither. */
static bool take_reference(struct span *rest, struct reference *out)
{
    size_t end = span_find(*rest, '}');
    if (end == rest->size) {
        return false;
    }
    struct span inside = {rest->data, end};
    size_t length = 0;
    while (length < inside.size && is_name_byte(inside.data[length], length == 0)) {
        length++;
    }
    out->name = (struct span){inside.data, length};
    out->fallback = (struct span){NULL, 0};
    struct span tail = span_from(inside, length);
    if (span_starts_with(tail, SPAN(":-"))) {
        out->fallback = span_from(tail, 2);
    } else if (tail.size > 0) {
        return false;
    }
    *rest = span_from(*rest, end + 1);
    return length > 0 && length < NAME_BYTES;
}

static bool append_text(struct expander *e, struct buffer *out, struct span text)
{
    if (buffer_append(out, text) != WEIR_OK) {
        e->arena->exhausted = true;
        return false;
    }
    return true;
}

/* Appends the variable's text or its default; false where there is neither. */
static bool append_value(struct expander *e, const struct yaml_node *node,
                         const struct reference *ref, struct buffer *out)
{
    char name[NAME_BYTES];
    memcpy(name, ref->name.data, ref->name.size);
    name[ref->name.size] = '\0';
    const char *value = getenv(name); /* nothing in the program calls setenv */
    bool set = value != NULL && (value[0] != '\0' || ref->fallback.data == NULL);
    if (!set && ref->fallback.data == NULL) {
        problems_add(e->problems, node->line, node->column,
                     "environment variable `%s` is not set and `${%s}` has no default", name, name);
        return false;
    }
    return append_text(e, out, set ? span_of(value) : ref->fallback);
}

/* Takes one step through `*rest`: the text up to the next `$`, and what that begins. */
static bool expand_step(struct expander *e, const struct yaml_node *node, struct span *rest,
                        struct buffer *out)
{
    size_t dollar = span_find(*rest, '$');
    if (!append_text(e, out, (struct span){rest->data, dollar})) {
        return false;
    }
    *rest = span_from(*rest, dollar);
    if (span_starts_with(*rest, SPAN("$${"))) {
        *rest = span_from(*rest, 3);
        return append_text(e, out, SPAN("${"));
    }
    if (!span_starts_with(*rest, SPAN("${"))) {
        struct span one = {rest->data, rest->size > 0 ? 1 : 0};
        *rest = span_from(*rest, one.size);
        return append_text(e, out, one);
    }
    *rest = span_from(*rest, 2);
    struct reference ref;
    if (!take_reference(rest, &ref)) {
        problems_add(e->problems, node->line, node->column,
                     "`${` begins neither `${NAME}` nor `${NAME:-default}`; write `$${` for a "
                     "literal `${`");
        return false;
    }
    return append_value(e, node, &ref, out);
}

static void expand_scalar(struct expander *e, struct yaml_node *node)
{
    struct buffer out = {0};
    struct span rest = span_of(node->text);
    bool good = true;
    while (good && rest.size > 0) {
        good = expand_step(e, node, &rest, &out);
    }
    if (good && out.size > EXPANDED_BYTES) {
        problems_add(e->problems, node->line, node->column, "is longer than 64KiB when expanded");
        good = false;
    }
    char *text = good ? arena_text(e->arena, (const char *)out.data, out.size) : NULL;
    if (text != NULL) {
        node->text = text;
    } else {
        node->kind = YAML_BROKEN;
    }
    buffer_free(&out);
}

/* Recursion ends at YAML_TREE_MAX_DEPTH; `expanded` visits a shared node once. */
static void expand_node(struct expander *e, struct yaml_node *node)
{
    if (node->expanded) {
        return;
    }
    node->expanded = true;
    if (node->kind == YAML_SCALAR && strstr(node->text, "${") != NULL) {
        expand_scalar(e, node);
    }
    size_t index = 0;
    for (struct yaml_child *child = node->children; child != NULL; child = child->next) {
        size_t mark = child->key != NULL ? problems_enter_key(e->problems, child->key->text)
                                         : problems_enter_item(e->problems, index++);
        expand_node(e, child->value);
        problems_leave(e->problems, mark);
    }
}

void env_expand(struct yaml_node *root, struct arena *arena, struct problems *problems)
{
    struct expander e = {arena, problems};
    expand_node(&e, root);
}
