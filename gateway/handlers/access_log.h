/* The built-in plugin `access_log`: one line of JSON for each request and session, when it ends. */
#ifndef WEIR_HANDLERS_ACCESS_LOG_H
#define WEIR_HANDLERS_ACCESS_LOG_H

struct weir_plugin_ops;

/* Its callbacks; static storage. The plugin's `file` is what lines are appended to; "-" is standard
 * output. Any thread. */
const struct weir_plugin_ops *access_log_ops(void);

#endif
