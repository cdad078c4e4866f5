#include "punitctl/unit/certificate_list.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

#include "punitctl/pool.h"
#include "punitctl/unit/certificate.h"
#include "punitctl/unit/file.h"

#define DAY 86400.0


static json_t *
name_of(const X509_NAME *name)
{
    BIO    *bio = BIO_new(BIO_s_mem());
    char   *bytes = NULL;
    json_t *text = json_null();

    if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
        long n = BIO_get_mem_data(bio, &bytes);

        text = json_stringn(bytes, (size_t) n);
    }
    BIO_free(bio);
    return text;
}


/* Seconds since 1970. */
static double
end_of(const X509 *x509)
{
    struct tm utc;

    return ASN1_TIME_to_tm(X509_get0_notAfter(x509), &utc) == 1 ? (double) timegm(&utc) : 0;
}


static json_t *
describe(const char *name, const char *path, const X509 *x509, const char *problem)
{
    double  end = end_of(x509);
    json_t *all = json_object();

    json_object_set_new(all, "name", json_string(name));
    json_object_set_new(all, "subject", name_of(X509_get_subject_name(x509)));
    json_object_set_new(all, "issuer", name_of(X509_get_issuer_name(x509)));
    json_object_set_new(all, "until", output_time(end));
    json_object_set_new(all, "days",
                        json_integer((json_int_t) ((end - (double) time(NULL)) / DAY)));
    json_object_set_new(all, "path", json_string(path));
    json_object_set_new(all, "problem", problem != NULL ? json_string(problem) : json_null());
    return all;
}


/* The certificates of a file. Of a chain the first one is the unit's own, and `problem` is its. */
static void
add(json_t *all, const char *name, const char *path, bool chain, const char *problem)
{
    BIO  *bio = BIO_new_file(path, "r");
    X509 *x509 = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    if (x509 == NULL) {
        json_array_append_new(all, json_pack("{s:s, s:n, s:n, s:n, s:n, s:s, s:s}", "name", name,
                                             "subject", "issuer", "until", "days", "path", path,
                                             "problem", "it is no certificate in PEM"));
    }
    while (x509 != NULL) {
        json_array_append_new(all, describe(name, path, x509, problem));
        X509_free(x509);
        x509 = chain ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
        problem = NULL;
    }
    BIO_free(bio);
}


json_t *
certificate_list(const unit_t *unit)
{
    const char *certificate = unit_setting(unit, "PUNIT_TLS_CERT");
    const char *key = unit_setting(unit, "PUNIT_TLS_KEY");
    const char *authority = unit_setting(unit, "PUNIT_TLS_CA");
    const char *https = unit_setting(unit, "PUNIT_HTTPS_CERT");
    const char *https_key = unit_setting(unit, "PUNIT_HTTPS_KEY");
    json_t     *all = json_array();

    if (certificate != NULL && key != NULL && authority != NULL) {
        add(all, "unit", certificate, false,
            certificate_fault(authority, certificate, key, unit->id));
        add(all, "authority", authority, true, NULL);
    }
    if (https != NULL && *https != '\0') {
        add(all, "https", https, false,
            https_key != NULL ? certificate_fault(NULL, https, https_key, NULL)
                              : "PUNIT_HTTPS_KEY names no key");
    }
    return all;
}


bool
certificate_list_good(const json_t *certificates)
{
    const json_t *one;
    size_t        i;

    json_array_foreach(certificates, i, one)
    {
        if (json_integer_value(json_object_get(one, "days")) < CERTIFICATE_DAYS
            || json_is_string(json_object_get(one, "problem")))
        {
            return false;
        }
    }
    return true;
}
