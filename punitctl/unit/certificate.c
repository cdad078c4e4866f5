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
    output_problem("certificate", "%s: %s", what, reason);
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


/* A key with a pass phrase is of no use to a server. */
static int
no_pass_phrase(char *buffer, int size, int writing, void *context)
{
    (void) buffer, (void) size, (void) writing, (void) context;
    return -1;
}


static EVP_PKEY *
parse_key(const certificate_file_t *file, const char **fault)
{
    BIO      *bio = BIO_new_mem_buf(file->pem, -1);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL) : NULL;

    BIO_free(bio);
    if (key == NULL) {
        *fault = pool_printf("%s is no private key in PEM without a pass phrase", file->path);
    }
    return key;
}


static X509 *
parse_certificate(const certificate_file_t *file, const char **fault)
{
    BIO  *bio = BIO_new_mem_buf(file->pem, -1);
    X509 *x509 = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    if (x509 == NULL) {
        *fault = pool_printf("%s is no certificate in PEM", file->path);
    }
    return x509;
}


static bool
say(const char *fault)
{
    if (fault != NULL) {
        output_problem("certificate", "%s", fault);
    }
    return fault == NULL;
}


static EVP_PKEY *
read_key(const char *path)
{
    const certificate_file_t file = { path, file_read(path, NULL) };
    const char              *fault = NULL;
    EVP_PKEY                *key = file.pem != NULL ? parse_key(&file, &fault) : NULL;

    say(fault);
    return key;
}


static X509 *
read_certificate(const char *path)
{
    const certificate_file_t file = { path, file_read(path, NULL) };
    const char              *fault = NULL;
    X509                    *x509 = file.pem != NULL ? parse_certificate(&file, &fault) : NULL;

    say(fault);
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
        output_problem("file", "cannot lock %s: %s", directory, strerror(errno));
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


/* The certificates of a file, as those that are trusted. False if it has none. */
static bool
trust(X509_STORE *store, const certificate_file_t *ca)
{
    BIO  *bio = BIO_new_mem_buf(ca->pem, -1);
    X509 *x509;
    int   count = 0;

    while (bio != NULL && (x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        count += X509_STORE_add_cert(store, x509) == 1;
        X509_free(x509);
    }
    ERR_clear_error();
    BIO_free(bio);
    return count > 0;
}


static bool
signed_by(X509 *x509, const certificate_file_t *ca, const char **reason)
{
    X509_STORE     *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    bool            ok = false;

    if (store == NULL || context == NULL) {
        *reason = "no memory";
    } else if (!trust(store, ca)) {
        *reason = "it holds no certificate in PEM";
    } else if (X509_STORE_CTX_init(context, store, x509, NULL) == 1) {
        ok = X509_verify_cert(context) == 1;
        *reason = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context));
    }
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return ok;
}


/* NULL: the certificate names the unit. */
static const char *
names_another(X509 *x509, const char *path, const char *id)
{
    char name[128] = "";

    X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, name, sizeof(name));
    if (strcmp(name, id) != 0) {
        return pool_printf("%s has CN=%s, but PostgreSQL of a peer takes the unit's id"
                           " from it: CN=%s is needed",
                           path, name, id);
    }
    if (X509_check_host(x509, id, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) != 1) {
        return pool_printf("%s has no subjectAltName DNS:%s", path, id);
    }
    return NULL;
}


/* The certificate, if the key belongs to it. Else NULL. */
static X509 *
parse_pair(const certificate_file_t *certificate, const certificate_file_t *key, const char **fault)
{
    X509 *x509 = parse_certificate(certificate, fault);
    EVP_PKEY *private = x509 != NULL ? parse_key(key, fault) : NULL;
    bool ok = private != NULL && X509_check_private_key(x509, private) == 1;

    if (private != NULL && !ok) {
        *fault = pool_printf("%s does not belong to %s", key->path, certificate->path);
    }
    EVP_PKEY_free(private);
    if (!ok) {
        X509_free(x509);
        return NULL;
    }
    return x509;
}


/* ca or id NULL: that is not looked at. */
static const char *
fault_of(const certificate_file_t *ca, const certificate_file_t *certificate,
         const certificate_file_t *key, const char *id)
{
    const char *fault = NULL, *reason = "no reason given";
    X509       *x509 = parse_pair(certificate, key, &fault);

    if (x509 != NULL && id != NULL) {
        fault = names_another(x509, certificate->path, id);
    }
    if (x509 != NULL && fault == NULL && ca != NULL && !signed_by(x509, ca, &reason)) {
        fault = pool_printf("%s is not good under %s: %s", certificate->path, ca->path, reason);
    }
    X509_free(x509);
    return fault;
}


const char *
certificate_fault(const char *ca_file, const char *certificate, const char *key, const char *id)
{
    const certificate_file_t ca = { ca_file, ca_file != NULL ? file_read(ca_file, NULL) : NULL };
    const certificate_file_t files[] = {
        { certificate, file_read(certificate, NULL) },
        { key, file_read(key, NULL) },
    };

    if (files[0].pem == NULL || files[1].pem == NULL || (ca_file != NULL && ca.pem == NULL)) {
        return pool_printf("%s, its key or its authority cannot be read", certificate);
    }
    return fault_of(ca_file != NULL ? &ca : NULL, &files[0], &files[1], id);
}


bool
certificate_check(const char *ca_file, const char *certificate, const char *key, const char *id)
{
    return say(certificate_fault(ca_file, certificate, key, id));
}


bool
certificate_check_given(const certificate_file_t *ca, const certificate_file_t *certificate,
                        const certificate_file_t *key, const char *id)
{
    return say(fault_of(ca, certificate, key, id));
}


bool
certificate_check_public(const certificate_file_t *certificate, const certificate_file_t *key)
{
    const char *fault = NULL;
    X509       *x509 = parse_pair(certificate, key, &fault);

    if (x509 != NULL && X509_cmp_current_time(X509_get0_notAfter(x509)) <= 0) {
        fault = pool_printf("%s has expired", certificate->path);
    } else if (x509 != NULL && X509_cmp_current_time(X509_get0_notBefore(x509)) > 0) {
        fault = pool_printf("%s is not valid yet", certificate->path);
    }
    X509_free(x509);
    return say(fault);
}
