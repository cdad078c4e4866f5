#include "punitctl/unit/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "punitctl/output.h"
#include "punitctl/pool.h"

#define YEARS_10 (3652L * 24 * 3600)


static file_result_t
refuse(const char *what)
{
    char reason[256] = "no reason given";

    ERR_error_string_n(ERR_peek_last_error(), reason, sizeof(reason));
    output_error("%s: %s", what, reason);
    return FILE_FAILED;
}


static file_result_t
write_bio(BIO *bio, const char *path, mode_t mode)
{
    char *bytes = NULL;
    long  n = BIO_get_mem_data(bio, &bytes);

    return file_write(path, bytes, (size_t) n, mode);
}


static file_result_t
write_key(EVP_PKEY *key, const char *path)
{
    BIO          *bio = BIO_new(BIO_s_mem());
    file_result_t result = FILE_FAILED;

    if (PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
        result = write_bio(bio, path, 0600);
    }
    BIO_free(bio);
    return result;
}


static file_result_t
write_certificate(X509 *x509, const char *path)
{
    BIO          *bio = BIO_new(BIO_s_mem());
    file_result_t result = FILE_FAILED;

    if (PEM_write_bio_X509(bio, x509) == 1) {
        result = write_bio(bio, path, 0644);
    }
    BIO_free(bio);
    return result;
}


static EVP_PKEY *
read_key(const char *path)
{
    char     *pem = file_read(path, NULL);
    BIO      *bio = pem != NULL ? BIO_new_mem_buf(pem, -1) : NULL;
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    if (pem != NULL && key == NULL) {
        output_error("%s is no private key in PEM", path);
    }
    return key;
}


static X509 *
read_certificate(const char *path)
{
    char *pem = file_read(path, NULL);
    BIO  *bio = pem != NULL ? BIO_new_mem_buf(pem, -1) : NULL;
    X509 *x509 = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    if (pem != NULL && x509 == NULL) {
        output_error("%s is no certificate in PEM", path);
    }
    return x509;
}


static bool
extend(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX      context;
    X509_EXTENSION *extension;
    bool            ok;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    ok = extension != NULL && X509_add_ext(x509, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}


X509 *
certificate_make(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key)
{
    X509         *x509 = X509_new();
    X509_NAME    *subject = X509_get_subject_name(x509);
    bool          ca = issuer == NULL;
    unsigned char serial[16];
    BIGNUM       *number;
    bool          ok;

    if (RAND_bytes(serial, sizeof(serial)) != 1) {
        X509_free(x509);
        return NULL;
    }
    serial[0] &= 0x7f; /* RFC 5280 4.1.2.2: positive */
    number = BN_bin2bn(serial, sizeof(serial), NULL);
    ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)) != NULL
         && X509_set_version(x509, X509_VERSION_3) == 1
         /* Clocks of units may differ by some minutes. */
         && X509_gmtime_adj(X509_getm_notBefore(x509), -3600) != NULL
         && X509_gmtime_adj(X509_getm_notAfter(x509), YEARS_10) != NULL
         && X509_set_pubkey(x509, key) == 1
         && X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *) name,
                                       -1, -1, 0)
                == 1
         && X509_set_issuer_name(x509, ca ? subject : X509_get_subject_name(issuer)) == 1;
    if (ca) {
        issuer = x509;
        issuer_key = key;
    }
    ok = ok
         && extend(x509, issuer, NID_basic_constraints,
                   ca ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE")
         && extend(x509, issuer, NID_key_usage,
                   ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature")
         && extend(x509, issuer, NID_subject_key_identifier, "hash")
         && (ca
             || (extend(x509, issuer, NID_authority_key_identifier, "keyid")
                 && extend(x509, issuer, NID_ext_key_usage, "serverAuth,clientAuth")
                 && extend(x509, issuer, NID_subject_alt_name, pool_printf("DNS:%s", name))))
         && X509_sign(x509, issuer_key, EVP_sha256()) > 0;
    BN_free(number);
    if (!ok) {
        X509_free(x509);
        return NULL;
    }
    return x509;
}


file_result_t
certificate_authority(const char *directory)
{
    const char   *path = pool_printf("%s/ca.pem", directory);
    file_result_t result = FILE_FAILED;
    EVP_PKEY     *key;
    X509         *x509;
    int           lock;

    if (file_exists(path)) {
        return FILE_KEPT;
    }
    if (file_make_directory(directory, 0755) == FILE_FAILED) {
        return FILE_FAILED;
    }
    lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) < 0) {
        output_error("cannot lock %s: %s", directory, strerror(errno));
        return FILE_FAILED;
    }
    if (file_exists(path)) {
        close(lock);
        return FILE_KEPT;
    }
    key = EVP_EC_gen("P-256");
    x509 = key != NULL ? certificate_make(key, "punit authority", NULL, NULL) : NULL;
    if (x509 == NULL) {
        refuse("cannot make an authority");
    } else if (write_key(key, pool_printf("%s/ca.key", directory)) != FILE_FAILED) {
        /* ca.pem comes last: a process that sees it may use the key. */
        result = write_certificate(x509, path);
    }
    X509_free(x509);
    EVP_PKEY_free(key);
    close(lock);
    return result;
}


