/* The built-in plugin `access_log`: one line of JSON for each request and session, when it ends. */
#ifndef WEIR_HANDLERS_ACCESS_LOG_H
#define WEIR_HANDLERS_ACCESS_LOG_H

struct weir_plugin_ops;

/* Its callbacks; static storage. Settings: `path`, the file that lines are appended to; "-" (the
 * default) is standard output. Any thread. */
const struct weir_plugin_ops *access_log_ops(void);

#endif
