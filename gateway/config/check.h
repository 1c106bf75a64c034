/* Checks that look at more than one key; rows of the section tables point at them. `map`, `section`
 * and `clean` are as in struct config_section. Control thread. */
#ifndef WEIR_CONFIG_CHECK_H
#define WEIR_CONFIG_CHECK_H

#include <stdbool.h>

struct loader;
struct yaml_node;

/* Duplicate routes and listeners; resolves `workers: auto`. */
void check_root(struct loader *l, const struct yaml_node *map, void *section, bool clean);

/* PROXY protocol needs senders to trust. */
void check_listener(struct loader *l, const struct yaml_node *map, void *section, bool clean);

/* At least one certificate; client certificates need an authority. Puts the listener's own pair
 * first among the certificates. */
void check_tls(struct loader *l, const struct yaml_node *map, void *section, bool clean);

/* A line fits into its head. */
void check_http(struct loader *l, const struct yaml_node *map, void *section, bool clean);

/* Keep-alive, and messages that fit into the queue. */
void check_websocket(struct loader *l, const struct yaml_node *map, void *section, bool clean);

#endif
