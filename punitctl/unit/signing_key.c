#include "punitctl/unit/signing_key.h"

#include <dirent.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "punitctl/output.h"
#include "punitctl/unit/process.h"


static file_result_t
write_half(EVP_PKEY *key, const char *path, bool private)
{
    BIO          *bio = BIO_new(BIO_s_mem());
    file_result_t result = FILE_FAILED;
    char         *bytes = NULL;

    if (private ? PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1
                : PEM_write_bio_PUBKEY(bio, key) == 1)
    {
        long n = BIO_get_mem_data(bio, &bytes);

        result = file_write(path, bytes, (size_t) n, private ? 0600 : 0644);
    }
    BIO_free(bio);
    return result;
}


file_result_t
signing_key_make(const char *private_path, const char *public_path)
{
    file_result_t result = FILE_FAILED;
    EVP_PKEY     *key;

    if (file_exists(private_path) && file_exists(public_path)) {
        return FILE_KEPT;
    }
    if (file_exists(private_path)) {
        char *pem = file_read(private_path, NULL);
        BIO  *bio = pem != NULL ? BIO_new_mem_buf(pem, -1) : NULL;

        key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
        BIO_free(bio);
    } else {
        key = EVP_EC_gen("P-256");
    }
    if (key == NULL) {
        output_problem("key", "%s: cannot make or read the key", private_path);
        return FILE_FAILED;
    }
    /* The public half comes first: a key is published before it is used. */
    if (write_half(key, public_path, false) != FILE_FAILED) {
        result = write_half(key, private_path, true) != FILE_FAILED ? FILE_WRITTEN : FILE_FAILED;
    }
    EVP_PKEY_free(key);
    return result;
}


bool
signing_key_public_valid(const char *pem)
{
    char      curve[32] = "";
    BIO      *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    bool      ok = key != NULL && EVP_PKEY_is_a(key, "EC")
              && EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, curve,
                                                sizeof(curve), NULL)
                     == 1
              && strcmp(curve, SN_X9_62_prime256v1) == 0;

    EVP_PKEY_free(key);
    BIO_free(bio);
    return ok;
}


unsigned long
signing_key_last(const char *directory, const char *unit, const char *suffix)
{
    size_t               n = strlen(unit);
    const struct dirent *entry;
    unsigned long        last = 0;
    DIR                 *dir;

    process_enter(directory);
    dir = opendir(directory);
    process_leave();
    if (dir == NULL) {
        return 0;
    }
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        char       *end;

        if (strncmp(name, unit, n) == 0 && name[n] == '-' && name[n + 1] >= '1'
            && name[n + 1] <= '9') {
            unsigned long serial = strtoul(name + n + 1, &end, 10);

            if (strcmp(end, suffix) == 0 && serial > last) {
                last = serial;
            }
        }
    }
    closedir(dir);
    return last;
}
