/* links: workers/auth/token/access_token.c workers/auth/token/access_token_check.c */
/* links: workers/auth/token/keys.c */
#include <dirent.h>
#include <jansson.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/token/access_token.h"

static char dir[] = "/tmp/punit-keys-XXXXXX";

static void
write_key(const char *name, const char *curve, int public)
{
    char      path[300];
    EVP_PKEY *pkey = EVP_EC_gen(curve);

    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    if (public) {
        PEM_write_PUBKEY(f, pkey);
    } else {
        PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL);
    }
    fclose(f);
    EVP_PKEY_free(pkey);
}


static int
make_dir(void **state)
{
    strcpy(dir, "/tmp/punit-keys-XXXXXX");
    return mkdtemp(dir) == NULL;
}


static int
remove_dir(void **state)
{
    struct dirent *e;
    char           path[600];

    DIR *d = opendir(dir);
    while ((e = readdir(d)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path);
    }
    closedir(d);
    return rmdir(dir);
}


static void
the_highest_serial_signs_and_all_are_published(void **state)
{
    char error[400] = "";

    write_key("eu-2.ES256.key.pem", "P-256", 0);
    write_key("eu-10.ES256.key.pem", "P-256", 0);
    write_key("eu-9.ES256.key.pem", "P-256", 0);
    token_keys_t *keys = keys_load_signing(dir, "eu", error, sizeof error);
    assert_string_equal(error, "");
    assert_non_null(keys);
    assert_string_equal(keys_signing(keys)->kid, "eu-10");
    assert_ptr_equal(keys_find(keys, "eu-10"), keys_signing(keys));
    assert_null(keys_find(keys, "eu-1"));

    for (size_t i = 0; i < keys->n; i++) {
        BIO      *text = BIO_new_mem_buf(keys->keys[i].pem, (int) keys->keys[i].pem_size);
        EVP_PKEY *pkey = PEM_read_bio_PrivateKey(text, NULL, NULL, "");
        assert_int_equal(EVP_PKEY_eq(pkey, keys->keys[i].pkey), 1);
        EVP_PKEY_free(pkey);
        BIO_free(text);
    }

    json_t *set = json_loads(keys->jwks, 0, NULL);
    json_t *list = json_object_get(set, "keys");
    assert_int_equal(json_array_size(list), 3);
    json_t *first = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(first, "kid")), "eu-2");
    assert_string_equal(json_string_value(json_object_get(first, "kty")), "EC");
    assert_int_equal(json_string_length(json_object_get(first, "x")), 43);
    assert_int_equal(json_string_length(json_object_get(first, "y")), 43);
    assert_null(json_object_get(first, "d"));
    json_decref(set);
    keys_free(keys);
}


static void
keys_that_do_not_fit_are_named(void **state)
{
    char error[400] = "";

    assert_null(keys_load_signing(dir, "eu", error, sizeof error));
    assert_non_null(strstr(error, "holds no eu-<number>"));

    write_key("us-1.ES256.key.pem", "P-256", 0);
    assert_null(keys_load_signing(dir, "eu", error, sizeof error));
    assert_non_null(strstr(error, "us-1"));
    remove_dir(state);
    make_dir(state);

    write_key("eu-1.ES256.key.pem", "P-384", 0);
    assert_null(keys_load_signing(dir, "eu", error, sizeof error));
    assert_non_null(strstr(error, "P-256"));

    assert_null(keys_load_signing("/nonexistent", "eu", error, sizeof error));
    assert_non_null(strstr(error, "/nonexistent"));

    write_key("ap-1.ES256.pem", "P-256", 0); /* a private key among the public ones */
    assert_null(keys_load_public(dir, error, sizeof error));
    assert_non_null(strstr(error, "ap-1"));
}


static token_keys_t   *own, *public;
static access_issuer_t issuer = { "punit", "punit", "eu", NULL };
static access_claims_t claims = {
    .user = "0b0e7d6c-63bd-4c5e-9f27-1d4d1f0a2b3c",
    .jti = "11111111-63bd-4c5e-9f27-1d4d1f0a2b3c",
    .sid = "22222222-63bd-4c5e-9f27-1d4d1f0a2b3c",
    .roles = "user coach",
    .iat = 1000,
    .exp = 1900,
    .epoch = 7,
    .gen = 3,
};

/* own: eu-1; public: eu-1 and us-1 */
static int
make_issuer(void **state)
{
    char error[400], path[300];

    make_dir(state);
    write_key("eu-1.ES256.key.pem", "P-256", 0);
    own = keys_load_signing(dir, "eu", error, sizeof error);
    issuer.keys = own;
    snprintf(path, sizeof path, "%s/eu-1.ES256.pem", dir);
    FILE *f = fopen(path, "w");
    PEM_write_PUBKEY(f, own->keys[0].pkey);
    fclose(f);
    write_key("us-1.ES256.pem", "P-256", 1);
    public = keys_load_public(dir, error, sizeof error);
    return own == NULL || public == NULL;
}


