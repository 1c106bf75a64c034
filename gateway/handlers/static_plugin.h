/* What the files of the static handler share: its process part and its worker part. */
#ifndef WEIR_HANDLERS_STATIC_PLUGIN_H
#define WEIR_HANDLERS_STATIC_PLUGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "handlers/static_root.h"

struct weir_worker;

enum {
    STATIC_PIECE_BYTES = 64 * 1024 /* read at once; a body up to this size is sent in one go */
};

/* Immutable once loaded. */
struct static_plugin {
    uint32_t magic;
    struct static_root root;
    char *index;         /* a file name; empty: folders have no page */
    char *cache_control; /* empty: the field is not sent */
    bool precompressed;
};

struct static_worker {
    uint32_t magic;
    const struct static_plugin *plugin;
    struct weir_worker *host;
    uint8_t piece[STATIC_PIECE_BYTES]; /* used within one callback */
};

#endif
