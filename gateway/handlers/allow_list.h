/* Who may ask a handler for operators: the setting `allow`. */
#ifndef WEIR_HANDLERS_ALLOW_LIST_H
#define WEIR_HANDLERS_ALLOW_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "proto/ip_address.h"

struct weir_request;

/* All zero is a valid one that allows nobody. */
struct allow_list {
    struct ip_block *blocks;
    size_t count;
};

/* Reads the settings of a handler that has no others, a JSON object: the addresses and blocks at
 * `allow`; without them, or with none, those of this machine. WEIR_EINVAL: one is neither, or there
 * is another setting, and `error` says which; WEIR_ENOMEM. The caller frees the list in any case.
 * Any thread. */
WEIR_MUST enum weir_err allow_list_read(const char *json, char *error, size_t error_size,
                                        struct allow_list *list);

void allow_list_free(struct allow_list *list);

/* Whether the client of a request is among them. */
bool allow_list_has(const struct allow_list *list, const struct weir_request *request);

#endif
