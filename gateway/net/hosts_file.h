/* The system's hosts file (hosts(5)): names that need no name server. */
#ifndef WEIR_NET_HOSTS_FILE_H
#define WEIR_NET_HOSTS_FILE_H

#include <sys/socket.h>

#include "base/err.h"

struct hosts_file;

/* Reads the file at `path`; one that cannot be read is as good as an empty one. Lines that are not
 * understood are passed over. `*out` is given. WEIR_ENOMEM. Waits for the file system: not for a
 * loop that runs. */
WEIR_MUST enum weir_err hosts_file_load(const char *path, struct hosts_file **out);

/* Frees and nulls it. NULL inside is fine. */
void hosts_file_free(struct hosts_file **hosts);

/* Hears of one address, borrowed, with port 0. */
typedef void (*hosts_file_fn)(void *context, const struct sockaddr *address, socklen_t size);

/* Calls `fn` for each address of `name` (case does not matter, nor a dot at its end), in the file's
 * order. Any thread. */
void hosts_file_find(const struct hosts_file *hosts, const char *name, hosts_file_fn fn,
                     void *context);

#endif
