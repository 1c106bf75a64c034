/* A stream through OpenSSL. The handshake happens inside the first reads; renegotiation is off, but
 * TLS 1.3 key updates may still make a read wait for writing, and the other way round. OpenSSL 3.0
 * breaks a connection whose peer asks for new keys while a record of ours is half sent. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

#include "net/stream.h"
#include "net/tls_internal.h"

static enum weir_err from_ssl(struct stream *stream, int result, bool reading)
{
    switch (SSL_get_error(stream->tls, result)) {
    case SSL_ERROR_WANT_READ:
        stream->write_wants_read = !reading;
        return WEIR_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        stream->read_wants_write = reading;
        return WEIR_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return WEIR_ECLOSED;
    case SSL_ERROR_SSL:
        return WEIR_EPROTO;
    default:
        return WEIR_EIO;
    }
}

static enum weir_err tls_read(struct stream *stream, void *bytes, size_t size, size_t *got)
{
    /* OpenSSL returns at most one record a call; filling the buffer saves the owner turns. */
    size_t total = 0;
    enum weir_err err = WEIR_OK;
    while (total < size && err == WEIR_OK) {
        size_t n = 0;
        ERR_clear_error();
        int result = SSL_read_ex(stream->tls, (char *)bytes + total, size - total, &n);
        if (result == 1) {
            total += n;
        } else {
            err = from_ssl(stream, result, true);
        }
    }
    /* An error behind good bytes comes back with the next read. */
    if (total > 0) {
        *got = total;
        return WEIR_OK;
    }
    return err;
}

static enum weir_err tls_write(struct stream *stream, const struct iovec *pieces, int count,
                               size_t *took)
{
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        size_t done = 0;
        while (done < pieces[i].iov_len) {
            size_t n = 0;
            ERR_clear_error();
            int result = SSL_write_ex(stream->tls, (const char *)pieces[i].iov_base + done,
                                      pieces[i].iov_len - done, &n);
            if (result != 1) {
                enum weir_err err = from_ssl(stream, result, false);
                *took = total;
                return err == WEIR_AGAIN && total > 0 ? WEIR_OK : err;
            }
            done += n;
            total += n;
        }
    }
    *took = total;
    return WEIR_OK;
}

static bool tls_has_pending(const struct stream *stream)
{
    /* Not SSL_has_pending: that is true for a part of a record too, which no read can use yet. */
    return SSL_pending(stream->tls) > 0;
}

static void tls_shutdown(struct stream *stream)
{
    ERR_clear_error();
    if (SSL_is_init_finished(stream->tls)) {
        SSL_shutdown(stream->tls);
    }
    ERR_clear_error();
    shutdown(stream->fd, SHUT_WR);
}

static void tls_close(struct stream *stream)
{
    SSL_free(stream->tls);
    stream->tls = NULL;
}

const struct stream_ops stream_tls_ops = {
    .read = tls_read,
    .write = tls_write,
    .has_pending = tls_has_pending,
    .shutdown = tls_shutdown,
    .close = tls_close,
};

bool stream_is_established(const struct stream *stream)
{
    return stream->tls == NULL || SSL_is_init_finished(stream->tls);
}

char *stream_client_subject(const struct stream *stream)
{
    X509 *certificate = stream->tls != NULL ? SSL_get0_peer_certificate(stream->tls) : NULL;
    BIO *text = certificate != NULL ? BIO_new(BIO_s_mem()) : NULL;
    char *subject = NULL;
    if (text == NULL) {
        return NULL;
    }
    if (X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
        char *bytes = NULL;
        long size = BIO_get_mem_data(text, &bytes);
        subject = size > 0 ? strndup(bytes, (size_t)size) : NULL;
    }
    BIO_free(text);
    return subject;
}

enum weir_err stream_start_tls(struct stream *stream, struct tls_context *tls)
{
    SSL *ssl = SSL_new(tls_context_ssl(tls));
    if (ssl == NULL || SSL_set_fd(ssl, stream->fd) != 1) {
        SSL_free(ssl);
        ERR_clear_error();
        return WEIR_ENOMEM;
    }
    SSL_set_accept_state(ssl);
    stream->tls = ssl;
    stream->ops = &stream_tls_ops;
    return WEIR_OK;
}
