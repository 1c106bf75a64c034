/* Builds one SSL_CTX for each certificate of a listener; the first one answers, and the SNI
 * callback switches to the others. Called when a configuration is loaded; workers only read. */
#include "net/tls_context.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/tls_internal.h"

struct named_context {
    char *host;
    SSL_CTX *ssl;
};

struct tls_context {
    struct named_context *named; /* the first is the default */
    size_t count;
};

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                       const unsigned char *in, unsigned in_size, void *context)
{
    (void)ssl;
    (void)context;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_size, tls_alpn_http11, sizeof tls_alpn_http11, in,
                              in_size) != OPENSSL_NPN_NEGOTIATED) {
        /* RFC 7301, section 3.2: nothing in common is a fatal no_application_protocol. */
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* A wildcard stands for exactly one label (RFC 6125, section 6.4.3). */
static bool wildcard_matches(const char *pattern, const char *name)
{
    const char *dot = strchr(name, '.');
    return strncmp(pattern, "*.", 2) == 0 && dot != NULL && dot != name &&
           strcasecmp(pattern + 1, dot) == 0;
}

/* The name itself before any wildcard, in whatever order they are configured. NULL for none. */
static SSL_CTX *find_named(const struct tls_context *context, const char *name)
{
    SSL_CTX *found = NULL;
    for (size_t i = 0; i < context->count; i++) {
        const struct named_context *named = &context->named[i];
        if (named->host == NULL) {
            continue;
        }
        if (strcasecmp(named->host, name) == 0) {
            return named->ssl;
        }
        if (found == NULL && wildcard_matches(named->host, name)) {
            found = named->ssl;
        }
    }
    return found;
}

static int choose_by_name(SSL *ssl, int *alert, void *argument)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX *named = name != NULL ? find_named(argument, name) : NULL;
    (void)alert;
    if (named != NULL) {
        SSL_set_SSL_CTX(ssl, named);
    }
    return SSL_TLSEXT_ERR_OK;
}

static enum weir_err set_client_ca(SSL_CTX *ssl, const struct tls_settings *settings, char *why,
                                   size_t size)
{
    static const unsigned char session_context[] = "weir";
    /* Without a context id, OpenSSL refuses to resume sessions of clients with certificates. */
    SSL_CTX_set_session_id_context(ssl, session_context, sizeof session_context - 1);
    if (settings->client_certificate == TLS_CLIENT_NONE) {
        return WEIR_OK;
    }
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(settings->client_ca);
    if (names == NULL || SSL_CTX_load_verify_file(ssl, settings->client_ca) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return tls_common_refuse(why, size, settings->client_ca, "cannot be used as client_ca");
    }
    SSL_CTX_set_client_CA_list(ssl, names);
    int mode = SSL_VERIFY_PEER;
    if (settings->client_certificate == TLS_CLIENT_REQUIRED) {
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    SSL_CTX_set_verify(ssl, mode, NULL);
    return WEIR_OK;
}

static void set_common(SSL_CTX *ssl, const struct tls_settings *settings)
{
    tls_common_set(ssl);
    if (settings->tls_1_3_only) {
        SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION);
    }
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    if (!settings->session_resumption) {
        SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ssl, 0);
    }
    SSL_CTX_set_alpn_select_cb(ssl, choose_alpn, NULL);
}

static enum weir_err make_named(const struct tls_settings *settings, size_t index,
                                struct named_context *named, char *why, size_t size)
{
    const struct tls_certificate *pair = &settings->certificates[index];
    named->ssl = SSL_CTX_new(TLS_server_method());
    named->host = pair->host != NULL ? strdup(pair->host) : NULL;
    if (named->ssl == NULL || (pair->host != NULL && named->host == NULL)) {
        return WEIR_ENOMEM;
    }
    set_common(named->ssl, settings);
    enum weir_err err = set_client_ca(named->ssl, settings, why, size);
    return err == WEIR_OK
               ? tls_common_load_pair(named->ssl, pair->certificate, pair->private_key, why, size)
               : err;
}

enum weir_err tls_context_new(const struct tls_settings *settings, char *why, size_t why_size,
                              struct tls_context **out)
{
    struct tls_context *context = calloc(1, sizeof *context);
    enum weir_err err = WEIR_ENOMEM;
    snprintf(why, why_size, "out of memory");
    if (context == NULL) {
        return err;
    }
    context->named = calloc(settings->certificate_count, sizeof *context->named);
    if (context->named == NULL) {
        tls_context_free(&context);
        return err;
    }
    context->count = settings->certificate_count;
    for (size_t i = 0; i < context->count; i++) {
        err = make_named(settings, i, &context->named[i], why, why_size);
        if (err != WEIR_OK) {
            tls_context_free(&context);
            return err;
        }
    }
    SSL_CTX_set_tlsext_servername_callback(context->named[0].ssl, choose_by_name);
    SSL_CTX_set_tlsext_servername_arg(context->named[0].ssl, context);
    *out = context;
    return WEIR_OK;
}

void tls_context_free(struct tls_context **context)
{
    if (*context != NULL) {
        for (size_t i = 0; i < (*context)->count; i++) {
            SSL_CTX_free((*context)->named[i].ssl);
            free((*context)->named[i].host);
        }
        free((*context)->named);
        free(*context);
        *context = NULL;
    }
}

SSL_CTX *tls_context_ssl(const struct tls_context *context)
{
    return context->named[0].ssl;
}
