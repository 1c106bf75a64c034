/* The keys of dictionaries that all workers share, `shared: {NAME: {size: ..}}`.
 *
 * Plain arrays, read by load.c, reference.c and schema.c. */
#include "config/keys_shared.h"

#define KIB 1024u
#define GIB (1024ull * KIB * KIB)

static const struct config_key shared_keys[] = {
    {.name = "size",
     .type = KEY_SIZE,
     .offset = offsetof(struct config_shared, size),
     .fallback = "10MiB",
     .min = 16 * KIB,
     .max = 64 * GIB,
     .doc = "What all entries may take together, keys and values with about 100 bytes for each; "
            "above it those go that have not been used for longest."},
};

const struct config_section keys_shared = {
    .title = "Shared dictionaries",
    .doc = "Dictionaries in memory, each under a name, that plugins on all workers read and write "
           "as `weir.shared.NAME`. They last as long as the process.",
    .size = sizeof(struct config_shared),
    .keys = shared_keys,
    .key_count = KEYS_COUNT(shared_keys),
    .line_offset = offsetof(struct config_shared, line),
    .name_offset = offsetof(struct config_shared, name),
};
