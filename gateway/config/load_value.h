/* Single values of the key table: each function fills one struct member, from a node or from the
 * default, and notes what is wrong. Control thread, all of them. */
#ifndef WEIR_CONFIG_LOAD_VALUE_H
#define WEIR_CONFIG_LOAD_VALUE_H

#include "config/keys.h"

struct config_format;
struct loader;
struct yaml_node;

/* A switch, a number or a word into `out`, the member; `node` NULL, or not a good value: the
 * default. */
void load_value_plain(struct loader *l, const struct config_key *key, const struct yaml_node *node,
                      void *out);

/* A range into its two members; as load_value_plain. */
void load_value_range(struct loader *l, const struct config_key *key, const struct yaml_node *node,
                      uint64_t *least, uint64_t *most);

/* Reads a text value of that form (NULL: any), or notes what is wrong and returns NULL. */
char *load_value_text(struct loader *l, const struct config_format *format,
                      const struct yaml_node *node);

/* A list of texts; `node` NULL: the default. */
void load_value_texts(struct loader *l, const struct config_key *key, const struct yaml_node *node,
                      struct config_strings *out);

/* A mapping of names to texts; `node` NULL: none. */
void load_value_pairs(struct loader *l, const struct config_key *key, const struct yaml_node *node,
                      struct config_pairs *out);

/* Checks a name that is a key of the file; false after noting what is wrong with it. */
bool load_value_name(struct loader *l, const struct config_format *format,
                     const struct yaml_node *name);

#endif
