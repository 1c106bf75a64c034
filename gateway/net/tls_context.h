/* What all TLS connections of a listener share: certificates, SNI, ALPN, session resumption, client
 * certificates. */
#ifndef WEIR_NET_TLS_CONTEXT_H
#define WEIR_NET_TLS_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct tls_context;

struct tls_certificate {
    const char *host;        /* SNI name, maybe `*.example.com`; NULL for any */
    const char *certificate; /* PEM file with the chain */
    const char *private_key; /* PEM file */
};

enum tls_client_certificate {
    TLS_CLIENT_NONE,
    TLS_CLIENT_OPTIONAL,
    TLS_CLIENT_REQUIRED
};

struct tls_settings {
    const struct tls_certificate *certificates; /* the first is the default */
    size_t certificate_count;
    const char *client_ca; /* PEM file, NULL for none */
    enum tls_client_certificate client_certificate;
    bool tls_1_3_only;
    bool session_resumption;
};

/* Given, with one reference. WEIR_EINVAL: a file does not serve; `why` (at least 256 bytes) names
 * it and OpenSSL's words. Control thread. */
WEIR_MUST enum weir_err tls_context_new(const struct tls_settings *settings, char *why,
                                        size_t why_size, struct tls_context **out);

/* Frees; streams that were opened with it hold what they need. Control thread, with no stream_open
 * under way. */
void tls_context_free(struct tls_context **context);

#endif
