/* A chain of plain allocations. A configuration has thousands of small pieces and one lifetime, so
 * nothing frees a piece alone and a failure is noticed once, at the end, by `exhausted`.
 *
 * Each piece is its own malloc on purpose: the address sanitizer then sees every overrun, and a few
 * thousand calls at start cost nothing. Called by everything in config/; never by the data path. */
#include "config/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
    struct arena_block *next;
    alignas(max_align_t) unsigned char bytes[];
};

void *arena_alloc(struct arena *arena, size_t size)
{
    struct arena_block *block = NULL;
    if (size <= SIZE_MAX - sizeof(*block)) {
        block = calloc(1, sizeof(*block) + size);
    }
    if (block == NULL) {
        arena->exhausted = true;
        return NULL;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    return block->bytes;
}

char *arena_text(struct arena *arena, const char *text, size_t size)
{
    char *copy = size < SIZE_MAX ? arena_alloc(arena, size + 1) : NULL;
    if (copy != NULL && size > 0) {
        memcpy(copy, text, size);
    }
    return copy;
}

void arena_free(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
    arena->exhausted = false;
}