file_result_t
certificate_unit(const char *ca, const char *id, const char *certificate, const char *key)
{
    X509         *issuer = NULL, *x509 = NULL;
    EVP_PKEY     *issuer_key = NULL, *fresh = NULL;
    file_result_t result = FILE_FAILED;

    if (file_exists(certificate) && file_exists(key)) {
        return FILE_KEPT;
    }
    issuer = read_certificate(pool_printf("%s/ca.pem", ca));
    issuer_key = issuer != NULL ? read_key(pool_printf("%s/ca.key", ca)) : NULL;
    if (issuer_key != NULL) {
        fresh = EVP_EC_gen("P-256");
        x509 = fresh != NULL ? certificate_make(fresh, id, issuer, issuer_key) : NULL;
        if (x509 == NULL) {
            refuse("cannot make a certificate");
        } else if (write_key(fresh, key) != FILE_FAILED) {
            result = write_certificate(x509, certificate);
        }
    }
    X509_free(x509);
    X509_free(issuer);
    EVP_PKEY_free(fresh);
    EVP_PKEY_free(issuer_key);
    return result;
}


static bool
signed_by(X509 *x509, const char *ca_file, const char **reason)
{
    X509_STORE     *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    bool ok = store != NULL && context != NULL && X509_STORE_load_file(store, ca_file) == 1
              && X509_STORE_CTX_init(context, store, x509, NULL) == 1
              && X509_verify_cert(context) == 1;

    if (!ok) {
        *reason = X509_verify_cert_error_string(context != NULL ? X509_STORE_CTX_get_error(context)
                                                                : X509_V_ERR_OUT_OF_MEM);
    }
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return ok;
}


bool
certificate_check(const char *ca_file, const char *certificate, const char *key, const char *id)
{
    X509 *x509 = read_certificate(certificate);
    EVP_PKEY *private = x509 != NULL ? read_key(key) : NULL;
    const char *reason = NULL;
    char        name[128] = "";

    if (private == NULL) {
        X509_free(x509);
        return false;
    }
    X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, name, sizeof(name));
    if (X509_check_private_key(x509, private) != 1) {
        output_error("%s does not belong to %s", key, certificate);
    } else if (strcmp(name, id) != 0) {
        output_error("%s has CN=%s, but PostgreSQL of a peer takes the unit's id"
                     " from it: CN=%s is needed",
                     certificate, name, id);
    } else if (X509_check_host(x509, id, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) != 1) {
        output_error("%s has no subjectAltName DNS:%s", certificate, id);
    } else if (!signed_by(x509, ca_file, &reason)) {
        output_error("%s is not good under %s: %s", certificate, ca_file, reason);
    } else {
        reason = id;
    }
    X509_free(x509);
    EVP_PKEY_free(private);
    return reason == id;
}
