/* Checks of upstreams, and of what forwards to them, that look at more than one key. `map`,
 * `section` and `clean` are as in struct config_section. Control thread. */
#ifndef WEIR_CONFIG_CHECK_UPSTREAM_H
#define WEIR_CONFIG_CHECK_UPSTREAM_H

#include <stdbool.h>

struct loader;
struct yaml_node;

/* Servers that differ, and are not all backups; `hash` and `sticky` as `balance` says. Fills in the
 * sticky cookie where it was left to the defaults. */
void check_upstream(struct loader *l, const struct yaml_node *map, void *section, bool clean);

/* A name where one is needed. */
void check_hash(struct loader *l, const struct yaml_node *map, void *section, bool clean);

/* A cookie or learned ids, not both. Clears the cookie's name where ids are learned. */
void check_sticky(struct loader *l, const struct yaml_node *map, void *section, bool clean);

/* Keys that fit the type. Fills in type and path where they were not written. */
void check_health(struct loader *l, const struct yaml_node *map, void *section, bool clean);

/* A back-off that can grow. */
void check_ejection(struct loader *l, const struct yaml_node *map, void *section, bool clean);

/* A whole pair; an authority only where one is asked for. */
void check_upstream_tls(struct loader *l, const struct yaml_node *map, void *section, bool clean);

/* A time limit only where something waits. */
void check_queue(struct loader *l, const struct yaml_node *map, void *section, bool clean);

/* Of the handler: a time for pongs only where pings are sent. */
void check_proxy(struct loader *l, const struct yaml_node *map, void *section, bool clean);

#endif