static int
free_issuer(void **state)
{
    keys_free(own);
    keys_free(public);
    return remove_dir(state);
}


static void
a_token_says_what_it_was_told(void **state)
{
    json_t *got = NULL;
    char   *token = access_token_issue(&issuer, &claims);

    assert_non_null(token);
    assert_true(access_token_check(&issuer, public, token, 1500, &got));
    json_t *want =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:i,s:i,s:[s,s]}", "iss", "punit", "aud",
                  "punit", "unit", "eu", "sub", claims.user, "jti", claims.jti, "sid", claims.sid,
                  "iat", 1000, "exp", 1900, "epoch", 7, "gen", 3, "roles", "user", "coach");
    assert_true(json_equal(got, want));
    json_decref(got);
    json_decref(want);
    free(token);
}


#define BASE64URL sodium_base64_VARIANT_URLSAFE_NO_PADDING

/* The decoded part of a token: its header is part 0, its signature part 2. */
static size_t
part(const char *token, int n, char *out, size_t size)
{
    size_t len;

    while (n-- > 0) {
        token = strchr(token, '.') + 1;
    }
    assert_int_equal(sodium_base642bin((unsigned char *) out, size - 1, token, strcspn(token, "."),
                                       NULL, &len, NULL, BASE64URL),
                     0);
    out[len] = '\0';
    return len;
}


/* libjwt before 1.12 writes typ JWT; t/worker/auth-account.t knows which libjwt it is. */
static void
a_tokens_header_names_algorithm_type_and_key(void **state)
{
    char  text[200];
    char *token = access_token_issue(&issuer, &claims);

    assert_non_null(token);
    part(token, 0, text, sizeof text);
    json_t *header = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_object_size(header), 3);
    assert_string_equal(json_string_value(json_object_get(header, "alg")), "ES256");
    assert_string_equal(json_string_value(json_object_get(header, "kid")), "eu-1");
    const char *typ = json_string_value(json_object_get(header, "typ"));
    assert_true(strcmp(typ, "at+jwt") == 0 || strcmp(typ, "JWT") == 0);
    json_decref(header);
    free(token);
}


static bool
verifies(const char *token, const unsigned char raw[64])
{
    unsigned char der[80], *p = der;
    size_t        len = (size_t) (strrchr(token, '.') - token);

    ECDSA_SIG *sig = ECDSA_SIG_new();
    ECDSA_SIG_set0(sig, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL));
    int size = i2d_ECDSA_SIG(sig, &p);
    ECDSA_SIG_free(sig);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, own->keys[0].pkey), 1);
    bool good = EVP_DigestVerify(ctx, der, (size_t) size, (unsigned char *) token, len) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}


/* One R or S in 256 begins with a zero byte, and one of those has to be seen. */
static void
each_signature_is_r_and_s_of_32_bytes(void **state)
{
    char raw[100];
    int  padded = 0;

    for (int i = 0; i < 300 || (padded == 0 && i < 10000); i++) {
        char *token = access_token_issue(&issuer, &claims);
        assert_int_equal(part(token, 2, raw, sizeof raw), 64);
        assert_true(verifies(token, (unsigned char *) raw));
        padded += raw[0] == 0 || raw[32] == 0;
        free(token);
    }
    assert_int_not_equal(padded, 0);
}


static void
numbers_of_64_bits_and_no_roles_are_kept(void **state)
{
    json_t         *got = NULL;
    access_claims_t big = claims;

    big.epoch = INT64_MAX;
    big.gen = INT64_MAX - 1;
    big.exp = 5000000000;
    big.roles = "";
    char *token = access_token_issue(&issuer, &big);
    assert_true(access_token_check(&issuer, public, token, 4999999999, &got));
    assert_int_equal(json_integer_value(json_object_get(got, "epoch")), INT64_MAX);
    assert_int_equal(json_integer_value(json_object_get(got, "gen")), INT64_MAX - 1);
    assert_int_equal(json_integer_value(json_object_get(got, "exp")), 5000000000);
    assert_true(json_is_array(json_object_get(got, "roles")));
    assert_int_equal(json_array_size(json_object_get(got, "roles")), 0);
    json_decref(got);
    free(token);
}


/* A token with this header and good claims, signed by eu-1 without libjwt. */
static void
sign(const char *header, char *token, size_t size)
{
    static const char payload[] =
        "{\"iss\":\"punit\",\"aud\":[\"x\",\"punit\"],\"unit\":\"eu\",\"exp\":1900}";
    unsigned char        der[80], raw[64];
    const unsigned char *p = der;
    size_t               len = sizeof der;

    sodium_bin2base64(token, size, (const unsigned char *) header, strlen(header), BASE64URL);
    strcat(token, ".");
    sodium_bin2base64(token + strlen(token), size - strlen(token), (const unsigned char *) payload,
                      strlen(payload), BASE64URL);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, own->keys[0].pkey), 1);
    assert_int_equal(EVP_DigestSign(ctx, der, &len, (unsigned char *) token, strlen(token)), 1);
    EVP_MD_CTX_free(ctx);
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long) len);
    BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32);
    ECDSA_SIG_free(sig);
    strcat(token, ".");
    sodium_bin2base64(token + strlen(token), size - strlen(token), raw, sizeof raw, BASE64URL);
}


