/* What the TLS files of net/ tell each other; the only header with an OpenSSL type. */
#ifndef WEIR_NET_TLS_INTERNAL_H
#define WEIR_NET_TLS_INTERNAL_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct tls_client;
struct tls_context;

enum {
    TLS_ALPN_HTTP11_BYTES = 9
};
/* `http/1.1` as a list of one protocol (RFC 7301, section 3.1). */
extern const unsigned char tls_alpn_http11[TLS_ALPN_HTTP11_BYTES];

/* The default certificate's context, borrowed. Any thread. */
SSL_CTX *tls_context_ssl(const struct tls_context *context);

/* Borrowed. Any thread. */
SSL_CTX *tls_client_ssl(const struct tls_client *client);

/* Makes `ssl` ask for `name` (RFC 6066, section 3), a host name or an address, and believe
 * certificates for it alone if it verifies at all. False: no certificate can be for that name, or
 * memory is out. Any thread. */
bool tls_client_expect(SSL *ssl, const char *name);

/* What servers and clients have in common: the versions, and how the stream's queue writes. */
void tls_common_set(SSL_CTX *ssl);

/* Loads a PEM certificate chain and its key. WEIR_EINVAL: `why` names the file. */
WEIR_MUST enum weir_err tls_common_load_pair(SSL_CTX *ssl, const char *certificate,
                                             const char *private_key, char *why, size_t size);

/* WEIR_EINVAL, with the file, what is wrong with it and OpenSSL's words in `why`. */
WEIR_MUST enum weir_err tls_common_refuse(char *why, size_t size, const char *file,
                                          const char *what);

#endif
