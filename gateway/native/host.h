/* Native plugins: shared objects behind the same ops as every other kind. */
#ifndef WEIR_NATIVE_HOST_H
#define WEIR_NATIVE_HOST_H

struct weir_plugin_ops;

/* How every shared object is loaded and started; its own callbacks come with native_host_ops_of.
 * Static storage. Any thread. */
const struct weir_plugin_ops *native_host_ops(void);

/* The plugin's own callbacks, and in `*self` its own worker part, for `part`, which worker_start of
 * native_host_ops has made. Borrowed for the part's life. Any thread. */
const struct weir_plugin_ops *native_host_ops_of(const void *part, void **self);

#endif
