/* Problems that checks across keys note at the right place. Control thread. */
#ifndef WEIR_CONFIG_NOTE_H
#define WEIR_CONFIG_NOTE_H

#include <stddef.h>

struct loader;
struct yaml_node;

/* One thing that must be the only one of its text. */
struct note_occurrence {
    const char *text; /* borrowed; compared without case */
    size_t index;     /* in its list */
    unsigned line;
};

/* Notes a problem at a key's value, or at the section where the key was not written. */
void note_key(struct loader *l, const struct yaml_node *map, const char *key, const char *format,
              ...) __attribute__((format(printf, 4, 5)));

/* The node of one item of the list at key `list`, for its place; NULL where there is none. */
const struct yaml_node *note_item_node(const struct yaml_node *map, const char *list, size_t index);

/* Notes each occurrence after the first of its text, at `LIST[INDEX].KEY`. Sorts `all`. */
void note_repeated(struct loader *l, const struct yaml_node *map, const char *list, const char *key,
                   struct note_occurrence *all, size_t count);

#endif
