/* A stream through OpenSSL. A client's handshake happens inside the first reads; renegotiation is
 * off, but TLS 1.3 key updates may still make a read wait for writing, and the other way round.
 * OpenSSL 3.0 breaks a connection whose peer asks for new keys while a record of ours is half sent.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
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

/* Turns what made a handshake fail into words, and OpenSSL's way to tell of a cut into ours. */
static enum weir_err handshake_failed(struct stream *stream, enum weir_err err, char *why,
                                      size_t why_size)
{
    unsigned long error = ERR_peek_error();
    const char *words = ERR_reason_error_string(error);
    long verdict = SSL_get_verify_result(stream->tls);
    if (err == WEIR_ECLOSED || ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        snprintf(why, why_size, "the peer has ended the connection during the TLS handshake");
        err = WEIR_ECLOSED;
    } else if (err == WEIR_EIO) {
        snprintf(why, why_size, "the connection was cut during the TLS handshake: %s",
                 errno != 0 ? strerror(errno) : "end of file");
    } else if (ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        snprintf(why, why_size, "the peer's certificate is not believed: %s",
                 X509_verify_cert_error_string(verdict));
    } else {
        snprintf(why, why_size, "the TLS handshake failed: %s",
                 words != NULL ? words : "no details");
    }
    ERR_clear_error();
    return err;
}

static enum weir_err tls_handshake(struct stream *stream, char *why, size_t why_size)
{
    ERR_clear_error();
    int result = SSL_do_handshake(stream->tls);
    if (result == 1) {
        return WEIR_OK;
    }
    enum weir_err err = from_ssl(stream, result, true);
    return err == WEIR_AGAIN ? err : handshake_failed(stream, err, why, why_size);
}

/* Only OpenSSL can see a close_notify, which may lie behind records that are no data (session
 * tickets). The data that it comes across is kept inside for the next read; the kernel will not
 * tell of it again. */
static enum weir_err tls_look(struct stream *stream)
{
    char byte;
    size_t got;
    if (!SSL_is_init_finished(stream->tls)) {
        /* A handshake is for reads to go on with. */
        return stream_plain_ops.look(stream);
    }
    ERR_clear_error();
    int result = SSL_peek_ex(stream->tls, &byte, sizeof byte, &got);
    enum weir_err err = result == 1 ? WEIR_OK : from_ssl(stream, result, true);
    stream->unread = stream->unread || err != WEIR_AGAIN;
    ERR_clear_error();
    return err;
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
    .handshake = tls_handshake,
    .look = tls_look,
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

/* From now on the stream speaks through `ssl`, which is taken; NULL: there was no memory. */
static enum weir_err begin(struct stream *stream, SSL *ssl)
{
    if (ssl == NULL || SSL_set_fd(ssl, stream->fd) != 1) {
        SSL_free(ssl);
        ERR_clear_error();
        return WEIR_ENOMEM;
    }
    stream->tls = ssl;
    stream->ops = &stream_tls_ops;
    return WEIR_OK;
}

enum weir_err stream_start_tls(struct stream *stream, struct tls_context *tls)
{
    SSL *ssl = SSL_new(tls_context_ssl(tls));
    if (ssl != NULL) {
        SSL_set_accept_state(ssl);
    }
    return begin(stream, ssl);
}

enum weir_err stream_start_tls_client(struct stream *stream, struct tls_client *tls,
                                      const char *name)
{
    SSL *ssl = SSL_new(tls_client_ssl(tls));
    if (ssl != NULL) {
        SSL_set_connect_state(ssl);
    }
    if (ssl != NULL && name != NULL && !tls_client_expect(ssl, name)) {
        SSL_free(ssl);
        ERR_clear_error();
        return WEIR_EINVAL;
    }
    return begin(stream, ssl);
}
