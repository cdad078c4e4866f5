/* links: ngx_punit_module/token/ngx_http_punit_base64url.c */
/* links: ngx_punit_module/token/ngx_http_punit_jws.c */
/* links: ngx_punit_module/token/ngx_http_punit_key.c */
/* links: ngx_punit_module/token/ngx_http_punit_signature.c t/unit/judge.c t/unit/nginx_shim.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <ngx_http_punit_base64url.h>

#include "judge.h"
#include "nginx_shim.h"


static char *
b64(const u_char *p, size_t n)
{
    static const char al[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char             *s = malloc(n * 4 / 3 + 4), *o = s;
    size_t            i;

    for (i = 0; i < n; i += 3) {
        uint32_t v = p[i] << 16 | (i + 1 < n ? p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);

        *o++ = al[v >> 18];
        *o++ = al[v >> 12 & 63];
        if (i + 1 < n) {
            *o++ = al[v >> 6 & 63];
        }
        if (i + 2 < n) {
            *o++ = al[v & 63];
        }
    }
    *o = 0;
    return s;
}


/*
 * What wycheproof's 367 and 370 were meant to be: their padding was lost on the
 * way into the file, which makes them equal to the valid 357.
 */
static void
padding_of_any_part_is_refused(void **state)
{
    static const char    secret[] = "0123456789abcdef0123456789abcdef";
    ngx_http_punit_key_t key = { .alg = ngx_http_punit_key_alg((const u_char *) "HS256", 5) };
    static const char   *pads[][3] = {
          { "", "", "" },   { "=", "", "" },    { "", "==", "" }, { "", "=", "" },  { "", "", "=" },
          { "", "", "==" }, { "====", "", "" }, { "\n", "", "" }, { "", "", "\n" },
    };
    ngx_http_punit_key_error_t err;
    char                       token[256], input[128], *sig;
    u_char                     mac[32];

    assert_int_equal(ngx_http_punit_key_secret(&key, (const u_char *) secret, 32, &err), NGX_OK);
    for (size_t i = 0; i < sizeof(pads) / sizeof(pads[0]); i++) {
        /* signed as it stands, so that only its spelling is wrong */
        snprintf(input, sizeof(input), "eyJhbGciOiJIUzI1NiJ9%s.VGVzdA%s", pads[i][0], pads[i][1]);
        EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret, 32, (u_char *) input, strlen(input),
                  mac, sizeof(mac), NULL);
        sig = b64(mac, 32);
        snprintf(token, sizeof(token), "%s.%s%s", input, sig, pads[i][2]);
        free(sig);
        assert_int_equal(judge(&key, token), i == 0 ? NGX_OK : NGX_DECLINED);
    }
    ngx_http_punit_key_free(&key);
}


static char *
sign(EVP_PKEY *pkey, const ngx_http_punit_alg_t *alg, const char *payload)
{
    char          header[128], *h, *p, *s, *token;
    u_char       *sig, *raw;
    size_t        n, c = alg->coord;
    EVP_MD_CTX   *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx;

    snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"typ\":\"at+jwt\"}", alg->name.data);
    h = b64((u_char *) header, strlen(header));
    p = b64((const u_char *) payload, strlen(payload));
    token = malloc(strlen(h) + strlen(p) + 2048);
    sprintf(token, "%s.%s", h, p);

    assert_int_equal(EVP_DigestSignInit_ex(ctx, &pctx, alg->md, NULL, NULL, pkey, NULL), 1);
    if (alg->family == NGX_HTTP_PUNIT_RSA_PSS) {
        EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST);
    }
    assert_int_equal(EVP_DigestSign(ctx, NULL, &n, (u_char *) token, strlen(token)), 1);
    sig = malloc(n);
    assert_int_equal(EVP_DigestSign(ctx, sig, &n, (u_char *) token, strlen(token)), 1);
    if (alg->family == NGX_HTTP_PUNIT_ECDSA) {
        const u_char *d = sig;
        ECDSA_SIG    *es = d2i_ECDSA_SIG(NULL, &d, n);

        raw = malloc(2 * c);
        BN_bn2binpad(ECDSA_SIG_get0_r(es), raw, c);
        BN_bn2binpad(ECDSA_SIG_get0_s(es), raw + c, c);
        ECDSA_SIG_free(es);
        free(sig);
        sig = raw;
        n = 2 * c;
    }
    s = b64(sig, n);
    sprintf(token + strlen(token), ".%s", s);
    free(sig);
    free(s);
    free(h);
    free(p);
    EVP_MD_CTX_free(ctx);
    return token;
}


