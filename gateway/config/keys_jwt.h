/* What the form `jwt` loads into before it becomes a struct config_plugin. */
#ifndef WEIR_CONFIG_KEYS_JWT_H
#define WEIR_CONFIG_KEYS_JWT_H

#include <stdint.h>

#include "config/keys.h"

/* `{jwt: KEYFILE, ..}`; handlers/jwt/settings.h says what they mean. */
struct keys_jwt {
    char *key_file;
    char *secret;
    struct config_strings algorithms;
    char *issuer;
    struct config_strings audience;
    struct config_strings require;
    struct config_pairs claims;
    struct config_strings from;
    uint64_t leeway_ms;
    uint64_t max_token_size;
    uint64_t close_code;
};

extern const struct config_section keys_jwt;

#endif
