/* The plugin `jwt`: only requests with a good JSON Web Token pass, and their sessions end when the
 * token does. */
#ifndef WEIR_HANDLERS_JWT_JWT_H
#define WEIR_HANDLERS_JWT_JWT_H

#include <weir/plugin.h>

/* Static storage. Any thread. */
const struct weir_plugin_ops *jwt_ops(void);

#endif
