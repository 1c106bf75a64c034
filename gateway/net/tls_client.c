/* One SSL_CTX for a group of backends, and what a single connection must find in a certificate.
 * Made when a configuration is loaded; workers only read it. It keeps no sessions: connections to
 * backends are pooled, which saves more handshakes than resumption would. */
#include "net/tls_client.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls_internal.h"

enum {
    NAME_BYTES = 256 /* a host name has at most 253 characters (RFC 1035, section 2.3.4) */
};

struct tls_client {
    SSL_CTX *ssl;
};

static enum weir_err set_verification(SSL_CTX *ssl, const struct tls_client_settings *settings,
                                      char *why, size_t size)
{
    if (settings->ca != NULL) {
        if (SSL_CTX_load_verify_file(ssl, settings->ca) != 1) {
            return tls_common_refuse(why, size, settings->ca, "cannot be used as ca");
        }
    } else if (settings->verify && SSL_CTX_set_default_verify_paths(ssl) != 1) {
        return tls_common_refuse(why, size, "the system's authorities", "cannot be loaded");
    }
    SSL_CTX_set_verify(ssl, settings->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    return WEIR_OK;
}

static enum weir_err configure(SSL_CTX *ssl, const struct tls_client_settings *settings, char *why,
                               size_t size)
{
    tls_common_set(ssl);
    /* 0 is success, other than everywhere else. */
    if (SSL_CTX_set_alpn_protos(ssl, tls_alpn_http11, sizeof tls_alpn_http11) != 0) {
        ERR_clear_error();
        return WEIR_ENOMEM;
    }
    enum weir_err err = set_verification(ssl, settings, why, size);
    if (err == WEIR_OK && settings->certificate != NULL) {
        err = tls_common_load_pair(ssl, settings->certificate, settings->private_key, why, size);
    }
    return err;
}

enum weir_err tls_client_new(const struct tls_client_settings *settings, char *why, size_t why_size,
                             struct tls_client **out)
{
    struct tls_client *client = calloc(1, sizeof *client);
    snprintf(why, why_size, "out of memory");
    if (client == NULL) {
        return WEIR_ENOMEM;
    }
    client->ssl = SSL_CTX_new(TLS_client_method());
    enum weir_err err = WEIR_ENOMEM;
    if (client->ssl != NULL) {
        err = configure(client->ssl, settings, why, why_size);
    }
    if (err != WEIR_OK) {
        tls_client_free(&client);
        return err;
    }
    *out = client;
    return WEIR_OK;
}

void tls_client_free(struct tls_client **client)
{
    if (*client != NULL) {
        SSL_CTX_free((*client)->ssl);
        free(*client);
        *client = NULL;
    }
}

SSL_CTX *tls_client_ssl(const struct tls_client *client)
{
    return client->ssl;
}

static bool is_address(const char *name)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

bool tls_client_expect(SSL *ssl, const char *name)
{
    char host[NAME_BYTES];
    X509_VERIFY_PARAM *wanted = SSL_get0_param(ssl);
    size_t size = strlen(name);
    if (is_address(name)) {
        /* RFC 6066, section 3: literal addresses are not permitted as server names. */
        return X509_VERIFY_PARAM_set1_ip_asc(wanted, name) == 1;
    }
    if (size > 0 && name[size - 1] == '.') {
        size--; /* likewise: no trailing dot, and certificates have none */
    }
    if (size == 0 || size >= sizeof host) {
        return false;
    }
    memcpy(host, name, size);
    host[size] = '\0';
    /* A wildcard stands for a whole label (RFC 6125, section 6.4.3). */
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(wanted, host, size) == 1 &&
           SSL_set_tlsext_host_name(ssl, host) == 1;
}
