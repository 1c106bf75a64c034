/* What TLS servers and TLS clients do alike when they are configured. Called by tls_context.c and
 * tls_client.c when a configuration is loaded. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

#include "net/tls_internal.h"

const unsigned char tls_alpn_http11[TLS_ALPN_HTTP11_BYTES] = {8,   'h', 't', 't', 'p',
                                                              '/', '1', '.', '1'};

enum weir_err tls_common_refuse(char *why, size_t size, const char *file, const char *what)
{
    char words[160] = "no details";
    unsigned long error = ERR_get_error();
    if (error != 0) {
        ERR_error_string_n(error, words, sizeof words);
    }
    snprintf(why, size, "%s: %s (%s)", file, what, words);
    ERR_clear_error();
    return WEIR_EINVAL;
}

enum weir_err tls_common_load_pair(SSL_CTX *ssl, const char *certificate, const char *private_key,
                                   char *why, size_t size)
{
    if (SSL_CTX_use_certificate_chain_file(ssl, certificate) != 1) {
        return tls_common_refuse(why, size, certificate, "cannot be used as certificate");
    }
    if (SSL_CTX_use_PrivateKey_file(ssl, private_key, SSL_FILETYPE_PEM) != 1) {
        return tls_common_refuse(why, size, private_key, "cannot be used as private_key");
    }
    if (SSL_CTX_check_private_key(ssl) != 1) {
        return tls_common_refuse(why, size, private_key, "does not belong to the certificate");
    }
    return WEIR_OK;
}

void tls_common_set(SSL_CTX *ssl)
{
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    /* Partial writes and moving buffers: the queue decides what is sent next, from wherever it lies
     * then. Released buffers keep an idle connection small. */
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* Servers resume by stateless tickets, on any worker; no cache has to be shared. */
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
}
