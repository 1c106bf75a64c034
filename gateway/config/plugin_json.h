/* YAML subtrees and loaded sections as JSON text (RFC 8259), for plugins to read. */
#ifndef WEIR_CONFIG_PLUGIN_JSON_H
#define WEIR_CONFIG_PLUGIN_JSON_H

#include <stddef.h>

#include "base/err.h"

struct buffer;
struct config_section;
struct problems;
struct yaml_node;

/* Appends `node` as JSON. Unquoted scalars have the types of YAML 1.2's core schema, with `on` and
 * `off` as booleans. What JSON cannot say (.inf) is noted in `problems`. Control thread. */
WEIR_MUST enum weir_err plugin_json_from_node(const struct yaml_node *node,
                                              struct problems *problems, struct buffer *out);

/* Appends the loaded `values` of a section (defaults included) as a JSON object, without the key at
 * `skip_offset` and without texts that are not set. Sizes are bytes, durations milliseconds. */
WEIR_MUST enum weir_err plugin_json_from_section(const struct config_section *section,
                                                 const void *values, size_t skip_offset,
                                                 struct buffer *out);

#endif
