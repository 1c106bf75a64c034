/* Environment variables inside the values of a configuration. */
#ifndef WEIR_CONFIG_ENV_H
#define WEIR_CONFIG_ENV_H

struct arena;
struct problems;
struct yaml_node;

/* Replaces `${NAME}` and `${NAME:-default}` in every scalar value below `root`; keys are left
 * alone. The default also stands in for an empty variable, as in a shell. `$${` stays as `${`. What
 * the variable holds is only text: it cannot add keys or lists. New text lives in `arena`; a
 * variable that is not set and has no default is noted in `problems`. Control thread. */
void env_expand(struct yaml_node *root, struct arena *arena, struct problems *problems);

#endif
