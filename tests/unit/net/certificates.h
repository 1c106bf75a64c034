/* Certificates that tests make for themselves: authorities, and what they have signed. */
#ifndef WEIR_TESTS_CERTIFICATES_H
#define WEIR_TESTS_CERTIFICATES_H

#include <stdio.h>
#include <stdlib.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
};

static inline void add_extension(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    if (extension == NULL || X509_add_ext(certificate, extension, -1) != 1) {
        abort();
    }
    X509_EXTENSION_free(extension);
}

/* Signed by `issuer`, or by itself where that is NULL (an authority then). `names` is as OpenSSL's
 * subjectAltName wants it, or NULL. Valid for `days` from yesterday. */
static inline struct identity identity_new(const char *subject, const char *names,
                                           const struct identity *issuer, int days)
{
    static long serial = 1;
    struct identity made = {EVP_EC_gen("P-256"), X509_new()};
    X509_set_version(made.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), -86400);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), 86400L * (days - 1));
    X509_set_pubkey(made.certificate, made.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)subject, -1, -1, 0);
    X509_set_issuer_name(
        made.certificate,
        X509_get_subject_name(issuer != NULL ? issuer->certificate : made.certificate));
    if (issuer == NULL) {
        add_extension(made.certificate, NID_basic_constraints, "critical,CA:TRUE");
    }
    if (names != NULL) {
        add_extension(made.certificate, NID_subject_alt_name, names);
    }
    X509_sign(made.certificate, issuer != NULL ? issuer->key : made.key, EVP_sha256());
    return made;
}

static inline void identity_write(const struct identity *identity, const char *certificate_path,
                                  const char *key_path)
{
    FILE *file = fopen(certificate_path, "we");
    PEM_write_X509(file, identity->certificate);
    fclose(file);
    file = fopen(key_path, "we");
    PEM_write_PrivateKey(file, identity->key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
}

static inline void identity_free(struct identity *identity)
{
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
}

#endif