static EVP_PKEY *
generate(const ngx_http_punit_alg_t *alg)
{
    switch (alg->family) {
    case NGX_HTTP_PUNIT_ECDSA:
        return EVP_EC_gen(alg->group);
    case NGX_HTTP_PUNIT_EDDSA:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    default:
        return EVP_RSA_gen(2048);
    }
}


static char *
pem(EVP_PKEY *pkey, int private)
{
    BIO  *bio = BIO_new(BIO_s_mem());
    char *data, *text;
    long  n;

    if (private) {
        PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
    } else {
        PEM_write_bio_PUBKEY(bio, pkey);
    }
    n = BIO_get_mem_data(bio, &data);
    text = strndup(data, n);
    BIO_free(bio);
    return text;
}


static ngx_int_t
load_pem(ngx_http_punit_key_t *key, const char *alg, const char *text,
         ngx_http_punit_key_error_t *err)
{
    memset(key, 0, sizeof(*key));
    key->kid = shim_str("eu-1");
    key->alg = ngx_http_punit_key_alg((const u_char *) alg, strlen(alg));
    return ngx_http_punit_key_pem(key, (const u_char *) text, strlen(text), err);
}


static void
each_algorithm_accepts_its_own_signature_and_no_altered_one(void **state)
{
    static const char         *algs[] = { "ES256", "ES384", "ES512", "RS256", "RS384",
                                          "RS512", "PS256", "PS384", "PS512", "EdDSA" };
    ngx_http_punit_key_error_t err;
    ngx_http_punit_key_t       key;

    for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
        const ngx_http_punit_alg_t *alg =
            ngx_http_punit_key_alg((const u_char *) algs[i], strlen(algs[i]));
        EVP_PKEY *pkey = generate(alg);
        char     *text = pem(pkey, 0), *token, *dot;

        assert_int_equal(load_pem(&key, algs[i], text, &err), NGX_OK);
        /* ECDSA's r and s have leading zeros now and then */
        for (int k = 0; k < (alg->family == NGX_HTTP_PUNIT_ECDSA ? 300 : 3); k++) {
            char payload[32];

            snprintf(payload, sizeof(payload), "{\"exp\":%d}", k);
            token = sign(pkey, alg, payload);
            assert_int_equal(judge(&key, token), NGX_OK);
            dot = strrchr(token, '.');
            dot[5] = dot[5] == 'A' ? 'B' : 'A';
            assert_int_equal(judge(&key, token), NGX_DECLINED);
            free(token);
        }
        ngx_http_punit_key_free(&key);
        EVP_PKEY_free(pkey);
        free(text);
    }
}


static void
a_key_refuses_a_token_of_another_algorithm(void **state)
{
    ngx_http_punit_key_error_t err;
    ngx_http_punit_key_t       rs, ps;
    EVP_PKEY                  *pkey = EVP_RSA_gen(2048);
    char                      *text = pem(pkey, 0);
    char *token = sign(pkey, ngx_http_punit_key_alg((const u_char *) "RS256", 5), "{}");

    assert_int_equal(load_pem(&rs, "RS256", text, &err), NGX_OK);
    assert_int_equal(load_pem(&ps, "PS256", text, &err), NGX_OK);
    assert_int_equal(judge(&rs, token), NGX_OK);
    assert_int_equal(judge(&ps, token), NGX_DECLINED);
    free(token);

    /* the oldest trick: the public key as the secret of HS256 */
    {
        ngx_http_punit_key_t hs = { .alg = ngx_http_punit_key_alg((const u_char *) "HS256", 5) };
        char                *h = b64((const u_char *) "{\"alg\":\"HS256\"}", 15), input[64];
        u_char               mac[32];
        char                *s;

        assert_int_equal(ngx_http_punit_key_secret(&hs, (u_char *) text, strlen(text), &err),
                         NGX_OK);
        snprintf(input, sizeof(input), "%s.e30", h);
        EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, text, strlen(text) - 1, (u_char *) input,
                  strlen(input), mac, sizeof(mac), NULL);
        s = b64(mac, 32);
        token = malloc(256);
        snprintf(token, 256, "%s.%s", input, s);
        assert_int_equal(judge(&hs, token), NGX_OK);
        assert_int_equal(judge(&rs, token), NGX_DECLINED);
        free(h);
        free(s);
        free(token);
        ngx_http_punit_key_free(&hs);
    }
    ngx_http_punit_key_free(&rs);
    ngx_http_punit_key_free(&ps);
    EVP_PKEY_free(pkey);
    free(text);
}


