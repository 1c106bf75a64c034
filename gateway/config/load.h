/* From the tree of nodes to checked structs, by the key table. */
#ifndef WEIR_CONFIG_LOAD_H
#define WEIR_CONFIG_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "config/arena.h"
#include "config/keys.h"
#include "config/problems.h"

struct yaml_node;

/* One loading. Everything that it makes lives in `arena`. Control thread. */
struct loader {
    struct arena *arena;
    struct problems *problems;
    struct config *config; /* being filled: earlier rows of the root's table are done */
    size_t broken;         /* nodes passed over, since their problem had been noted before */
};

/* Fills `out`, a zeroed struct of the section, from `map`; NULL loads the defaults. Problems are
 * noted, memory failures are left in the arena's flag. */
void load_section(struct loader *l, const struct config_section *section,
                  const struct yaml_node *map, void *out);

/* Notes that a node is not what the key wants, unless the node is broken already. */
void load_refuse_kind(struct loader *l, const struct yaml_node *node, const char *wanted);

#endif
