#include "punitctl/unit/authority.h"

/* After it, cms.h declares the functions of PEM. */
#include <openssl/pem.h>

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "punitctl/output.h"
#include "punitctl/pool.h"
#include "punitctl/unit/certificate.h"

/* The signer is known from elsewhere, and so it is not in the letter. The key signs bytes, with no
 * translation of line ends. */
#define SEAL_FLAGS (CMS_NOCERTS | CMS_BINARY)
#define TEXT_FLAGS (CMS_NOINTERN | CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY)


/* The content of a memory BIO, which is released. */
static const char *
text_of(BIO *bio)
{
    char       *bytes = NULL;
    long        n = BIO_get_mem_data(bio, &bytes);
    const char *text = pool_copy(bytes, (size_t) n);

    BIO_free(bio);
    return text;
}


static void
refuse(const char *what)
{
    char reason[256] = "no reason given";

    ERR_error_string_n(ERR_peek_last_error(), reason, sizeof(reason));
    output_problem("certificate", "%s: %s", what, reason);
}


static const char *
certificate_text(X509 *x509)
{
    BIO *bio = BIO_new(BIO_s_mem());

    PEM_write_bio_X509(bio, x509);
    return text_of(bio);
}


bool
authority_open(authority_t *authority, const char *directory)
{
    const char *certificate_path = pool_printf("%s/ca.pem", directory);
    const char *key_path = pool_printf("%s/ca.key", directory);
    const char *certificate = file_read(certificate_path, NULL);
    const char *key = certificate != NULL ? file_read(key_path, NULL) : NULL;
    BIO        *bio;

    memset(authority, 0, sizeof(*authority));
    if (key == NULL) {
        return false;
    }
    bio = BIO_new_mem_buf(certificate, -1);
    authority->x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    bio = BIO_new_mem_buf(key, -1);
    authority->key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    if (authority->x509 == NULL || authority->key == NULL) {
        output_problem("bad-file", "%s is no %s in PEM",
                       authority->x509 == NULL ? certificate_path : key_path,
                       authority->x509 == NULL ? "certificate" : "private key");
        authority_close(authority);
        return false;
    }
    if (X509_check_private_key(authority->x509, authority->key) != 1) {
        output_problem("certificate", "%s does not belong to %s", key_path, certificate_path);
        authority_close(authority);
        return false;
    }
    authority->certificate = certificate_text(authority->x509);
    return true;
}


void
authority_close(authority_t *authority)
{
    X509_free(authority->x509);
    EVP_PKEY_free(authority->key);
    memset(authority, 0, sizeof(*authority));
}


bool
authority_issue(const authority_t *authority, const char *id, const char **certificate,
                const char **key)
{
    EVP_PKEY *fresh = EVP_EC_gen("P-256");
    X509     *x509 =
        fresh != NULL ? certificate_make(fresh, id, authority->x509, authority->key) : NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = x509 != NULL && PEM_write_bio_PrivateKey(bio, fresh, NULL, NULL, 0, NULL, NULL) == 1;

    if (ok) {
        *certificate = certificate_text(x509);
        *key = text_of(bio);
    } else {
        refuse("cannot make a certificate");
        BIO_free(bio);
    }
    X509_free(x509);
    EVP_PKEY_free(fresh);
    return ok;
}


const char *
authority_seal(const authority_t *authority, const char *text)
{
    BIO             *in = BIO_new_mem_buf(text, -1);
    BIO             *out = BIO_new(BIO_s_mem());
    CMS_ContentInfo *cms = CMS_sign(authority->x509, authority->key, NULL, in, SEAL_FLAGS);
    bool             ok = cms != NULL && PEM_write_bio_CMS(out, cms) == 1;

    CMS_ContentInfo_free(cms);
    BIO_free(in);
    if (!ok) {
        refuse("cannot sign a letter");
        BIO_free(out);
        return NULL;
    }
    return text_of(out);
}


static STACK_OF(X509) * certificates_of(const char *pem)
{
    STACK_OF(X509) *all = sk_X509_new_null();
    BIO  *bio = BIO_new_mem_buf(pem, -1);
    X509 *one;

    while ((one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        sk_X509_push(all, one);
    }
    BIO_free(bio);
    return all;
}


const char *
authority_text(const char *certificates, const char *pem)
{
    STACK_OF(X509) *signers = certificates_of(certificates);
    BIO             *in = BIO_new_mem_buf(pem, -1);
    BIO             *out = BIO_new(BIO_s_mem());
    CMS_ContentInfo *cms = PEM_read_bio_CMS(in, NULL, NULL, NULL);
    bool             ok = cms != NULL && CMS_verify(cms, signers, NULL, NULL, out, TEXT_FLAGS) == 1;

    CMS_ContentInfo_free(cms);
    BIO_free(in);
    sk_X509_pop_free(signers, X509_free);
    if (!ok) {
        ERR_clear_error();
        BIO_free(out);
        return NULL;
    }
    return text_of(out);
}