static void
refuses(const char *alg, const char *text, const char *why)
{
    ngx_http_punit_key_error_t err = { "" };
    ngx_http_punit_key_t       key;

    assert_int_equal(load_pem(&key, alg, text, &err), NGX_ERROR);
    if (strstr((char *) err.text, why) == NULL) {
        fail_msg("expected \"%s\" in \"%s\"", why, err.text);
    }
    assert_null(key.pkey);
    assert_int_equal(ERR_peek_error(), 0);
}


static void
keys_that_do_not_fit_are_refused_with_the_reason(void **state)
{
    EVP_PKEY *p256 = EVP_EC_gen("P-256"), *p384 = EVP_EC_gen("P-384");
    EVP_PKEY *k1 = EVP_EC_gen("secp256k1"), *rsa = EVP_RSA_gen(1024);
    char     *a = pem(p256, 0), *b = pem(p384, 0), *c = pem(rsa, 0), *d = pem(p256, 1);
    char     *e = pem(k1, 0), *both = malloc(strlen(a) + strlen(d) + 1);

    sprintf(both, "%s%s", a, d);
    refuses("ES256", b, "its curve does not fit ES256, expected P-256");
    refuses("ES384", a, "expected P-384");
    refuses("ES256", e, "its curve does not fit");
    refuses("RS256", a, "its type, EC, does not fit RS256");
    refuses("EdDSA", a, "does not fit EdDSA");
    refuses("ES256", c, "its type, RSA, does not fit ES256");
    refuses("RS256", c, "1024 bits, expected at least 2048");
    refuses("ES256", d, "this is a private key");
    refuses("ES256", both, "more than one PEM");
    refuses("ES256", "", "no PEM found");
    refuses("ES256", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "cannot be parsed");
    refuses("ES256", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "it holds \"CERTIFICATE\"");
    free(a), free(b), free(c), free(d), free(e), free(both);
    EVP_PKEY_free(p256), EVP_PKEY_free(p384), EVP_PKEY_free(k1), EVP_PKEY_free(rsa);
}


static void
a_secret_shorter_than_the_hash_is_refused_and_a_line_end_is_no_part_of_it(void **state)
{
    ngx_http_punit_key_t a = { .alg = ngx_http_punit_key_alg((const u_char *) "HS256", 5) }, b = a,
                         c = a;
    ngx_http_punit_key_error_t err;
    const u_char              *s = (const u_char *) "0123456789abcdef0123456789abcdef\r\n";

    assert_int_equal(ngx_http_punit_key_secret(&a, s, 31, &err), NGX_ERROR);
    assert_non_null(strstr((char *) err.text, "31 bytes, expected at least 32"));
    assert_int_equal(ngx_http_punit_key_secret(&b, s, 32, &err), NGX_OK);
    assert_int_equal(ngx_http_punit_key_secret(&c, s, 34, &err), NGX_OK);
    assert_memory_equal(b.digest, c.digest, NGX_HTTP_PUNIT_DIGEST_LEN);
    ngx_http_punit_key_free(&b);
    ngx_http_punit_key_free(&c);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(padding_of_any_part_is_refused),
        cmocka_unit_test(each_algorithm_accepts_its_own_signature_and_no_altered_one),
        cmocka_unit_test(a_key_refuses_a_token_of_another_algorithm),
        cmocka_unit_test(keys_that_do_not_fit_are_refused_with_the_reason),
        cmocka_unit_test(a_secret_shorter_than_the_hash_is_refused_and_a_line_end_is_no_part_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
