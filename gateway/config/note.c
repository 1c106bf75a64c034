/* Where a check across keys puts its words: at the value of the key that is to blame, with the
 * key's path in front.
 *
 * Called by check.c and check_upstream.c. It decides nothing but which of equal things were first.
 */
#include "config/note.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "config/load.h"
#include "config/yaml_tree.h"

void note_key(struct loader *l, const struct yaml_node *map, const char *key, const char *format,
              ...)
{
    char words[512];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    const struct yaml_node *node = yaml_tree_get(map, key);
    size_t mark = problems_enter_key(l->problems, key);
    const struct yaml_node *place = node != NULL ? node : map;
    problems_add(l->problems, place->line, place->column, "%s", words);
    problems_leave(l->problems, mark);
}

const struct yaml_node *note_item_node(const struct yaml_node *map, const char *list, size_t index)
{
    const struct yaml_node *node = yaml_tree_get(map, list);
    const struct yaml_child *child = node != NULL ? node->children : NULL;
    for (; child != NULL && index > 0; index--) {
        child = child->next;
    }
    return child != NULL ? child->value : NULL;
}

/* Notes a problem at `LIST[INDEX].KEY`. */
static void note_repeated_item(struct loader *l, const struct yaml_node *map, const char *list,
                               size_t index, const char *key, unsigned first_line)
{
    size_t mark = problems_enter_key(l->problems, list);
    problems_enter_item(l->problems, index);
    note_key(l, note_item_node(map, list, index), key, "the same as on line %u", first_line);
    problems_leave(l->problems, mark);
}

static int by_text(const void *left, const void *right)
{
    const struct note_occurrence *a = left;
    const struct note_occurrence *b = right;
    int order = strcasecmp(a->text, b->text);
    return order != 0 ? order : a->index < b->index ? -1 : a->index > b->index;
}

/* Sorting keeps thousands of routes quick. */
void note_repeated(struct loader *l, const struct yaml_node *map, const char *list, const char *key,
                   struct note_occurrence *all, size_t count)
{
    size_t first = 0;
    if (count > 0) {
        qsort(all, count, sizeof(*all), by_text);
    }
    for (size_t i = 1; i < count; i++) {
        if (strcasecmp(all[i].text, all[first].text) != 0) {
            first = i;
        } else if (all[i].index != all[i - 1].index) {
            note_repeated_item(l, map, list, all[i].index, key, all[first].line);
        }
    }
}
