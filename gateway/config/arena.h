/* Memory that is freed all at once: what one configuration, or one reading of a file, allocates. */
#ifndef WEIR_CONFIG_ARENA_H
#define WEIR_CONFIG_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

/* All zero is a valid empty arena. */
struct arena {
    struct arena_block *blocks;
    bool exhausted; /* an allocation has failed; stays set */
};

/* `size` zeroed bytes that live as long as the arena, or NULL with `exhausted` set. One thread at a
 * time. */
void *arena_alloc(struct arena *arena, size_t size);

/* A terminated copy of `size` bytes of `text` (borrowed), or NULL with `exhausted` set. */
char *arena_text(struct arena *arena, const char *text, size_t size);

/* Frees everything that came from the arena and makes it empty. */
void arena_free(struct arena *arena);

#endif
