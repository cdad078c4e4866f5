/* links: workers/auth/access_token.c workers/auth/access_token_check.c workers/auth/keys.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <jansson.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/access_token.h"

static char dir[] = "/tmp/punit-keys-XXXXXX";

static void
write_key(const char *name, const char *curve, int public)
{
    char       path[300];
    EVP_PKEY  *pkey = EVP_EC_gen(curve);

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
    struct dirent  *e;
    char            path[600];

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
    punit_keys *keys = punit_signing_keys_load(dir, "eu", error, sizeof error);
    assert_string_equal(error, "");
    assert_non_null(keys);
    assert_string_equal(punit_keys_signing(keys)->kid, "eu-10");
    assert_ptr_equal(punit_keys_find(keys, "eu-10"), punit_keys_signing(keys));
    assert_null(punit_keys_find(keys, "eu-1"));

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
    punit_keys_free(keys);
}

static void
keys_that_do_not_fit_are_named(void **state)
{
    char error[400] = "";

    assert_null(punit_signing_keys_load(dir, "eu", error, sizeof error));
    assert_non_null(strstr(error, "holds no eu-<number>"));

    write_key("us-1.ES256.key.pem", "P-256", 0);
    assert_null(punit_signing_keys_load(dir, "eu", error, sizeof error));
    assert_non_null(strstr(error, "us-1"));
    remove_dir(state);
    make_dir(state);

    write_key("eu-1.ES256.key.pem", "P-384", 0);
    assert_null(punit_signing_keys_load(dir, "eu", error, sizeof error));
    assert_non_null(strstr(error, "P-256"));

    assert_null(punit_signing_keys_load("/nonexistent", "eu", error, sizeof error));
    assert_non_null(strstr(error, "/nonexistent"));

    write_key("ap-1.ES256.pem", "P-256", 0);    /* a private key among the public ones */
    assert_null(punit_public_keys_load(dir, error, sizeof error));
    assert_non_null(strstr(error, "ap-1"));
}

static punit_keys   *own, *public;
static punit_issuer  issuer = { "punit", "punit", "eu", NULL };
static punit_claims  claims = {
    .user = "0b0e7d6c-63bd-4c5e-9f27-1d4d1f0a2b3c",
    .jti = "11111111-63bd-4c5e-9f27-1d4d1f0a2b3c",
    .sid = "22222222-63bd-4c5e-9f27-1d4d1f0a2b3c",
    .roles = "user coach", .iat = 1000, .exp = 1900, .epoch = 7, .gen = 3,
};

/* own: eu-1; public: eu-1 and us-1 */
static int
make_issuer(void **state)
{
    char   error[400], path[300];

    make_dir(state);
    write_key("eu-1.ES256.key.pem", "P-256", 0);
    own = punit_signing_keys_load(dir, "eu", error, sizeof error);
    issuer.keys = own;
    snprintf(path, sizeof path, "%s/eu-1.ES256.pem", dir);
    FILE *f = fopen(path, "w");
    PEM_write_PUBKEY(f, own->keys[0].pkey);
    fclose(f);
    write_key("us-1.ES256.pem", "P-256", 1);
    public = punit_public_keys_load(dir, error, sizeof error);
    return own == NULL || public == NULL;
}

static int
free_issuer(void **state)
{
    punit_keys_free(own);
    punit_keys_free(public);
    return remove_dir(state);
}

static void
a_token_says_what_it_was_told(void **state)
{
    json_t  *got = NULL;
    char    *token = punit_access_token(&issuer, &claims);

    assert_non_null(token);
    assert_true(punit_access_token_check(&issuer, public, token, 1500, &got));
    json_t *want = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:i,s:i,s:[s,s]}",
        "iss", "punit", "aud", "punit", "unit", "eu", "sub", claims.user, "jti", claims.jti,
        "sid", claims.sid, "iat", 1000, "exp", 1900, "epoch", 7, "gen", 3, "roles", "user", "coach");
    assert_true(json_equal(got, want));
    json_decref(got);
    json_decref(want);
    free(token);
}

static void
a_token_that_has_expired_is_refused(void **state)
{
    json_t  *got = NULL;
    char    *token = punit_access_token(&issuer, &claims);

    assert_true(punit_access_token_check(&issuer, public, token, 1899, &got));
    json_decref(got);
    assert_false(punit_access_token_check(&issuer, public, token, 1900, &got));
    free(token);
}

static void
a_token_of_another_issuer_audience_or_unit_is_refused(void **state)
{
    json_t        *got = NULL;
    punit_issuer   other;
    char          *token;

    for (int i = 0; i < 3; i++) {
        other = issuer;
            *(const char **[]) { &other.issuer, &other.audience, &other.unit }[i] = "us";
        token = punit_access_token(&other, &claims);
        assert_false(punit_access_token_check(&issuer, public, token, 1500, &got));
        free(token);
    }
}

static void
a_changed_token_is_refused(void **state)
{
    json_t  *got = NULL;
    char    *token = punit_access_token(&issuer, &claims);
    size_t   len = strlen(token);

    for (size_t i = 0; i < len; i++) {
        char c = token[i];
        token[i] = c == 'A' ? 'Q' : 'A';
        if (punit_access_token_check(&issuer, public, token, 1500, &got)) {
            fail_msg("accepted with byte %zu changed", i);
        }
        token[i] = c;
    }
    token[len - 1] = '\0';
    assert_false(punit_access_token_check(&issuer, public, token, 1500, &got));
    assert_false(punit_access_token_check(&issuer, public, "", 1500, &got));
    assert_false(punit_access_token_check(&issuer, public, "..", 1500, &got));
    assert_false(punit_access_token_check(&issuer, public, "a.b", 1500, &got));
    free(token);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_highest_serial_signs_and_all_are_published, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(keys_that_do_not_fit_are_named, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_token_says_what_it_was_told, make_issuer, free_issuer),
        cmocka_unit_test_setup_teardown(a_token_that_has_expired_is_refused, make_issuer, free_issuer),
        cmocka_unit_test_setup_teardown(a_token_of_another_issuer_audience_or_unit_is_refused, make_issuer, free_issuer),
        cmocka_unit_test_setup_teardown(a_changed_token_is_refused, make_issuer, free_issuer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
