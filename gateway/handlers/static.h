/* The handler that serves a folder of files: `handler: {static: FOLDER}`. */
#ifndef WEIR_HANDLERS_STATIC_H
#define WEIR_HANDLERS_STATIC_H

#include <weir/plugin.h>

/* Its callbacks, static storage. `config->file` is the folder; the settings are `index` (a file
 * name, "index.html"; empty for none), `cache_control` (the value of that field, "no-cache"; empty
 * for none) and `precompressed` (true: a NAME.gz beside NAME is sent to clients that accept gzip).
 * Any thread. */
const struct weir_plugin_ops *static_ops(void);

#endif
