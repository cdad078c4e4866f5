
/* The digest of a policy, which is part of the key of each verdict. */


#include <ngx_http_punit_policy.h>
#include <openssl/evp.h>


static ngx_int_t ngx_http_punit_policy_words(EVP_MD_CTX *ctx,
    const ngx_array_t *words);


ngx_int_t
ngx_http_punit_policy_seal(ngx_http_punit_policy_t *policy)
{
    uint64_t     n;
    ngx_int_t    rc;
    EVP_MD_CTX  *ctx;

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    /*
     * Each text follows its length, and each list the number of its texts, so
     * that none runs into the next.
     */

    n = policy->issuer.len;

    rc = EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1
         && EVP_DigestUpdate(ctx, &policy->leeway, sizeof(time_t)) == 1
         && EVP_DigestUpdate(ctx, &n, sizeof(n)) == 1
         && EVP_DigestUpdate(ctx, policy->issuer.data, n) == 1
         && ngx_http_punit_policy_words(ctx, policy->audience)
         && ngx_http_punit_policy_words(ctx, policy->uuids);

    rc = rc && EVP_DigestFinal_ex(ctx, policy->digest, NULL) == 1;

    EVP_MD_CTX_free(ctx);

    return rc ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_punit_policy_words(EVP_MD_CTX *ctx, const ngx_array_t *words)
{
    uint64_t     n;
    ngx_int_t    rc;
    ngx_str_t   *word;
    ngx_uint_t   i;

    n = words ? words->nelts : 0;
    word = words ? words->elts : NULL;

    rc = EVP_DigestUpdate(ctx, &n, sizeof(n)) == 1;

    for (i = 0; rc && words && i < words->nelts; i++) {
        n = word[i].len;

        rc = EVP_DigestUpdate(ctx, &n, sizeof(n)) == 1
             && EVP_DigestUpdate(ctx, word[i].data, n) == 1;
    }

    return rc;
}
