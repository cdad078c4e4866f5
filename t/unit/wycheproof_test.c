/* links: ngx_punit_module/token/ngx_http_punit_base64url.c */
/* links: ngx_punit_module/token/ngx_http_punit_jws.c */
/* links: ngx_punit_module/token/ngx_http_punit_jwks.c */
/* links: ngx_punit_module/token/ngx_http_punit_key.c */
/* links: ngx_punit_module/token/ngx_http_punit_signature.c t/unit/judge.c t/unit/nginx_shim.c */

/* Wycheproof's vectors for signatures and key sets. */

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/err.h>

#include <ngx_http_punit_base64url.h>
#include <ngx_http_punit_jwks.h>

#include "judge.h"
#include "nginx_shim.h"


static ngx_pool_t *pool;
static ngx_array_t keys, bad;


static int
setup(void **state)
{
    pool = shim_pool();
    keys.pool = pool;
    keys.size = sizeof(ngx_http_punit_key_t);
    keys.nalloc = 4;
    keys.nelts = 0;
    keys.elts = ngx_palloc(pool, keys.nalloc * keys.size);
    bad = (ngx_array_t){ .pool = pool, .size = sizeof(ngx_http_punit_key_error_t), .nalloc = 4 };
    bad.elts = ngx_palloc(pool, bad.nalloc * bad.size);
    return 0;
}


static void
drop_keys(void)
{
    ngx_http_punit_key_t *key = keys.elts;

    for (ngx_uint_t i = 0; i < keys.nelts; i++) {
        ngx_http_punit_key_free(&key[i]);
    }
    keys.nelts = 0;
}


static int
teardown(void **state)
{
    drop_keys();
    shim_pool_free(pool);
    return 0;
}


static json_t *
vectors(const char *name)
{
    char        path[4096];
    const char *dir = getenv("PUNIT_WYCHEPROOF");
    json_t     *root;

    snprintf(path, sizeof(path), "%s/%s", dir ? dir : "../shared/data/wycheproof", name);
    root = json_load_file(path, 0, NULL);
    if (root == NULL) {
        print_message("# SKIP %s is not there (PUNIT_WYCHEPROOF names its folder)\n", path);
        skip();
    }
    return root;
}


static const char *
member(json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    return s ? s : "";
}


/* a symmetric key as an operator would give it: a file of its bytes */
static ngx_int_t
secret(json_t *jwk)
{
    const char                *k = member(jwk, "k"), *alg = member(jwk, "alg");
    ngx_http_punit_key_error_t err;
    ngx_http_punit_key_t      *key;
    u_char                     raw[256];
    size_t                     n;

    if (ngx_http_punit_key_alg((const u_char *) alg, strlen(alg)) == NULL
        || ngx_http_punit_base64url_decode(raw, &n, (const u_char *) k, strlen(k)) != NGX_OK)
    {
        return NGX_ERROR;
    }
    key = ngx_array_push(&keys);
    memset(key, 0, sizeof(*key));
    key->alg = ngx_http_punit_key_alg((const u_char *) alg, strlen(alg));
    return ngx_http_punit_key_secret(key, raw, n, &err);
}


static ngx_int_t
load_jwk(json_t *jwk)
{
    json_t                    *set = json_pack("{s:[O]}", "keys", jwk);
    char                      *text = json_dumps(set, 0);
    ngx_http_punit_key_error_t err;
    ngx_uint_t                 skipped;
    ngx_int_t                  rc;

    bad.nelts = 0;
    rc =
        ngx_http_punit_jwks_parse(pool, &keys, (u_char *) text, strlen(text), &skipped, &bad, &err);
    if (rc != NGX_OK || bad.nelts) {
        print_message("# key refused: %s\n",
                      rc != NGX_OK ? err.text : ((ngx_http_punit_key_error_t *) bad.elts)->text);
    }
    free(text);
    json_decref(set);
    return rc == NGX_OK && keys.nelts ? NGX_OK : NGX_ERROR;
}


/* is the very same token, under the same key, in the group as a valid one? */
static int
contradicts(json_t *group, const char *jws)
{
    json_t *test;
    size_t  t;

    json_array_foreach(json_object_get(group, "tests"), t, test)
    {
        if (strcmp(member(test, "result"), "valid") == 0 && strcmp(member(test, "jws"), jws) == 0) {
            return 1;
        }
    }
    return 0;
}


