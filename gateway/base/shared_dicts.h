/* The shared dictionaries of the process, by name. One that was made stays until the process ends,
 * so a reload finds it with what is in it, and who has found it may keep it. */
#ifndef WEIR_BASE_SHARED_DICTS_H
#define WEIR_BASE_SHARED_DICTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

struct shared_dict;

/* Makes the dictionary `name` unless there is one; `*kept_bytes` is the size that it has, which is
 * another than `size_bytes` where it was made with another. WEIR_ENOMEM. Any thread. */
WEIR_MUST enum weir_err shared_dicts_declare(const char *name, size_t size_bytes,
                                             size_t *kept_bytes);

/* The dictionary of that name, borrowed for the life of the process; NULL where there is none. Any
 * thread. */
struct shared_dict *shared_dicts_find(struct span name);

/* Frees all; for tests. */
void shared_dicts_reset(void);

#endif
