/* Passwords that are kept as hashes, in the forms of crypt(5): bcrypt, SHA-512-crypt, yescrypt and
 * the others that the system's libcrypt knows. */
#ifndef WEIR_CRYPTO_PASSWORD_H
#define WEIR_CRYPTO_PASSWORD_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"

/* Whether `password` is the one that `hash` was made of; `*matches` tells. That takes as long as
 * the hash's cost says, milliseconds and more. A password with NUL, or longer than libcrypt takes,
 * never matches, and is found out at once. WEIR_EINVAL: it is no such hash, or of the old DES form.
 * WEIR_ENOMEM. Any thread. */
WEIR_MUST enum weir_err password_check(struct span password, const char *hash, bool *matches);

#endif