static void
wycheproof_signatures_are_judged_as_they_should(void **state)
{
    json_t *root = vectors("json_web_signature_test.json"), *group, *test, *jwk;
    int     valid = 0, accepted = 0, invalid = 0, refused = 0, wrong = 0, twins = 0, id;
    size_t  g, t;

    json_array_foreach(json_object_get(root, "testGroups"), g, group)
    {
        json_t *public = json_object_get(group, "public");

        json_array_foreach(json_object_get(group, "tests"), t, test)
        {
            int ok = 0, expected = strcmp(member(test, "result"), "valid") == 0;

            id = json_integer_value(json_object_get(test, "tcId"));
            jwk = json_deep_copy(public ? public : json_object_get(group, "private"));

            /* RFC 7520's figures 20 and 27 are signed with PS384 and ES512; the
               group says PS256 and "ES521", which is no algorithm: pinned here */
            if (id == 346 || id == 350) {
                json_object_set_new(jwk, "alg", json_string("PS384"));
            } else if (id == 347 || id == 351) {
                json_object_set_new(jwk, "alg", json_string("ES512"));
            }

            if ((public ? load_jwk(jwk) : secret(jwk)) == NGX_OK) {
                ok = judge(keys.elts, member(test, "jws")) == NGX_OK;
            }
            drop_keys();
            json_decref(jwk);

            if (expected) {
                valid++;
                accepted += ok;
                /* a "?" inside of base64url: refused on purpose */
                wrong += ok != (id != 372 && id != 373);
            } else {
                int twin = contradicts(group, member(test, "jws"));

                /* padding that was lost on the way into the file: they are the valid 357 under the
                 * same key */
                assert_int_equal(twin, id == 367 || id == 370);
                invalid++;
                refused += !ok;
                twins += twin;
                wrong += ok != twin;
            }
            if (ok != expected) {
                print_message("# %d %s: expected %s\n", id, member(test, "comment"),
                              member(test, "result"));
            }
            assert_int_equal(ERR_peek_error(), 0);
        }
    }
    json_decref(root);
    print_message("# wycheproof signatures: %d of %d invalid refused, %d of %d valid accepted; "
                  "%d of the invalid ones are byte for byte a valid one under the same key\n",
                  refused, invalid, accepted, valid, twins);
    assert_int_equal(wrong, 0);
    assert_int_equal(invalid, 355);
    assert_int_equal(refused, 353);
    assert_int_equal(valid, 46);
    assert_int_equal(accepted, 44);
}


static void
wycheproof_key_sets_are_judged_as_they_should(void **state)
{
    json_t *root = vectors("json_web_key_test.json"), *group, *test, *set;
    int     valid = 0, accepted = 0, invalid = 0, refused = 0, wrong = 0;
    size_t  g, t;

    json_array_foreach(json_object_get(root, "testGroups"), g, group)
    {
        set = json_object_get(group, "public");
        if (set == NULL) {
            set = json_object_get(group, "private");
        }
        json_array_foreach(json_object_get(group, "tests"), t, test)
        {
            int   ok = 0, symmetric, expected = strcmp(member(test, "result"), "valid") == 0;
            char *text = json_dumps(set, 0);
            ngx_http_punit_key_error_t err = { "" };
            ngx_http_punit_key_t      *key = keys.elts;
            ngx_uint_t                 skipped, i;

            bad.nelts = 0;
            if (ngx_http_punit_jwks_parse(pool, &keys, (u_char *) text, strlen(text), &skipped,
                                          &bad, &err)
                == NGX_OK)
            {
                key = keys.elts;
                for (i = 0; i < keys.nelts; i++) {
                    ok |= judge(&key[i], member(test, "jws")) == NGX_OK;
                }
            }
            drop_keys();
            symmetric = strstr(text, "\"oct\"") != NULL;
            free(text);

            if (expected) {
                valid++;
                accepted += ok;
                wrong += ok == symmetric; /* secrets do not come from JWKS, on purpose */
            } else {
                invalid++;
                refused += !ok;
                wrong += ok;
            }
            if (ok != expected) {
                print_message("# %s: expected %s; %s\n", member(test, "comment"),
                              member(test, "result"), err.text);
            }
        }
    }
    json_decref(root);
    print_message("# wycheproof key sets: %d of %d invalid refused, %d of %d valid accepted "
                  "(the others are symmetric)\n",
                  refused, invalid, accepted, valid);
    assert_int_equal(wrong, 0);
}


/* signs as the key's owner would; ECDSA signatures as r || s */


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(wycheproof_signatures_are_judged_as_they_should, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(wycheproof_key_sets_are_judged_as_they_should, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
