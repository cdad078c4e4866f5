
/* The digest of a policy, which is part of the key of each verdict. */


#include <ngx_http_punit_policy.h>
#include <openssl/evp.h>


ngx_int_t
ngx_http_punit_policy_seal(ngx_http_punit_policy_t *policy)
{
    uint64_t     n;
    ngx_int_t    rc;
    ngx_str_t   *name;
    ngx_uint_t   i;
    EVP_MD_CTX  *ctx;

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    /* Each text follows its length, so that none runs into the next. */

    n = policy->issuer.len;

    rc = EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1
         && EVP_DigestUpdate(ctx, &policy->leeway, sizeof(time_t)) == 1
         && EVP_DigestUpdate(ctx, &n, sizeof(n)) == 1
         && EVP_DigestUpdate(ctx, policy->issuer.data, n) == 1;

    if (policy->audience) {
        name = policy->audience->elts;

        for (i = 0; rc && i < policy->audience->nelts; i++) {
            n = name[i].len;

            rc = EVP_DigestUpdate(ctx, &n, sizeof(n)) == 1
                 && EVP_DigestUpdate(ctx, name[i].data, n) == 1;
        }
    }

    rc = rc && EVP_DigestFinal_ex(ctx, policy->digest, NULL) == 1;

    EVP_MD_CTX_free(ctx);

    return rc ? NGX_OK : NGX_ERROR;
}
