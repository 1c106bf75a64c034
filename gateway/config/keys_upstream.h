/* The sections inside an upstream that have a file of their own, keys_upstream_parts.c. */
#ifndef WEIR_CONFIG_KEYS_UPSTREAM_H
#define WEIR_CONFIG_KEYS_UPSTREAM_H

#include "config/keys.h"

extern const struct config_section keys_hash;
extern const struct config_section keys_sticky; /* `balance: sticky` alone takes its defaults */
extern const struct config_section keys_health_check;
extern const struct config_section keys_ejection;

#endif