static void
only_the_types_of_access_tokens_are_accepted(void **state)
{
    static const struct {
        const char *header;
        bool        good;
    } cases[] = {
        { "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"eu-1\"}", true },
        { "{\"alg\":\"ES256\",\"typ\":\"AT+JWT\",\"kid\":\"eu-1\"}", true },
        { "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"eu-1\"}", true },
        { "{\"alg\":\"ES256\",\"kid\":\"eu-1\"}", false },
        { "{\"alg\":\"ES256\",\"typ\":\"\",\"kid\":\"eu-1\"}", false },
        { "{\"alg\":\"ES256\",\"typ\":[\"JWT\"],\"kid\":\"eu-1\"}", false },
        { "{\"alg\":\"ES256\",\"typ\":\"dpop+jwt\",\"kid\":\"eu-1\"}", false },
        /* the signature is good, but the algorithm is not the key's */
        { "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"eu-1\"}", false },
        { "{\"alg\":\"ES384\",\"typ\":\"JWT\",\"kid\":\"eu-1\"}", false },
        { "{\"alg\":\"none\",\"typ\":\"JWT\",\"kid\":\"eu-1\"}", false },
        { "{\"typ\":\"JWT\",\"kid\":\"eu-1\"}", false },
        { "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"us-1\"}", false },
        { "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"eu-1\",\"crit\":[\"x\"],\"x\":1}", false },
    };
    char    token[1000];
    json_t *got = NULL;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sign(cases[i].header, token, sizeof token);
        if (access_token_check(&issuer, public, token, 1500, &got) != cases[i].good) {
            fail_msg("%s: %s", cases[i].header, cases[i].good ? "refused" : "accepted");
        }
        if (cases[i].good) {
            json_decref(got);
        }
    }
}


static void
a_token_that_has_expired_is_refused(void **state)
{
    json_t *got = NULL;
    char   *token = access_token_issue(&issuer, &claims);

    assert_true(access_token_check(&issuer, public, token, 1899, &got));
    json_decref(got);
    assert_false(access_token_check(&issuer, public, token, 1900, &got));
    free(token);
}


static void
a_token_of_another_issuer_audience_or_unit_is_refused(void **state)
{
    json_t         *got = NULL;
    access_issuer_t other;
    char           *token;

    for (int i = 0; i < 3; i++) {
        other = issuer;
        *(const char **[]){ &other.issuer, &other.audience, &other.unit }[i] = "us";
        token = access_token_issue(&other, &claims);
        assert_false(access_token_check(&issuer, public, token, 1500, &got));
        free(token);
    }
}


static void
a_changed_token_is_refused(void **state)
{
    json_t *got = NULL;
    char   *token = access_token_issue(&issuer, &claims);
    size_t  len = strlen(token);

    for (size_t i = 0; i < len; i++) {
        char c = token[i];
        token[i] = c == 'A' ? 'Q' : 'A';
        if (access_token_check(&issuer, public, token, 1500, &got)) {
            fail_msg("accepted with byte %zu changed", i);
        }
        token[i] = c;
    }
    token[len - 1] = '\0';
    assert_false(access_token_check(&issuer, public, token, 1500, &got));
    assert_false(access_token_check(&issuer, public, "", 1500, &got));
    assert_false(access_token_check(&issuer, public, "..", 1500, &got));
    assert_false(access_token_check(&issuer, public, "a.b", 1500, &got));
    free(token);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_highest_serial_signs_and_all_are_published, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(keys_that_do_not_fit_are_named, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_token_says_what_it_was_told, make_issuer, free_issuer),
        cmocka_unit_test_setup_teardown(a_tokens_header_names_algorithm_type_and_key, make_issuer,
                                        free_issuer),
        cmocka_unit_test_setup_teardown(each_signature_is_r_and_s_of_32_bytes, make_issuer,
                                        free_issuer),
        cmocka_unit_test_setup_teardown(numbers_of_64_bits_and_no_roles_are_kept, make_issuer,
                                        free_issuer),
        cmocka_unit_test_setup_teardown(only_the_types_of_access_tokens_are_accepted, make_issuer,
                                        free_issuer),
        cmocka_unit_test_setup_teardown(a_token_that_has_expired_is_refused, make_issuer,
                                        free_issuer),
        cmocka_unit_test_setup_teardown(a_token_of_another_issuer_audience_or_unit_is_refused,
                                        make_issuer, free_issuer),
        cmocka_unit_test_setup_teardown(a_changed_token_is_refused, make_issuer, free_issuer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
