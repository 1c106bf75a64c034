/* What the TLS files of net/ tell each other; the only header with an OpenSSL type. */
#ifndef WEIR_NET_TLS_INTERNAL_H
#define WEIR_NET_TLS_INTERNAL_H

#include <openssl/ssl.h>

struct tls_context;

/* The default certificate's context, borrowed. Any thread. */
SSL_CTX *tls_context_ssl(const struct tls_context *context);

#endif
