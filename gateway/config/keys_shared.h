/* The keys of dictionaries that all workers share. */
#ifndef WEIR_CONFIG_KEYS_SHARED_H
#define WEIR_CONFIG_KEYS_SHARED_H

#include "config/keys.h"

extern const struct config_section keys_shared;

#endif
