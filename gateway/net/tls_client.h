/* What all TLS connections to one group of backends share: whom we believe, and who we are. */
#ifndef WEIR_NET_TLS_CLIENT_H
#define WEIR_NET_TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct tls_client;

struct tls_client_settings {
    bool verify;             /* the chain, and that the certificate is of the name */
    const char *ca;          /* PEM file; NULL: the system's authorities */
    const char *certificate; /* PEM file with the chain, of our own; NULL for none */
    const char *private_key; /* PEM file */
};

/* Given. WEIR_EINVAL: a file does not serve; `why` (at least 256 bytes) names it and OpenSSL's
 * words. Control thread. */
WEIR_MUST enum weir_err tls_client_new(const struct tls_client_settings *settings, char *why,
                                       size_t why_size, struct tls_client **out);

/* Frees; streams that were opened with it hold what they need. */
void tls_client_free(struct tls_client **client);

#endif
